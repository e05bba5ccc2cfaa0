"""How straight the logits are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from advgen.metrics.grouping import Rows, columns, groups
from advgen.metrics.intervals import bootstrap_mean


def summarise(tables: dict[str, pa.Table]) -> Rows:
    """How well a straight line explains the logit of the label along the gradient's sign, per source and seed."""
    rows = []
    for keys, points in groups(tables["linearity"], ["linearity", "source", "seed"]):
        fits = straightness(points)["r_squared"]
        mean, low, high = bootstrap_mean(fits.to_numpy(), seed=0)
        rows.append({**keys, "n": len(fits), "r_squared": mean, "r_squared_low": low, "r_squared_high": high})
    return columns(rows)


def straightness(points: pd.DataFrame) -> pd.DataFrame:
    """R² of a straight line through the logit of the label, per seed and image; 0 where the logit is constant."""
    found = []
    for (seed, index), line in points.groupby(["seed", "index"]):
        logit = [logits[label] for logits, label in zip(line["logits"], line["label"], strict=True)]
        flat = np.ptp(logit) == 0
        found.append((seed, index, 0.0 if flat else np.corrcoef(line["eps"], logit)[0, 1] ** 2))
    return pd.DataFrame(found, columns=["seed", "index", "r_squared"])
