"""Read tables as data frames, and compute means and intervals over seeds and images."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import stdtrit

from advgen.metrics.intervals import average_runs, bootstrap_mean, rate_over_runs


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Return the columns that hold no images; row i of the frame belongs to image i of `read_images`."""
    plain = [field.name for field in table.schema if not pa.types.is_fixed_size_binary(field.type)]
    return table.select(plain).to_pandas()


def first_seed(rows: pd.DataFrame, column: str = "seed") -> pd.DataFrame:
    """Return the rows of the lowest seed."""
    return rows[rows[column] == rows[column].min()]


def present_in_order(names: Sequence[str], column: pd.Series) -> list[str]:
    """Return those of `names` that occur in the column, in the order of `names`."""
    present = set(column)
    return [name for name in names if name in present]


def split_in_order(rows: pd.DataFrame, column: str, names: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Return the rows of each of `names` that occurs in the column, in the order of `names`."""
    return {name: rows[rows[column] == name] for name in present_in_order(names, rows[column])}


def count_images(rows: pd.DataFrame, image: str = "index") -> dict[str, Any]:
    """Return the numbers of different images (`n`) and of seeds (`seeds`), as columns of a finding's row."""
    return {"n": rows[image].nunique(), "seeds": rows["seed"].nunique()}


def mean_over_images(rows: pd.DataFrame, column: str, image: str = "index") -> tuple[float, float, float]:
    """Return the mean of a column with its 95 % interval over seeds and images; with one seed, over images.

    Args:
        rows: one or more rows for each seed and image; all seeds use the same images.
        column: the values; infinite ones are left out.
        image: the column that identifies an image.

    Returns:
        (mean, low, high), NaN where there is no value. `low` is not negative if no value is.
    """
    values = rows.groupby([_seed_column(rows), image])[column].mean().astype(float)
    values = values[np.isfinite(values)]
    if values.empty:
        return math.nan, math.nan, math.nan
    mean, low, high = average_runs([bootstrap_mean(of_seed.to_numpy(), 0) for _, of_seed in values.groupby(level=0)])
    return mean, low if values.min() < 0 else max(0.0, low), high


def share_over_images(rows: pd.DataFrame, holds: pd.Series, image: str = "index") -> tuple[float, float, float]:
    """Return the share of rows where `holds` is true, with its 95 % interval over seeds and images.

    With one seed it is Wilson's interval over images.
    """
    seeds = rows.groupby(_seed_column(rows))
    return rate_over_runs(holds.groupby(rows[_seed_column(rows)]).mean(), int(seeds[image].nunique().min()))


def _seed_column(rows: pd.DataFrame) -> str:
    return "source_seed" if "source_seed" in rows else "seed"


def mean_over_seeds(values: NDArray[np.float64], confidence: float = 0.95) -> tuple[float, float, float]:
    """Return the mean of one value per seed with Student's interval: (mean, low, high), all equal for one seed."""
    mean = float(values.mean())
    if len(values) < 2:
        return mean, mean, mean
    half = float(stdtrit(len(values) - 1, (1 + confidence) / 2) * values.std(ddof=1) / math.sqrt(len(values)))
    return mean, mean - half, mean + half


def median_interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the median with the 95 % interval of the sign test: (median, low, high)."""
    ordered, n = np.sort(values), len(values)
    reach = 1.96 * np.sqrt(n) / 2
    low, high = int(max(0, np.floor(n / 2 - reach))), int(min(n - 1, np.ceil(n / 2 + reach)))
    return float(np.median(ordered)), float(ordered[low]), float(ordered[high])


def running_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Return the centred mean over `window` values, over fewer at both ends."""
    ones = np.ones(min(window, len(values)))
    counts = np.convolve(np.ones(len(values)), ones, mode="same")
    return np.asarray(np.convolve(values, ones, mode="same") / counts)
