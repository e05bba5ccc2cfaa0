"""Certified accuracy at each radius."""

import pyarrow as pa

from advgen.metrics.chance import majority_class_accuracy
from advgen.metrics.grouping import Rows, group_rows, to_columns
from advgen.metrics.intervals import wilson

KEYS = ["certification", "source", "seed", "method", "norm", "sigma"]


def summarise(tables: dict[str, pa.Table]) -> Rows:
    """Return the share of images with a correct prediction that is certified, per classifier, seed and radius.

    `mean_radius` counts 0 for wrong and uncertified predictions. `commonest` is the majority-class baseline, a constant
    prediction that is certified at every radius.
    """
    rows = []
    for keys, images in group_rows(tables["certification"], KEYS):
        correct, n = (images["predicted"] == images["label"]).to_numpy(), len(images)
        for eps in images["radii"].iloc[0]:
            certified = int((correct & (images["radius"] >= eps)).sum())
            low, high = wilson(certified, n)
            rows.append(
                {
                    **keys,
                    "eps": float(eps),
                    "n": n,
                    "clean_accuracy": float(correct.mean()),
                    "commonest": majority_class_accuracy(images["label"]),
                    "abstained": float(images["predicted"].isna().mean()),
                    "certified_accuracy": certified / n,
                    "certified_accuracy_low": low,
                    "certified_accuracy_high": high,
                    "mean_radius": float((images["radius"] * correct).mean()),
                }
            )
    return to_columns(rows)
