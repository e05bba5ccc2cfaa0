"""How robust one classifier is, under a battery of attacks, and whether the numbers are sound."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.figure import Figure

from advgen.api.inputs import Bounds, Model, PreparedInputs, check_attack_fits, prepare_inputs, validate_spec
from advgen.attacks.checks import logits_differ
from advgen.core.catalog import TABLES
from advgen.core.code import code_digest
from advgen.experiments.attacks.accuracy_curves import draw as draw_curves
from advgen.experiments.attacks.attack_gallery import draw as draw_gallery
from advgen.experiments.attacks.experiment import AccuracyCurvesFigure, AttackGalleryFigure, Craft, RobustnessFigure
from advgen.experiments.attacks.robustness import draw as draw_robustness
from advgen.experiments.attacks.run import craft_examples
from advgen.experiments.attacks.summary import summarise
from advgen.experiments.classifiers.experiment import Origin
from advgen.figures.formatting import NORM_NAMES
from advgen.files.provenance import Stamp
from advgen.io.devices import device_name
from advgen.io.tables import arrow_table, read_images, write_table
from advgen.jobs.progress import Progress
from advgen.metrics.chance import why_insufficient
from advgen.metrics.intervals import wilson
from advgen.metrics.sanity.classifiers import CHANCE, DETERMINISTIC, GRADIENTS, REMEDY
from advgen.metrics.sanity.integrity import check_pixels, check_saved_predictions
from advgen.metrics.sanity.results import Check
from advgen.metrics.sanity.table import INVARIANT, STATISTICAL, run_checks
from advgen.models.custom import Channels
from advgen.models.predict import device_of, predict
from advgen.specs.attacks import (
    ApgdAttack,
    AttackSpec,
    EnsembleAttack,
    FgsmAttack,
    GaussianNoise,
    PgdAttack,
    SquareAttack,
)

Interval = tuple[float, float]
Verdict = Literal["sound", "unsound", "insufficient"]
SOURCE = "model"
CONTROL, ALL = "noise", "everything"
"""What every attack must beat, and an attack that may change all pixels as it likes: no net withstands it."""
LOGITS = "outputs are logits"
CAUSES = (LOGITS, CHANCE, GRADIENTS, DETERMINISTIC)
"""Checks that name a cause, the first as the reason of a verdict; others often fail because of it."""
STATUS = {(True, "check"): "pass", (True, "warning"): "pass", (False, "warning"): "warn", (False, "check"): "fail"}
LEVEL = 1 / 255
ALONE = 20
"""Images that are shown to the model one at a time."""
UNKNOWN = ("source", "source_seed", "dataset", "tested_on", "images", "parameters", "defence")
"""Columns of our tables that say nothing about one given model."""


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found. Accuracies are shares of all images that are right on the clean and the attacked image.

    `interval` is Wilson's at 95 %, for the number of images. `table` has a row per attack, `examples` one per image
    with the smallest change that fools the model, if one was found, `checks` one per check: name, status (pass, warn,
    fail) and evidence.
    """

    norm: str
    eps: float
    n: int
    clean_accuracy: float
    clean_interval: Interval
    robust_accuracy: float
    interval: Interval
    table: pd.DataFrame = field(repr=False)
    examples: pd.DataFrame = field(repr=False)
    checks: pd.DataFrame = field(repr=False)
    facts: pa.Table = field(repr=False)
    """A row per attack and image, without the images."""
    shown: pa.Table = field(repr=False)
    """The table of examples behind `examples`."""
    tested: pa.Table = field(repr=False)
    """The checks with their numbers."""
    stamp: Stamp = field(repr=False)

    @property
    def sound(self) -> bool:
        """Whether the verdict is "sound"."""
        return self.verdict == "sound"

    @property
    def verdict(self) -> Verdict:
        """ "unsound" if a check fails, else "insufficient" with fewer than 30 images or one class, else "sound"."""
        if (self.checks["status"] == "fail").any():
            return "unsound"
        return "insufficient" if self._insufficient() else "sound"

    @property
    def reason(self) -> str:
        """Why the verdict is what it is, in one line."""
        if self.verdict == "insufficient":
            return self._insufficient()
        failed = self.checks[self.checks["status"] == "fail"].set_index("name")["evidence"]
        if failed.empty:
            return "no check fails"
        name = next((cause for cause in CAUSES if cause in failed), failed.index[0])
        return f'"{name}" fails: {failed[name]}'

    def _insufficient(self) -> str:
        labels = self.facts.select(["index", "label"]).to_pandas().drop_duplicates("index")["label"]
        return why_insufficient(labels)

    def __repr__(self) -> str:
        """In ten lines at most: the verdict and its reason, accuracies, attacks, the checks and the worst of them."""
        counts = self.checks["status"].value_counts()
        told = ", ".join(f"{counts.get(status, 0)} {status}" for status in ("pass", "warn", "fail"))
        lines = [
            f"{self.verdict.capitalize()} evaluation: {self.reason}",
            f"Robustness of a classifier on {self.n:,} images, {NORM_NAMES[self.norm]} ≤ {self.eps:g}",
            f"  clean accuracy   {_percent(self.clean_accuracy, self.clean_interval)}",
            f"  robust accuracy  {_percent(self.robust_accuracy, self.interval)} under the worst of {self.inside}",
            f"  checks           {told}{'' if self.sound else ': do not trust these numbers yet'}",
        ]
        lines = [line[:160] for line in lines]
        for check in self.checks[self.checks["status"] != "pass"].itertuples():
            lines.append(f"    {check.status}: {check.name}: {check.evidence}"[:160])
        return "\n".join(lines[:10])

    def _repr_html_(self) -> str:
        head, *rest = repr(self).splitlines()
        lines = "<br>".join(escape(line.strip()) for line in rest)
        columns = ["accuracy", "accuracy_low", "accuracy_high", "median_l2", "gradient_calls", "forward_calls"]
        return f"<p><strong>{escape(head)}</strong><br>{lines}</p>{self.table[columns].to_html(float_format='%.3g')}"

    @property
    def inside(self) -> str:
        """The attacks in the worst case."""
        return ", ".join(self._within())

    def _within(self) -> list[str]:
        rows = self.table[(self.table["norm"] == self.norm) & (self.table["eps"] <= self.eps)]
        return [str(name) for name in rows.index]

    def plot(self) -> Figure:
        """The accuracy when clean, under each attack and under the worst of them, as a matplotlib figure."""
        names = tuple(name for name in self.table.index if name != ALL)
        spec = RobustnessFigure(kind="robustness", sources=(SOURCE,), attacks=names)
        return draw_robustness({"examples": self._about(names)}, spec)

    def curve(self) -> Figure:
        """Accuracy against the radius, under the ensemble at each radius that was tried."""
        names = tuple(name for name in self.table.index if str(name).startswith("ensemble"))
        spec = AccuracyCurvesFigure(kind="accuracy_curves", sources=(SOURCE,), attacks=names)
        return draw_curves({"examples": self._about(names)}, spec)

    def gallery(self, images: int = 8) -> Figure:
        """The images that the smallest changes fool, the model's most confident mistakes among them first."""
        rows = self.shown.drop_columns(["image", "adversarial"]).to_pandas()
        rows["fooled"] = (rows["predicted_clean"] == rows["label"]) & (rows["predicted"] != rows["label"])
        near = rows.sort_values(["fooled", self.norm, "confidence"], ascending=[False, True, False]).index[:images]
        table = self.shown.take(pa.array(sorted(near)))
        name = "smallest changes found"
        # of several attacks: what they share is the norm and the largest radius
        shared = {"attack": pa.array([name] * len(near)), "eps": pa.array([self.eps] * len(near))}
        shared["steps"] = pa.array([0] * len(near), pa.int32())
        for column, values in shared.items():
            table = table.set_column(table.schema.get_field_index(column), column, values)
        magnify = float(min(20.0, max(1.0, 0.5 / self.eps)))
        spec = AttackGalleryFigure(
            kind="attack_gallery", sources=(SOURCE,), attacks=(name,), images=images, magnify=magnify
        )
        return draw_gallery({"examples": table}, spec)

    def _about(self, attacks: Sequence[str]) -> pa.Table:
        return self.facts.filter(pc.is_in(self.facts.column("attack"), pa.array(list(attacks))))

    def save(self, folder: str | Path) -> Path:
        """Write `robustness`, `checks`, `examples` (with images) and `attacks` as Parquet into a folder; returns it.

        Raises OSError if the folder cannot be written; then it is left as it was.
        """
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        tables = {
            "robustness": _kind("robustness", self.facts),
            "checks": self.tested,
            "examples": self.shown,
            "attacks": self.facts,
        }
        with tempfile.TemporaryDirectory(dir=target, prefix=".partial.") as temporary:
            for name, table in tables.items():
                write_table(Path(temporary) / f"{name}.parquet", table, self.stamp)
            for name in tables:
                os.replace(Path(temporary) / f"{name}.parquet", target / f"{name}.parquet")
        return target


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
    """How many images a classifier gets right within a radius of `eps`, and whether the evaluation is sound.

    Its `verdict` is "sound", "unsound" (a check fails) or "insufficient" (too few images), its `reason` says why.

    The worst of the attack ensemble, PGD and, in L∞, FGSM and Square counts. Beside them stand controls for the checks:
    noise, and an attack that no net withstands. A line on stderr tells the progress every five
    seconds. The model is left as it was, and computes where its weights lie.

    Args:
        model: images (B, C, H, W) to logits (B, K), a torch.nn.Module or the path of a file.
        images: (N, C, H, W), (N, H, W, C) or (N, H, W): uint8, or floats in `bounds`; 30 at least, of several classes,
            or the verdict is "insufficient".
        labels: (N,) integers from 0 on.
        eps: radius, on the scale on which pixels are from 0 to 1, whatever `bounds` is.
        norm: "linf" or "l2".
        ensemble: "quick", or "standard", the stronger one, which takes tens of times as long. Trust `quick` only
            where gradients are not masked: on adversarially trained models attacked in another norm it can be far off.
        seed: of random starts.
        bounds: lowest and highest pixel that the images have and the model takes.
        mean: subtracted from the pixels before the model sees them, a number or one for each channel.
        std: the pixels are divided by it then, likewise.
        radii: further radii for the ensemble, for `curve()`.

    Raises:
        ValueError: the model, an image, a label or a radius is none that attacks can work on; one line says which.
    """
    what = prepare_inputs(model, images, labels, bounds, mean, std)
    battery = _battery(eps, norm, ensemble, radii)
    for spec in battery.values():
        check_attack_fits(spec, what)
    facts, checks = [], _own_checks(what, eps, norm)
    best = _Best(what, norm)
    for name, spec in battery.items():
        task = Craft(
            source=SOURCE,
            source_seed=seed,
            attack_name=name,
            attack=spec,
            origin=Origin(dataset="given", tested_on="given", images=0, defence="none"),
            examples=len(what.images),
            choice=seed,
        )
        told = Progress(f"evaluate, {name}", stream=sys.stderr)
        table = arrow_table("examples", craft_examples(what.model, what.images, what.labels, what.indices, task, told))
        checks += check_pixels(table) + check_saved_predictions(table, what.model)
        facts.append(table.drop_columns(["image", "adversarial"]))
        if spec.threat().norm == norm and (spec.threat().eps or 2) <= eps:
            best.add(table)
    rows = pa.concat_tables(facts)
    checks += run_checks({"examples": rows}, STATISTICAL, INVARIANT)
    for check in checks:
        if check["check"] == CHANCE:  # a study may show such a model, but nothing is evaluated here
            check["kind"] = "check"
    return _evaluation(what, battery, rows, best.table(), checks, seed)


