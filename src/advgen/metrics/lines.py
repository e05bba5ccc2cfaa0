"""How straight logits are along a line through an image, and how far they go."""

from __future__ import annotations

import numpy as np
import pandas as pd

LOGITS = {"": "logits", "_unaimed": "logits_unaimed"}
"""Along the gradient's sign, and along random signs: how columns end, and where their logits stand."""


def measure_linearity(points: pd.DataFrame) -> pd.DataFrame:
    """Per seed and image: R² of a straight line through the label's logit, 0 where that is constant, and its range.

    `r_squared` and `range` are along the gradient's sign, those that end in `_unaimed` along random signs.
    """
    found = []
    for (seed, index), line in points.groupby(["seed", "index"]):
        of_image = {"seed": seed, "index": index}
        for end, column in LOGITS.items():
            logit = np.array([logits[label] for logits, label in zip(line[column], line["label"], strict=True)], float)
            apart = float(np.ptp(logit))
            of_image[f"r_squared{end}"] = 0.0 if apart == 0 else float(np.corrcoef(line["eps"], logit)[0, 1] ** 2)
            of_image[f"range{end}"] = apart
        found.append(of_image)
    return pd.DataFrame(found)
