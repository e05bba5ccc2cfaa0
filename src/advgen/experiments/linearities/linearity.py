"""Logits along the sign of the input gradient."""

from collections.abc import Mapping

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
from advgen.figures.layout import Panels, content_width, stacked_page
from advgen.figures.statistics import count_images, first_seed, mean_over_images, to_frame
from advgen.figures.style import BLUE, GREY, PALE, RULE, VERMILLION, with_style
from advgen.metrics.lines import measure_linearity

HEIGHT, LEFT, BOTTOM = 36.0, 11.0, 10.0
IMAGES = 40
"""Images with a thin line of their own."""


@with_style
def draw(tables: Mapping[str, pa.Table], spec: LinearityFigure) -> Figure:
    """Draw a block per classifier (its first seed): all logits of one image, and the label's logit of many images."""
    width = content_width(spec)
    facts = to_frame(tables["linearity"])
    facts = facts[facts["linearity"] == spec.linearity]
    blocks = {str(name): first_seed(rows) for name, rows in facts.groupby("source")}
    details = {name: _details(rows, facts[facts["source"] == name]) for name, rows in blocks.items()}
    panels = Panels(2, width, 60.0, HEIGHT, LEFT, BOTTOM)
    page, tops = stacked_page(width, details, panels.height, gap=2)
    for top, rows in zip(tops, blocks.values(), strict=True):
        of_image = rows[rows["index"] == rows["index"].min()].sort_values("eps")
        title = f"an image of class {of_image['label'].iloc[0]}: all logits"
        left = panels.axes(page, top, 0, title)
        _draw_image(left, of_image)
        right = panels.axes(page, top, 1, "many images: change of the label's logit")
        _draw_means(right, rows)
        for axes, label in ((left, "logit"), (right, "change of the logit")):
            axes.axvline(0, color=RULE, linewidth=0.8, zorder=0.5)
            axes.xaxis.set_major_locator(MaxNLocator(5))
            limits = (rows["eps"].min(), rows["eps"].max())
            axes.set(xlim=limits, xlabel="eps along the gradient's sign", ylabel=label)
    return page.figure


def _draw_image(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw all logits of one image, and squares below where the prediction is wrong."""
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


def _draw_means(axes: Axes, rows: pd.DataFrame) -> None:
    """Draw the change of the label's logit: thin lines for images, the mean, and the mean along random signs."""
    eps = np.sort(rows["eps"].unique())
    along, random = (compute_changes(rows, column) for column in ("logits", "logits_unaimed"))
    for line in along[:IMAGES]:
        axes.plot(eps, line, color=PALE, linewidth=0.4, alpha=0.6)
    axes.plot(eps, random.mean(axis=0), color=GREY, linewidth=1.2, linestyle="--")
    axes.plot(eps, along.mean(axis=0), color=BLUE, linewidth=1.6)


def compute_changes(rows: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """Return the label's logit of each image minus its value at eps 0, (images, eps in ascending order)."""
    changes = []
    for _, of_image in rows.sort_values("eps").groupby("index"):
        logits = zip(of_image[column], of_image["label"], strict=True)
        line = np.array([values[label] for values, label in logits], float)
        changes.append(line - line[np.argmin(np.abs(of_image["eps"].to_numpy(float)))])
    return np.array(changes)


def _details(first: pd.DataFrame, rows: pd.DataFrame) -> str:
    seeds = rows["seed"].nunique()
    r_squared = mean_over_images(measure_linearity(rows), "r_squared")
    words = "R² of a straight line {:.2f} [{:.2f}, {:.2f}] ".format(*r_squared)
    words += f"(95 % interval over {interval_units(seeds > 1)}, {format_n([rows['index'].nunique()])}"
    words += f", mean of {seeds} seeds)" if seeds > 1 else ")"
    words += f"; curves of seed {first['seed'].iloc[0]}: blue: label (left) and mean (right); "
    return words + "dashed: mean along random signs; squares below: wrong prediction"


def finding(tables: Mapping[str, pa.Table], spec: LinearityFigure) -> Finding:
    """Report how well a straight line explains the label's logit along the gradient's sign."""
    facts = to_frame(tables["linearity"])
    facts = facts[facts["linearity"] == spec.linearity]
    rows, parts = [], []
    for name, of_source in facts.groupby("source"):
        lines = measure_linearity(of_source)
        r_squared = mean_over_images(lines, "r_squared")
        row = {"source": name, **count_images(of_source), **interval_columns("r_squared", r_squared)}
        row |= {column: float(lines[column].mean()) for column in ("r_squared_unaimed", "range", "range_unaimed")}
        rows.append(row)
        parts.append(
            f"R² {format_value(*r_squared)} for {name}, whose logit changes by {format_number(row['range'])}, "
            f"and by {format_number(row['range_unaimed'])} along random signs"
        )
    n = format_n(facts.groupby("source")["index"].nunique())
    limits = f"eps from {facts['eps'].min():g} to {facts['eps'].max():g}".replace(" -", " −")
    sentence = f"Fit of a straight line to the label's logit along the gradient's sign, {limits}: {join_parts(parts)} "
    sentence += f"({n} images, {format_seeds(facts['seed'])}; 1 is a straight line)."
    return Finding("Are logits linear along the gradient's sign?", sentence, rows)
