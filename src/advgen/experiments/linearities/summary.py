"""Linearity of the logits."""

import pyarrow as pa

from advgen.metrics.grouping import Rows, group_rows, to_columns
from advgen.metrics.intervals import bootstrap_mean
from advgen.metrics.lines import measure_linearity


def summarise(tables: dict[str, pa.Table]) -> Rows:
    """Return R² of a straight line through the label's logit and the range of the logit, per source and seed.

    Both are along the gradient's sign and, as a baseline (`_unaimed`), along random signs.
    """
    rows = []
    for keys, points in group_rows(tables["linearity"], ["linearity", "source", "seed"]):
        lines = measure_linearity(points)
        mean, low, high = bootstrap_mean(lines["r_squared"].to_numpy(), seed=0)
        row = {**keys, "n": len(lines), "r_squared": mean, "r_squared_low": low, "r_squared_high": high}
        others = ("r_squared_unaimed", "range", "range_unaimed")
        rows.append({**row, **{name: float(lines[name].mean()) for name in others}})
    return to_columns(rows)
