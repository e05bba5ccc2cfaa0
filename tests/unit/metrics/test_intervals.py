"""Confidence intervals against closed forms and their promised coverage."""

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import bootstrap, spearmanr, ttest_1samp

from advgen.metrics import intervals
from advgen.metrics.intervals import (
    bootstrap_mean,
    interval_over_runs,
    interval_over_runs_and_images,
    paired_difference,
    rank_correlation,
    wilson,
)


@pytest.mark.parametrize(("confidence", "z"), [(0.95, 1.959963984540054), (0.999, 3.290526731491926)])
@pytest.mark.parametrize(("successes", "n"), [(0, 10), (7, 10), (10, 10), (9893, 10000)])
def test_wilson_is_the_textbook_formula(successes, n, confidence, z):
    p = successes / n
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert wilson(successes, n, confidence) == pytest.approx((centre - half, centre + half), abs=1e-12)
    assert wilson(successes, n) == wilson(successes, n, 0.95)


def test_bootstrap_is_close_to_the_normal_interval_of_a_large_sample():
    values = np.random.default_rng(0).normal(3, 2, size=2000)
    mean, low, high = bootstrap_mean(values, seed=1)
    half = 1.96 * values.std() / math.sqrt(len(values))
    assert mean == values.mean()
    assert (mean - low, high - mean) == pytest.approx((half, half), rel=0.1)


def test_bootstrap_depends_on_the_seed_alone():
    values = np.random.default_rng(0).random(50)
    assert bootstrap_mean(values, 5) == bootstrap_mean(list(values), 5)
    assert bootstrap_mean(values, 5) != bootstrap_mean(values, 6)


def test_bootstrap_refuses_nothing():
    with pytest.raises(ValueError, match="at least one"):
        bootstrap_mean([], 0)


def test_pairing_removes_what_the_examples_share():
    random = np.random.default_rng(0)
    shared = random.normal(0, 10, size=300)
    a, b = shared + random.normal(1, 0.5, size=300), shared
    mean, low, high = paired_difference(a, b, seed=0)
    assert mean == pytest.approx((a - b).mean())
    assert 0.8 < low < mean < high < 1.2
    assert high - low == pytest.approx(2 * 3.29 * 0.5 / math.sqrt(300), rel=0.15)


def test_pairs_must_match():
    with pytest.raises(ValueError, match="same examples"):
        paired_difference([1, 2], [1], 0)


def test_figures_can_use_intervals_without_torch():
    code = "import sys, advgen.metrics.intervals; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_rank_correlation_is_spearmans():
    random = np.random.default_rng(0)
    x = random.integers(20, size=100)  # with ties
    y = x + random.normal(0, 8, size=100)
    rank, low, high = rank_correlation(x, y, seed=0)
    assert rank == pytest.approx(spearmanr(x, y).statistic)
    known = bootstrap((x, y), lambda x, y: spearmanr(x, y).statistic, paired=True, n_resamples=999, method="percentile")
    assert (low, high) == pytest.approx(tuple(known.confidence_interval), abs=0.05)


def test_rank_correlation_of_what_never_varies_is_not_a_number():
    assert np.isnan(rank_correlation([1, 1, 1], [1, 2, 3], seed=0)).all()
    assert np.isnan(rank_correlation([1, 2, 3], [1, 1, 1], seed=0)).all()
    assert rank_correlation([1, 2], [5, 9], seed=0) == (1, 1, 1)  # some resamples are one example twice


def test_the_bootstrap_by_enumeration():
    """Two values, 0 and 1: a resample's mean is 0, 1/2 or 1 with the chances 1/4, 1/2 and 1/4."""
    assert bootstrap_mean([0, 1], 0, confidence=0.4) == (0.5, 0.5, 0.5)
    assert bootstrap_mean([0, 1], 0, confidence=0.6) == (0.5, 0, 1)


