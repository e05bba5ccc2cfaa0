"""Gaussian noise, the control that every attack must beat."""

from __future__ import annotations

from torch import Tensor, nn

from advgen import seeds
from advgen.specs.attacks import GaussianNoise


def gaussian_noise(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: GaussianNoise, *, seed: int, indices: list[int]
) -> Tensor:
    """The images plus noise of standard deviation `spec.sd`, clipped to the box (which lowers the RMS a little)."""
    noise_BCHW = seeds.normal(seed, "noise", indices, *x_BCHW.shape[1:]).to(x_BCHW)
    return (x_BCHW + spec.sd * noise_BCHW).clamp(0, 1)
