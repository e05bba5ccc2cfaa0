"""Measures of single images, float in [0, 1], (N, C, H, W)."""

import torch
from torch import Tensor
from torch.nn.functional import conv2d, max_pool2d

WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2


def mse(a_NCHW: Tensor, b_NCHW: Tensor) -> Tensor:
    """Mean squared difference of each pair of images (N,)."""
    return (a_NCHW - b_NCHW).square().flatten(1).mean(1)


def ssim(a_NCHW: Tensor, b_NCHW: Tensor) -> Tensor:
    """Structural similarity of each pair (N,), averaged over channels and full Gaussian windows [wang2004image]."""
    if min(a_NCHW.shape[2:]) < WINDOW:
        raise ValueError(f"SSIM needs images of at least {WINDOW}×{WINDOW} pixels")
    n, _, height, width = a_NCHW.shape
    # E[a²] − E[a]² cancels: in float32, noise in flat regions would be as large as C2
    a, b = a_NCHW.double().reshape(-1, 1, height, width), b_NCHW.double().reshape(-1, 1, height, width)
    offsets = torch.arange(WINDOW, dtype=a.dtype, device=a.device) - WINDOW // 2
    kernel = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    kernel = kernel / kernel.sum()

    def blur(x: Tensor) -> Tensor:
        return conv2d(conv2d(x, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))

    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b, cov = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2, blur(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
    structure = (2 * cov + C2) / (var_a + var_b + C2)
    return (luminance * structure).view(n, -1).mean(1)


def isolated_energy(x_NCHW: Tensor) -> Tensor:
    """Salt-and-pepper noise of each image's background (N,): mean square of pixels that no 2×2 square of theirs covers.

    That is the difference from the morphological opening by a 2×2 square, where the opening is dark. Strokes and their
    smooth edges remain in the opening; single pixels and lines one pixel wide do not.
    """
    eroded = -max_pool2d(-x_NCHW, 2, 1)
    opened = max_pool2d(eroded, 2, 1, 1)
    return ((x_NCHW - opened).square() * (opened < 0.1)).flatten(1).mean(1)


def extent(x_NCHW: Tensor, threshold: float = 0.5) -> tuple[Tensor, Tensor, Tensor]:
    """Ink (mean intensity), and width and height in pixels of the region brighter than `threshold`, each (N,)."""
    bright_NHW = x_NCHW.amax(1) > threshold

    def span(present_NL: Tensor) -> Tensor:
        length = present_NL.shape[1]
        first = present_NL.int().argmax(1)
        last = length - 1 - present_NL.flip(1).int().argmax(1)
        return torch.where(present_NL.any(1), last - first + 1, 0)

    return x_NCHW.flatten(1).mean(1), span(bright_NHW.any(1)), span(bright_NHW.any(2))


def laplacian_variance(x_NCHW: Tensor) -> Tensor:
    """Sharpness of each image (N,): the variance of its Laplacian, on the mean of its channels [pech2000diatom]."""
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]).to(x_NCHW)
    return conv2d(x_NCHW.mean(1, keepdim=True), kernel.view(1, 1, 3, 3)).flatten(1).var(1, correction=0)
