"""Rows of the table of sanity checks, and the intervals that decide whether a check holds."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from advgen import seeds
from advgen.metrics.chance import CONFIDENCE, MIN_FOR_INTERVAL, MIN_WITHOUT_INTERVAL
from advgen.metrics.intervals import wilson

Check = dict[str, Any]
"""A row of the table `sanity_checks`, with the name of the attacked classifier, if any, as `source`."""
Difference = tuple[float, float, float]
"""A mean difference and the ends of its interval: (estimate, low, high)."""
INTERVAL = f"the {100 * CONFIDENCE:g} % interval"
RESAMPLES = 20_000
TOLERANCE = 1e-6
"""Largest excess over a bound that float32 rounding explains."""


def group_rows(table: pa.Table, keys: list[str], columns: Sequence[str]) -> Iterator[tuple[Any, pd.DataFrame]]:
    """Values of the keys and rows with these columns, for each group of equal keys."""
    yield from table.select([*keys, *columns]).to_pandas().groupby(keys)


def make_check(
    check: str,
    subject: str,
    holds: bool,
    detail: str,
    n: int,
    kind: str = "check",
    *,
    estimate: float | None = None,
    low: float | None = None,
    high: float | None = None,
    source: str | None = None,
) -> Check:
    """One row. `kind` is "check" if a failure makes the run fail, or "warning"."""
    return {
        "check": check,
        "subject": subject,
        "kind": kind,
        "holds": holds,
        "n": n,
        "estimate": estimate,
        "low": low,
        "high": high,
        "source": source,
        "detail": detail,
    }


def statistical_check(
    check: str, subject: str, holds: bool, detail: str, n: int, kind: str = "check", **numbers: Any
) -> Check:
    """A row that becomes a warning if `n` is too small to decide: below 30 with an interval, below 200 without."""
    least = MIN_WITHOUT_INTERVAL if numbers.get("low") is None else MIN_FOR_INTERVAL
    if n < least:
        kind = "warning"
        if not holds or least == MIN_WITHOUT_INTERVAL:
            detail = f"{detail}; inconclusive with fewer than {least} examples"
    return make_check(check, subject, holds, detail, n, kind, **numbers)


def check_not_worse(
    check: str, subject: str, difference: Difference, n: int, unit: str, source: str | None = None, kind: str = "check"
) -> Check:
    """A row for a difference that must not be positive; it fails if its whole interval is above zero."""
    estimate, low, high = difference
    detail = f"difference in {unit} {estimate:+.4f} [{low:+.4f}, {high:+.4f}], n = {n}"
    if estimate > 0 and n >= MIN_FOR_INTERVAL:
        detail += f"; {INTERVAL} excludes 0" if low > 0 else f"; inconclusive: {INTERVAL} includes 0"
    numbers = {"estimate": estimate, "low": low, "high": high, "source": source}
    return statistical_check(check, subject, low <= 0, detail, n, kind, **numbers)


def rate_numbers(count: int, n: int) -> dict[str, Any]:
    """`estimate`, `low` and `high` of a rate, with Wilson's interval."""
    low, high = wilson(count, n, CONFIDENCE)
    return {"estimate": count / n, "low": low, "high": high}


def binary_difference(a_N: Any, b_N: Any) -> Difference:
    """Mean of a - b for paired values 0 and 1, with a bootstrap interval (drawn as quantiles of a multinomial)."""
    n = len(a_N)
    if n == 0:
        return 0.0, -1.0, 1.0
    ups, downs = int((a_N > b_N).sum()), int((a_N < b_N).sum())
    random = np.random.default_rng(seeds.derive(0, "laws"))
    counts = random.multinomial(n, [ups / n, downs / n, 1 - (ups + downs) / n], size=RESAMPLES)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile((counts[:, 0] - counts[:, 1]) / n, [tail, 1 - tail])
    return (ups - downs) / n, float(low), float(high)


def independent_difference(a: Any, b: Any, measure: str) -> Difference:
    """Difference of two error rates of separate examples, with its score interval [newcombe1998interval]."""
    estimate = a[measure] - b[measure]
    (a_low, a_high), (b_low, b_high) = (wilson(round(x["error"] * x["n"]), x["n"], CONFIDENCE) for x in (a, b))
    below = np.hypot(a["error"] - a_low, b_high - b["error"])
    above = np.hypot(a_high - a["error"], b["error"] - b_low)
    return float(estimate), float(estimate - below), float(estimate + above)
