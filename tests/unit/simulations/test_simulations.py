"""The simulations of theory show what the theory says, on small instances."""

from typing import Any

import pytest

from advgen.registry import SIMULATIONS, resolve
from advgen.simulations.spheres import best_distance
from advgen.specs.simulations import BernoulliModel, GaussianModel, Spheres


def run(spec: Any, seeds: tuple[int, ...] = (0,)) -> dict[tuple[str, float], float]:
    """The value of each series at each place; intervals must hold them."""
    points = resolve(spec)(spec, seeds=seeds, progress=lambda *_: None)
    assert all(point.y_low <= point.y <= point.y_high for point in points)
    return {(point.series, point.x): point.y for point in points}


SMALL = {
    GaussianModel: GaussianModel(kind="gaussian_model", dimension=200, sizes=(1, 10, 100), trials=20),
    BernoulliModel: BernoulliModel(kind="bernoulli_model", dimension=200, sizes=(1, 10, 100), trials=20),
    Spheres: Spheres(kind="spheres", dimensions=(20,), hidden=50, steps=150, points=400),
}


@pytest.mark.parametrize("kind", SIMULATIONS, ids=lambda kind: kind.__name__)
def test_same_seeds_same_points(kind: type) -> None:
    assert run(SMALL[kind]) == run(SMALL[kind])
    assert run(SMALL[kind]) != run(SMALL[kind], seeds=(1,))


def test_gaussian_robustness_needs_more_examples() -> None:
    found = run(SMALL[GaussianModel])
    for size in (1, 10, 100):
        assert found["eps 0", size] < found["eps 0.25", size] < found["eps 0.5", size]
    for eps in ("eps 0", "eps 0.25", "eps 0.5"):
        assert found[eps, 1] > found[eps, 10] > found[eps, 100]
    # ten times the examples do not bring the robust error to where the plain one was
    assert found["eps 0.5", 10] > found["eps 0", 1]


def test_gaussian_error_is_that_of_drawn_points() -> None:
    import numpy as np

    from advgen.seeds import derive

    spec = GaussianModel(kind="gaussian_model", dimension=50, sizes=(5,), eps=(0.2,), trials=1)
    exact = run(spec)["eps 0.2", 5]
    random = np.random.default_rng(derive(0, "gaussian model", 0))
    theta = random.standard_normal(50)
    theta *= np.sqrt(50) / np.linalg.norm(theta)
    deviation = spec.deviation * 50**0.25
    w = theta + deviation / np.sqrt(5) * random.standard_normal(50)
    x = theta + deviation * np.random.default_rng(1).standard_normal((20_000, 50))
    worst = x - 0.2 * np.sign(w)
    assert exact == pytest.approx((worst @ w < 0).mean(), abs=0.012)


def test_a_threshold_rescues_the_bernoulli_model() -> None:
    found = run(SMALL[BernoulliModel])
    for size in (1, 10, 100):
        assert found["threshold, eps 0.5", size] == found["linear, eps 0", size]
        assert found["linear, eps 0.5", size] > found["linear, eps 0", size]


def test_a_cap_is_farther_away_when_errors_are_rarer_or_dimensions_fewer() -> None:
    assert best_distance(1e-3, 500) > best_distance(1e-2, 500)
    assert best_distance(1e-3, 100) > best_distance(1e-3, 500)


def test_spheres_of_a_barely_trained_net_have_near_errors() -> None:
    found = run(SMALL[Spheres])
    assert 0 < found["error rate", 20] < 0.5
    assert 0 < found["nearest error found", 20] < 1
