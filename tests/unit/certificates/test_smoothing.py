"""Randomised smoothing in one dimension, where everything is known, and the exact binomial bound."""

import math

import pytest
import torch
from scipy.special import ndtr, ndtri
from scipy.stats import binomtest
from torch import nn

from advgen.certificates.smoothing import ABSTAIN, certify
from advgen.metrics.intervals import binomial_lower_bound

SIGMA, ALPHA = 0.5, 0.001


class Threshold(nn.Module):
    """Class 1 from a half on."""

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        x_B = x_BCHW.flatten(1)[:, 0]
        return torch.stack([0.5 - x_B, x_B - 0.5], dim=1)


def certified(x: list[float], n: int = 20_000, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.tensor(x).view(-1, 1, 1, 1)
    told = {"sigma": SIGMA, "n0": 100, "n": n, "alpha": ALPHA, "seed": seed, "indices": list(range(len(x)))}
    return certify(Threshold(), images, **told)  # type: ignore[arg-type]


@pytest.mark.parametrize("x", [0.1, 0.4, 0.7, 0.95])
def test_the_radius_is_the_distance_to_the_threshold_and_a_little_less(x: float) -> None:
    """P(x + noise on its side) = Φ(d / sigma), so that sigma · Φ⁻¹(p) is the distance d itself."""
    [label], [radius] = (found.tolist() for found in certified([x]))
    distance = abs(x - 0.5)
    assert label == int(x > 0.5)
    assert radius <= distance
    p = float(ndtr(distance / SIGMA))
    lower = p - 5 * math.sqrt(p * (1 - p) / 20_000)  # the bound lies 3 deviations below what was seen
    assert radius >= SIGMA * float(ndtri(lower - 0.005))


def test_it_abstains_where_it_is_not_sure() -> None:
    labels, radii = certified([0.5, 0.501, 0.9], n=300)
    assert labels.tolist() == [ABSTAIN, ABSTAIN, 1]
    assert radii[:2].tolist() == [0, 0]
    assert radii[2] > 0


def test_fewer_samples_prove_less_and_all_agreeing_do_not_prove_everything() -> None:
    """Far from the threshold all samples agree: p is at least alpha^(1/n), and no more."""
    _, few = certified([40.0], n=100)
    _, many = certified([40.0], n=10_000)
    assert few.item() == pytest.approx(SIGMA * float(ndtri(ALPHA ** (1 / 100))))
    assert many.item() == pytest.approx(SIGMA * float(ndtri(ALPHA ** (1 / 10_000))))


def test_an_images_noise_is_its_own() -> None:
    """By seed and index alone, whatever is certified beside it."""
    together = certified([0.6, 0.3, 0.6], n=700)[1]
    alone = certified([0.6], n=700)[1]
    assert together[0] == alone[0]
    assert together[0] != together[2]
    assert certified([0.6], n=700, seed=1)[1] != alone


@pytest.mark.parametrize(("successes", "n"), [(1, 10), (9, 10), (10, 10), (993, 1000), (51_000, 100_000)])
def test_the_binomial_bound_is_the_exact_one(successes: int, n: int) -> None:
    expected = binomtest(successes, n, alternative="greater").proportion_ci(1 - ALPHA, method="exact").low
    assert binomial_lower_bound(successes, n, ALPHA) == pytest.approx(expected, abs=1e-12)


def test_no_success_proves_nothing() -> None:
    assert binomial_lower_bound(0, 10, ALPHA) == 0
