"""Accuracy under each kind of damage."""

import pyarrow as pa

from advgen.metrics.grouping import Rows, to_columns, group_rows
from advgen.metrics.intervals import wilson


def summarise(tables: dict[str, pa.Table]) -> Rows:
    """Accuracy with its 95 % Wilson interval, per classifier, seed and damage."""
    rows = []
    for keys, one in group_rows(tables["corruption"], ["corruption", "source", "seed", "damage"]):
        low, high = wilson(int(one["right"].sum()), len(one))
        accuracy = {"accuracy": one["right"].mean(), "accuracy_low": low, "accuracy_high": high}
        rows.append({**keys, "n": len(one), **accuracy})
    return to_columns(rows)
