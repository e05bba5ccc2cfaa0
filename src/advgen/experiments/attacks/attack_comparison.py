"""Success, distortion and effort of attacks on the same classifiers and images."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure
from numpy.typing import NDArray

from advgen.experiments.attacks import accuracies
from advgen.experiments.attacks.experiment import AttackComparisonFigure
from advgen.figures.dot_plot import Mark, Measure, draw_dot_plot
from advgen.figures.findings import Explorer, Finding, Row, interval_columns
from advgen.figures.formatting import describe_threat, format_n, format_seeds, format_share, join_parts
from advgen.figures.layout import content_width
from advgen.figures.statistics import median_interval, present_in_order
from advgen.figures.style import with_style
from advgen.metrics.intervals import average_runs, bootstrap_mean, rate_over_runs

SUCCESS = {
    "success": ("success", "% of the images right when clean", "robust"),
    "success_rounded": ("success as uint8", "% after rounding to k/255", "robust_rounded"),
    "success_unaimed": ("success unaimed", "% by its controls", "robust_unaimed"),
    "success_target": ("target reached", "% put into the class aimed at", "off_target"),
    "success_target_unaimed": ("target reached unaimed", "% put there by its controls", "off_target_unaimed"),
}
"""Shares of the images that are right when clean: titles, and the column that says which an attack leaves."""
SIZES = {
    "linf": ("largest change", "L∞, median of the fooled"),
    "l2": ("L2 distance", "median of the fooled"),
    "l0": ("pixels changed", "L0, median of the fooled; log"),
    "rms": ("RMS change", "mean of the fooled"),
}


@with_style
def draw(tables: Mapping[str, pa.Table], spec: AttackComparisonFigure) -> Figure:
    """A row per attack, a colour per classifier."""
    full = content_width(spec)
    facts = accuracies.load_examples(tables)
    sources = present_in_order(spec.sources, facts["source"])
    attacks = present_in_order(spec.attacks, facts["attack"])
    facts = facts[facts["source"].isin(sources) & facts["attack"].isin(attacks)]
    labels = [f"{name}\n{describe_threat(facts[facts['attack'] == name].iloc[0])}" for name in attacks]
    measures = [
        Measure(title, note, _measure_success(facts[facts[right].notna()], sources, attacks, right), False, (0, 100))
        for title, note, right in SUCCESS.values()
        if facts[right].notna().any()
    ]
    for name, (title, note) in SIZES.items():
        measures.append(Measure(title, note, _measure_sizes(facts, sources, attacks, name), log=name == "l0"))
    for name, title, note in (
        ("gradient_calls", "gradients", "calls per image, mean; log"),
        ("forward_calls", "predictions", "calls per image, mean; log"),
    ):
        marks = _measure_calls(facts, sources, attacks, name)
        if marks:
            measures.append(Measure(title, note, marks, log=True))
    details = f"{accuracies.describe_counts(facts)}; bars: 95 % intervals over nets and images"
    details += accuracies.describe_seeds(facts)
    return draw_dot_plot("Attacks compared", details, labels, measures, sources, full)


def _each(facts: pd.DataFrame, sources: list[str], attacks: list[str]) -> list[tuple[int, int, pd.DataFrame]]:
    """Group, row and examples of every classifier and attack that was tried."""
    facts = facts[facts["above_chance"]]
    pairs = [(s, a) for s in range(len(sources)) for a in range(len(attacks))]
    rows = [(s, a, facts[(facts["source"] == sources[s]) & (facts["attack"] == attacks[a])]) for s, a in pairs]
    return [(s, a, one) for s, a, one in rows if len(one)]


def _measure_success(facts: pd.DataFrame, sources: list[str], attacks: list[str], column: str) -> list[Mark]:
    marks = []
    for s, a, rows in _each(facts, sources, attacks):
        right = rows[rows["clean"]].groupby("source_seed")[column].agg(["mean", "size"])
        if len(right):
            seeds = 1 - right["mean"].to_numpy(float)
            mean, low, high = rate_over_runs(seeds, int(right["size"].min()))
            marks.append(Mark(a, 100 * mean, 100 * low, 100 * high, 100 * seeds, s))
    return marks


def _measure_sizes(facts: pd.DataFrame, sources: list[str], attacks: list[str], name: str) -> list[Mark]:
    found = _each(facts[facts["clean"] & ~facts["robust"]], sources, attacks)
    return [_mark(s, a, rows, name, _mean if name == "rms" else median_interval) for s, a, rows in found]


def _measure_calls(facts: pd.DataFrame, sources: list[str], attacks: list[str], name: str) -> list[Mark]:
    found = _each(facts[facts[name].fillna(0) > 0], sources, attacks)
    return [_mark(s, a, rows, name, _mean) for s, a, rows in found]


def _mean(values_N: NDArray[np.float64]) -> tuple[float, float, float]:
    return bootstrap_mean(values_N, 0)


def _mark(
    s: int,
    a: int,
    rows: pd.DataFrame,
    name: str,
    estimate: Callable[[NDArray[np.float64]], tuple[float, float, float]],
) -> Mark:
    """The mean over nets of what is estimated for each; its interval is over nets and images, which nets share."""
    each = np.array([estimate(one.to_numpy(float)) for _, one in rows.groupby("source_seed")[name]])
    mean, low, high = average_runs(each)
    return Mark(a, mean, max(0.0, low), high, each[:, 0], s)


def finding(tables: Mapping[str, pa.Table], spec: AttackComparisonFigure) -> Finding:
    """How often each attack succeeds, the strongest first, with the noise control where there is one."""
    facts = accuracies.load_examples(tables)
    sources = present_in_order(spec.sources, facts["source"])
    attacks = present_in_order(spec.attacks, facts["attack"])
    facts = facts[facts["source"].isin(sources) & facts["attack"].isin(attacks)]
    success = {(mark.group, mark.row): mark for mark in _measure_success(facts, sources, attacks, "robust")}
    shares = {
        name: {
            (m.group, m.row): m.value / 100
            for m in _measure_success(facts[facts[right].notna()], sources, attacks, right)
        }
        for name, (*_, right) in SUCCESS.items()
        if name != "success"  # which has an interval, too
    }
    sizes = {name: {(m.group, m.row): m.value for m in _measure_sizes(facts, sources, attacks, name)} for name in SIZES}
    rows: list[Row] = [
        {"source": sources[s], "attack": attacks[a], "seeds": len(mark.seeds)}
        | interval_columns("success", (mark.value / 100, mark.low / 100, mark.high / 100))
        | {name: values.get((s, a)) for name, values in shares.items()}
        | {name: values.get((s, a)) for name, values in sizes.items()}
        for (s, a), mark in success.items()
    ]
    order = sorted(rows, key=lambda row: -row["success"])
    control = {str(attack) for attack in facts.loc[facts["norm"] == "none", "attack"]}
    parts = [
        f"{row['attack']}{' (the control)' if row['attack'] in control else ''} on {row['source']} "
        + format_share(*(row[name] for name in ("success", "success_low", "success_high")))
        for row in order
    ]
    n = format_n(facts[facts["clean"]].groupby(["source", "source_seed", "attack"]).size())
    words = f"Share fooled of the images right when clean: {join_parts(parts, 6)}; {n}"
    words += f", {format_seeds(facts['source_seed'])}"
    sentence = f"{words}, at budgets that differ, see the rows{accuracies.describe_excluded(facts)}."
    return Finding("What attacks achieve, and at what cost", sentence, rows)


def explorer(tables: Mapping[str, pa.Table], spec: AttackComparisonFigure) -> Explorer:
    """The images behind the numbers."""
    return accuracies.explorer(tables, spec.sources, spec.attacks)
