"""Gaussian noise, the control that every attack must beat."""

from torch import Tensor, nn

from advgen import seeds
from advgen.specs.attacks import GaussianNoise


def gaussian_noise(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: GaussianNoise, *, seed: int, indices: list[int]
) -> Tensor:
    """The images plus noise of standard deviation `spec.sd`, clipped to the box if `spec.clipped`.

    Clipping lowers the RMS and shifts the mean of black or white pixels by 0.4 sd. On MNIST, this shift causes more
    errors of a softmax regression than the noise itself.
    """
    noise_BCHW = seeds.normal(seed, "noise", indices, *x_BCHW.shape[1:]).to(x_BCHW)
    noisy_BCHW = x_BCHW + spec.sd * noise_BCHW
    return noisy_BCHW.clamp(0, 1) if spec.clipped else noisy_BCHW
