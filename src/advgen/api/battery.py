"""The attacks of an evaluation: which ones run, and the examples that they find."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from advgen.api.inputs import PreparedInputs, validate_spec
from advgen.experiments.attacks.experiment import Craft
from advgen.experiments.attacks.run import craft_examples
from advgen.experiments.classifiers.experiment import Origin
from advgen.io.tables import arrow_table
from advgen.jobs.progress import Progress
from advgen.metrics.sanity.integrity import check_pixels, check_saved_predictions
from advgen.metrics.sanity.results import Check
from advgen.specs.attacks import (
    ApgdAttack,
    AttackSpec,
    EnsembleAttack,
    FgsmAttack,
    GaussianNoise,
    PgdAttack,
    SquareAttack,
)

SOURCE = "model"
"""The evaluated model's name in tables and figures."""
NOISE, UNRESTRICTED = "noise", "everything"
"""Names of the controls: noise, which every attack must beat, and an attack in the whole box, which fools any model."""


def build_battery(eps: float, norm: str, ensemble: str, radii: Sequence[float]) -> dict[str, AttackSpec]:
    """The attacks by name, the controls first. Raises ValueError for a wrong argument of `evaluate`."""
    if ensemble not in ("quick", "standard"):
        raise ValueError(f"ensemble = {ensemble!r}: must be quick or standard")

    def ensemble_at(radius: float) -> EnsembleAttack:
        keys = {"kind": "ensemble", "effort": ensemble, "norm": norm, "eps": radius}
        return validate_spec(EnsembleAttack, keys, "evaluate")

    main = ensemble_at(eps)
    try:
        others = sorted({*map(float, radii)} - {main.eps})
    except (TypeError, ValueError):
        raise ValueError(f"radii = {radii!r}: must be a list of numbers, such as [{eps / 2:g}, {2 * eps:g}]") from None
    further = {f"ensemble {radius:g}": ensemble_at(radius) for radius in others}
    pgd = PgdAttack(kind="pgd", norm=main.norm, eps=main.eps, steps=20)
    # a ball as large as the box contains images of all other classes; the margin does not saturate
    unrestricted = ApgdAttack(kind="apgd", eps=1.0, loss="margin", steps=50, targets=2)
    if norm == "l2":
        return {UNRESTRICTED: unrestricted, "PGD": pgd, **further, "ensemble": main}
    return {
        NOISE: GaussianNoise(kind="gaussian_noise", sd=main.eps),
        UNRESTRICTED: unrestricted,
        "FGSM": FgsmAttack(kind="fgsm", eps=main.eps),
        "PGD": pgd,
        "Square": SquareAttack(kind="square", eps=main.eps, queries=100),
        **further,
        "ensemble": main,
    }


@dataclass(frozen=True)
class BatteryResult:
    """The results of all attacks."""

    rows: pa.Table
    """One row per attack and image, without the images."""
    best: pa.Table
    """One row per image, with the smallest change that fools the model, or the example of the first attack."""
    checks: list[Check]
    """The checks that need the images."""


def run_battery(
    battery: Mapping[str, AttackSpec], inputs: PreparedInputs, norm: str, eps: float, seed: int
) -> BatteryResult:
    """Run each attack on all images. Attacks in another norm, or with a larger radius, do not count for `best`."""
    rows, checks, best = [], [], None
    for name, spec in battery.items():
        task = Craft(
            source=SOURCE,
            source_seed=seed,
            attack_name=name,
            attack=spec,
            origin=Origin(dataset="given", tested_on="given", images=0, defence="none"),
            examples=len(inputs.images),
            choice=seed,
        )
        progress = Progress(f"evaluate, {name}", stream=sys.stderr)
        columns = craft_examples(inputs.model, inputs.images, inputs.labels, inputs.indices, task, progress)
        table = arrow_table("examples", columns)
        checks += [*check_pixels(table), *check_saved_predictions(table, inputs.model)]
        rows.append(table.drop_columns(["image", "adversarial"]))
        if spec.threat().norm == norm and (spec.threat().eps or 2) <= eps:
            best = table if best is None else _merge_smaller(best, table, norm)
    return BatteryResult(pa.concat_tables(rows), best, checks)


def _merge_smaller(best: pa.Table, table: pa.Table, norm: str) -> pa.Table:
    """For each image, the row of `table` if its change fools the model and is smaller, else that of `best`."""

    def sizes(rows: pa.Table) -> np.ndarray[Any, Any]:
        label, clean, predicted = (rows.column(name).to_numpy() for name in ("label", "predicted_clean", "predicted"))
        return np.where((clean == label) & (predicted != label), rows.column(norm).to_numpy(), np.inf)

    is_smaller = sizes(table) < sizes(best)
    rows = [best.filter(pa.array(~is_smaller)), table.filter(pa.array(is_smaller))]
    return pa.concat_tables(rows).sort_by("index")
