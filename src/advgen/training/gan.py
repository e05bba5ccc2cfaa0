"""Training of a generator against a discriminator (goodfellow2014generative), with unrolling (metz2017unrolled).

Unrolling comes in two modes. `look_ahead` lets the discriminator really go k updates ahead, steps the generator, and
rolls the discriminator back: the generator's gradient takes those updates as given. `exact` writes the updates as a
function of the generator and sends the gradient through them, as the paper does; the discriminator never moves.

With `r1`, the discriminator's gradient at real images is kept small (mescheder2018training), every few steps and as
many times as strongly (karras2020analyzing); the steps that unrolling looks ahead know nothing of it. With
`gradient_penalty`, each step of the discriminator pulls the norm of its gradient between real and generated images
towards 1 (gulrajani2017improved). With `adversarial_eps`, the discriminator learns on images that an attack has moved
to where it errs, real and generated ones alike (liu2019robgan); the generator meets it unattacked.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from advgen.models.generators import Generator
from advgen.models.graphs import capture_step, uses_cuda_graphs
from advgen.models.predict import eval_mode, to_unit_range
from advgen.specs.training import GanTraining
from advgen.training import loop
from advgen.training.losses import discriminator_loss, generator_loss
from advgen.training.state import Callbacks

BETA2, EPS = 0.999, 1e-8
"""Of Adam, for both networks."""
NUMBERS = (
    "loss_generator",
    "loss_discriminator",
    "gradient_generator",
    "gradient_discriminator",
    "logit_real",
    "logit_fake",
)


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

    Each batch gives `discriminator_steps` updates of the discriminator, then `generator_steps` of the generator; with
    `unroll` k, each of the latter meets the discriminator as it will be k updates later, which then is as it was.
    With `ema`, the running average of the generator's weights, and its latest batch-norm statistics, end up in
    `generator`; with `checkpoint_selection` n, the best by `score` of n such generators from evenly spaced steps. A run
    continued from `callbacks.state` gives the same bits as one that was never interrupted.

    Args:
        generator: z (B, latent) to images in [0, 1].
        discriminator: images in [0, 1] to one logit each, (B, 1).
        images_NCHW: all training images, uint8.
        score: how bad a generator in eval mode is; called with `checkpoint_selection`, and must leave it as it is.

    Returns:
        Columns of equal length: `step` from 1, `epoch` as a fraction, losses, norms of the gradients, and mean logits
        of real and fake images, all of the batch's last update of the network in question.

    Raises:
        ValueError: a loss or gradient is no longer finite.
    """
    images_NCHW = images_NCHW.to(device)
    # transposed convolutions of few channels take two thirds as long on the CPU with channels last
    generator.to(device).to(memory_format=torch.channels_last).train()
    discriminator.to(device).train()
    game = _Game(generator, discriminator, spec, uses_cuda_graphs(device))
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

    def choose() -> None:
        assert score is not None, "checkpoint_selection needs a score"
        with eval_mode(candidate):
            found = score(candidate)
        if found < lowest.item():
            lowest.fill_(found)
            best.load_state_dict(candidate.state_dict())

    update = capture_step(
        lambda rows_B, penalised, *drawn: game.play(to_unit_range(images_NCHW[rows_B]), penalised, *drawn), device
    )

    def play(step: loop.Step) -> Sequence[Tensor]:
        # a GPU would have to wait for latent vectors that the CPU draws in the middle of a step
        drawn = () if torch.device(device).type == "cpu" else (game.draw(len(step.rows_B)),)
        numbers = update(step.rows_B, bool(spec.r1) and step.number % spec.r1_every == 0, *drawn)
        if spec.ema:
            _update_average(averaged, generator, min(spec.ema, (1 + step.number) / (10 + step.number)))
        if judged(step.number, step.total, spec.checkpoint_selection):
            choose()
        return numbers

    history = loop.run(
        play,
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


def judged(number: int, total: int, checkpoint_selection: int) -> bool:
    """Whether step `number`, from 0, is one of so many evenly spaced ones of `total`, the last among them."""
    return (number + 1) * checkpoint_selection // total > number * checkpoint_selection // total


@dataclass(frozen=True)
class _Outcome:
    """What one update of one network did, as scalar tensors."""

    loss: Tensor
    gradient: Tensor
    logit_real: Tensor
    logit_fake: Tensor


class _Game:
    """The two networks, their optimisers and the rules by which they take turns."""

    def __init__(self, generator: Generator, discriminator: nn.Module, spec: GanTraining, capturable: bool = False):
        self.generator, self.discriminator, self.spec = generator, discriminator, spec
        adam = partial(torch.optim.Adam, betas=(spec.beta1, BETA2), eps=EPS, fused=True, capturable=capturable)
        self.optimizer_generator = adam(generator.parameters(), spec.lr_generator)
        self.optimizer_discriminator = adam(discriminator.parameters(), spec.lr_discriminator)
        self.drawn = list[Tensor]()
        self.batch_norm = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in discriminator.modules())

    def play(
        self, real_BCHW: Tensor, penalised: bool = False, latents_UBD: Sequence[Tensor] | Tensor = ()
    ) -> Sequence[Tensor]:
        """All updates of one batch, on these latent vectors if any are given (`draw`); NUMBERS."""
        self.drawn = list(latents_UBD)
        for _ in range(self.spec.discriminator_steps):
            d = self.step_discriminator(real_BCHW, penalised)
        for _ in range(self.spec.generator_steps):
            g_loss, g_gradient = self.step_generator(real_BCHW)
        return g_loss, d.loss, g_gradient, d.gradient, d.logit_real, d.logit_fake

    def step_discriminator(self, real_BCHW: Tensor, penalised: bool = False) -> _Outcome:
        latents_BD = self.latents(len(real_BCHW))
        with torch.no_grad():
            fake_BCHW = self.generator(latents_BD)
        real, fake = self.logits(self.discriminator, *self.attacked(real_BCHW, fake_BCHW))
        loss = discriminator_loss(self.spec.loss, real, fake, self.spec.real_label)
        # what is told is the loss itself: a penalty that comes and goes would be a comb on its curve
        penalty = self.spec.r1 * self.spec.r1_every * r1(self.discriminator, real_BCHW) if penalised else 0.0
        penalty = penalty + self.between(self.discriminator, real_BCHW, fake_BCHW)
        gradient = _update(self.discriminator, self.optimizer_discriminator, loss + penalty)
        return _Outcome(loss.detach(), gradient, real.detach().mean(), fake.detach().mean())

    def logits(
        self, discriminate: Callable[[Tensor], Tensor], real_BCHW: Tensor, fake_BCHW: Tensor
    ) -> tuple[Tensor, Tensor]:
        if self.batch_norm:  # its statistics must not tell one kind by the other (radford2016unsupervised)
            return discriminate(real_BCHW), discriminate(fake_BCHW)
        # One pass over both: a quarter less time for a large fully connected discriminator.
        real, fake = discriminate(torch.cat([real_BCHW, fake_BCHW])).chunk(2)
        return real, fake

    def attacked(self, real_BCHW: Tensor, fake_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Both as they are, or with `adversarial_eps` after signed gradient steps up the discriminator's loss."""
        eps, steps = self.spec.adversarial_eps, self.spec.adversarial_steps
        if not eps:
            return real_BCHW, fake_BCHW
        bounds = [((x - eps).clamp_min(0), (x + eps).clamp_max(1)) for x in (real_BCHW, fake_BCHW)]
        moved = [real_BCHW, fake_BCHW]
        # in eval mode, else batch statistics and dropout would be those of examples on their way
        with _frozen(self.discriminator), eval_mode(self.discriminator):
            for _ in range(steps):
                at = [x.detach().requires_grad_() for x in moved]
                loss = discriminator_loss(self.spec.loss, *self.logits(self.discriminator, *at), self.spec.real_label)
                gradients = torch.autograd.grad(loss, at)
                moved = [
                    torch.clamp(x.detach() + 2.5 * eps / steps * gradient.sign(), low, high)
                    for x, gradient, (low, high) in zip(at, gradients, bounds, strict=True)
                ]
        return moved[0], moved[1]

    def between(self, discriminate: Callable[[Tensor], Tensor], real_BCHW: Tensor, fake_BCHW: Tensor) -> Tensor | float:
        """The gradient penalty with its weight, at random points of the lines between images and those made last."""
        if not self.spec.gradient_penalty:
            return 0.0
        points_BCHW = real_BCHW.lerp(fake_BCHW, self.places_B1[..., None, None])
        return self.spec.gradient_penalty * gradient_penalty(discriminate, points_BCHW)

    def step_generator(self, real_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        if not self.spec.unroll:
            return self._step_generator(len(real_BCHW))
        if self.spec.unroll_mode == "exact":
            loss = self.unrolled_loss(real_BCHW)
            return loss.detach(), _update(self.generator, self.optimizer_generator, loss)
        with rolled_back(self.discriminator, self.optimizer_discriminator):
            for _ in range(self.spec.unroll):
                self.step_discriminator(real_BCHW)
            return self._step_generator(len(real_BCHW))

    def _step_generator(self, rows: int) -> tuple[Tensor, Tensor]:
        with _frozen(self.discriminator):
            loss = generator_loss(self.spec.loss, self.discriminator(self.generator(self.latents(rows))))
            gradient = _update(self.generator, self.optimizer_generator, loss)
        return loss.detach(), gradient

    def unrolled_loss(self, real_BCHW: Tensor) -> Tensor:
        """The generator's loss against the discriminator `unroll` updates later, as a function of the generator."""
        weights = {name: one.detach().clone().requires_grad_() for name, one in self.discriminator.named_parameters()}
        buffers = {name: one.clone() for name, one in self.discriminator.named_buffers()}
        moments = _moments(self.discriminator, self.optimizer_discriminator)

        def discriminate(x_BCHW: Tensor) -> Tensor:
            logits_B1: Tensor = functional_call(self.discriminator, {**weights, **buffers}, (x_BCHW,))
            return logits_B1

        rows = len(real_BCHW)
        for _ in range(self.spec.unroll):
            fake_BCHW = self.generator(self.latents(rows))
            real, fake = self.logits(discriminate, real_BCHW, fake_BCHW)
            loss = discriminator_loss(self.spec.loss, real, fake, self.spec.real_label)
            loss = loss + self.between(discriminate, real_BCHW, fake_BCHW)
            gradients = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
            weights, moments = adam(
                weights,
                moments,
                dict(zip(weights, gradients, strict=True)),
                self.spec.lr_discriminator,
                self.spec.beta1,
            )
        return generator_loss(self.spec.loss, discriminate(self.generator(self.latents(rows))))

    def draw(self, rows: int) -> Tensor:
        """All that is drawn for one batch (updates, rows, numbers), on the CPU, in the order in which it is used."""
        updates = self.spec.discriminator_steps + self.spec.generator_steps * (self.spec.unroll + 1)
        return torch.stack([self.draw_once(rows) for _ in range(updates)])

    def draw_once(self, rows: int) -> Tensor:
        """Latent vectors and, for the gradient penalty, beside each a place on a line, uniform on [0, 1)."""
        z_BD = torch.randn(rows, self.generator.latent)
        return torch.cat([z_BD, torch.rand(rows, 1)], 1) if self.spec.gradient_penalty else z_BD

    def latents(self, rows: int) -> Tensor:
        weight = next(self.generator.parameters())
        drawn_BN = self.drawn.pop(0) if self.drawn else self.draw_once(rows).to(weight)
        z_BD, self.places_B1 = drawn_BN.split([self.generator.latent, drawn_BN.shape[1] - self.generator.latent], 1)
        return z_BD


def r1(discriminator: nn.Module, real_BCHW: Tensor) -> Tensor:
    """Half the mean squared norm of the discriminator's gradient at real images (mescheder2018training, eq. 9)."""
    real_BCHW = real_BCHW.detach().requires_grad_()
    (gradient_BCHW,) = torch.autograd.grad(discriminator(real_BCHW).sum(), real_BCHW, create_graph=True)
    return gradient_BCHW.square().flatten(1).sum(1).mean() / 2


def gradient_penalty(discriminate: Callable[[Tensor], Tensor], x_BCHW: Tensor) -> Tensor:
    """Mean of (|g| - 1)² of the discriminator's gradients g at some images (gulrajani2017improved, eq. 3)."""
    # where images are generated, exact unrolling wants the gradient to go on to their generator
    x_BCHW = x_BCHW if x_BCHW.requires_grad else x_BCHW.detach().requires_grad_()
    (gradient_BCHW,) = torch.autograd.grad(discriminate(x_BCHW).sum(), x_BCHW, create_graph=True)
    return (gradient_BCHW.square().flatten(1).sum(1).clamp_min(1e-24).sqrt() - 1).square().mean()


class Moments(NamedTuple):
    """Adam's steps so far, and of each weight the first and second moment."""

    steps: float | Tensor
    of_weights: Mapping[str, tuple[Tensor, Tensor]]


def _moments(network: nn.Module, optimizer: torch.optim.Optimizer) -> Moments:
    steps: float | Tensor = 0.0
    of_weights = {}
    for name, weight in network.named_parameters():
        state = optimizer.state.get(weight)
        of_weights[name] = (state["exp_avg"], state["exp_avg_sq"]) if state else (torch.zeros_like(weight),) * 2
        if state:
            # in double precision on a GPU, too, without asking it
            steps = state["step"].item() if state["step"].device.type == "cpu" else state["step"].double()
    return Moments(steps, of_weights)


def adam(
    weights: Mapping[str, Tensor], moments: Moments, gradients: Mapping[str, Tensor], lr: float, beta1: float
) -> tuple[dict[str, Tensor], Moments]:
    """One update of Adam as a function that can be differentiated; nothing is changed in place."""
    steps = moments.steps + 1
    correction1, correction2 = 1 - beta1**steps, 1 - BETA2**steps
    later, kept = {}, {}
    for name, weight in weights.items():
        first, second = moments.of_weights[name]
        first = beta1 * first + (1 - beta1) * gradients[name]
        second = BETA2 * second + (1 - BETA2) * gradients[name].square()
        # the root of a second moment of exactly 0, as a dead unit has, would have no derivative
        scale = (second / correction2).clamp_min(1e-30).sqrt() + EPS
        later[name] = weight - lr * first / correction1 / scale
        kept[name] = (first, second)
    return later, Moments(steps, kept)


def _update(network: nn.Module, optimizer: torch.optim.Optimizer, loss: Tensor) -> Tensor:
    """One step of the optimiser down the loss; the norm of the gradient."""
    optimizer.zero_grad()
    loss.backward()
    norm = nn.utils.get_total_norm([p.grad for p in network.parameters() if p.grad is not None])
    optimizer.step()
    return norm


@contextmanager
def rolled_back(network: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Undo, bit for bit, what happens inside to weights and buffers, Adam's moments and step counts.

    Where they lie stays the same, as a recorded step wants it; the optimizer has made a step before.
    """
    now = [*network.state_dict().values(), *(one for state in optimizer.state.values() for one in state.values())]
    before = [one.clone() for one in now]
    yield
    with torch.no_grad():
        for one, kept in zip(now, before, strict=True):
            one.copy_(kept)


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Spare the gradients of the network's weights, which the other network's update has no use for."""
    network.requires_grad_(False)
    yield
    network.requires_grad_(True)


@torch.no_grad()
def _update_average(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    torch._foreach_lerp_(list(averaged.parameters()), list(network.parameters()), 1 - decay)
    for kept, latest in zip(averaged.buffers(), network.buffers(), strict=True):
        kept.copy_(latest)