def test_the_resamples_are_those_that_were_asked_for(monkeypatch):
    """However many fit into one chunk, down to less than one."""
    values = np.random.default_rng(0).random(10)
    drawn = []

    class Counting:
        def integers(self, n, size):
            drawn.append(size)
            return np.zeros(size, dtype=int)

    monkeypatch.setattr(intervals.np.random, "default_rng", lambda seed: Counting())
    for chunk, sizes in ((10_000, [(25, 10)]), (100, [(10, 10), (10, 10), (5, 10)]), (3, [(1, 10)] * 25)):
        monkeypatch.setattr(intervals, "CHUNK", chunk)
        drawn.clear()
        assert bootstrap_mean(values, 0, n=25) == (values.mean(), values[0], values[0])
        assert drawn == sizes


def test_pairs_are_resampled_until_each_tail_holds_ten(monkeypatch):
    calls = []
    monkeypatch.setattr(intervals, "bootstrap_mean", lambda values, seed, confidence, n: calls.append((confidence, n)))
    paired_difference([1, 2], [0, 0], seed=0)
    paired_difference([1, 2], [0, 0], seed=0, confidence=0.95)
    assert calls == [(0.999, 20_000), (0.95, 400)]


def test_both_tails_are_half_of_what_is_left(monkeypatch):
    tails = []
    monkeypatch.setattr(intervals.np, "quantile", lambda values, ends: tails.append((len(values), *ends)) or ends)
    bootstrap_mean([1, 2], 0)
    rank_correlation([1, 2, 3, 4], [1, 2, 4, 3], 0, confidence=0.9)
    assert tails[0] == pytest.approx((2000, 0.025, 0.975))
    assert tails[1][1:] == pytest.approx((0.05, 0.95))
    assert 1900 < tails[1][0] <= 2000  # less those resamples that are one example four times


def crossed(runs: int, images: int, spreads: tuple[float, float, float], times: int) -> np.ndarray:
    """Simulated measurements (times, runs, images) of mean 0 with effects of runs, of images, and the rest."""
    random = np.random.default_rng(runs)
    of_runs, of_images, rest = spreads
    values = rest * random.standard_normal((times, runs, images))
    values += of_runs * random.standard_normal((times, runs, 1))
    return values + of_images * random.standard_normal((times, 1, images))


SPREADS = {"runs": (0.1, 0.0, 1.0), "images": (0.0, 0.6, 0.5), "both": (0.05, 0.3, 1.0), "few": (0.03, 0.6, 0.5)}


@pytest.mark.parametrize("runs", [3, 5, 10])
@pytest.mark.parametrize("spreads", SPREADS.values(), ids=SPREADS)
def test_over_runs_holds_the_mean_as_often_as_it_promises(runs, spreads):
    found = np.array([interval_over_runs(values) for values in crossed(runs, 200, spreads, 1500)])
    assert 0.93 <= np.mean((found[:, 1] <= 0) & (found[:, 2] >= 0)) <= 0.98  # 1.1 points: two standard errors


def test_over_runs_with_one_value_of_each_is_students_interval():
    values = np.array([[3.0], [4.0], [8.0]])
    found = ttest_1samp(values[:, 0], 0).confidence_interval()
    assert interval_over_runs(values) == pytest.approx((5.0, found.low, found.high))


def test_over_runs_of_a_rate_that_never_varies():
    assert interval_over_runs(np.zeros((3, 300)), rate=True) == (0, -0.01, 0.01)
    with pytest.raises(ValueError, match="at least two runs"):
        interval_over_runs(np.zeros((1, 300)))


def test_runs_and_images_are_joined_in_quadrature():
    runs = [0.3, 0.4, 0.8]
    half = ttest_1samp(runs, 0).confidence_interval().high - 0.5
    mean, low, high = interval_over_runs_and_images(runs, (0.03, 0.04))
    assert (mean, mean - low, high - mean) == pytest.approx((0.5, math.hypot(half, 0.03), math.hypot(half, 0.04)))
    assert interval_over_runs_and_images(runs, (0.03, 0.04), share=True) == (pytest.approx(0.5), 0, 1)
    assert interval_over_runs_and_images([0.2], (0.01, 0.02)) == pytest.approx((0.2, 0.19, 0.22))
