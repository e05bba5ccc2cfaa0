"""Training of an encoder on generated images, for starting points of GAN inversion."""

import copy
import math

import torch
from torch import Tensor, nn

from advgen.models.generators import Generator
from advgen.models.graphs import capture_step, uses_cuda_graphs
from advgen.specs.training import EncoderTraining
from advgen.training import loop
from advgen.training.state import Callbacks


def train_encoder(
    encoder: nn.Module, generator: Generator, spec: EncoderTraining, seed: int, device: str, callbacks: Callbacks
) -> dict[str, list[float]]:
    """Train `encoder` in place to predict z from G(z) with mean squared error, and leave it in eval mode.

    Each step draws new latent vectors, so `epoch` counts steps. `generator` is used in eval mode, as in an inversion,
    and is not changed. Returns `step`, `epoch`, `loss` and `accuracy`, which is NaN.

    Args:
        encoder: images (B, C, H, W) in [0, 1] to latent vectors (B, latent).

    Raises:
        ValueError: the loss is no longer finite.
    """
    encoder.to(device).train()
    frozen = copy.deepcopy(generator).to(device).eval().requires_grad_(False)
    optimizer = torch.optim.Adam(encoder.parameters(), spec.lr, fused=True, capturable=uses_cuda_graphs(device))

    def update(z_BD: Tensor) -> Tensor:
        loss = (encoder(frozen(z_BD)) - z_BD).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    update = capture_step(update, device)

    def run_step(step: loop.Step) -> tuple[Tensor, float]:
        return update(torch.randn(spec.batch, generator.latent)), math.nan

    history = loop.run(
        run_step,
        examples=spec.batch,
        batch=spec.batch,
        epochs=spec.steps,
        seed=seed,
        device=device,
        parts={"encoder": encoder, "optimizer": optimizer},
        columns=("loss", "[accuracy]"),
        callbacks=callbacks,
        remedy="lower lr",
    )
    encoder.eval()
    return history
