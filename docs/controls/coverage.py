"""Measure how often 95 % intervals contain the true mean of simulated runs: ours and three common alternatives.

    python docs/controls/coverage.py

Each row of the first table simulates 2,000 experiments with mean 0: normally distributed effects of runs and of images,
and a residual. Each row of the second table compares the accuracies of two arms of models on the same images. A
prediction is correct if the sum of normally distributed effects (image, arm × image, model, residual) exceeds a
threshold, so the true difference in accuracy is known.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import ndtri, stdtrit

from advgen.metrics.intervals import interval_over_runs

IMAGES, EXPERIMENTS = 200, 2000
SPREADS = {
    "runs vary": (0.1, 0, 1),
    "images vary": (0, 0.6, 0.5),
    "both, little": (0.03, 0.6, 0.5),
    "both": (0.05, 0.3, 1),
}


def simulate_values(runs: int, of_runs: float, of_images: float, rest: float) -> np.ndarray:
    """Return measurements, (experiments, runs, images)."""
    random = np.random.default_rng(runs)
    values = rest * random.standard_normal((EXPERIMENTS, runs, IMAGES))
    values += of_runs * random.standard_normal((EXPERIMENTS, runs, 1))
    return values + of_images * random.standard_normal((EXPERIMENTS, 1, IMAGES))


ACCURACIES = {
    "50 and 60 %, runs vary": (0.5, 0.6, 0.5),
    "50 and 60 %": (0.5, 0.6, 0.1),
    "97 and 98 %, runs vary": (0.97, 0.98, 0.3),
    "97 and 98 %": (0.97, 0.98, 0.05),
    "1 and 3 %, runs vary": (0.01, 0.03, 0.5),
    "1 and 3 %": (0.01, 0.03, 0.1),
    "50 and 50 %": (0.5, 0.5, 0.1),
}
"""Accuracies of two arms, and the standard deviation between models; the one between images is 1."""
ARM_SD, RESIDUAL_SD = 0.3, 0.3
"""Standard deviations of the interaction of arm and image, and of the residual."""


def simulate_accuracies(runs: int, one: float, other: float, of_runs: float) -> np.ndarray:
    """Return differences in correctness (−1, 0 or 1) minus the true difference, (experiments, runs, images)."""
    random = np.random.default_rng(runs)
    spread = np.sqrt(1 + ARM_SD**2 + of_runs**2 + RESIDUAL_SD**2)
    of_images = random.standard_normal((EXPERIMENTS, 1, IMAGES), np.float32)
    correct = []
    for accuracy in (one, other):
        values = RESIDUAL_SD * random.standard_normal((EXPERIMENTS, runs, IMAGES), np.float32)
        values += of_images + ARM_SD * random.standard_normal((EXPERIMENTS, 1, IMAGES), np.float32)
        values += of_runs * random.standard_normal((EXPERIMENTS, runs, 1), np.float32)
        correct.append(values + spread * ndtri(accuracy) > 0)
    return correct[1].astype(float) - correct[0] - (other - one)


def cover_student(values: np.ndarray) -> np.ndarray:
    """Return which of Student's intervals over the means of the runs contain 0."""
    means = values.mean(2)
    half = stdtrit(means.shape[1] - 1, 0.975) * means.std(1, ddof=1) / np.sqrt(means.shape[1])
    return np.abs(means.mean(1)) <= half


def cover_independent(values: np.ndarray) -> np.ndarray:
    """Return which normal intervals over runs × images, treated as independent, contain 0."""
    flat = values.reshape(len(values), -1)
    return np.abs(flat.mean(1)) <= 1.96 * flat.std(1, ddof=1) / np.sqrt(flat.shape[1])


def cover_bootstrap(values: np.ndarray) -> np.ndarray:
    """Return which percentile intervals of a bootstrap over runs contain 0."""
    means, random = values.mean(2), np.random.default_rng(0)
    drawn = means[:, random.integers(means.shape[1], size=(1000, means.shape[1]))].mean(2)
    low, high = np.quantile(drawn, [0.025, 0.975], axis=1)
    return (low <= 0) & (high >= 0)


def cover_crossed(values: np.ndarray) -> np.ndarray:
    """Return which intervals with crossed random effects of runs and images contain 0."""
    rate = len(np.unique(values[0])) <= 3
    found = np.array([interval_over_runs(one, rate) for one in values])
    return (found[:, 1] <= 0) & (found[:, 2] >= 0)


METHODS = {
    "advgen": cover_crossed,
    "Student's t over runs": cover_student,
    "runs × images as independent": cover_independent,
    "bootstrap over runs": cover_bootstrap,
}


def print_table(heading: str, rows: dict[str, tuple[float, float, float]], simulate: Callable[..., np.ndarray]) -> None:
    """Print the coverage of each interval, a row for each case and number of runs."""
    print(f"| runs | {heading} | " + " | ".join(METHODS) + " |")
    print("|---|---|" + "---|" * len(METHODS))
    for runs in (3, 5, 10):
        for name, case in rows.items():
            values = simulate(runs, *case)
            shares = [f"{100 * method(values).mean():.1f} %" for method in METHODS.values()]
            print(f"| {runs} | {name} | " + " | ".join(shares) + " |", flush=True)
    print()


print_table("what varies", SPREADS, simulate_values)
print_table("accuracies", ACCURACIES, simulate_accuracies)
