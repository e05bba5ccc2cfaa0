"""Randomised smoothing: what a network says most often under Gaussian noise, and how far that holds."""

from __future__ import annotations

import torch
from scipy.special import ndtri
from torch import Tensor, nn

from advgen import seeds
from advgen.metrics.intervals import binomial_lower_bound
from advgen.models.predict import predict

DRAWN = 500
"""Noisy images made at once; another number would draw other noise."""
ABSTAIN = -1


def certify(
    model: nn.Module,
    images_NCHW: Tensor,
    *,
    sigma: float,
    n0: int,
    n: int,
    alpha: float,
    seed: int,
    indices: list[int],
) -> tuple[Tensor, Tensor]:
    """The smoothed network's label of each image (N,), ABSTAIN where it is not sure, and the L2 radius of it (N,).

    `n0` noisy images choose a class, `n` others bound its probability p from below by the exact binomial bound; it
    holds within sigma · Φ⁻¹(p) if p > 1/2 [cohen2019certified]. The chance of a wrong one is `alpha` for each image.
    Noise goes beyond the box, as the paper's does.
    """
    labels, radii = [], []
    for x_CHW, index in zip(images_NCHW, indices, strict=True):
        random = seeds.generator(seed, "smoothing", index)
        label = int(_counts(model, x_CHW, sigma, n0, random).argmax())
        p = binomial_lower_bound(int(_counts(model, x_CHW, sigma, n, random)[label]), n, alpha)
        labels.append(label if p > 0.5 else ABSTAIN)
        radii.append(sigma * float(ndtri(p)) if p > 0.5 else 0.0)
    return torch.tensor(labels), torch.tensor(radii, dtype=torch.float64)


def _counts(model: nn.Module, x_CHW: Tensor, sigma: float, n: int, random: torch.Generator) -> Tensor:
    """How often each class is named for so many noisy copies of an image, (K,)."""
    counts_K = torch.zeros(0)
    for start in range(0, n, DRAWN):
        noise_BCHW = torch.randn((min(DRAWN, n - start), *x_CHW.shape), generator=random)
        predicted_B, logits_BK = predict(model, x_CHW + sigma * noise_BCHW)
        found_K = predicted_B.bincount(minlength=logits_BK.shape[1])
        counts_K = found_K if start == 0 else counts_K + found_K
    return counts_K
