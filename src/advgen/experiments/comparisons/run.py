"""Compute the means and effects of the arms of a comparison."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from advgen.experiments.comparisons.experiment import Compare
from advgen.io.tables import arrow_table, read_table, write_table
from advgen.jobs.job import Job
from advgen.metrics.chance import is_better_than_chance
from advgen.metrics.grouping import to_columns
from advgen.metrics.intervals import interval_over_runs
from advgen.metrics.lines import measure_linearity


def _read_accuracy(rows: pd.DataFrame, comparison: Any, _: str) -> pd.Series:
    """Return 1 for each correct image (under attack too for robust accuracy), or the validation accuracy."""
    if comparison.measure == "validation_accuracy":
        return rows["accuracy"].dropna().iloc[-1:].astype(float).reset_index(drop=True)
    correct = rows["predicted_clean"] == rows["label"]
    if comparison.measure == "robust_accuracy":
        correct &= rows["predicted"] == rows["label"]
    return correct.astype(float).set_axis(rows["index"])


def _read_model(rows: pd.DataFrame, comparison: Any, _: str) -> pd.Series:
    """Return a measure that a model has once."""
    return rows[comparison.measure].astype(float)


def _read_inversions(rows: pd.DataFrame, comparison: Any, _: str) -> pd.Series:
    """Return the error of the best start of each image."""
    return rows[rows["best"]].set_index("index")["mse"].astype(float)


def _read_linearities(rows: pd.DataFrame, comparison: Any, _: str) -> pd.Series:
    return measure_linearity(rows).set_index("index")["r_squared"]


def _read_inpaintings(rows: pd.DataFrame, comparison: Any, arm: str) -> pd.Series:
    of_arm = rows[(rows["mask"] == comparison.mask) & (rows["method"] == comparison.arms[arm])]
    return of_arm.set_index("index")[comparison.measure].astype(float)


READERS: dict[str, Callable[[pd.DataFrame, Any, str], pd.Series]] = {
    "accuracy": _read_accuracy,
    "gans": _read_model,
    "autoencoders": _read_model,
    "inversions": _read_inversions,
    "linearities": _read_linearities,
    "inpaintings": _read_inpaintings,
}
"""How the values of a run are read from its table, by the kind of comparison."""


def _describe_runs(tables: list[pd.DataFrame], measure: str) -> dict[str, Any]:
    """Return how many runs of an arm are at chance, and its mean robust accuracy after rounding to 256 grey levels."""
    at_chance = sum(not is_better_than_chance(table) for table in tables)
    if measure != "robust_accuracy":
        return {"at_chance": at_chance, "mean_rounded": None}
    correct = [
        (table["predicted_clean"] == table["label"]) & (table["predicted_rounded"] == table["label"])
        for table in tables
    ]
    return {"at_chance": at_chance, "mean_rounded": float(np.mean([flags.mean() for flags in correct]))}


def run(job: Job[Compare]) -> None:
    """Write the mean of each arm and its effect (arm − baseline), with intervals over runs and images."""
    spec, comparison, files = job.spec, job.spec.comparison, job.inputs["tables"]
    is_rate = comparison.kind == "accuracy" and comparison.measure != "validation_accuracy"
    values, facts = {}, {}
    for number, arm in enumerate(spec.arms):
        of_arm = files[number * spec.runs : (number + 1) * spec.runs]
        tables = [read_table(file, images=False).to_pandas() for file in of_arm]
        values[arm] = pd.concat([READERS[comparison.kind](table, comparison, arm) for table in tables], axis=1)
        no_facts = {"at_chance": None, "mean_rounded": None}
        facts[arm] = _describe_runs(tables, comparison.measure) if is_rate else no_facts
    baseline = values[comparison.baseline]
    rows = []
    for arm, measured in values.items():
        if not measured.index.equals(baseline.index):
            raise ValueError(f"arms {arm!r} and {comparison.baseline!r} were not measured on the same images")
        mean, low, high = interval_over_runs(measured.to_numpy().T, is_rate)
        if is_rate:
            low, high = max(0.0, low), min(1.0, high)
        differences = (measured - baseline).to_numpy().T
        is_baseline = arm == comparison.baseline
        effect = (None, None, None) if is_baseline else interval_over_runs(differences, is_rate)
        rows.append(
            {"n": len(baseline), "seeds": spec.runs, "measure": comparison.measure, "arm": arm, **facts[arm]}
            | {"mean": mean, "mean_low": low, "mean_high": high}
            | {"differs": ", ".join(spec.differs[arm]), "besides": ", ".join(spec.besides[arm])}
            | dict(zip(("effect", "effect_low", "effect_high"), effect, strict=True))
            | {"effects": [] if is_baseline else differences.mean(1)}
        )
    columns = {
        "comparison": spec.name,
        "asks": comparison.asks,
        "baseline": comparison.baseline,
        **to_columns(rows),
    }
    write_table(job.output(), arrow_table("comparison", columns), job.stamp)
