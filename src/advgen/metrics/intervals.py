"""Confidence intervals. Torch-free, so that figures can use them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv, ndtri, stdtrit

from advgen import seeds

CHUNK = 4_000_000  # random indices held at once


def wilson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share, (low, high) [wilson1927probable]."""
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"{successes} successes of {n}")
    share, z = successes / n, float(ndtri(0.5 + 0.5 * confidence))
    width = 2 * (n + z**2)
    centre = (2 * n * share + z**2) / width
    half = z / width * math.sqrt(4 * n * share * (1 - share) + z**2)
    return (0.0 if successes == 0 else centre - half), (1.0 if successes == n else centre + half)


def binomial_lower_bound(successes: int, n: int, alpha: float) -> float:
    """What a probability is at least, but for a chance of `alpha`: the exact one-sided bound [clopper1934use]."""
    return float(betaincinv(successes, n - successes + 1, alpha)) if successes else 0.0


def bootstrap_mean(values: ArrayLike, seed: int, confidence: float = 0.95, n: int = 2000) -> tuple[float, float, float]:
    """Mean and percentile bootstrap interval over `n` resamples, (mean, low, high) [efron1993bootstrap]."""
    values_N: np.ndarray[Any, np.dtype[np.float64]] = np.asarray(values, dtype=np.float64)
    if values_N.size == 0:
        raise ValueError("a mean needs at least one value")
    random = np.random.default_rng(seeds.derive(seed, "bootstrap"))
    rows = max(1, CHUNK // len(values_N))
    means = [
        values_N[random.integers(len(values_N), size=(min(rows, n - start), len(values_N)))].mean(axis=1)
        for start in range(0, n, rows)
    ]
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(values_N.mean()), float(low), float(high)


def paired_difference(a: ArrayLike, b: ArrayLike, seed: int, confidence: float = 0.999) -> tuple[float, float, float]:
    """Mean of a − b over the same examples, with a bootstrap interval, (mean, low, high)."""
    a_N, b_N = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a_N.shape != b_N.shape:
        raise ValueError(f"paired values must be of the same examples, not {len(a_N)} and {len(b_N)}")
    # Each tail should still hold ten resamples, or the interval's ends are mostly luck.
    return bootstrap_mean(a_N - b_N, seed, confidence, n=round(20 / (1 - confidence)))


def rank_correlation(
    x: ArrayLike, y: ArrayLike, seed: int, confidence: float = 0.95, n: int = 2000
) -> tuple[float, float, float]:
    """Spearman's rank correlation with a percentile bootstrap interval over examples; NaN where one never varies."""
    from scipy.stats import rankdata  # importing it takes longer than most of what needs an interval

    x_N, y_N = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    random = np.random.default_rng(seeds.derive(seed, "bootstrap"))
    rows_RN = np.vstack([np.arange(len(x_N)), random.integers(len(x_N), size=(n, len(x_N)))])
    x_RN, y_RN = (rankdata(values[rows_RN], axis=1) - (len(x_N) + 1) / 2 for values in (x_N, y_N))
    spread_R = np.sqrt((x_RN**2).sum(1) * (y_RN**2).sum(1))
    varies_R = spread_R > 0
    if not varies_R[0]:
        return float("nan"), float("nan"), float("nan")
    found_R = (x_RN * y_RN).sum(1)[varies_R] / spread_R[varies_R]
    tail = (1 - confidence) / 2
    low, high = np.quantile(found_R[1:], [tail, 1 - tail])
    return float(found_R[0]), float(low), float(high)


def interval_over_runs_and_images(
    values: ArrayLike, images: tuple[float, float], share: bool = False, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Mean of one number per run with an interval over runs and images together, (mean, low, high).

    See `joined`; one run has no interval over runs. Where each image is known in each run, `over_runs` is sharper.
    """
    values_R = np.asarray(values, dtype=np.float64)
    return combine_intervals(float(values_R.mean()), [values_R] if len(values_R) > 1 else [], images, share, confidence)


def rate_over_runs(shares_R: ArrayLike, n: int) -> tuple[float, float, float]:
    """Mean of a share of the same `n` images in each run, with an interval over runs and images, (mean, low, high)."""
    return average_runs(
        [(share, *wilson(round(share * n), n)) for share in np.asarray(shares_R, dtype=np.float64)], share=True
    )


def average_runs(runs_R3: ArrayLike, share: bool = False) -> tuple[float, float, float]:
    """Mean of what each run has with its interval over images, (mean, low, high), with one over runs and images."""
    each = np.asarray(runs_R3, dtype=np.float64)
    mean, low, high = each.mean(axis=0)
    return interval_over_runs_and_images(each[:, 0], (mean - low, high - mean), share)


def combine_intervals(
    mean: float,
    runs: Iterable[ArrayLike],
    images: tuple[float, float],
    share: bool = False,
    confidence: float = 0.95,
) -> tuple[float, float, float]:
    """A mean with an interval over runs and images together, (mean, low, high).

    `runs` has one number for each run, once for every kind of run (nets that attack, nets that are attacked).
    `images` is how far the interval over the images of one run reaches below and above: runs share their images, so it
    does not shrink with runs. It is joined in quadrature with Student's half widths over runs. A `share` stays within
    0 and 1.
    """
    intervals = (interval_over_runs(np.asarray(one, dtype=np.float64)[:, None], confidence=confidence) for one in runs)
    halves = [high - middle for middle, _, high in intervals]
    low, high = mean - math.hypot(images[0], *halves), mean + math.hypot(images[1], *halves)
    return (mean, max(0.0, low), min(1.0, high)) if share else (mean, low, high)


def interval_over_runs(values: ArrayLike, rate: bool = False, confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean of `values` (runs, images) with an interval over runs and images together, (mean, low, high).

    Runs (seeds) and images are crossed random effects. What runs vary by counts with Student's distribution, what
    images vary by beyond that with the normal one; the two quantiles are weighted by their shares of the variance
    [cochran1964approximate]. With one image it is Student's interval over runs. Of a `rate`, n images that agree tell
    nothing finer than 3 / n [hanley1983nothing]. ValueError for less than two runs.
    """
    values_RN = np.asarray(values, dtype=np.float64)
    runs, n = values_RN.shape
    if runs < 2:
        raise ValueError(f"an interval over runs needs two of them, not {runs}")
    mean = float(values_RN.mean())
    run_R, image_N = values_RN.mean(1) - mean, values_RN.mean(0) - mean
    of_runs = n * float((run_R**2).sum()) / (runs - 1)
    of_images = 0.0
    if n > 1:
        rest_RN = values_RN - mean - run_R[:, None] - image_N
        of_rest = float((rest_RN**2).sum()) / ((runs - 1) * (n - 1))
        of_images = max(0.0, runs * float((image_N**2).sum()) / (n - 1) - of_rest)
    half, variance = 0.0, of_runs + of_images
    if variance > 0:
        upper = 0.5 + 0.5 * confidence
        quantile = (of_runs * stdtrit(runs - 1, upper) + of_images * ndtri(upper)) / variance
        half = float(quantile) * math.sqrt(variance / (runs * n))
    if rate:
        half = max(half, 3 / n)
    return mean, mean - half, mean + half
