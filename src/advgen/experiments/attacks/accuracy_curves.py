"""Accuracy under attack against the attack's budget, a curve per classifier."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from advgen.experiments.attacks import accuracies
from advgen.experiments.attacks.experiment import AccuracyCurvesFigure
from advgen.figures.drawing import draw_interval
from advgen.figures.findings import Explorer, Finding, interval_columns
from advgen.figures.formatting import NORM_NAMES, format_n, format_percent, format_seeds, format_value
from advgen.figures.layout import Page, Panels, content_width, heading_height, legend_height
from advgen.figures.statistics import median_interval, present_in_order
from advgen.figures.style import GREY, series_colour, series_marker, with_style
from advgen.metrics.intervals import rate_over_runs
from advgen.metrics.worst_case import BALLS

TALL, LEFT, FOOT = 40.0, 11.0, 10.0
X = {
    "linf": "L∞ radius eps",
    "l2": "L2 radius",
    "l1": "L1 radius",
    "l0": "pixels changed",
    "none": "standard deviation of the noise",
}


@with_style
def draw(tables: Mapping[str, pa.Table], spec: AccuracyCurvesFigure) -> Figure:
    """A panel per kind of attack; attacks that seek the smallest change give a curve each, the others a point."""
    full = content_width(spec)
    facts = accuracies.load_examples(tables)
    sources = present_in_order(spec.sources, facts["source"])
    attacks = present_in_order(spec.attacks, facts["attack"])
    facts = facts[facts["source"].isin(sources) & facts["attack"].isin(attacks)]
    groups = _groups(facts, attacks)
    details = _details(facts)
    head = heading_height(full, details)
    legend = legend_height(sources, full)
    panels = Panels(len(groups), full, 52.0, TALL, LEFT, FOOT)
    page = Page(full, head + legend + panels.height - 1)
    page.heading(0, 0, full, "Accuracy against the attack's budget", details)
    page.legend(0, head, full, sources)
    for number, (title, rows) in enumerate(groups):
        axes = panels.axes(page, head + legend, number, title)
        for s, source in enumerate(sources):
            mine = rows[(rows["source"] == source) & rows["above_chance"]]
            if rows["eps"].isna().any():
                _distances(axes, mine, s)
            else:
                plot_accuracy(axes, mine, s, offset_line(s, len(sources), float(rows["eps"].max())))
        norm = rows["norm"].iloc[0]
        axes.set_xlabel(X.get(norm, "budget"))
        axes.axhline(
            accuracies.compute_majority_baseline(facts),
            color=GREY,
            linewidth=0.8,
            linestyle=(0, (1, 2)),
            zorder=0.5,
        )
        axes.set_ylim(0, 102)
        axes.set_xlim(left=-0.02 * axes.get_xlim()[1])
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        if panels.is_leftmost(number):
            axes.set_ylabel("test images right (%)")
    return page.figure


def _groups(facts: pd.DataFrame, attacks: list[str]) -> list[tuple[str, pd.DataFrame]]:
    """Panels: attacks that differ in their budget alone, in the order of the attacks."""
    groups: dict[tuple[Any, ...], list[pd.DataFrame]] = {}
    for attack in attacks:
        rows = facts[facts["attack"] == attack]
        first = rows.iloc[0]
        free = bool(pd.isna(first["eps"]))
        key = (first["kind"], first["norm"], first["target"], free, attack if free else "")
        groups.setdefault(key, []).append(rows)
    named = []
    for (kind, norm, target, free, attack), parts in groups.items():
        title = attack if free else accuracies.ATTACK_NAMES.get(kind, kind)
        title += f", {NORM_NAMES[norm]}" if norm in NORM_NAMES else ""
        title += "" if target == "none" else f", targeted: {target}"
        named.append((title, pd.concat(parts)))
    return named


def offset_line(number: int, count: int, widest: float) -> float:
    """How far a line is moved aside, so that its bars do not cover those of the others."""
    return 0.012 * widest * (number - (count - 1) / 2)


def plot_accuracy(axes: Axes, rows: pd.DataFrame, number: int, shift: float) -> float:
    """Accuracy at each budget, from the clean one at 0 on: right under every attack of a norm up to that budget.

    Dotted: under the same changes unaimed.

    Returns the last one, in percent; NaN where there is none.
    """
    found = {0.0: accuracies.measure(rows, "clean")}
    controls = dict(found)
    for eps in sorted(set(rows["eps"])):
        within = rows[(rows["eps"] <= eps) if rows["norm"].isin(BALLS).all() else (rows["eps"] == eps)]
        every = accuracies.combine(within, sorted(set(within["attack"])))
        found[float(eps)], controls[float(eps)] = accuracies.measure(every), accuracies.measure_control(every)
    shown = {eps: right for eps, right in found.items() if right is not None}
    nets = max((len(right.per_model) for right in shown.values()), default=0)
    if nets > 1:
        for k in range(nets):
            one = {eps + shift: 100 * one.per_model[k] for eps, one in shown.items() if len(one.per_model) == nets}
            axes.plot(list(one), list(one.values()), color=series_colour(number), linewidth=0.5, alpha=0.6)
    unaimed = {eps: 100 * right.mean for eps, right in controls.items() if right is not None}
    if len(unaimed) > 1:
        places = [eps + shift for eps in unaimed]
        axes.plot(places, list(unaimed.values()), color=series_colour(number), linewidth=0.8, linestyle=(0, (1, 1.5)))
    means = [100 * right.mean for right in shown.values()]
    axes.plot(
        [eps + shift for eps in shown], means, color=series_colour(number), linewidth=1.5, clip_on=False, zorder=2.5
    )
    for eps, right in shown.items():
        face = {"markerfacecolor": "white"} if eps == 0 else {}
        draw_interval(axes, eps + shift, 100 * right.mean, 100 * right.low, 100 * right.high, number, **face)
    return means[-1] if means else float("nan")


def _distances(axes: Axes, rows: pd.DataFrame, number: int) -> None:
    """Share of the images that are right and whose smallest change found is longer than x, with its interval.

    The interval is over nets and images, as that of the points; a thin line for each of several nets.
    """
    if rows.empty:
        return
    norm = rows["norm"].iloc[0]
    length = rows[norm if norm in BALLS else "l2"].to_numpy(float)
    # Right under attack means that no change was found at all.
    reach = np.where(rows["robust"], np.inf, np.where(rows["clean"], length, 0.0))
    end = float(np.quantile(reach[np.isfinite(reach)], 0.98)) if np.isfinite(reach).any() else 1.0
    x = np.linspace(0, max(end, 1e-6) * 1.05, 120)
    nets = rows.assign(reach=reach).groupby("source_seed")["reach"]
    curves = np.array([100 * (one.to_numpy()[None] > x[:, None]).mean(1) for _, one in nets])
    for curve in curves if len(curves) > 1 else ():
        axes.plot(x, curve, color=series_colour(number), linewidth=0.5, alpha=0.6)
    n = int(nets.size().min())
    ends = np.array([rate_over_runs(shares / 100, n) for shares in curves.T])
    axes.fill_between(x, 100 * ends[:, 1], 100 * ends[:, 2], color=series_colour(number), alpha=0.2, linewidth=0)
    axes.plot(x, curves.mean(0), color=series_colour(number), linewidth=1.5)
    axes.plot(0, 100 * rows["clean"].mean(), series_marker(number), color=series_colour(number), clip_on=False)
    axes.lines[-1].set_markerfacecolor("white")


def _details(facts: pd.DataFrame) -> str:
    words = f"{accuracies.describe_counts(facts)}; open marks: clean; bars: 95 % intervals over nets and images"
    words += "; grey dots: the commonest class"
    words += accuracies.describe_seeds(facts, "thin lines")
    if (facts["norm"].isin(BALLS) & facts["eps"].notna()).any():
        words += "; at each radius: right under all attacks of the panel up to it, dotted: under the same unaimed"
        words += accuracies.describe_transferred(facts)
    if facts["eps"].isna().any():
        words += "; bands, intervals too: right and no smaller change found"
    return words


def finding(tables: Mapping[str, pa.Table], spec: AccuracyCurvesFigure) -> Finding:
    """What is left of the clean accuracy of each classifier where least is left; how far smallest changes reach."""
    facts = accuracies.load_examples(tables)
    sources, attacks = present_in_order(spec.sources, facts["source"]), present_in_order(spec.attacks, facts["attack"])
    facts = facts[facts["source"].isin(sources) & facts["attack"].isin(attacks)]
    title, bounded = "Accuracy against the attack's budget", accuracies.select_bounded(facts, attacks)
    halves: dict[tuple[str, str], tuple[float, float, float]] = {}
    parts = []
    for attack, source in product([attack for attack in attacks if attack not in bounded], sources):
        mine = facts[(facts["attack"] == attack) & (facts["source"] == source) & facts["above_chance"] & facts["clean"]]
        fooled = mine[~mine["robust"]]
        if len(fooled):
            norm, n = str(fooled["norm"].iloc[0]), format_n([mine["index"].nunique()])
            halves[source, attack] = median_interval(fooled[norm].to_numpy(float))
            parts.append(
                f"{attack} fools {format_percent(len(fooled) / len(mine))} of what {source} has right, half of these "
                f"within {NORM_NAMES[norm]} {format_value(*halves[source, attack])} ({n})"
            )
    none = (math.nan, math.nan, math.nan)
    rows = [
        {**row, **interval_columns("half_within", halves.get((str(row["source"]), str(row["under"])), none))}
        for row in accuracies.build_rows(facts, sources, attacks)
    ]
    reached = "; ".join(parts[:4])
    if bounded:
        sentence, _ = accuracies.compare_with_clean(facts, sources, bounded)
        return Finding(title, f"{sentence} {reached}.".removesuffix(" ."), rows)
    words = f"{reached or 'Nothing is fooled'}; {format_seeds(facts['source_seed'])}"
    words += f"{accuracies.describe_excluded(facts)}."
    return Finding(title, words, rows)


def explorer(tables: Mapping[str, pa.Table], spec: AccuracyCurvesFigure) -> Explorer:
    """The images behind the numbers."""
    return accuracies.explorer(tables, spec.sources, spec.attacks)
