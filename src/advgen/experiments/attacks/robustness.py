"""Clean accuracy of each classifier and its accuracy under each attack, with intervals."""

from collections.abc import Mapping

import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from advgen.experiments.attacks import accuracies
from advgen.experiments.attacks.example_explorer import explore_examples
from advgen.experiments.attacks.experiment import RobustnessFigure
from advgen.experiments.attacks.plots import draw_baseline
from advgen.figures.findings import Finding
from advgen.figures.formatting import describe_threat, format_count
from advgen.figures.layout import content_width, titled_page
from advgen.figures.style import RULE, series_colour, series_marker, with_style
from advgen.figures.text import label_width

BOTTOM, DISTANCE = 10.0, 3.0
TITLE = "Accuracy under attack"


@with_style
def draw(tables: Mapping[str, pa.Table], spec: RobustnessFigure) -> Figure:
    """Draw a row per attack, with the clean accuracy on top and the worst case for each norm and eps at the bottom."""
    width = content_width(spec)
    facts, sources, attacks = accuracies.select_examples(tables, spec)
    worst = accuracies.list_worst_cases(facts, attacks)
    labels = ["clean"]
    labels += [f"{attack}\n{describe_threat(facts[facts['attack'] == attack].iloc[0])}" for attack in attacks]
    labels += [f"{name}\nover {format_count(len(within), 'attack')}" for name, within in worst.items()]
    row = max(9.0, DISTANCE * len(sources) + 3)
    height, margin = row * len(labels), label_width(labels, 0.36 * width)
    page, top = titled_page(width, TITLE, _details(facts), height + BOTTOM + 1, sources)
    axes = page.axes(margin, top + 1, width - margin - 4, height)
    for s, source in enumerate(sources):
        of_source = facts[facts["source"] == source]
        shift = (s - (len(sources) - 1) / 2) * DISTANCE / row
        _draw_accuracy(axes, shift, accuracies.measure(of_source, "clean"), s, hollow=True)
        under = [of_source[of_source["attack"] == attack] for attack in attacks]
        under += [accuracies.combine(of_source, within) for within in worst.values()]
        for y, rows in enumerate(under, 1):
            control = accuracies.measure_control(rows)
            if control is not None:
                x, colour = control.percent[0], series_colour(s)
                axes.plot(x, y + shift, "x", color=colour, markersize=3.5, markeredgewidth=0.8)
            _draw_accuracy(axes, y + shift, accuracies.measure(rows), s)
    page.row_labels(margin - 2, top + 1, labels, row, margin - 2)
    for y in range(1, len(labels)):
        axes.axhline(y - 0.5, color=RULE, linewidth=1.0 if y in (1, len(attacks) + 1) else 0.4)
    axes.spines["left"].set_visible(False)
    draw_baseline(axes, accuracies.compute_majority_baseline(facts), vertical=True)
    axes.set(ylim=(len(labels) - 0.5, -0.5), yticks=[], xlim=(-2, 102), xticks=range(0, 101, 20))
    axes.set_xlabel("accuracy (%)")
    return page.figure


def _draw_accuracy(
    axes: Axes, y: float, accuracy: accuracies.Accuracy | None, number: int, hollow: bool = False
) -> None:
    """Draw the mean over seeds with its interval and value, and a tick per seed."""
    if accuracy is None:
        return
    colour, (mean, low, high), per_model = series_colour(number), accuracy.percent, 100 * accuracy.per_model
    axes.plot([low, high], [y, y], color=colour, linewidth=1.4, solid_capstyle="butt", clip_on=False)
    if len(per_model) > 1:
        ticks = [y] * len(per_model)
        axes.plot(per_model, ticks, "|", color=colour, markersize=5, markeredgewidth=0.8, clip_on=False)
    axes.plot(mean, y, series_marker(number), color=colour, markersize=4.5, zorder=3, clip_on=False)
    axes.lines[-1].set_markerfacecolor("white" if hollow else colour)
    is_right = mean < 85
    axes.annotate(
        f"{mean:.1f}",
        (max(high, *per_model) if is_right else min(low, *per_model), y),
        (5 if is_right else -5, 0),
        textcoords="offset points",
        ha="left" if is_right else "right",
        va="center",
        size=5.5,
        color=colour,
    )


def _details(facts: pd.DataFrame) -> str:
    words = f"{accuracies.describe_counts(facts)}; open markers: clean, filled: robust accuracy; "
    words += "bars: 95 % intervals over models and images; "
    words += "crosses: random perturbations of the same size; dotted line: majority-class baseline"
    return words + accuracies.describe_seeds(facts) + accuracies.describe_other_attacks(facts)


def finding(tables: Mapping[str, pa.Table], spec: RobustnessFigure) -> Finding:
    """Compare robust and clean accuracy of each classifier."""
    return accuracies.find_robust_accuracy(tables, spec, TITLE)


explorer = explore_examples
