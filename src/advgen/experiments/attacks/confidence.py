"""How sure classifiers are of their mistakes."""

from __future__ import annotations

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
from advgen.figures.layout import Page, Panels, content_width, heading_height
from advgen.figures.statistics import mean_over_images, present_in_order
from advgen.figures.style import GREY, INK, VERMILLION, with_style
from advgen.figures.text import fit_font_size

TALL, LEFT, FOOT = 24.0, 10.0, 5.5
EDGES = np.linspace(0, 100, 21)


@with_style
def draw(tables: Mapping[str, pa.Table], spec: ConfidenceFigure) -> Figure:
    """A block per classifier, a panel per attack: confidence in the wrong answers, and in the right ones."""
    full = content_width(spec)
    facts = accuracies.load_examples(tables)
    sources = present_in_order(spec.sources, facts["source"])
    attacks = present_in_order(spec.attacks, facts["attack"])
    facts = facts[facts["source"].isin(sources) & facts["attack"].isin(attacks)]
    details = _details(facts)
    head = heading_height(full, details)
    panels = Panels(len(attacks), full, 52.0, TALL, LEFT, FOOT)
    title = 5.0
    block = title + panels.height + 3
    page = Page(full, head + len(sources) * block + 1.5)
    page.heading(0, 0, full, "Confidence on mistakes", details)
    pairs = facts[facts["above_chance"]].groupby(["source", "attack"])
    top = max([1.0, *(height.max() for _, rows in pairs for height in _heights(rows))])
    for number, source in enumerate(sources):
        down = head + number * block
        page.text(LEFT, down, source, weight="bold", size=fit_font_size(source, full - LEFT, 8, weight="bold"))
        for a, attack in enumerate(attacks):
            rows = facts[(facts["source"] == source) & (facts["attack"] == attack)]
            words = attack if rows.empty else f"{attack}: {describe_threat(rows.iloc[0])}"
            axes = panels.axes(page, down + title, a, words)
            learnt = rows[rows["above_chance"]]
            if learnt.empty and len(rows):
                add_note(axes, 0.02, 0.98, accuracies.AT_CHANCE)
            _panel(axes, learnt, top)
            if panels.is_leftmost(a):
                axes.set_ylabel("images (%)")
            if number == len(sources) - 1 and panels.is_lowest(a):
                axes.set_xlabel("confidence (%)", labelpad=1)
    return page.figure


def _heights(rows: pd.DataFrame) -> list[NDArray[np.float64]]:
    """Shares (%) of all attacked images by their confidence, of the wrong ones and of the right ones.

    Of all, so that the height also tells how many were fooled.
    """
    wrong = (rows["predicted"] != rows["label"]).to_numpy(bool)
    confidence = 100 * rows["confidence"].to_numpy(float)
    counts = [np.histogram(confidence[chosen], EDGES)[0] for chosen in (wrong, ~wrong)]
    return [100 * count / max(len(rows), 1) for count in counts]


def _panel(axes: Axes, rows: pd.DataFrame, top: float) -> None:
    """The wrong ones filled, the right ones as an outline; `top` is the largest share in any panel."""
    wrong = (rows["predicted"] != rows["label"]).to_numpy(bool)
    confidence = 100 * rows["confidence"].to_numpy(float)
    of_wrong, of_right = _heights(rows)
    axes.stairs(of_wrong, EDGES, fill=True, color=VERMILLION, alpha=0.75)
    axes.stairs(of_right, EDGES, color=GREY, linewidth=0.9)
    axes.set_ylim(0, 1.42 * top)
    axes.set_xlim(0, 100)
    axes.set_xticks([0, 50, 100])
    axes.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    if wrong.any():
        mean = float(confidence[wrong].mean())
        axes.plot([mean, mean], [0, 1.08 * top], color=INK, linewidth=0.9)
        words = f"wrong {100 * wrong.mean():.1f} %,\nat {mean:.1f} % on average"
    else:
        words = "" if rows.empty else "no mistakes"
    axes.text(0.02, 0.98, words, transform=axes.transAxes, va="top", size=5.5, color=VERMILLION, weight="bold")


def _details(facts: pd.DataFrame) -> str:
    seeds = facts.groupby("source")["source_seed"].nunique().max()
    words = f"{accuracies.describe_counts(facts)}" + (f", up to {seeds} seeds together" if seeds > 1 else "")
    return words + "; filled: wrong under attack, line: their mean; outline: right under attack"


def finding(tables: Mapping[str, pa.Table], spec: ConfidenceFigure) -> Finding:
    """How sure each classifier is of its mistakes, by attack."""
    facts = accuracies.load_examples(tables)
    facts = facts[facts["source"].isin(spec.sources) & facts["attack"].isin(spec.attacks)]
    rows: list[Row] = []
    for (source, attack), one in facts[facts["above_chance"]].groupby(["source", "attack"], sort=False):
        wrong = one[one["predicted"] != one["label"]]
        sure = mean_over_images(wrong, "confidence")
        counts = {"n": one["index"].nunique(), "wrong": len(wrong) / len(one), "seeds": one["source_seed"].nunique()}
        counts["wrong_rounded"] = float((one["predicted_rounded"] != one["label"]).mean())
        rows.append({"source": source, "attack": attack, **counts, **interval_columns("confidence", sure)})
    surest = sorted((row for row in rows if row["wrong"]), key=lambda row: -row["confidence"])
    parts = [
        f"{row['source']} under {row['attack']} "
        + format_share(row["confidence"], row["confidence_low"], row["confidence_high"])
        for row in surest
    ]
    words = join_parts(parts) if parts else "none was made"
    counts_and_seeds = f"{accuracies.describe_counts(facts)}, {format_seeds(facts['source_seed'])}"
    sentence = f"Mean confidence in wrong answers: {words}; {counts_and_seeds}."
    return Finding("Confidence on mistakes", sentence, rows)
