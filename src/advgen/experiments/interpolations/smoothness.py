"""Smoothness of paths by the classes of their ends, a matrix per model."""

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from advgen.experiments.interpolations.experiment import SmoothnessFigure
from advgen.figures.drawing import draw_heat_cell, map_colour
from advgen.figures.findings import Finding, Tables, interval_columns
from advgen.figures.formatting import (
    format_correlation,
    format_n,
    format_percent,
    format_seeds,
    format_share,
    join_parts,
)
from advgen.figures.layout import GAP, Columns, content_width, heading_height, titled_page
from advgen.figures.statistics import count_images, mean_over_images, to_frame
from advgen.figures.style import with_style
from advgen.io.tables import read_images

LARGEST, BETWEEN, LEFT, ABOVE = 9.5, 6.0, 7.0, 4.0


@with_style
def draw(tables: Tables, spec: SmoothnessFigure) -> Figure:
    """Draw, per pair of classes, the largest share of a path's length in one step: it is high where a path jumps."""
    width = content_width(spec)
    paths, steps = _measure_paths(tables)
    classes = sorted({*paths["label_from"], *paths["label_to"]})
    blocks = {str(name): rows for name, rows in paths.groupby("model")}
    means = {name: _mean_by_classes(rows, classes) for name, rows in blocks.items()}
    matrices = Columns(len(blocks), width, LEFT + 5.0 * len(classes), LEFT + LARGEST * len(classes), BETWEEN)
    side = matrices.width - LEFT
    cell = side / len(classes)
    details = [_summarise(rows) for rows in blocks.values()]
    head = heading_height(matrices.width, *details)
    block = head + ABOVE + side + GAP
    page, top = titled_page(width, "Smoothness of interpolations", _details(steps), matrices.lines * block - GAP)
    # All matrices have the same colours, which span the values that occur.
    largest = float(np.nanmax(list(means.values())))
    for number, name in enumerate(blocks):
        left, down = matrices.place(number, top, block)
        page.heading(left, down, matrices.width, name, details[number])
        left, down = left + LEFT, down + head + ABOVE
        _draw_matrix(page.axes(left, down, side, side), means[name], (1 / steps, largest), cell)
        for k, label in enumerate(classes):
            page.text(left + (k + 0.5) * cell, down - 0.8, f"{label}", ha="center", va="bottom", size=6.5)
            page.text(left - 1.5, down + (k + 0.5) * cell, f"{label}", ha="right", va="center", size=6.5)
    return page.figure


def _measure_paths(tables: Tables) -> tuple[pd.DataFrame, int]:
    """Return a row per path with its largest step and the RMS distance `apart` of its ends, and the number of steps."""
    facts, images = to_frame(tables["interpolation"]), read_images(tables["interpolation"])
    steps = int(facts["frame"].max())
    path = ["model", "seed", "pair", "label_from", "label_to"]
    places = facts.reset_index().pivot(index=path, columns="frame", values="index")
    difference = images[places[0]].astype(float) - images[places[steps]]
    paths = facts.groupby(path)[["change", "change_blend"]].max().reset_index()
    paths["apart"] = np.sqrt((difference**2).reshape(len(paths), -1).mean(1))
    return paths, steps


def _mean_by_classes(rows: pd.DataFrame, classes: list[int]) -> NDArray[np.float64]:
    """Return the mean largest step by the classes of the ends, in either direction."""
    ends = np.sort(rows[["label_from", "label_to"]], axis=1)
    means = rows["change"].groupby([ends[:, 0], ends[:, 1]]).mean().unstack()
    upper = means.reindex(index=classes, columns=classes).to_numpy(float)
    return np.where(np.isnan(upper), upper.T, upper)


def _draw_matrix(axes: Axes, means: NDArray[np.float64], limits: tuple[float, float], cell: float) -> None:
    colours = matplotlib.colormaps["Blues"]
    low, high = limits
    for (i, j), mean in np.ndenumerate(means):
        if np.isfinite(mean):
            fill = map_colour(colours, (mean - low) / max(high - low, 1e-9))
            draw_heat_cell(axes, j, i, f"{100 * mean:.0f}", fill, [], cell)
    axes.set(xlim=(0, len(means)), ylim=(len(means), 0))
    axes.set_axis_off()


def _summarise(rows: pd.DataFrame) -> str:
    mean, low, high = mean_over_images(rows, "change", "pair")
    words = f"mean {100 * mean:.1f} % [{100 * low:.1f}, {100 * high:.1f}], {format_n([rows['pair'].nunique()])} pairs"
    words += f", {format_seeds(rows['seed'])}" if rows["seed"].nunique() > 1 else ""
    pairs = rows.groupby("pair")[["apart", "change"]].mean()
    return (
        f"{words}; pixel blends {format_percent(rows['change_blend'].mean())}; "
        f"{format_correlation(pairs['apart'], pairs['change'])} with the distance between the ends"
    )


def _details(steps: int) -> str:
    return (
        "share (%) of a path's length in its largest step, in features of the reference classifier, by the classes of "
        f"its ends; {100 / steps:.1f} is the smoothest, darker cells jump more; distance: RMS over pixels; "
        "brackets: 95 % intervals over pairs and seeds; baseline: pixel blends of the two images"
    )


def finding(tables: Tables, spec: SmoothnessFigure) -> Finding:
    """Report the largest share of a path's length in one step, by model, compared with pixel blends."""
    facts = to_frame(tables["interpolation"])
    steps = int(facts["frame"].max())
    rows, parts = [], []
    for name, frames in facts.groupby("model"):
        largest = frames.groupby(["seed", "pair"], as_index=False)[["change", "change_blend"]].max()
        jump, blend = mean_over_images(largest, "change", "pair"), float(largest["change_blend"].mean())
        rows.append(
            {"model": name, **count_images(largest, "pair"), **interval_columns("largest_step", jump)}
            | {"largest_step_blend": blend}
        )
        parts.append(f"{format_share(*jump)} with {name} (pixel blends: {format_percent(blend)})")
    sentence = (
        f"Share of a path's length in its largest of {steps} steps: {join_parts(parts)}; even steps have "
        f"{format_percent(1 / steps)} ({format_n([facts['pair'].nunique()])} pairs, "
        f"{format_seeds(facts['seed'])})."
    )
    return Finding("Smoothness of interpolations", sentence, rows)