def _battery(eps: float, norm: str, ensemble: str, radii: Sequence[float]) -> dict[str, AttackSpec]:
    """The attacks by name, the controls first."""

    if ensemble not in ("quick", "standard"):
        raise ValueError(f"ensemble = {ensemble!r}: must be quick or standard")

    def whole(radius: float) -> EnsembleAttack:
        keys = {"kind": "ensemble", "effort": ensemble, "norm": norm, "eps": radius}
        return validate_spec(EnsembleAttack, keys, "evaluate")

    main = whole(eps)
    try:
        others = sorted({*map(float, radii)} - {main.eps})
    except (TypeError, ValueError):
        raise ValueError(f"radii = {radii!r}: must be a list of numbers, such as [{eps / 2:g}, {2 * eps:g}]") from None
    further = {f"ensemble {radius:g}": whole(radius) for radius in others}
    pgd = PgdAttack(kind="pgd", norm=main.norm, eps=main.eps, steps=20)
    # a ball as large as the box holds the images of all other classes; margins do not saturate
    everything = ApgdAttack(kind="apgd", eps=1.0, loss="margin", steps=50, targets=2)
    if norm == "l2":
        return {ALL: everything, "PGD": pgd, **further, "ensemble": main}
    return {
        CONTROL: GaussianNoise(kind="gaussian_noise", sd=main.eps),
        ALL: everything,
        "FGSM": FgsmAttack(kind="fgsm", eps=main.eps),
        "PGD": pgd,
        "Square": SquareAttack(kind="square", eps=main.eps, queries=100),
        **further,
        "ensemble": main,
    }


