"""Similarity of two sets of images, from the features and predictions of a reference classifier.

Features are (N, F), probabilities (N, K), labels (N,): arrays, or tensors on the CPU.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

Array = np.ndarray[Any, np.dtype[np.float64]]
CHUNK = 1000  # rows of a distance matrix in memory


def quality(reference_features: ArrayLike, features: ArrayLike, probabilities: ArrayLike) -> dict[str, float]:
    """`frechet_distance`, `classifier_score` and the fields of `Support`, for images and a reference in random order.

    The distance uses the whole reference. The other measures compare sets of equal size, with its first images.
    """
    return {
        "frechet_distance": frechet(reference_features, features),
        "classifier_score": classifier_score(probabilities),
        **support(np.asarray(reference_features)[: len(np.asarray(features))], features)._asdict(),
    }


def frechet(features_a: ArrayLike, features_b: ArrayLike) -> float:
    """Fréchet distance between the Gaussians fitted to two sets of features [heusel2017gans]."""
    a, b = _float64(features_a), _float64(features_b)
    if min(len(a), len(b)) < 2:
        raise ValueError("a Fréchet distance needs at least two images on each side")
    cov_a, cov_b = np.atleast_2d(np.cov(a, rowvar=False)), np.atleast_2d(np.cov(b, rowvar=False))
    # tr √(A B) is the nuclear norm of √A √B: without complex roots, and symmetric
    overlap = np.linalg.svd(_root(cov_a) @ _root(cov_b), compute_uv=False).sum()
    distance = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * overlap
    return max(0.0, float(distance))


def frechet_null(features_a: ArrayLike, features_b: ArrayLike, splits: int = 20, seed: int = 0) -> tuple[float, float]:
    """Fréchet distance of two samples of one distribution with these sizes: mean and standard deviation.

    The distance is biased upwards, more so for fewer images [chong2020effectively]. Random splits of the union of both
    sets show the distance of equal distributions at these sizes.
    """
    a, b = _float64(features_a), _float64(features_b)
    both, random = np.concatenate([a, b]), np.random.default_rng(seed)
    orders = (random.permutation(len(both)) for _ in range(splits))
    distances = [frechet(both[order[: len(a)]], both[order[len(a) :]]) for order in orders]
    return float(np.mean(distances)), float(np.std(distances, ddof=1))


def _root(covariance: Array) -> Array:
    values, vectors = np.linalg.eigh(covariance)
    root: Array = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    return root


def classifier_score(probabilities: ArrayLike) -> float:
    """exp of the mean KL(p(y|x) ‖ p(y)), between 1 and the number of classes [salimans2016improved]."""
    p_NK = _float64(probabilities)
    log_p, log_mean = np.log(np.clip(p_NK, 1e-300, None)), np.log(np.clip(p_NK.mean(0), 1e-300, None))
    return float(np.exp((p_NK * (log_p - log_mean)).sum(1).mean()))


class Support(NamedTuple):
    """How far generated images cover the support of real images, and vice versa."""

    precision: float
    recall: float
    density: float
    coverage: float
    variety: float


def support(real_features: ArrayLike, fake_features: ArrayLike, k: int = 3, k_density: int = 5) -> Support:
    """k-NN precision and recall [kynkaanniemi2019improved], density and coverage [naeem2020reliable].

    Precision is the share of fakes that are nearer to some real image than its k-th real neighbour; recall is the same
    with the roles swapped. Density counts all such real images for each fake, with `k_density` and in units of it (1
    for equal distributions), so that outliers matter less; coverage is the share of real images with such a fake.
    Variety is the median distance of a fake to its nearest other fake, relative to real images: near 0 if a few images
    are repeated.

    Raises:
        ValueError: a set has no more images than the larger k.
    """
    real, fake = torch.from_numpy(_float64(real_features)), torch.from_numpy(_float64(fake_features))
    if min(len(real), len(fake)) <= max(k, k_density):
        raise ValueError(
            f"precision, recall, density and coverage need more than {max(k, k_density)} images on each side"
        )
    real_radii, dense_radii, real_nearest = _radii(real, k, k_density, 1)
    fake_radii, fake_nearest = _radii(fake, k, 1)
    near_real, pairs, covered = [], 0, torch.zeros(len(real), dtype=torch.bool)
    near_fake = torch.zeros(len(real), dtype=torch.bool)
    for rows, radii in zip(torch.split(fake, CHUNK), torch.split(fake_radii, CHUNK), strict=True):
        distances = torch.cdist(rows, real)
        near_real.append((distances <= real_radii).any(1))
        near_fake |= (distances <= radii.unsqueeze(1)).any(0)
        near = distances <= dense_radii
        pairs += int(near.sum())
        covered |= near.any(0)
    precision, recall, coverage = (one.double().mean().item() for one in (torch.cat(near_real), near_fake, covered))
    variety = (fake_nearest.median() / real_nearest.median().clamp_min(1e-12)).item()
    return Support(precision, recall, pairs / (k_density * len(fake)), coverage, variety)


def _radii(points: Tensor, *ks: int) -> list[Tensor]:
    """Distance of each point to its k-th neighbour, for each k (topk is ten times faster than kthvalue)."""
    chunks = torch.split(points, CHUNK)
    nearest = torch.cat([torch.cdist(rows, points).topk(max(ks) + 1, largest=False).values for rows in chunks])
    return [nearest[:, k] for k in ks]


def class_shares(labels: ArrayLike, classes: int) -> Array:
    """Shares of the classes (classes,)."""
    counts = np.bincount(np.asarray(labels), minlength=classes)
    shares: Array = counts / counts.sum()
    return shares


def classes_covered(shares: ArrayLike, threshold: float = 0.01) -> int:
    """The number of classes with more than `threshold` of the images."""
    return int((_float64(shares) > threshold).sum())


def total_variation(shares: ArrayLike, prior: ArrayLike) -> float:
    """Total variation distance of two distributions over classes: 0 if equal, 1 if disjoint."""
    return float(np.abs(_float64(shares) - _float64(prior)).sum() / 2)


def entropy_bits(shares: ArrayLike) -> float:
    """Entropy of a distribution over classes, in bits."""
    p = _float64(shares)
    p = p[p > 0]
    return float(-(p * np.log2(p)).sum()) + 0.0


def _float64(values: ArrayLike) -> Array:
    return np.asarray(values, dtype=np.float64)
