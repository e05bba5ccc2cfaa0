"""The result of `evaluate`: accuracies, soundness verdict, plots and tables."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.figure import Figure

from advgen.api.battery import SOURCE, UNRESTRICTED
from advgen.api.soundness import LOGITS
from advgen.core.deprecated import renamed_attribute
from advgen.experiments.attacks.accuracy_curves import draw as draw_curves
from advgen.experiments.attacks.attack_gallery import draw as draw_gallery
from advgen.experiments.attacks.experiment import AccuracyCurvesFigure, AttackGalleryFigure, RobustnessFigure
from advgen.experiments.attacks.robustness import draw as draw_robustness
from advgen.experiments.attacks.summary import summarise
from advgen.figures.formatting import NORM_NAMES
from advgen.files.provenance import Stamp
from advgen.io.tables import arrow_table, write_table
from advgen.metrics.chance import why_insufficient
from advgen.metrics.sanity.classifiers import CHANCE, DETERMINISTIC, GRADIENTS

Interval = tuple[float, float]
Verdict = Literal["sound", "unsound", "insufficient"]
CAUSES = (LOGITS, CHANCE, GRADIENTS, DETERMINISTIC)
"""Checks that name a cause, in order of priority as a verdict's reason; other checks often fail because of them."""


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation. Robust accuracy is the share of images that are correct both clean and attacked.

    Intervals are Wilson intervals at 95 %, for the number of images. `table` has one row per attack. `examples` has one
    row per image, with the smallest change found that fools the model. `checks` has one row per check: name, status
    (pass, warn, fail) and evidence.
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
    attack_table: pa.Table = field(repr=False)
    """One row per attack and image, without the images."""
    example_table: pa.Table = field(repr=False)
    """The Arrow table behind `examples`."""
    check_table: pa.Table = field(repr=False)
    """The checks with their numbers."""
    stamp: Stamp = field(repr=False)

    facts = renamed_attribute("facts", "attack_table")
    shown = renamed_attribute("shown", "example_table")
    tested = renamed_attribute("tested", "check_table")
    inside = renamed_attribute("inside", "worst_case_attacks")

    @property
    def sound(self) -> bool:
        """Whether the verdict is "sound"."""
        return self.verdict == "sound"

    @property
    def verdict(self) -> Verdict:
        """ "unsound" if a check fails, else "insufficient" with fewer than 30 images or one class, else "sound"."""
        if (self.checks["status"] == "fail").any():
            return "unsound"
        return "insufficient" if self._why_insufficient() else "sound"

    @property
    def reason(self) -> str:
        """The reason of the verdict, in one line."""
        if self.verdict == "insufficient":
            return self._why_insufficient()
        failed = self.checks[self.checks["status"] == "fail"].set_index("name")["evidence"]
        if failed.empty:
            return "no check fails"
        name = next((cause for cause in CAUSES if cause in failed), failed.index[0])
        return f'"{name}" fails: {failed[name]}'

    def _why_insufficient(self) -> str:
        labels = self.attack_table.select(["index", "label"]).to_pandas().drop_duplicates("index")["label"]
        return why_insufficient(labels)

    def __repr__(self) -> str:
        """The verdict and its reason, accuracies, attacks and the worst checks, in at most ten lines."""
        counts = self.checks["status"].value_counts()
        statuses = ", ".join(f"{counts.get(status, 0)} {status}" for status in ("pass", "warn", "fail"))
        attacks = self.worst_case_attacks
        lines = [
            f"{self.verdict.capitalize()} evaluation: {self.reason}",
            f"Robustness of a classifier on {self.n:,} images, {NORM_NAMES[self.norm]} ≤ {self.eps:g}",
            f"  clean accuracy   {_percent(self.clean_accuracy, self.clean_interval)}",
            f"  robust accuracy  {_percent(self.robust_accuracy, self.interval)} in the worst case over {attacks}",
            f"  checks           {statuses}{'' if self.sound else ': do not trust these numbers yet'}",
        ]
        for check in self.checks[self.checks["status"] != "pass"].itertuples():
            lines.append(f"    {check.status}: {check.name}: {check.evidence}")
        return "\n".join(line[:160] for line in lines[:10])

    def _repr_html_(self) -> str:
        head, *rest = repr(self).splitlines()
        lines = "<br>".join(escape(line.strip()) for line in rest)
        columns = ["accuracy", "accuracy_low", "accuracy_high", "median_l2", "gradient_calls", "forward_calls"]
        return f"<p><strong>{escape(head)}</strong><br>{lines}</p>{self.table[columns].to_html(float_format='%.3g')}"

    @property
    def worst_case_attacks(self) -> str:
        """The names of the attacks that the worst case covers."""
        return ", ".join(self.table.index[(self.table["norm"] == self.norm) & (self.table["eps"] <= self.eps)])

    def plot(self) -> Figure:
        """A figure of the accuracy on clean images, under each attack, and in the worst case over the attacks."""
        names = tuple(name for name in self.table.index if name != UNRESTRICTED)
        spec = RobustnessFigure(kind="robustness", sources=(SOURCE,), attacks=names)
        return draw_robustness({"examples": self._rows_of(names)}, spec)

    def curve(self) -> Figure:
        """A figure of the accuracy against the radius, under the ensemble at each evaluated radius."""
        names = tuple(name for name in self.table.index if str(name).startswith("ensemble"))
        spec = AccuracyCurvesFigure(kind="accuracy_curves", sources=(SOURCE,), attacks=names)
        return draw_curves({"examples": self._rows_of(names)}, spec)

    def gallery(self, images: int = 8) -> Figure:
        """A figure of the images that the smallest changes fool, with the most confident mistakes first."""
        rows = self.example_table.drop_columns(["image", "adversarial"]).to_pandas()
        rows["fooled"] = (rows["predicted_clean"] == rows["label"]) & (rows["predicted"] != rows["label"])
        nearest = rows.sort_values(["fooled", self.norm, "confidence"], ascending=[False, True, False]).index[:images]
        table = self.example_table.take(pa.array(sorted(nearest)))
        name, n = "smallest changes found", len(nearest)
        # the rows come from several attacks, which share only the norm and the largest radius
        shared = {"attack": pa.array([name] * n), "eps": pa.array([self.eps] * n)}
        for column, values in {**shared, "steps": pa.array([0] * n, pa.int32())}.items():
            table = table.set_column(table.schema.get_field_index(column), column, values)
        magnify = float(min(20.0, max(1.0, 0.5 / self.eps)))
        figure = {"sources": (SOURCE,), "attacks": (name,), "images": images, "magnify": magnify}
        return draw_gallery({"examples": table}, AttackGalleryFigure(kind="attack_gallery", **figure))

    def _rows_of(self, attacks: Sequence[str]) -> pa.Table:
        return self.attack_table.filter(pc.is_in(self.attack_table.column("attack"), pa.array(list(attacks))))

    def save(self, folder: str | Path) -> Path:
        """Write `robustness`, `checks`, `examples` (with images) and `attacks` as Parquet; returns the folder.

        Raises OSError if the folder cannot be written, and then leaves it unchanged.
        """
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        tables = {
            "robustness": arrow_table("robustness", summarise({"examples": self.attack_table})),
            "checks": self.check_table,
            "examples": self.example_table,
            "attacks": self.attack_table,
        }
        with tempfile.TemporaryDirectory(dir=target, prefix=".partial.") as temporary:
            for name, table in tables.items():
                write_table(Path(temporary) / f"{name}.parquet", table, self.stamp)
            for name in tables:
                os.replace(Path(temporary) / f"{name}.parquet", target / f"{name}.parquet")
        return target


def _percent(share: float, interval: Interval) -> str:
    return f"{100 * share:.1f} % [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"
