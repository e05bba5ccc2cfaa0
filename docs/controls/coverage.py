"""How often 95 % intervals hold the true mean of simulated runs and images: ours, and three that are in use.

    python docs/controls/coverage.py

Each row of the first table simulates 2,000 experiments of mean 0 with effects of runs, of images and a rest, all
normal. Each row of the second compares two arms of nets on the same images by what is right and wrong: an image is
right where its own effect, those of arm and image, of the net and a rest, all normal, exceed a threshold. So the true
difference in accuracy is known.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import ndtri, stdtrit

from advgen.metrics.intervals import over_runs

IMAGES, TIMES = 200, 2000
SPREADS = {
    "runs vary": (0.1, 0, 1),
    "images vary": (0, 0.6, 0.5),
    "both, little": (0.03, 0.6, 0.5),
    "both": (0.05, 0.3, 1),
}


def simulated(runs: int, of_runs: float, of_images: float, rest: float) -> np.ndarray:
    """Measurements (times, runs, images)."""
    random = np.random.default_rng(runs)
    values = rest * random.standard_normal((TIMES, runs, IMAGES))
    values += of_runs * random.standard_normal((TIMES, runs, 1))
    return values + of_images * random.standard_normal((TIMES, 1, IMAGES))


ACCURACIES = {
    "50 and 60 %, runs vary": (0.5, 0.6, 0.5),
    "50 and 60 %": (0.5, 0.6, 0.1),
    "97 and 98 %, runs vary": (0.97, 0.98, 0.3),
    "97 and 98 %": (0.97, 0.98, 0.05),
    "1 and 3 %, runs vary": (0.01, 0.03, 0.5),
    "1 and 3 %": (0.01, 0.03, 0.1),
    "50 and 50 %": (0.5, 0.5, 0.1),
}
"""Accuracies of two arms, and the standard deviation between nets, where that between images is 1."""
OF_ARM, REST = 0.3, 0.3
"""Standard deviations of what an arm makes of an image, and of what a net does."""


def simulated_accuracies(runs: int, one: float, other: float, of_runs: float) -> np.ndarray:
    """Differences in what is right, −1, 0 or 1, less the true one: (times, runs, images)."""
    random = np.random.default_rng(runs)
    spread = np.sqrt(1 + OF_ARM**2 + of_runs**2 + REST**2)
    of_images = random.standard_normal((TIMES, 1, IMAGES), np.float32)
    right = []
    for accuracy in (one, other):
        values = REST * random.standard_normal((TIMES, runs, IMAGES), np.float32)
        values += of_images + OF_ARM * random.standard_normal((TIMES, 1, IMAGES), np.float32)
        values += of_runs * random.standard_normal((TIMES, runs, 1), np.float32)
        right.append(values + spread * ndtri(accuracy) > 0)
    return right[1].astype(float) - right[0] - (other - one)


def over_runs_alone(values: np.ndarray) -> np.ndarray:
    """Student's interval over the means of the runs, whatever images they share."""
    means = values.mean(2)
    half = stdtrit(means.shape[1] - 1, 0.975) * means.std(1, ddof=1) / np.sqrt(means.shape[1])
    return np.abs(means.mean(1)) <= half


def over_all_alike(values: np.ndarray) -> np.ndarray:
    """The normal interval over all runs × images, as if each were a new image."""
    flat = values.reshape(len(values), -1)
    return np.abs(flat.mean(1)) <= 1.96 * flat.std(1, ddof=1) / np.sqrt(flat.shape[1])


def bootstrapped_runs(values: np.ndarray) -> np.ndarray:
    """Percentiles of the mean over runs drawn with replacement."""
    means, random = values.mean(2), np.random.default_rng(0)
    drawn = means[:, random.integers(means.shape[1], size=(1000, means.shape[1]))].mean(2)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=1)
    return (low <= 0) & (high >= 0)


def ours(values: np.ndarray) -> np.ndarray:
    """Runs and images as crossed random effects; of a rate where there are few values."""
    rate = len(np.unique(values[0])) <= 3
    found = np.array([over_runs(one, rate) for one in values])
    return (found[:, 1] <= 0) & (found[:, 2] >= 0)


WAYS = {
    "ours": ours,
    "t over runs": over_runs_alone,
    "all as new images": over_all_alike,
    "bootstrap of runs": bootstrapped_runs,
}


def table(what: str, rows: dict[str, tuple[float, float, float]], simulate: Callable[..., np.ndarray]) -> None:
    """How often each interval holds the truth, a row for each case and number of runs."""
    print(f"| runs | {what} | " + " | ".join(WAYS) + " |")
    print("|---|---|" + "---|" * len(WAYS))
    for runs in (3, 5, 10):
        for name, case in rows.items():
            values = simulate(runs, *case)
            shares = [f"{100 * way(values).mean():.1f} %" for way in WAYS.values()]
            print(f"| {runs} | {name} | " + " | ".join(shares) + " |", flush=True)
    print()


table("what varies", SPREADS, simulated)
table("accuracies", ACCURACIES, simulated_accuracies)
