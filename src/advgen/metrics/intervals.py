"""Confidence intervals. Does not import torch, so that figures can use it."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv, ndtri, stdtrit

from advgen import seeds

CHUNK = 4_000_000  # random indices in memory


def wilson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a rate, (low, high) [wilson1927probable]."""
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"{successes} successes of {n}")
    share, z = successes / n, float(ndtri(0.5 + 0.5 * confidence))
    width = 2 * (n + z**2)
    centre = (2 * n * share + z**2) / width
    half = z / width * math.sqrt(4 * n * share * (1 - share) + z**2)
    return (0.0 if successes == 0 else centre - half), (1.0 if successes == n else centre + half)


def binomial_lower_bound(successes: int, n: int, alpha: float) -> float:
    """The exact one-sided lower bound of a probability at level `alpha` [clopper1934use]."""
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
    # each tail needs about ten resamples, or the ends of the interval are random
    return bootstrap_mean(a_N - b_N, seed, confidence, n=round(20 / (1 - confidence)))


def rank_correlation(
    x: ArrayLike, y: ArrayLike, seed: int, confidence: float = 0.95, n: int = 2000
) -> tuple[float, float, float]:
    """Spearman's rank correlation with a percentile bootstrap interval over examples; NaN if one side is constant."""
    from scipy.stats import rankdata  # a slow import

    x_N, y_N = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    random = np.random.default_rng(seeds.derive(seed, "bootstrap"))
    rows_RN = np.vstack([np.arange(len(x_N)), random.integers(len(x_N), size=(n, len(x_N)))])
    x_RN, y_RN = (rankdata(values[rows_RN], axis=1) - (len(x_N) + 1) / 2 for values in (x_N, y_N))
    spread_R = np.sqrt((x_RN**2).sum(1) * (y_RN**2).sum(1))
    varies_R = spread_R > 0
    if not varies_R[0]:
        return float("nan"), float("nan"), float("nan")
    correlations_R = (x_RN * y_RN).sum(1)[varies_R] / spread_R[varies_R]
    tail = (1 - confidence) / 2
    low, high = np.quantile(correlations_R[1:], [tail, 1 - tail])
    return float(correlations_R[0]), float(low), float(high)


def interval_over_runs_and_images(
    values: ArrayLike, images: tuple[float, float], share: bool = False, confidence: float = 0.95
) -> tuple[float, float, float]:
    """Mean of one number per run with an interval over runs and images, (mean, low, high); see `combine_intervals`.

    A single run has no interval over runs. If each image is known in each run, `interval_over_runs` is narrower.
    """
    values_R = np.asarray(values, dtype=np.float64)
    return combine_intervals(float(values_R.mean()), [values_R] if len(values_R) > 1 else [], images, share, confidence)


def rate_over_runs(shares_R: ArrayLike, n: int) -> tuple[float, float, float]:
    """Mean of a rate over the same `n` images in each run, with an interval over runs and images, (mean, low, high)."""
    return average_runs(
        [(share, *wilson(round(share * n), n)) for share in np.asarray(shares_R, dtype=np.float64)], share=True
    )


def average_runs(runs_R3: ArrayLike, share: bool = False) -> tuple[float, float, float]:
    """Mean over runs, each (mean, low, high) over images, with an interval over runs and images."""
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
    """A mean with an interval over runs and images, (mean, low, high).

    `runs` has one number per run, for each kind of run (source models, target models). `images` is the distance of the
    ends of the interval over the images of one run: runs share their images, so it does not shrink with runs. It is
    added in quadrature to Student's half widths over runs. A `share` stays in [0, 1].
    """
    intervals = (interval_over_runs(np.asarray(one, dtype=np.float64)[:, None], confidence=confidence) for one in runs)
    halves = [high - centre for centre, _, high in intervals]
    low, high = mean - math.hypot(images[0], *halves), mean + math.hypot(images[1], *halves)
    return (mean, max(0.0, low), min(1.0, high)) if share else (mean, low, high)


def interval_over_runs(values: ArrayLike, rate: bool = False, confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean of `values` (runs, images) with an interval over runs and images, (mean, low, high).

    Runs (seeds) and images are crossed random effects. The variance of runs counts with Student's distribution, the
    further variance of images with the normal one; the two quantiles are weighted by their shares of the variance
    [cochran1964approximate]. With one image this is Student's interval over runs. The half width of a `rate` is at
    least 3 / n, for n equal images [hanley1983nothing]. ValueError for fewer than two runs.
    """
    values_RN = np.asarray(values, dtype=np.float64)
    runs, n = values_RN.shape
    if runs < 2:
        raise ValueError(f"an interval over runs needs at least two runs, not {runs}")
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
