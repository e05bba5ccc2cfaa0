"""Logits along the sign of the input gradient."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from advgen.experiments.linearities.experiment import LinearityFigure
from advgen.figures.findings import Finding, interval_columns
from advgen.figures.formatting import format_n, format_number, format_seeds, format_value, interval_units, join_parts
from advgen.figures.layout import GAP, Page, Panels, content_width, heading_height
from advgen.figures.statistics import first_seed, mean_over_images, to_frame
from advgen.figures.style import BLUE, GREY, PALE, RULE, VERMILLION, with_style
from advgen.metrics.lines import LOGITS, measure_linearity

TALL, LEFT, FOOT, SHOWN = 36.0, 11.0, 10.0, 40


@with_style
def draw(tables: Mapping[str, pa.Table], spec: LinearityFigure) -> Figure:
    """A block per classifier (its first seed): all logits of one image, and the label's logit of many."""
    full = content_width(spec)
    facts = to_frame(tables["linearity"])
    facts = facts[facts["linearity"] == spec.linearity]
    blocks = {str(name): first_seed(rows) for name, rows in facts.groupby("source")}
    details = {name: _details(rows, facts[facts["source"] == name]) for name, rows in blocks.items()}
    panels = Panels(2, full, 60.0, TALL, LEFT, FOOT)
    head = heading_height(full, *details.values())
    block = head + panels.height + GAP - 3
    page = Page(full, len(blocks) * block - GAP + 3)
    for number, (name, rows) in enumerate(blocks.items()):
        top = number * block
        page.heading(0, top, full, name, details[name])
        shown = rows[rows["index"] == rows["index"].min()].sort_values("eps")
        one = panels.axes(page, top + head, 0, f"an image of class {shown['label'].iloc[0]}: all logits")
        _one(one, shown)
        many = panels.axes(page, top + head, 1, "many images: the label's logit, less that at 0")
        _many(many, rows)
        for axes in (one, many):
            axes.axvline(0, color=RULE, linewidth=0.8, zorder=0.5)
            axes.set_xlim(rows["eps"].min(), rows["eps"].max())
            axes.xaxis.set_major_locator(MaxNLocator(5))
            axes.set_xlabel("eps along the gradient's sign")
        one.set_ylabel("logit")
        many.set_ylabel("change of the logit")
    return page.figure


def _one(axes: Axes, rows: pd.DataFrame) -> None:
    eps, logits = rows["eps"].to_numpy(float), np.stack(rows["logits"].tolist())
    label = int(rows["label"].iloc[0])
    for k, line in enumerate(logits.T):
        if k != label:
            axes.plot(eps, line, color=PALE, linewidth=0.7)
    axes.plot(eps, logits[:, label], color=BLUE, linewidth=1.6)
    wrong = rows["predicted"].to_numpy(int) != label
    low, high = axes.get_ylim()
    floor = low - 0.06 * (high - low)
    axes.set_ylim(low - 0.11 * (high - low), high)
    axes.plot(eps[wrong], np.full(int(wrong.sum()), floor), "s", color=VERMILLION, markersize=2)


def _many(axes: Axes, rows: pd.DataFrame) -> None:
    lines: dict[str, list[NDArray[np.float64]]] = {name: [] for name in LOGITS.values()}
    for (_, one), name in product(rows.groupby("index"), lines):
        one = one.sort_values("eps")
        logit = np.array([logits[label] for logits, label in zip(one[name], one["label"], strict=True)], float)
        lines[name].append(logit - logit[np.argmin(np.abs(one["eps"].to_numpy(float)))])
    eps = np.sort(rows["eps"].unique())
    for line in lines["logits"][:SHOWN]:
        axes.plot(eps, line, color=PALE, linewidth=0.4, alpha=0.6)
    axes.plot(eps, np.mean(lines["logits_unaimed"], axis=0), color=GREY, linewidth=1.2, linestyle="--")
    axes.plot(eps, np.mean(lines["logits"], axis=0), color=BLUE, linewidth=1.6)


def _details(shown: pd.DataFrame, rows: pd.DataFrame) -> str:
    mean, low, high = mean_over_images(measure_linearity(rows), "r_squared")
    seeds = rows["seed"].nunique()
    words = f"R² of a straight line {mean:.2f} [{low:.2f}, {high:.2f}] "
    words += f"(95 % interval over {interval_units(seeds > 1)}, {format_n([rows['index'].nunique()])}"
    words += f", mean of {seeds} seeds)" if seeds > 1 else ")"
    return (
        f"{words}; curves of seed {shown['seed'].iloc[0]}: blue the label (left) and the mean (right); "
        "dashed the mean along random signs; squares below: wrongly predicted"
    )


def finding(tables: Mapping[str, pa.Table], spec: LinearityFigure) -> Finding:
    """How well a straight line explains the label's logit along the gradient's sign."""
    facts = to_frame(tables["linearity"])
    facts = facts[facts["linearity"] == spec.linearity]
    rows, parts = [], []
    for name, one in facts.groupby("source"):
        lines = measure_linearity(one)
        straight = mean_over_images(lines, "r_squared")
        n, seeds = one["index"].nunique(), one["seed"].nunique()
        row = {"source": name, "n": n, "seeds": seeds, **interval_columns("r_squared", straight)}
        row |= {column: float(lines[column].mean()) for column in ("r_squared_unaimed", "range", "range_unaimed")}
        rows.append(row)
        parts.append(
            f"{format_value(*straight)} of the variance for {name}, whose logit goes {format_number(row['range'])} "
            f"far and along random signs {format_number(row['range_unaimed'])}"
        )
    n = format_n(facts.groupby("source")["index"].nunique())
    sentence = (
        f"Along the sign of the gradient, eps from {facts['eps'].min():g} to {facts['eps'].max():g}, a straight line "
        f"explains {join_parts(parts)} ({n} images, {format_seeds(facts['seed'])}; 1 is a straight line)."
    )
    return Finding("Are logits linear along the gradient's sign?", sentence.replace(" -", " −"), rows)