class _Best:
    """Of each image the smallest change that fools, or what the first attack made of it."""

    def __init__(self, what: PreparedInputs, norm: str):
        self.norm = norm
        self.size = np.full(len(what.images), np.inf)
        self.rows: dict[str, pa.Table] = {}
        self.owner = np.full(len(what.images), "", dtype=object)

    def add(self, table: pa.Table) -> None:
        """Take the rows of one attack that are better than what there was, and drop those that they replace."""
        columns = ("index", "label", "predicted_clean", "predicted", self.norm, "attack")
        index, label, clean, now, size, attack = (table.column(one).to_numpy(zero_copy_only=False) for one in columns)
        size = np.where((clean == label) & (now != label), size, np.inf)
        better = (size < self.size[index]) | (self.owner[index] == "")
        taken = index[better]
        self.size[taken], self.owner[taken] = size[better], attack[better]
        self.rows[attack[0]] = table
        for name, rows in list(self.rows.items()):
            kept = self.owner[rows.column("index").to_numpy()] == name
            self.rows[name] = rows.filter(pa.array(kept))

    def table(self) -> pa.Table:
        """A row per image, in the order of the images."""
        return pa.concat_tables([rows for rows in self.rows.values() if rows.num_rows]).sort_by("index")


def _own_checks(what: PreparedInputs, eps: float, norm: str) -> list[Check]:
    """What can be wrong with the images themselves, or the radius beside them."""
    low, high = (bound.item() for bound in what.images.aminmax())
    n = len(what.images)
    levels = what.images.flatten(1).amax(0) - what.images.flatten(1).amin(0)
    same = 1 - len(np.unique(what.images.flatten(1).numpy(), axis=0)) / n
    rows = [
        ("pixels fill their range", high - low > 0.1, f"pixels are from {low:.3g} to {high:.3g} of 0 to 1"),
        ("images differ", same <= 0.1 and bool((levels > 0).any()), f"{same:.1%} of {n} images stand there twice"),
    ]
    if norm == "linf":
        rows.append(("the radius is a grey level at least", eps >= LEVEL / 2, f"eps is {255 * eps:.3g} of 255 levels"))
    blank = {"estimate": None, "low": None, "high": None, "source": SOURCE}
    blank |= {"kind": "warning", "subject": "the images"}
    checks = [{**blank, "check": check, "holds": holds, "n": n, "detail": detail} for check, holds, detail in rows]
    return [*checks, {**blank, **_alone(what)}, {**blank, **_gives_logits(what)}]


