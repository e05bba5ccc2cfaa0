"""Clean and robust accuracy against the number of training images or of parameters."""

import math
from collections.abc import Mapping

import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from advgen.experiments.attacks import accuracies
from advgen.experiments.attacks.experiment import ComplexityCurvesFigure
from advgen.experiments.attacks.plots import BOTTOM, HEIGHT, LEFT, draw_accuracy, draw_baseline
from advgen.figures.findings import Finding
from advgen.figures.formatting import describe_threat
from advgen.figures.layout import Panels, content_width, titled_page
from advgen.figures.style import series_colour, with_style
from advgen.figures.text import text_width

SIZES = {"images": "training images", "parameters": "parameters"}


@with_style
def draw(tables: Mapping[str, pa.Table], spec: ComplexityCurvesFigure) -> Figure:
    """Draw a panel for the clean accuracy and one for each attack, with a line per defence and data set."""
    width = content_width(spec)
    facts, sources, attacks = accuracies.select_examples(tables, spec)
    facts = facts.assign(line=_name_lines(facts))
    lines = list(dict.fromkeys(facts.sort_values("source", key=lambda names: names.map(sources.index))["line"]))
    panels = Panels(1 + len(attacks), width, 52.0, HEIGHT, LEFT, BOTTOM)
    title = f"Accuracy against {SIZES[spec.x]}"
    page, top = titled_page(width, title, _details(facts, spec.x), panels.height - 1, lines)
    for number, attack in enumerate((None, *attacks)):
        rows, column = (facts, "clean") if attack is None else (facts[facts["attack"] == attack], "robust")
        title = "clean" if attack is None else f"{attack}: {describe_threat(rows.iloc[0])}"
        axes = panels.axes(page, top, number, title, ylabel="accuracy (%)")
        for k, line in enumerate(lines):
            _plot_line(axes, rows[rows["line"] == line], spec.x, column, k, 0.04 * (k - (len(lines) - 1) / 2))
        draw_baseline(axes, accuracies.compute_majority_baseline(facts))
        _set_axes(axes, facts[spec.x], panels.axes_width)
        axes.set_xlabel(f"{SIZES[spec.x]} (log scale)")
    return page.figure


def _name_lines(facts: pd.DataFrame) -> pd.Series:
    """Name the line of each row by its defence, and by its data set if there are several."""
    names = facts["defence"].astype(str).replace("none", "no defence")
    return names + ", " + facts["dataset"].astype(str) if facts["dataset"].nunique() > 1 else names


def _plot_line(axes: Axes, rows: pd.DataFrame, x: str, column: str, number: int, shift: float) -> None:
    """Plot the accuracy at each size, shifted by this share of it so that bars do not overlap."""
    colour = series_colour(number)
    places, means = [], []
    for size, of_size in rows.groupby(x):
        accuracy = accuracies.measure(of_size, column)
        if accuracy is None:
            continue
        places.append(float(size) * (1 + shift))
        means.append(100 * accuracy.mean)
        draw_accuracy(axes, places[-1], accuracy, number)
        if len(accuracy.per_model) > 1:
            ticks = [places[-1]] * len(accuracy.per_model)
            values = 100 * accuracy.per_model
            axes.plot(ticks, values, "_", color=colour, markersize=5, markeredgewidth=0.8, clip_on=False)
    axes.plot(places, means, color=colour, linewidth=1.4, zorder=2.5)


def _set_axes(axes: Axes, sizes: pd.Series, width: float) -> None:
    """Put a tick at each size that occurs, or at those whose labels do not overlap."""
    axes.set_xscale("log")
    axes.set_ylim(0, 102)
    axes.set_xlim(float(sizes.min()) / 1.25, float(sizes.max()) * 1.25)
    axes.xaxis.set_minor_locator(NullLocator())
    ticks: list[float] = []
    last = -math.inf
    for value in sorted(set(sizes.astype(float))):
        place = axes.transAxes.inverted().transform(axes.transData.transform((value, 0)))[0] * width
        if place - last > text_width(abbreviate(value), 6.5) + 2.5:
            ticks.append(value)
            last = place
    axes.set_xticks(ticks)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: abbreviate(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def abbreviate(value: float) -> str:
    """Write a count with few characters: 500, 60k, 3.3M."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:g}"


def _details(facts: pd.DataFrame, x: str) -> str:
    words = f"{accuracies.describe_counts(facts)}; under attack: robust accuracy; "
    words += "bars: 95 % intervals over models and images; dots: majority-class baseline"
    words += accuracies.describe_seeds(facts)
    pooled = facts.groupby(["line", x])["source"].nunique().max() > 1
    return words + ("; classifiers with equal defence and size are averaged" if pooled else "")


def finding(tables: Mapping[str, pa.Table], spec: ComplexityCurvesFigure) -> Finding:
    """Compare robust and clean accuracy of each classifier."""
    return accuracies.find_robust_accuracy(tables, spec, "Accuracy under attack against size")
