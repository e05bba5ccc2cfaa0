"""Results of simulations: points of series with intervals over independent trials."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from advgen.metrics.intervals import bootstrap_mean
from advgen.seeds import derive

Progress = Callable[[int, int, Mapping[str, float]], None]


def trials(label: str, seeds: Sequence[int], count: int, progress: Progress) -> Iterator[np.random.Generator]:
    """A random generator for each of `count` trials of each seed; progress is reported after each trial."""
    for done, (seed, trial) in enumerate(product(seeds, range(count)), 1):
        yield np.random.default_rng(derive(seed, label, trial))
        progress(done, len(seeds) * count, {})


class Point(NamedTuple):
    """One point of a series with the names of its axes; `y_low` and `y_high` are a 95 % interval over `n` trials."""

    series: str
    x_name: str
    y_name: str
    x: float
    y: float
    y_low: float
    y_high: float
    n: int


def point(series: str, x_name: str, y_name: str, x: float, values: Sequence[float]) -> Point:
    """The mean of a measure over trials, with its interval."""
    mean, low, high = bootstrap_mean(values, seed=0)
    return Point(series, x_name, y_name, float(x), mean, low, high, len(values))
