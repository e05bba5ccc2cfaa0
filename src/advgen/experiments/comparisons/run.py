"""Arms beside their baseline, pair by pair of runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from advgen.experiments.comparisons.experiment import Compare
from advgen.io.tables import arrow_table, read_table, write_table
from advgen.jobs.job import Job
from advgen.metrics.chance import is_better_than_chance
from advgen.metrics.intervals import interval_over_runs
from advgen.metrics.lines import measure_linearity


def _accuracy(rows: pd.DataFrame, comparison: Any, _: str) -> pd.Series:
    """1 where an image is right, also under the attack unless clean accuracy is asked for; of validation, the last."""
    if comparison.measure == "validation_accuracy":
        return rows["accuracy"].dropna().iloc[-1:].astype(float).reset_index(drop=True)
    right = rows["predicted_clean"] == rows["label"]
    if comparison.measure == "robust_accuracy":
        right &= rows["predicted"] == rows["label"]
    return right.astype(float).set_axis(rows["index"])


def _of_model(rows: pd.DataFrame, comparison: Any, _: str) -> pd.Series:
    """A measure that a model has once."""
    return rows[comparison.measure].astype(float)


def _inversions(rows: pd.DataFrame, comparison: Any, _: str) -> pd.Series:
    """Of the best start of each image."""
    return rows[rows["best"]].set_index("index")["mse"].astype(float)


def _linearities(rows: pd.DataFrame, comparison: Any, _: str) -> pd.Series:
    """Of each image's logits."""
    return measure_linearity(rows).set_index("index")["r_squared"]


def _inpaintings(rows: pd.DataFrame, comparison: Any, arm: str) -> pd.Series:
    tried = rows[(rows["mask"] == comparison.mask) & (rows["method"] == comparison.arms[arm])]
    return tried.set_index("index")[comparison.measure].astype(float)


READERS: dict[str, Callable[[pd.DataFrame, Any, str], pd.Series]] = {
    "accuracy": _accuracy,
    "gans": _of_model,
    "autoencoders": _of_model,
    "inversions": _inversions,
    "linearities": _linearities,
    "inpaintings": _inpaintings,
}


def _describe_runs(tables: list[pd.DataFrame], measure: str) -> dict[str, Any]:
    """How many runs of an arm are at chance, and, under attack, its mean where images have 256 grey levels."""
    told: dict[str, Any] = {"at_chance": sum(not is_better_than_chance(one) for one in tables), "mean_rounded": None}
    if measure == "robust_accuracy":
        right = [
            (one["predicted_clean"] == one["label"]) & (one["predicted_rounded"] == one["label"]) for one in tables
        ]
        told["mean_rounded"] = float(np.mean([one.mean() for one in right]))
    return told


def run(job: Job[Compare]) -> None:
    """Mean of each arm and its effect, arm − baseline, with intervals over runs and, if there are any, images."""
    spec, comparison, files = job.spec, job.spec.comparison, job.inputs["tables"]
    rate = comparison.kind == "accuracy" and comparison.measure != "validation_accuracy"
    values, facts = {}, {}
    for number, arm in enumerate(spec.arms):
        of_arm = files[number * spec.runs : (number + 1) * spec.runs]
        tables = [read_table(file, images=False).to_pandas() for file in of_arm]
        values[arm] = pd.concat([READERS[comparison.kind](rows, comparison, arm) for rows in tables], axis=1)
        facts[arm] = _describe_runs(tables, comparison.measure) if rate else {"at_chance": None, "mean_rounded": None}
    base = values[comparison.baseline]
    shared = {"n": len(base), "seeds": spec.runs, "measure": comparison.measure}
    rows = []
    for arm, of in values.items():
        if not of.index.equals(base.index):
            raise ValueError(f"arms {arm!r} and {comparison.baseline!r} were not measured on the same images")
        mean, mean_low, mean_high = interval_over_runs(of.to_numpy().T, rate)
        if rate:
            mean_low, mean_high = max(0.0, mean_low), min(1.0, mean_high)
        told: dict[str, Any] = {"arm": arm, **facts[arm], "mean": mean, "mean_low": mean_low, "mean_high": mean_high}
        told |= {"differs": ", ".join(spec.differs[arm]), "besides": ", ".join(spec.besides[arm])}
        if arm == comparison.baseline:
            told |= {"effect": None, "effect_low": None, "effect_high": None, "effects": []}
        else:
            differences = (of - base).to_numpy().T
            effect, low, high = interval_over_runs(differences, rate)
            told |= {"effect": effect, "effect_low": low, "effect_high": high, "effects": differences.mean(1)}
        rows.append({**shared, **told})
    columns = {
        "comparison": spec.name,
        "asks": comparison.asks,
        "baseline": comparison.baseline,
        **{name: [row[name] for row in rows] for name in rows[0]},
    }
    write_table(job.output(), arrow_table("comparison", columns), job.stamp)
