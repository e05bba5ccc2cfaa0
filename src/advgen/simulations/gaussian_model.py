"""The Gaussian model of schmidt2018adversarially: robustness needs more examples even if one is enough to learn."""

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr

from advgen.simulations.common import Point, Progress, point, trials
from advgen.specs.simulations import GaussianModel


def gaussian_model(spec: GaussianModel, *, seeds: Sequence[int], progress: Progress) -> list[Point]:
    """Exact test errors of the classifier sign(w·x), w the mean of y·x over n examples, for each size and eps.

    Classes are y = ±1; x is normal around y·theta with ‖theta‖ = √d and standard deviation σ per coordinate. The worst
    perturbation of size eps lowers the margin by eps·‖w‖₁, so the error is Φ((eps·‖w‖₁ − w·theta) / (σ·‖w‖₂)).
    """
    deviation = spec.deviation * spec.dimension**0.25
    errors: dict[tuple[float, int], list[float]] = {(eps, size): [] for eps in spec.eps for size in spec.sizes}
    for random in trials("gaussian model", seeds, spec.trials, progress):
        direction = random.standard_normal(spec.dimension)
        theta = np.sqrt(spec.dimension) * (direction / np.linalg.norm(direction))
        for size in spec.sizes:
            # the mean of y·x over n examples, drawn directly
            w = theta + deviation / np.sqrt(size) * random.standard_normal(spec.dimension)
            for eps in spec.eps:
                lead = w @ theta - eps * np.abs(w).sum()
                errors[eps, size].append(float(ndtr(-lead / (deviation * np.linalg.norm(w)))))
    return [
        point(f"eps {eps:g}", "training examples", "test error", size, values) for (eps, size), values in errors.items()
    ]
