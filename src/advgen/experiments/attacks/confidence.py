"""Confidence of classifiers in their wrong predictions."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from advgen.experiments.attacks import accuracies
from advgen.experiments.attacks.experiment import ConfidenceFigure
from advgen.figures.drawing import add_note
from advgen.figures.findings import Finding, Row, interval_columns
from advgen.figures.formatting import describe_threat, format_seeds, format_share, join_parts
from advgen.figures.layout import Panels, content_width, titled_page
from advgen.figures.statistics import mean_over_images
from advgen.figures.style import GREY, INK, VERMILLION, with_style

HEIGHT, LEFT, BOTTOM, TITLE = 24.0, 10.0, 5.5, 5.0
EDGES = np.linspace(0, 100, 21)


@with_style
def draw(tables: Mapping[str, pa.Table], spec: ConfidenceFigure) -> Figure:
    """Draw a block per classifier and a panel per attack: confidence in wrong and in correct predictions."""
    width = content_width(spec)
    facts, sources, attacks = accuracies.select_examples(tables, spec)
    panels = Panels(len(attacks), width, 52.0, HEIGHT, LEFT, BOTTOM)
    block = TITLE + panels.height + 3
    page, head = titled_page(width, "Confidence on mistakes", _details(facts), len(sources) * block + 1.5)
    pairs = facts[facts["above_chance"]].groupby(["source", "attack"])
    highest = max([1.0, *(heights.max() for _, rows in pairs for heights in _compute_histograms(rows))])
    for number, source in enumerate(sources):
        top = head + number * block
        page.subheading(LEFT, top, width - LEFT, source, 8)
        for a, attack in enumerate(attacks):
            rows = facts[(facts["source"] == source) & (facts["attack"] == attack)]
            title = attack if rows.empty else f"{attack}: {describe_threat(rows.iloc[0])}"
            axes = panels.axes(page, top + TITLE, a, title, ylabel="images (%)")
            above_chance = rows[rows["above_chance"]]
            if above_chance.empty and len(rows):
                add_note(axes, 0.02, 0.98, accuracies.AT_CHANCE)
            _draw_histograms(axes, above_chance, highest)
            if number == len(sources) - 1 and panels.is_lowest(a):
                axes.set_xlabel("confidence (%)", labelpad=1)
    return page.figure


def _compute_histograms(rows: pd.DataFrame) -> list[NDArray[np.float64]]:
    """Return the histograms of confidence for wrong and for correct predictions, in percent of all images."""
    wrong = (rows["predicted"] != rows["label"]).to_numpy(bool)
    confidence = 100 * rows["confidence"].to_numpy(float)
    counts = [np.histogram(confidence[chosen], EDGES)[0] for chosen in (wrong, ~wrong)]
    return [100 * count / max(len(rows), 1) for count in counts]


def _draw_histograms(axes: Axes, rows: pd.DataFrame, highest: float) -> None:
    """Draw wrong predictions filled and correct ones as an outline; `highest` is the largest bar of all panels."""
    wrong = (rows["predicted"] != rows["label"]).to_numpy(bool)
    of_wrong, of_correct = _compute_histograms(rows)
    axes.stairs(of_wrong, EDGES, fill=True, color=VERMILLION, alpha=0.75)
    axes.stairs(of_correct, EDGES, color=GREY, linewidth=0.9)
    axes.set(ylim=(0, 1.42 * highest), xlim=(0, 100), xticks=[0, 50, 100])
    axes.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    if wrong.any():
        mean = float(100 * rows["confidence"].to_numpy(float)[wrong].mean())
        axes.plot([mean, mean], [0, 1.08 * highest], color=INK, linewidth=0.9)
        words = f"wrong {100 * wrong.mean():.1f} %,\nat {mean:.1f} % on average"
    else:
        words = "" if rows.empty else "no mistakes"
    axes.text(0.02, 0.98, words, transform=axes.transAxes, va="top", size=5.5, color=VERMILLION, weight="bold")


def _details(facts: pd.DataFrame) -> str:
    seeds = facts.groupby("source")["source_seed"].nunique().max()
    words = f"{accuracies.describe_counts(facts)}" + (f", up to {seeds} seeds together" if seeds > 1 else "")
    return words + "; filled: wrong under attack, line: their mean; outline: correct under attack"


def finding(tables: Mapping[str, pa.Table], spec: ConfidenceFigure) -> Finding:
    """List the mean confidence of each classifier in its mistakes, the highest first."""
    facts = accuracies.select_examples(tables, spec).facts
    rows: list[Row] = []
    for (source, attack), examples in facts[facts["above_chance"]].groupby(["source", "attack"], sort=False):
        wrong = examples[examples["predicted"] != examples["label"]]
        rows.append(
            {"source": source, "attack": attack, "n": examples["index"].nunique()}
            | {"wrong": len(wrong) / len(examples), "seeds": examples["source_seed"].nunique()}
            | {"wrong_rounded": float((examples["predicted_rounded"] != examples["label"]).mean())}
            | interval_columns("confidence", mean_over_images(wrong, "confidence"))
        )
    parts = [
        f"{row['source']} under {row['attack']} "
        + format_share(row["confidence"], row["confidence_low"], row["confidence_high"])
        for row in sorted(rows, key=lambda row: -row["confidence"])
        if row["wrong"]
    ]
    words = f"Mean confidence in wrong predictions: {join_parts(parts) if parts else 'no mistakes'}"
    counts = f"{accuracies.describe_counts(facts)}, {format_seeds(facts['source_seed'])}"
    return Finding("Confidence on mistakes", f"{words}; {counts}.", rows)