def _gives_logits(what: PreparedInputs) -> Check:
    """Outputs that all lie between 0 and 1 come from a sigmoid, or from a softmax: their gradients vanish."""
    low, high = (bound.item() for bound in what.logits.aminmax())
    told = {"check": LOGITS, "subject": "the model", "kind": "check", "n": len(what.images)}
    detail, holds = f"outputs are from {low:.3g} to {high:.3g}", low < 0 or high > 1
    if not holds:
        detail += ", like probabilities; return the values before the sigmoid or softmax, or scale logits by 100"
    return {**told, "holds": holds, "detail": detail}


def _alone(what: PreparedInputs) -> Check:
    """An image gives the same logits by itself as among others: two large batches have nearly the same statistics."""
    few = min(ALONE, len(what.images))
    try:
        other = int(logits_differ(predict(what.model, what.images[:few], 1)[1], what.logits[:few]).sum())
    except RuntimeError:  # norms over the batch have nothing to go by
        other = few
    told = {"check": "two passes give the same logits", "subject": "one image at a time", "kind": "check", "n": few}
    detail = f"{other} of {few} images get other logits than among others"
    return {**told, "holds": other == 0, "detail": f"{detail}; {REMEDY}" if other else detail}


def _evaluation(
    what: PreparedInputs,
    battery: Mapping[str, AttackSpec],
    facts: pa.Table,
    best: pa.Table,
    checks: list[Check],
    seed: int,
) -> Evaluation:
    main = battery["ensemble"].threat()
    assert main.eps is not None
    table = _kind("robustness", facts).to_pandas().drop(columns=list(UNKNOWN)).set_index("attack")
    within = [name for name, spec in battery.items() if spec.threat().norm == main.norm]
    rows = facts.to_pandas()
    rows = rows[rows["attack"].isin(within) & (rows["eps"] <= main.eps)]
    right = (rows["predicted_clean"] == rows["label"]) & (rows["predicted"] == rows["label"])
    robust, n = int(right.groupby(rows["index"]).min().sum()), len(what.images)
    clean = int((what.logits.argmax(1) == what.labels).sum())
    tested = arrow_table("sanity_checks", {name: [c[name] for c in checks] for name in TABLES["sanity_checks"].columns})
    examples = best.drop_columns(["image", "adversarial"]).to_pandas().drop(columns=list(UNKNOWN))
    for name in ("image", "adversarial"):
        examples[name] = list(read_images(best, name))
    return Evaluation(
        norm=main.norm,
        eps=main.eps,
        n=n,
        clean_accuracy=clean / n,
        clean_interval=wilson(clean, n),
        robust_accuracy=robust / n,
        interval=wilson(robust, n),
        table=table.loc[list(battery)],
        examples=examples.set_index("index"),
        checks=_by_name(tested, seed),
        facts=facts.replace_schema_metadata({"advgen.table": "examples without images"}),
        shown=best,
        tested=tested,
        stamp=_stamp(what, battery, seed),
    )


