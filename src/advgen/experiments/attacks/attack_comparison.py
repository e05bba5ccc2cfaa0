"""Success, distortion and cost of attacks on the same classifiers and images."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure
from numpy.typing import NDArray

from advgen.experiments.attacks import accuracies
from advgen.experiments.attacks.accuracies import Selection
from advgen.experiments.attacks.example_explorer import explore_examples
from advgen.experiments.attacks.experiment import AttackComparisonFigure
from advgen.figures.dot_plot import Mark, Measure, draw_dot_plot
from advgen.figures.findings import Finding, Row, interval_columns
from advgen.figures.formatting import describe_threat, format_n, format_seeds, format_share, join_parts
from advgen.figures.layout import content_width
from advgen.figures.statistics import median_interval
from advgen.figures.style import with_style
from advgen.metrics.intervals import average_runs, bootstrap_mean, rate_over_runs

SUCCESS = {
    "success": ("success rate", "% of correctly classified images", "robust"),
    "success_rounded": ("success as uint8", "% after rounding to k/255", "robust_rounded"),
    "success_unaimed": ("control", "% fooled at random", "robust_unaimed"),
    "success_target": ("target reached", "% assigned the target class", "off_target"),
    "success_target_unaimed": ("target, control", "% assigned it at random", "off_target_unaimed"),
}
"""Shares of the correctly classified images: titles, and the column that is false (0) where the attack succeeds."""
SIZES = {
    "linf": ("largest change", "L∞, median of the fooled"),
    "l2": ("L2 distance", "median of the fooled"),
    "l0": ("pixels changed", "L0, median of the fooled; log"),
    "rms": ("RMS change", "mean of the fooled"),
}
CALLS = {
    "gradient_calls": ("gradients", "calls per image, mean; log"),
    "forward_calls": ("predictions", "calls per image, mean; log"),
}
Estimate = Callable[[NDArray[np.float64]], tuple[float, float, float]]


@with_style
def draw(tables: Mapping[str, pa.Table], spec: AttackComparisonFigure) -> Figure:
    """Draw a row per attack and a colour per classifier."""
    facts, sources, attacks = selection = accuracies.select_examples(tables, spec)
    labels = [f"{name}\n{describe_threat(facts[facts['attack'] == name].iloc[0])}" for name in attacks]
    measures = [
        Measure(title, note, measure_success(selection, column), limits=(0, 100))
        for title, note, column in SUCCESS.values()
        if facts[column].notna().any()
    ]
    measures += [
        Measure(title, note, measure_sizes(selection, name), log=name == "l0") for name, (title, note) in SIZES.items()
    ]
    for name, (title, note) in CALLS.items():
        if marks := _measure_mean(selection._replace(facts=facts[facts[name].fillna(0) > 0]), name):
            measures.append(Measure(title, note, marks, log=True))
    details = f"{accuracies.describe_counts(facts)}; bars: 95 % intervals over models and images"
    details += accuracies.describe_seeds(facts)
    return draw_dot_plot("Attacks compared", details, labels, measures, sources, content_width(spec))


def _split(selection: Selection) -> list[tuple[int, int, pd.DataFrame]]:
    """Return the numbers of classifier and attack and the examples of each pair that occurs."""
    facts = selection.facts[selection.facts["above_chance"]]
    pairs = [
        (s, a, facts[(facts["source"] == source) & (facts["attack"] == attack)])
        for s, source in enumerate(selection.sources)
        for a, attack in enumerate(selection.attacks)
    ]
    return [(s, a, rows) for s, a, rows in pairs if len(rows)]


def measure_success(selection: Selection, column: str) -> list[Mark]:
    """Return the share (%) of the correctly classified images for which `column` is 0, for each pair."""
    facts = selection.facts
    marks = []
    for s, a, rows in _split(selection._replace(facts=facts[facts[column].notna() & facts["clean"]])):
        models = rows.groupby("source_seed")[column].agg(["mean", "size"])
        success = 1 - models["mean"].to_numpy(float)
        mean, low, high = rate_over_runs(success, int(models["size"].min()))
        marks.append(Mark(a, 100 * mean, 100 * low, 100 * high, 100 * success, s))
    return marks


def measure_sizes(selection: Selection, name: str) -> list[Mark]:
    """Return the size of successful perturbations of each pair: the mean RMS, or the median of another norm."""
    facts = selection.facts
    fooled = selection._replace(facts=facts[facts["clean"] & ~facts["robust"]])
    return _measure_mean(fooled, name) if name == "rms" else _measure(fooled, name, median_interval)


def _measure_mean(selection: Selection, name: str) -> list[Mark]:
    return _measure(selection, name, lambda values_N: bootstrap_mean(values_N, 0))


def _measure(selection: Selection, name: str, estimate: Estimate) -> list[Mark]:
    """Return the mean over models of an estimate; its interval is over models and the images that they share."""
    marks = []
    for s, a, rows in _split(selection):
        models = np.array([estimate(column.to_numpy(float)) for _, column in rows.groupby("source_seed")[name]])
        mean, low, high = average_runs(models)
        marks.append(Mark(a, mean, max(0.0, low), high, models[:, 0], s))
    return marks


def finding(tables: Mapping[str, pa.Table], spec: AttackComparisonFigure) -> Finding:
    """List the success rates of all attacks, the strongest first, and mark noise as the control."""
    facts, sources, attacks = selection = accuracies.select_examples(tables, spec)
    success = {(mark.group, mark.row): mark for mark in measure_success(selection, "robust")}
    others = {name: measure_success(selection, column) for name, (*_, column) in SUCCESS.items() if name != "success"}
    numbers = {name: {(m.group, m.row): m.value / 100 for m in marks} for name, marks in others.items()}
    numbers |= {name: {(m.group, m.row): m.value for m in measure_sizes(selection, name)} for name in SIZES}
    rows: list[Row] = [
        {"source": sources[s], "attack": attacks[a], "seeds": len(mark.seeds)}
        | interval_columns("success", (mark.value / 100, mark.low / 100, mark.high / 100))
        | {name: values.get((s, a)) for name, values in numbers.items()}
        for (s, a), mark in success.items()
    ]
    controls = {str(attack) for attack in facts.loc[facts["norm"] == "none", "attack"]}
    parts = [
        f"{row['attack']}{' (the control)' if row['attack'] in controls else ''} on {row['source']} "
        + format_share(row["success"], row["success_low"], row["success_high"])
        for row in sorted(rows, key=lambda row: -row["success"])
    ]
    n = format_n(facts[facts["clean"]].groupby(["source", "source_seed", "attack"]).size())
    words = f"Success rates on correctly classified images: {join_parts(parts, 6)}; {n}"
    words += f", {format_seeds(facts['source_seed'])}, with different budgets{accuracies.describe_excluded(facts)}."
    return Finding("What attacks achieve, and at what cost", words, rows)


explorer = explore_examples
