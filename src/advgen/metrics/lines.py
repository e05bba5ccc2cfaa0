"""Linearity and range of logits along a line through an image."""

import numpy as np
import pandas as pd

LOGITS = {"": "logits", "_unaimed": "logits_unaimed"}
"""Suffixes of result columns, and columns of logits: along the gradient's sign, and along random signs."""


def measure_linearity(points: pd.DataFrame) -> pd.DataFrame:
    """Per seed and image: R² of a line through the label's logit (0 if it is constant), and its range.

    `r_squared` and `range` are along the gradient's sign, `r_squared_unaimed` and `range_unaimed` along random signs.
    """
    rows = []
    for (seed, index), line in points.groupby(["seed", "index"]):
        row = {"seed": seed, "index": index}
        for end, column in LOGITS.items():
            logit = np.array([logits[label] for logits, label in zip(line[column], line["label"], strict=True)], float)
            spread = float(np.ptp(logit))
            row[f"r_squared{end}"] = 0.0 if spread == 0 else float(np.corrcoef(line["eps"], logit)[0, 1] ** 2)
            row[f"range{end}"] = spread
        rows.append(row)
    return pd.DataFrame(rows)
