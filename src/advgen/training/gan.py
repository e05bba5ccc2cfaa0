"""Training of a generator against a discriminator (goodfellow2014generative)."""

import copy
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from advgen.models.generators import Generator
from advgen.models.graphs import capture_step, uses_cuda_graphs
from advgen.models.predict import eval_mode, to_unit_range
from advgen.specs.training import GanTraining
from advgen.training import loop
from advgen.training.game import NUMBERS, Game
from advgen.training.state import Callbacks


def train_gan(
    generator: Generator,
    discriminator: nn.Module,
    images_NCHW: Tensor,
    spec: GanTraining,
    seed: int,
    device: str,
    callbacks: Callbacks,
    score: Callable[[Generator], float] | None = None,
) -> dict[str, list[float]]:
    """Train both networks in place, leave them in eval mode, and return the history, one row per batch.

    Each batch gives `discriminator_steps` updates of the discriminator, then `generator_steps` of the generator (see
    `Game`). With `ema`, `generator` ends up with the moving average of its weights and the latest batch-norm
    statistics. With `checkpoint_selection` n, it ends up as the best by `score` of n such generators from evenly spaced
    steps. A run that is resumed from `callbacks.state` gives the same bits as one without interruption.

    Args:
        generator: z (B, latent) to images in [0, 1].
        discriminator: images in [0, 1] to one logit each, (B, 1).
        images_NCHW: all training images, uint8.
        score: a measure of a generator in eval mode, lower is better, that does not change it.

    Returns:
        Columns of equal length: `step` from 1, `epoch` as a fraction, and NUMBERS, which are losses, gradient norms and
        mean logits of real and generated images in the batch's last update of each network.

    Raises:
        ValueError: a loss or gradient is no longer finite.
    """
    images_NCHW = images_NCHW.to(device)
    # transposed convolutions of few channels take two thirds of the time on the CPU with channels last
    generator.to(device).to(memory_format=torch.channels_last).train()
    discriminator.to(device).train()
    game = Game(generator, discriminator, spec, uses_cuda_graphs(device))
    averaged = copy.deepcopy(generator)
    parts: dict[str, nn.Module | torch.optim.Optimizer] = {
        "generator": generator,
        "discriminator": discriminator,
        "optimizer_generator": game.optimizer_generator,
        "optimizer_discriminator": game.optimizer_discriminator,
    }
    if spec.ema:
        parts["averaged"] = averaged
    candidate = averaged if spec.ema else generator
    best, lowest = copy.deepcopy(generator), torch.tensor([math.inf], dtype=torch.float64)
    if spec.checkpoint_selection:
        parts["best"] = best

    def select() -> None:
        assert score is not None, "checkpoint_selection needs a score"
        with eval_mode(candidate):
            value = score(candidate)
        if value < lowest.item():
            lowest.fill_(value)
            best.load_state_dict(candidate.state_dict())

    def play(rows_B: Tensor, penalised: bool, *latents: Tensor) -> Sequence[Tensor]:
        return game.play(to_unit_range(images_NCHW[rows_B]), penalised, *latents)

    update = capture_step(play, device)

    def run_step(step: loop.Step) -> Sequence[Tensor]:
        # a GPU would have to wait for latent vectors that the CPU draws in the middle of a step
        latents = () if torch.device(device).type == "cpu" else (game.draw(len(step.rows_B)),)
        numbers = update(step.rows_B, bool(spec.r1) and step.number % spec.r1_every == 0, *latents)
        if spec.ema:
            _update_average(averaged, generator, min(spec.ema, (1 + step.number) / (10 + step.number)))
        if is_selection_step(step.number, step.total, spec.checkpoint_selection):
            select()
        return numbers

    history = loop.run(
        run_step,
        examples=len(images_NCHW),
        batch=spec.batch,
        epochs=spec.epochs,
        seed=seed,
        device=device,
        parts=parts,
        columns=NUMBERS,
        callbacks=callbacks,
        remedy="lower lr_generator or lr_discriminator",
        extras={"lowest": lowest} if spec.checkpoint_selection else None,
    )
    generator.load_state_dict((best if spec.checkpoint_selection else candidate).state_dict())
    generator.eval()
    discriminator.eval()
    return history


def is_selection_step(number: int, total: int, checkpoint_selection: int) -> bool:
    """Whether step `number`, from 0, is one of `checkpoint_selection` evenly spaced steps that end with the last."""
    return (number + 1) * checkpoint_selection // total > number * checkpoint_selection // total


@torch.no_grad()
def _update_average(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    torch._foreach_lerp_(list(averaged.parameters()), list(network.parameters()), 1 - decay)
    for target, latest in zip(averaged.buffers(), network.buffers(), strict=True):
        target.copy_(latest)
