"""The soundness checks of an evaluation beyond those of a study: of its images, its radius and the model's outputs."""

import numpy as np
import pandas as pd
import pyarrow as pa

from advgen.api.battery import SOURCE
from advgen.api.inputs import PreparedInputs
from advgen.attacks.checks import logits_differ
from advgen.metrics.sanity.classifiers import CHANCE, DETERMINISTIC, REMEDY
from advgen.metrics.sanity.results import Check, make_check
from advgen.metrics.sanity.table import INVARIANT, STATISTICAL, run_checks
from advgen.models.predict import predict

LOGITS = "outputs are logits"
STATUS = {(True, "check"): "pass", (True, "warning"): "pass", (False, "warning"): "warn", (False, "check"): "fail"}
GREY_LEVEL = 1 / 255
SINGLE_IMAGES = 20
"""The number of images that are classified one at a time."""


def check_inputs(inputs: PreparedInputs, eps: float, norm: str) -> list[Check]:
    """Warnings about the images and the radius."""
    low, high = (bound.item() for bound in inputs.images.aminmax())
    flat_NP, n = inputs.images.flatten(1), len(inputs.images)
    duplicates = 1 - len(np.unique(flat_NP.numpy(), axis=0)) / n
    differ = duplicates <= 0.1 and bool((flat_NP.amax(0) > flat_NP.amin(0)).any())
    rows = [
        ("pixels fill their range", high - low > 0.1, f"pixels are {low:.3g} to {high:.3g}, the range is 0 to 1"),
        ("images differ", differ, f"{duplicates:.1%} of {n} images are duplicates"),
    ]
    if norm == "linf":
        holds = eps >= GREY_LEVEL / 2
        rows.append(("the radius is a grey level at least", holds, f"eps is {255 * eps:.3g} of 255 grey levels"))
    return [make_check(name, "the images", holds, detail, n, "warning", source=SOURCE) for name, holds, detail in rows]


def check_outputs(inputs: PreparedInputs) -> list[Check]:
    """Check that outputs do not depend on the batch and are not probabilities."""
    few = min(SINGLE_IMAGES, len(inputs.images))
    try:
        other = int(logits_differ(predict(inputs.model, inputs.images[:few], 1)[1], inputs.logits[:few]).sum())
    except RuntimeError:  # a batch norm in training mode has no statistics for one image
        other = few
    # single images are needed, because two large batches have nearly the same statistics
    detail = f"logits of {other} of {few} images differ between single images and batches"
    detail += f"; {REMEDY}" if other else ""
    checks = [make_check(DETERMINISTIC, "one image at a time", other == 0, detail, few, source=SOURCE)]
    low, high = (bound.item() for bound in inputs.logits.aminmax())
    detail, holds = f"outputs are {low:.3g} to {high:.3g}", low < 0 or high > 1
    if not holds:
        detail += ", like probabilities; return the values before the sigmoid or softmax, or scale logits by 100"
    return [*checks, make_check(LOGITS, "the model", holds, detail, len(inputs.images), source=SOURCE)]


def check_attacks(rows: pa.Table) -> list[Check]:
    """The sanity checks of a study on the rows of all attacks.

    A study may include a classifier at chance level, but its evaluation is unsound.
    """
    checks = run_checks({"examples": rows}, STATISTICAL, INVARIANT)
    return [{**check, "kind": "check"} if check["check"] == CHANCE else check for check in checks]


def summarise_checks(table: pa.Table, seed: int) -> pd.DataFrame:
    """One row per check: its worst status, and the evidence of the first subject with that status."""
    rows = table.to_pandas()
    rows["status"] = [STATUS[bool(holds), kind] for holds, kind in zip(rows["holds"], rows["kind"], strict=True)]
    rows["priority"] = rows["status"].map({"fail": 0, "warn": 1, "pass": 2})
    summary = []
    for name, group in rows.sort_values("priority", kind="stable").groupby("check", sort=False):
        first, more = group.iloc[0], int((group["status"] == group["status"].iloc[0]).sum()) - 1
        subject = first["subject"].removesuffix(f"{SOURCE} seed {seed}").removesuffix(" on ")
        evidence = f"{subject}: {first['detail']}" if subject else first["detail"]
        evidence += f" (and {more} more)" if more else ""
        summary.append({"name": name, "status": first["status"], "evidence": evidence})
    return pd.DataFrame(summary)
