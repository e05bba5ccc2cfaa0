"""Randomised smoothing: the most frequent prediction under Gaussian noise, and its certified radius."""

import torch
from scipy.special import ndtri
from torch import Tensor, nn

from advgen import seeds
from advgen.metrics.intervals import binomial_lower_bound
from advgen.models.predict import predict

DRAWN = 500  # noisy images per batch; another number would draw other noise
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
    """The smoothed network's label of each image (N,), or ABSTAIN, and its certified L2 radius (N,).

    `n0` noisy images select a class. `n` others give an exact binomial lower bound p on its probability. If p > 1/2,
    the label is certified within sigma · Φ⁻¹(p) [cohen2019certified]. Each certificate is wrong with a probability of
    at most `alpha`. As in the paper, the noise may leave the box.
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
    """How often each class is predicted for `n` noisy copies of an image, (K,)."""
    counts = []
    for start in range(0, n, DRAWN):
        noise_BCHW = torch.randn((min(DRAWN, n - start), *x_CHW.shape), generator=random)
        predicted_B, logits_BK = predict(model, x_CHW + sigma * noise_BCHW)
        counts.append(predicted_B.bincount(minlength=logits_BK.shape[1]))
    return torch.stack(counts).sum(0)
