"""Gaussian noise, the control that every attack must beat."""

from __future__ import annotations

from torch import Tensor, nn

from advgen import seeds
from advgen.specs.attacks import GaussianNoise


def gaussian_noise(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: GaussianNoise, *, seed: int, indices: list[int]
) -> Tensor:
    """The images plus noise of standard deviation `spec.sd`.

    Where `spec.clipped`, it is clipped to the box. That lowers the RMS and, on black or white pixels, shifts the mean
    by 0.4 sd: on MNIST a softmax regression errs more under that shift than under the noise.
    """
    noise_BCHW = seeds.normal(seed, "noise", indices, *x_BCHW.shape[1:]).to(x_BCHW)
    noisy_BCHW = x_BCHW + spec.sd * noise_BCHW
    return noisy_BCHW.clamp(0, 1) if spec.clipped else noisy_BCHW
