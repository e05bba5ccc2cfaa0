"""Certified accuracy at each radius asked for."""

import pyarrow as pa

from advgen.metrics.chance import majority_class_accuracy
from advgen.metrics.grouping import Rows, group_rows, to_columns
from advgen.metrics.intervals import wilson

KEYS = ["certification", "source", "seed", "method", "norm", "sigma"]


def summarise(tables: dict[str, pa.Table]) -> Rows:
    """Share of the images that are right and proven to stay so within a radius, per classifier, seed and radius.

    `mean_radius` counts 0 for what is wrong or not proven. `commonest` is the baseline: whoever always names the
    commonest label is right as often, and that is proven for every radius.
    """
    rows = []
    for keys, images in group_rows(tables["certification"], KEYS):
        right, n = (images["predicted"] == images["label"]).to_numpy(), len(images)
        for eps in images["radii"].iloc[0]:
            held = int((right & (images["radius"] >= eps)).sum())
            low, high = wilson(held, n)
            rows.append(
                {
                    **keys,
                    "eps": float(eps),
                    "n": n,
                    "clean_accuracy": float(right.mean()),
                    "commonest": majority_class_accuracy(images["label"]),
                    "abstained": float(images["predicted"].isna().mean()),
                    "certified_accuracy": held / n,
                    "certified_accuracy_low": low,
                    "certified_accuracy_high": high,
                    "mean_radius": float((images["radius"] * right).mean()),
                }
            )
    return to_columns(rows)
