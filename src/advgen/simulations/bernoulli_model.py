"""The Bernoulli model of schmidt2018adversarially: a threshold removes perturbations, linear classifiers cannot."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from advgen.simulations.common import Point, Progress, point, trials
from advgen.specs.simulations import BernoulliModel

Array = np.ndarray[Any, np.dtype[np.float64]]
TEST_POINTS = 500  # test points per trial; their worst perturbation is known exactly


def bernoulli_model(spec: BernoulliModel, *, seeds: Sequence[int], progress: Progress) -> list[Point]:
    """Test errors of sign(w·x), w the mean of y·x over n examples, on x and on thresholded x, for each size and eps.

    In class y = ±1, each of d signs has the value y·theta_i with probability 1/2 + tau. A perturbation of size eps < 1
    changes no sign, so it has no effect after the threshold sign(x); without it, the margin falls by eps·‖w‖₁.
    """
    errors: dict[tuple[str, int], list[float]] = {}
    for random in trials("bernoulli model", seeds, spec.trials, progress):
        theta = random.choice([-1.0, 1.0], spec.dimension)
        test = _signs(random, theta, TEST_POINTS, spec.bias)
        for size in spec.sizes:
            w = _signs(random, theta, size, spec.bias).mean(0)
            margins, loss = test @ w, np.abs(w).sum()
            for eps in spec.eps:
                errors.setdefault((f"linear, eps {eps:g}", size), []).append(_error(margins - eps * loss))
            largest = max(spec.eps)
            perturbed = margins if largest < 1 else margins - largest * loss
            errors.setdefault((f"threshold, eps {largest:g}", size), []).append(_error(perturbed))
    return [point(series, "training examples", "test error", size, values) for (series, size), values in errors.items()]


def _signs(random: np.random.Generator, theta_D: Array, count: int, bias: float) -> Array:
    """Points of both classes times their label (count, D)."""
    agree = random.random((count, len(theta_D))) < 0.5 + bias
    return theta_D * (2.0 * agree - 1)


def _error(margins: Array) -> float:
    """Error rate; a point on the boundary counts half."""
    return float((margins < 0).mean() + (margins == 0).mean() / 2)
