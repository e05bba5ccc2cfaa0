"""Evaluation of one classifier's robustness, with checks of the evaluation's soundness."""

import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Literal

import pandas as pd
import pyarrow as pa

from advgen.api.battery import BatteryResult, build_battery, run_battery
from advgen.api.inputs import Bounds, Model, PreparedInputs, check_attack_fits, prepare_inputs
from advgen.api.result import Evaluation
from advgen.api.soundness import check_attacks, check_inputs, check_outputs, summarise_checks
from advgen.core.catalog import TABLES
from advgen.core.code import code_digest
from advgen.experiments.attacks.summary import summarise
from advgen.files.provenance import Stamp
from advgen.io.devices import device_name
from advgen.io.tables import arrow_table, read_images
from advgen.metrics.intervals import wilson
from advgen.metrics.sanity.results import Check
from advgen.models.custom import Channels
from advgen.models.predict import device_of
from advgen.specs.attacks import AttackSpec

STUDY_COLUMNS = ["source", "source_seed", "dataset", "tested_on", "images", "parameters", "defence"]
"""Columns of a study's tables that have no meaning for a single model."""


def evaluate(
    model: Model,
    images: Any,
    labels: Any,
    *,
    eps: float,
    norm: Literal["linf", "l2"] = "linf",
    ensemble: Literal["quick", "standard"] = "quick",
    seed: int = 0,
    bounds: Bounds = (0, 1),
    mean: Channels = None,
    std: Channels = None,
    radii: Sequence[float] = (),
) -> Evaluation:
    """Measure the robust accuracy of a classifier within a radius, and check whether the evaluation is sound.

    The robust accuracy is the worst case over the attack ensemble, PGD and, in L∞, FGSM and Square. Two controls serve
    the checks: noise, and an attack in the whole box, which fools any model. The result's `verdict` is "sound",
    "unsound" (a check fails) or "insufficient" (too few images), and its `reason` says why.

    The model stays unchanged, and runs on the device of its weights. Progress is printed to stderr every five seconds.

    Args:
        model: images (B, C, H, W) to logits (B, K), a torch.nn.Module or the path of a file.
        images: (N, C, H, W), (N, H, W, C) or (N, H, W): uint8, or floats in `bounds`. With fewer than 30 images, or
            images of one class, the verdict is "insufficient".
        labels: (N,) integers, starting at 0.
        eps: radius, on the scale on which pixels are 0 to 1, whatever `bounds` is.
        norm: "linf" or "l2".
        ensemble: "quick", or "standard", which is stronger and tens of times slower. Rely on `quick` only if gradients
            are not masked. It can be far off for adversarially trained models that are attacked in another norm.
        seed: of random starts.
        bounds: lowest and highest pixel value of the images and of the model's inputs.
        mean: subtracted from the pixels before the model sees them, one number or one per channel.
        std: divides the pixels afterwards, one number or one per channel.
        radii: further radii for the ensemble, for `curve()`.

    Raises:
        ValueError: the model, an image, a label or a radius is not suitable; the message is one line.
    """
    inputs = prepare_inputs(model, images, labels, bounds, mean, std)
    battery = build_battery(eps, norm, ensemble, radii)
    for spec in battery.values():
        check_attack_fits(spec, inputs)
    input_checks = [*check_inputs(inputs, eps, norm), *check_outputs(inputs)]
    attacks = run_battery(battery, inputs, norm, eps, seed)
    checks = [*input_checks, *attacks.checks, *check_attacks(attacks.rows)]
    return _summarise(inputs, battery, attacks, checks, seed)


def _summarise(
    inputs: PreparedInputs,
    battery: Mapping[str, AttackSpec],
    attacks: BatteryResult,
    checks: list[Check],
    seed: int,
) -> Evaluation:
    main = battery["ensemble"].threat()
    assert main.eps is not None
    n = len(inputs.images)
    correct = int((inputs.logits.argmax(1) == inputs.labels).sum())
    robust = _count_robust(attacks.rows, main.norm, main.eps)
    table = arrow_table("robustness", summarise({"examples": attacks.rows})).to_pandas()
    check_table = arrow_table(
        "sanity_checks", {name: [check[name] for check in checks] for name in TABLES["sanity_checks"].columns}
    )
    return Evaluation(
        norm=main.norm,
        eps=main.eps,
        n=n,
        clean_accuracy=correct / n,
        clean_interval=wilson(correct, n),
        robust_accuracy=robust / n,
        interval=wilson(robust, n),
        table=table.drop(columns=STUDY_COLUMNS).set_index("attack").loc[list(battery)],
        examples=_to_frame(attacks.best),
        checks=summarise_checks(check_table, seed),
        attack_table=attacks.rows.replace_schema_metadata({"advgen.table": "examples without images"}),
        example_table=attacks.best,
        check_table=check_table,
        stamp=_stamp(inputs, battery, seed),
    )


def _count_robust(rows: pa.Table, norm: str, eps: float) -> int:
    """The number of images that are correct when clean and under all attacks within the radius."""
    frame = rows.to_pandas()
    frame = frame[(frame["norm"] == norm) & (frame["eps"] <= eps)]
    correct = (frame["predicted_clean"] == frame["label"]) & (frame["predicted"] == frame["label"])
    return int(correct.groupby(frame["index"]).min().sum())


def _to_frame(best: pa.Table) -> pd.DataFrame:
    frame = best.drop_columns(["image", "adversarial"]).to_pandas().drop(columns=STUDY_COLUMNS)
    for name in ("image", "adversarial"):
        frame[name] = list(read_images(best, name))
    return frame.set_index("index")


def _stamp(inputs: PreparedInputs, battery: Mapping[str, AttackSpec], seed: int) -> Stamp:
    packages = ("advgen", "torch", "numpy", "pyarrow")
    return Stamp(
        command="advgen.evaluate",
        spec={name: spec.model_dump(mode="json") for name, spec in battery.items()},
        code=code_digest(f"{__name__}:evaluate"),
        versions={"python": platform.python_version(), **{name: version(name) for name in packages}},
        seed=seed,
        device=device_name(device_of(inputs.model).type),
    )
