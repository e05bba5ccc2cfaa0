"""Smoothness of paths by the classes of their ends, a matrix per model."""

from __future__ import annotations

import math
from collections.abc import Mapping

import matplotlib
import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from advgen.experiments.interpolations.experiment import SmoothnessFigure
from advgen.figures.drawing import draw_heat_cell, map_colour
from advgen.figures.findings import Finding, interval_columns
from advgen.figures.formatting import (
    format_correlation,
    format_n,
    format_percent,
    format_seeds,
    format_share,
    join_parts,
)
from advgen.figures.layout import GAP, Page, content_width, count_columns, heading_height
from advgen.figures.statistics import mean_over_images, to_frame
from advgen.figures.style import with_style
from advgen.io.tables import read_images

LARGEST, BETWEEN, LEFT, ABOVE = 9.5, 6.0, 7.0, 4.0


@with_style
def draw(tables: Mapping[str, pa.Table], spec: SmoothnessFigure) -> Figure:
    """Per pair of classes, the largest share of a path's way that lies in one step: high where a path jumps."""
    full = content_width(spec)
    table = tables["interpolation"]
    facts, images = to_frame(table), read_images(table)
    steps = int(facts["frame"].max())
    path = ["model", "seed", "pair", "label_from", "label_to"]
    places = facts.reset_index().pivot(index=path, columns="frame", values="index")
    between = images[places[0]].astype(float) - images[places[steps]]
    paths = facts.groupby(path)[["change", "change_blend"]].max().reset_index()
    paths["apart"] = np.sqrt((between**2).reshape(len(paths), -1).mean(1))
    classes = sorted({*paths["label_from"], *paths["label_to"]})
    blocks = {str(name): rows for name, rows in paths.groupby("model")}
    overall = _details(steps)
    above = heading_height(full, overall)
    across = count_columns(len(blocks), full + BETWEEN, LEFT + 5.0 * len(classes) + BETWEEN)
    width = min((full - (across - 1) * BETWEEN) / across - LEFT, LARGEST * len(classes))
    cell = width / len(classes)
    details = [_summary(rows) for rows in blocks.values()]
    head = heading_height(width + LEFT, *details)
    block = head + ABOVE + width + GAP
    page = Page(full, above + math.ceil(len(blocks) / across) * block - GAP)
    page.heading(0, 0, full, "Smoothness of paths", overall)
    # Colours span what occurs, the same in all matrices.
    low, high = 1 / steps, _largest(blocks, classes)
    for number, (name, rows) in enumerate(blocks.items()):
        left = number % across * (width + LEFT + BETWEEN)
        top = above + number // across * block
        page.heading(left, top, width + LEFT, name, details[number])
        down = top + head + ABOVE
        axes = page.axes(left + LEFT, down, width, width)
        _matrix(axes, _means(rows, classes), (low, high), cell)
        for k, label in enumerate(classes):
            x = left + LEFT + (k + 0.5) * cell
            page.text(x, down - 0.8, f"{label}", ha="center", va="bottom", size=6.5)
            page.text(left + LEFT - 1.5, down + (k + 0.5) * cell, f"{label}", ha="right", va="center", size=6.5)
    return page.figure


def _means(rows: pd.DataFrame, classes: list[int]) -> np.ndarray:
    """Mean by the classes of the ends, in either direction."""
    place = {label: k for k, label in enumerate(classes)}
    found: dict[tuple[int, int], list[float]] = {}
    for path in rows.itertuples():
        ends = sorted((place[path.label_from], place[path.label_to]))
        found.setdefault((ends[0], ends[1]), []).append(path.change)
    means = np.full((len(classes), len(classes)), np.nan)
    for (i, j), values in found.items():
        means[i, j] = means[j, i] = float(np.mean(values))
    return means


def _largest(blocks: Mapping[str, pd.DataFrame], classes: list[int]) -> float:
    means = np.concatenate([_means(rows, classes).ravel() for rows in blocks.values()])
    means = means[np.isfinite(means)]
    return float(means.max()) if len(means) else 1.0


def _matrix(axes: Axes, means: np.ndarray, limits: tuple[float, float], cell: float) -> None:
    colours = matplotlib.colormaps["Blues"]
    low, high = limits
    for (i, j), mean in np.ndenumerate(means):
        if np.isfinite(mean):
            fill = map_colour(colours, (mean - low) / max(high - low, 1e-9))
            draw_heat_cell(axes, j, i, f"{100 * mean:.0f}", fill, [], cell)
    axes.set_xlim(0, len(means))
    axes.set_ylim(len(means), 0)
    axes.set_axis_off()


def _summary(rows: pd.DataFrame) -> str:
    mean, low, high = mean_over_images(rows, "change", "pair")
    n = format_n([rows["pair"].nunique()])
    words = f"mean {100 * mean:.1f} % [{100 * low:.1f}, {100 * high:.1f}], {n} pairs"
    seeds = rows["seed"].nunique()
    words += f", {seeds} seeds" if seeds > 1 else ""
    words += f"; of pixel blends {format_percent(rows['change_blend'].mean())}"
    over_seeds = rows.groupby("pair")[["apart", "change"]].mean()
    return f"{words}; {format_correlation(over_seeds['apart'], over_seeds['change'])} with the distance of the ends"


def _details(steps: int) -> str:
    words = (
        "largest share (%) of a path's way in the judge's features that lies in one step, by the classes of its ends"
    )
    return (
        f"{words}; {100 / steps:.1f} is the smoothest, darker jumps more; distance: RMS over pixels; "
        "brackets: 95 % intervals over pairs and seeds; pixel blends of the two images need no model"
    )


def finding(tables: Mapping[str, pa.Table], spec: SmoothnessFigure) -> Finding:
    """The largest share of a path's way that lies in one step, by model."""
    facts = to_frame(tables["interpolation"])
    steps = int(facts["frame"].max())
    rows, parts = [], []
    for name, one in facts.groupby("model"):
        largest = one.groupby(["seed", "pair"], as_index=False)[["change", "change_blend"]].max()
        jump, blend = mean_over_images(largest, "change", "pair"), float(largest["change_blend"].mean())
        rows.append(
            {"model": name, "n": largest["pair"].nunique(), "seeds": one["seed"].nunique()}
            | {**interval_columns("largest_step", jump), "largest_step_blend": blend}
        )
        parts.append(f"{format_share(*jump)} with {name} (of pixel blends {format_percent(blend)})")
    sentence = (
        f"The largest of {steps} steps takes {join_parts(parts)} of a path's way, where an even path "
        f"takes {format_percent(1 / steps)} ({format_n([facts['pair'].nunique()])} pairs, "
        f"{format_seeds(facts['seed'])})."
    )
    return Finding("Smoothness of paths between images", sentence, rows)
