"""Write numbers, intervals, counts and attacks as the figures and their sentences show them."""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd
from numpy.typing import ArrayLike

from advgen.metrics.intervals import rank_correlation, wilson

NORM_NAMES = {"linf": "L∞", "l2": "L2", "l1": "L1", "l0": "L0"}
WITHOUT_RADIUS = {"spatial": "rotation and translation"}
"""Threat models without a radius."""
CONSTRAINTS = {"region": "only a region's pixels"}
"""Threat models that restrict which pixels may change."""


def format_number(value: float) -> str:
    """Write a number with three significant digits, all digits before the point, and no exponent if readable."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}" if digits <= 6 and abs(value) < 1e9 else f"{value:.2e}"


def format_percent(share: float) -> str:
    """Write a share in percent, with one decimal except at 0 % and 100 %."""
    value = 100 * share
    return f"{value:.0f} %" if value >= 99.95 or value < 0.05 else f"{value:.1f} %"


def format_value(mean: float, low: float, high: float) -> str:
    """Write a number with its interval: 1.23 [1.11, 1.35]."""
    return f"{format_number(mean)} [{format_number(low)}, {format_number(high)}]".replace("-", "−")


def format_share(mean: float, low: float, high: float) -> str:
    """Write a share in percent with its interval: 12.3 % [11.1, 13.5]."""
    return f"{format_percent(mean)} [{100 * low:.1f}, {100 * high:.1f}]"


def format_wilson_share(successes: float, n: int, things: str) -> str:
    """Write a share with its 95 % Wilson interval and what it is a share of."""
    return f"{format_share(successes / n, *wilson(round(successes), n))} ({format_n([n])} {things})"


def format_correlation(x: ArrayLike, y: ArrayLike) -> str:
    """Write Spearman's rank correlation of two samples with its 95 % bootstrap interval."""
    rank, low, high = rank_correlation(x, y, 0)
    return f"rank correlation {rank:.2f} [{low:.2f}, {high:.2f}]".replace("-", "−")


def format_n(counts: Collection[int]) -> str:
    """Write a sample size, or the range of several: n = 20, n = 20 to 40; the spaces do not break."""
    low, high = min(counts), max(counts)
    return f"n\u00a0=\u00a0{low:,}" + (f"\u00a0to\u00a0{high:,}" if low < high else "")


def format_count(count: int, singular: str, plural: str | None = None) -> str:
    """Write a count with its noun: 1 step, 40 steps."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def format_seeds(column: pd.Series) -> str:
    """Write the number of different seeds in a column."""
    return format_count(column.nunique(), "seed")


def name_seeds(column: pd.Series) -> str:
    """Write the number of seeds of several, or which seed it is."""
    return format_seeds(column) if column.nunique() > 1 else f"seed {column.iloc[0]}"


def interval_units(several_seeds: bool) -> str:
    """Name what the intervals of `mean_over_images` and `share_over_images` are over."""
    return "seeds and images" if several_seeds else "images"


def join_parts(parts: Sequence[str], most: int = 4) -> str:
    """Join parts of a sentence; more than `most` are shortened to the first and the last, and none is "none"."""
    if not parts:
        return "none"
    if len(parts) > most:
        return f"{parts[0]}, … and {parts[-1]} ({len(parts)} compared)"
    if any(re.search("[,;]", re.sub(r"\[.*?\]|\(.*?\)", "", part)) for part in parts):
        return "; ".join(parts)
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def describe_threat(row: Mapping[str, Any] | pd.Series) -> str:
    """Describe an attack by its norm, budget, target, steps and restarts."""
    norm = str(row["norm"])
    name = NORM_NAMES.get(norm, norm)
    if norm == "none":
        words = f"noise of sd {row['eps']:g}"
    elif pd.isna(row["eps"]):
        words = WITHOUT_RADIUS.get(norm, f"least {name}")
    else:
        words = CONSTRAINTS.get(norm, f"{name} ≤ {row['eps']:g}")
    if "access" in row and row["target"] != "none":
        words += f", targeted: {row['target']}"
    if "steps" in row and row["steps"] > 0:
        words += f", {format_count(int(row['steps']), 'step')}"
        if row["restarts"] > 1:
            words += f" × {format_count(int(row['restarts']), 'restart')}"
    return words
