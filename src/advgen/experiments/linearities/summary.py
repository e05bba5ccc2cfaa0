"""How straight the logits are."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from advgen.metrics.grouping import Rows, columns, groups
from advgen.metrics.intervals import bootstrap_mean


def summarise(tables: dict[str, pa.Table]) -> Rows:
    """How well a straight line explains the logit of the label along the gradient's sign, per source and seed."""
    rows = []
    for keys, points in groups(tables["linearity"], ["linearity", "source", "seed"]):
        fits = []
        for _, line in points.groupby("index"):
            logit = [logits[label] for logits, label in zip(line["logits"], line["label"], strict=True)]
            fits.append(np.corrcoef(line["eps"], logit)[0, 1] ** 2)
        mean, low, high = bootstrap_mean(np.nan_to_num(fits), seed=0)
        rows.append({**keys, "n": len(fits), "r_squared": mean, "r_squared_low": low, "r_squared_high": high})
    return columns(rows)