def _by_name(tested: pa.Table, seed: int) -> pd.DataFrame:
    """A row per check: its worst status, and the evidence of the first subject that has it."""
    rows = tested.to_pandas()
    rows["status"] = [STATUS[bool(holds), kind] for holds, kind in zip(rows["holds"], rows["kind"], strict=True)]
    rows["place"] = rows["status"].map({"fail": 0, "warn": 1, "pass": 2})
    found = []
    for name, same in rows.sort_values("place", kind="stable").groupby("check", sort=False):
        first, alike = same.iloc[0], int((same["status"] == same["status"].iloc[0]).sum()) - 1
        subject = first["subject"].removesuffix(f"{SOURCE} seed {seed}").removesuffix(" on ")
        evidence = f"{subject}: {first['detail']}" if subject else first["detail"]
        evidence += f" (and {alike} more)" if alike else ""
        found.append({"name": name, "status": first["status"], "evidence": evidence})
    return pd.DataFrame(found)


def _kind(name: str, facts: pa.Table) -> pa.Table:
    return arrow_table(name, summarise({"examples": facts}))


def _stamp(what: PreparedInputs, battery: Mapping[str, AttackSpec], seed: int) -> Stamp:
    packages = ("advgen", "torch", "numpy", "pyarrow")
    return Stamp(
        command="advgen.evaluate",
        spec={name: spec.model_dump(mode="json") for name, spec in battery.items()},
        code=code_digest(f"{__name__}:evaluate"),
        versions={"python": platform.python_version(), **{name: version(name) for name in packages}},
        seed=seed,
        device=device_name(device_of(what.model).type),
    )


def _percent(share: float, interval: Interval) -> str:
    return f"{100 * share:.1f} % [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"
