"""How often 95 % intervals hold the true mean of simulated runs and images: ours, and three that are in use.

    python docs/controls/coverage.py

Each row simulates 2,000 experiments of mean 0 with effects of runs, of images and a rest, all normal.
"""

import numpy as np
from scipy.special import stdtrit

from advgen.metrics.intervals import over_runs

IMAGES, TIMES = 200, 2000
SPREADS = {
    "runs vary": (0.1, 0, 1),
    "images vary": (0, 0.6, 0.5),
    "both, little": (0.03, 0.6, 0.5),
    "both": (0.05, 0.3, 1),
}


def simulated(runs: int, spreads: tuple[float, float, float]) -> np.ndarray:
    """Measurements (times, runs, images)."""
    random = np.random.default_rng(runs)
    of_runs, of_images, rest = spreads
    values = rest * random.standard_normal((TIMES, runs, IMAGES))
    values += of_runs * random.standard_normal((TIMES, runs, 1))
    return values + of_images * random.standard_normal((TIMES, 1, IMAGES))


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
    """Runs and images as crossed random effects."""
    found = np.array([over_runs(one) for one in values])
    return (found[:, 1] <= 0) & (found[:, 2] >= 0)


WAYS = {
    "ours": ours,
    "t over runs": over_runs_alone,
    "all as new images": over_all_alike,
    "bootstrap of runs": bootstrapped_runs,
}
print("| runs | what varies | " + " | ".join(WAYS) + " |")
print("|---|---|" + "---|" * len(WAYS))
for runs in (3, 5, 10):
    for name, spreads in SPREADS.items():
        values = simulated(runs, spreads)
        shares = [f"{100 * way(values).mean():.1f} %" for way in WAYS.values()]
        print(f"| {runs} | {name} | " + " | ".join(shares) + " |", flush=True)
