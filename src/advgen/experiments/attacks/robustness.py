"""Clean accuracy of each classifier and its accuracy under each attack, with intervals."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from advgen.experiments.attacks import accuracies
from advgen.experiments.attacks.experiment import RobustnessFigure
from advgen.figures.findings import Explorer, Finding
from advgen.figures.formatting import describe_threat, format_count
from advgen.figures.layout import Page, content_width, heading_height, legend_height
from advgen.figures.statistics import present_in_order
from advgen.figures.style import GREY, RULE, series_colour, series_marker, with_style
from advgen.figures.text import label_width

FOOT, DODGE = 10.0, 3.0


@with_style
def draw(tables: Mapping[str, pa.Table], spec: RobustnessFigure) -> Figure:
    """A row per attack, the clean accuracy on top, the worst cases for each norm and eps at the bottom."""
    full = content_width(spec)
    facts = accuracies.load_examples(tables)
    sources = present_in_order(spec.sources, facts["source"])
    attacks = present_in_order(spec.attacks, facts["attack"])
    facts = facts[facts["source"].isin(sources) & facts["attack"].isin(attacks)]
    labels = ["clean"]
    labels += [f"{attack}\n{describe_threat(facts[facts['attack'] == attack].iloc[0])}" for attack in attacks]
    worst = accuracies.list_worst_cases(facts, attacks)
    labels += [f"{name}\n{format_count(len(within), 'attack')} inside" for name, within in worst.items()]

    row = max(9.0, DODGE * len(sources) + 3)
    margin = label_width(labels, 0.36 * full)
    details = _details(facts)
    head = heading_height(full, details)
    top = head + legend_height(sources, full) + 1
    page = Page(full, top + row * len(labels) + FOOT)
    page.heading(0, 0, full, "Accuracy under attack", details)
    page.legend(0, head, full, sources)
    axes = page.axes(margin, top, full - margin - 4, row * len(labels))
    for s, source in enumerate(sources):
        mine = facts[facts["source"] == source]
        shift = (s - (len(sources) - 1) / 2) * DODGE / row
        _dot(axes, shift, accuracies.measure(mine, "clean"), s, hollow=True)
        for a, attack in enumerate(attacks, 1):
            _control(axes, a + shift, accuracies.measure_control(mine[mine["attack"] == attack]), s)
            _dot(axes, a + shift, accuracies.measure(mine[mine["attack"] == attack]), s)
        for w, within in enumerate(worst.values(), len(attacks) + 1):
            _control(axes, w + shift, accuracies.measure_control(accuracies.combine(mine, within)), s)
            _dot(axes, w + shift, accuracies.measure(accuracies.combine(mine, within)), s)
    page.row_labels(margin - 2, top, labels, row, margin - 2)
    for y in range(1, len(labels)):
        axes.axhline(y - 0.5, color=RULE, linewidth=1.0 if y in (1, len(attacks) + 1) else 0.4)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.axvline(
        accuracies.compute_majority_baseline(facts), color=GREY, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0.5
    )
    axes.set_xlim(-2, 102)
    axes.set_xticks(range(0, 101, 20))
    axes.set_xlabel("test images classified rightly (%)")
    return page.figure


def _dot(axes: Axes, y: float, right: accuracies.Accuracy | None, number: int, hollow: bool = False) -> None:
    """The mean over seeds with its interval, and a tick per seed."""
    if right is None:
        return
    colour, mark = series_colour(number), series_marker(number)
    mean, low, high = right.mean, right.low, right.high
    axes.plot([100 * low, 100 * high], [y, y], color=colour, linewidth=1.4, solid_capstyle="butt", clip_on=False)
    if len(right.per_model) > 1:
        ticks = [y] * len(right.per_model)
        axes.plot(100 * right.per_model, ticks, "|", color=colour, markersize=5, markeredgewidth=0.8, clip_on=False)
    face = "white" if hollow else colour
    axes.plot(100 * mean, y, mark, color=colour, markerfacecolor=face, markersize=4.5, zorder=3, clip_on=False)
    right_side = mean < 0.85
    axes.annotate(
        f"{100 * mean:.1f}",
        (100 * (max(high, *right.per_model) if right_side else min(low, *right.per_model)), y),
        (5 if right_side else -5, 0),
        textcoords="offset points",
        ha="left" if right_side else "right",
        va="center",
        size=5.5,
        color=colour,
    )


def _control(axes: Axes, y: float, right: accuracies.Accuracy | None, number: int) -> None:
    """A cross at what the attack's change leaves where nothing aims it."""
    if right is not None:
        axes.plot(100 * right.mean, y, "x", color=series_colour(number), markersize=3.5, markeredgewidth=0.8)


def _details(facts: pd.DataFrame) -> str:
    words = f"{accuracies.describe_counts(facts)}; right on the clean and the attacked image; "
    words += "bars: 95 % intervals over nets and images; "
    words += "crosses: the same change unaimed; dots: always naming the commonest class"
    return words + accuracies.describe_seeds(facts) + accuracies.describe_transferred(facts)


def finding(tables: Mapping[str, pa.Table], spec: RobustnessFigure) -> Finding:
    """What is left of the clean accuracy of each classifier where least is left."""
    facts = accuracies.load_examples(tables)
    sources, attacks = present_in_order(spec.sources, facts["source"]), present_in_order(spec.attacks, facts["attack"])
    facts = facts[facts["source"].isin(sources) & facts["attack"].isin(attacks)]
    return Finding("Accuracy under attack", *accuracies.compare_with_clean(facts, sources, attacks))


def explorer(tables: Mapping[str, pa.Table], spec: RobustnessFigure) -> Explorer:
    """The images behind the numbers."""
    return accuracies.explorer(tables, spec.sources, spec.attacks)
