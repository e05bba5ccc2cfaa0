"""Checks of certified radii against all adversarial examples."""

from collections.abc import Iterator

import pandas as pd
import pyarrow as pa

from advgen.metrics.chance import MODEL_KEYS
from advgen.metrics.sanity.results import TOLERANCE, Check, make_check

TRANSFER_SUFFIX = ", examples of other nets"
"""The end of subjects in stored results."""
EXAMPLE_COLUMNS = [*MODEL_KEYS, "attack", "index", "predicted", "linf", "l2"]


def check_certified_radii(certification: pa.Table, examples: pa.Table) -> Iterator[Check]:
    """No adversarial example lies inside the radius certified for its model, image and norm, whatever its own norm is.

    Radii of a smoothed model are left out: the attacked model is a different one.
    """
    return _check_radii(certification, examples.select(EXAMPLE_COLUMNS).to_pandas(), "")


def check_certified_radii_on_transfers(
    certification: pa.Table, examples: pa.Table, transferred: pa.Table
) -> Iterator[Check]:
    """The same for examples crafted against other models.

    They must be of the data set that the certified model was attacked on: an index of another one names another image.
    Amplified examples are left out, since they may leave [0, 1].
    """
    rows = transferred.to_pandas()
    white_box = (rows["source"] == rows["target"]) & (rows["source_seed"] == rows["target_seed"])
    rows = rows[~white_box & ~rows["amplified"]]
    rows["attack"] += " from " + rows["source"] + " seed " + rows["source_seed"].astype(str)
    rows = rows.assign(source=rows["target"], source_seed=rows["target_seed"])
    attacked = examples.select([*MODEL_KEYS, "tested_on", "index", "label"]).to_pandas().drop_duplicates()
    shared = rows.merge(attacked).drop_duplicates([*MODEL_KEYS, "attack", "index"])  # studies may share rows
    return _check_radii(certification, shared, TRANSFER_SUFFIX)


def _check_radii(certification: pa.Table, examples: pd.DataFrame, subject_end: str) -> Iterator[Check]:
    columns = ["certification", "source", "seed", "index", "norm", "smoothed", "predicted", "radius"]
    certified = certification.select(columns).to_pandas()
    certified = certified[~certified["smoothed"]]
    certified = certified.rename(columns={"seed": "source_seed", "predicted": "certified_label"})
    rows = certified.merge(examples[EXAMPLE_COLUMNS], on=[*MODEL_KEYS, "index"])
    size = rows["l2"].where(rows["norm"] == "l2", rows["linf"])
    rows["broken"] = (rows["predicted"] != rows["certified_label"]) & (size < rows["radius"] - TOLERANCE)
    for (name, source, seed), group in rows.groupby(["certification", *MODEL_KEYS]):
        broken, n = group[group["broken"]], len(group)
        attacks = ", ".join(sorted(set(broken["attack"])))
        detail = f"{len(broken)} of {n} examples lie inside a certified radius and get another label"
        detail += f" ({attacks})" if attacks else ""
        subject = f"{name} of {source} seed {seed}{subject_end}"
        yield make_check("certified radii hold", subject, broken.empty, detail, n, source=source)
