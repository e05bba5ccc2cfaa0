"""Clean accuracy and accuracy under attack against the number of training images or of parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from advgen.experiments.attacks import accuracies
from advgen.experiments.attacks.experiment import ComplexityCurvesFigure
from advgen.figures.drawing import draw_interval
from advgen.figures.findings import Finding
from advgen.figures.formatting import describe_threat
from advgen.figures.layout import Page, Panels, content_width, heading_height, legend_height
from advgen.figures.statistics import present_in_order
from advgen.figures.style import GREY, series_colour, with_style
from advgen.figures.text import text_width

TALL, LEFT, FOOT = 40.0, 11.0, 10.0
X = {"images": "training images (log scale)", "parameters": "parameters (log scale)"}


@with_style
def draw(tables: Mapping[str, pa.Table], spec: ComplexityCurvesFigure) -> Figure:
    """A panel for the clean accuracy and for each attack, a line per defence and data set."""
    full = content_width(spec)
    facts = accuracies.load_examples(tables)
    facts = facts[facts["source"].isin(spec.sources)]
    attacks = present_in_order(spec.attacks, facts["attack"])
    facts = facts[facts["attack"].isin(attacks)]
    facts["line"] = _lines(facts)
    lines = list(dict.fromkeys(facts.sort_values("source", key=lambda one: one.map(spec.sources.index))["line"]))
    details = _details(facts, spec.x)
    head = heading_height(full, details)
    legend = legend_height(lines, full)
    panels = Panels(1 + len(attacks), full, 52.0, TALL, LEFT, FOOT)
    page = Page(full, head + legend + panels.height - 1)
    page.heading(0, 0, full, f"Accuracy against {X[spec.x].removesuffix(' (log scale)')}", details)
    page.legend(0, head, full, lines)
    for number, attack in enumerate((None, *attacks)):
        rows = facts if attack is None else facts[facts["attack"] == attack]
        title = "clean" if attack is None else f"{attack}: {describe_threat(rows.iloc[0])}"
        axes = panels.axes(page, head + legend, number, title)
        for k, line in enumerate(lines):
            mine, column = rows[rows["line"] == line], "clean" if attack is None else "robust"
            _line(axes, mine, spec.x, column, k, 0.04 * (k - (len(lines) - 1) / 2))
        axes.axhline(
            accuracies.compute_majority_baseline(facts),
            color=GREY,
            linewidth=0.8,
            linestyle=(0, (1, 2)),
            zorder=0.5,
        )
        _decorate(axes, facts[spec.x], panels.axes_width)
        axes.set_xlabel(X[spec.x])
        if panels.is_leftmost(number):
            axes.set_ylabel("test images right (%)")
    return page.figure


def _lines(facts: pd.DataFrame) -> pd.Series:
    """What a line stands for: the defence, and the data set where there are several."""
    names = facts["defence"].astype(str).replace("none", "no defence")
    return names + ", " + facts["dataset"].astype(str) if facts["dataset"].nunique() > 1 else names


def _line(axes: Axes, rows: pd.DataFrame, x: str, column: str, number: int, aside: float) -> None:
    """Accuracy at each size, moved `aside` by this share of it so that bars do not cover each other."""
    places, means = [], []
    for size, one in rows.groupby(x):
        place = float(size) * (1 + aside)
        right = accuracies.measure(one, column)
        if right is None:
            continue
        places.append(place)
        means.append(100 * right.mean)
        draw_interval(axes, place, means[-1], 100 * right.low, 100 * right.high, number)
        if len(right.per_model) > 1:
            ticks, colour = [place] * len(right.per_model), series_colour(number)
            axes.plot(ticks, 100 * right.per_model, "_", color=colour, markersize=5, markeredgewidth=0.8, clip_on=False)
    axes.plot(places, means, color=series_colour(number), linewidth=1.4, zorder=2.5)


def _decorate(axes: Axes, values: pd.Series, width: float) -> None:
    """A tick at each size that occurs, or at some of them where they would touch."""
    axes.set_xscale("log")
    axes.set_ylim(0, 102)
    low, high = float(values.min()), float(values.max())
    axes.set_xlim(low / 1.25, high * 1.25)
    axes.xaxis.set_minor_locator(NullLocator())
    shown: list[float] = []
    last = -math.inf
    for value in sorted(set(values.astype(float))):
        place = axes.transAxes.inverted().transform(axes.transData.transform((value, 0)))[0] * width
        if place - last > text_width(abbreviate(value), 6.5) + 2.5:
            shown.append(value)
            last = place
    axes.set_xticks(shown)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: abbreviate(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def abbreviate(value: float) -> str:
    """A count in few characters: 500, 60k, 3.3M."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:g}"


def _details(facts: pd.DataFrame, x: str) -> str:
    words = f"{accuracies.describe_counts(facts)}; right on the clean and the attacked image; "
    words += "bars: 95 % intervals over nets and images; dots: the commonest class"
    words += accuracies.describe_seeds(facts)
    pooled = facts.groupby(["line", x])["source"].nunique().max() > 1
    return words + ("; classifiers alike in both are averaged" if pooled else "")


def finding(tables: Mapping[str, pa.Table], spec: ComplexityCurvesFigure) -> Finding:
    """What is left of the clean accuracy of each classifier where least is left."""
    facts = accuracies.load_examples(tables)
    sources, attacks = present_in_order(spec.sources, facts["source"]), present_in_order(spec.attacks, facts["attack"])
    facts = facts[facts["source"].isin(sources) & facts["attack"].isin(attacks)]
    return Finding("Accuracy under attack against size", *accuracies.compare_with_clean(facts, sources, attacks))
