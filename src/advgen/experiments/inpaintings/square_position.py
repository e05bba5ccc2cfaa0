"""Error of inpainting against where the square lies and how much intensity it covers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from itertools import pairwise

import matplotlib
import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from advgen.experiments.inpaintings.experiment import SquarePositionFigure
from advgen.experiments.inpaintings.methods import METHOD_NAMES, present_methods
from advgen.figures.drawing import add_note, draw_interval
from advgen.figures.findings import Finding, Row, interval_columns
from advgen.figures.formatting import (
    format_correlation,
    format_n,
    format_percent,
    format_seeds,
    format_value,
    interval_units,
    join_parts,
)
from advgen.figures.layout import GAP, Page, content_width, heading_height
from advgen.figures.statistics import mean_over_images, to_frame
from advgen.figures.style import BLUE, with_style

TALL, LEFT, FOOT, BAR = 38.0, 13.0, 10.0, 13.0
BINS = 7
COLORMAP = "viridis"


@with_style
def draw(tables: Mapping[str, pa.Table], spec: SquarePositionFigure) -> Figure:
    """A block per generator, a line per method: the mean error by position, and the error against the ink covered."""
    full = content_width(spec)
    table = tables["inpainting"]
    _, height, width = json.loads(table.schema.field("image").metadata[b"shape"])
    facts = to_frame(table)
    facts = facts[(facts["inpainting"] == spec.inpainting) & (facts["mask"] == spec.mask)]
    methods = present_methods(facts)
    blocks = dict(list(facts.groupby("generator")))
    details = [_details(rows) for rows in blocks.values()]
    head = heading_height(full, *details)
    wide = full >= 110
    room = full / 2 if wide else full
    map_wide = min(TALL * width / height, room - LEFT - BAR - 3)
    line = (1 if wide else 2) * (5 + TALL + FOOT)
    block = head + len(methods) * line + GAP - 2
    page = Page(full, len(blocks) * block - GAP + 2)
    for number, (generator, rows) in enumerate(blocks.items()):
        top = number * block
        page.heading(0, top, full, f"Restored by {generator} behind {spec.mask}", details[number])
        limit = _limit(rows)
        for k, method in enumerate(methods):
            mine = rows[rows["method"] == method]
            down = top + head + k * line
            page.text(LEFT, down, f"{METHOD_NAMES[method]}: error by position", size=7, weight="bold")
            axes = page.axes(LEFT, down + 5, map_wide, TALL)
            _map(axes, mine, height, width, limit)
            bar = page.axes(LEFT + map_wide + 3, down + 5, 2.2, TALL)
            colours = ScalarMappable(Normalize(0, limit), COLORMAP)
            page.figure.colorbar(colours, cax=bar).outline.set_linewidth(0.4)
            bar.set_ylabel("MSE of the missing pixels", size=6)
            left = (full / 2 if wide else 0) + LEFT
            down += 0 if wide else 5 + TALL + FOOT
            page.text(left, down, f"{METHOD_NAMES[method]}: error by intensity", size=7, weight="bold")
            _by_intensity(page.axes(left, down + 5, room - LEFT - 2, TALL), mine, limit)
    return page.figure


def _limit(rows: pd.DataFrame) -> float:
    """End of the colours and of the error axis: few images are beyond it."""
    return float(rows["mse_missing"].quantile(0.98)) or 1.0


def _map(axes: Axes, rows: pd.DataFrame, height: int, width: int, limit: float) -> None:
    """The mean error by the position of the square's upper left corner; dots are single squares."""
    side = round(math.sqrt(rows["missing"].iloc[0]))
    spans = (height - side + 1, width - side + 1)
    edges = [np.linspace(0, span, min(BINS, span) + 1) for span in spans]
    places = rows["missing_top"] + 0.5, rows["missing_left"] + 0.5
    total, _, _ = np.histogram2d(*places, bins=edges, weights=rows["mse_missing"])
    count, _, _ = np.histogram2d(*places, bins=edges)
    mean = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    # Cells are drawn around the middle of the squares that fall into them.
    down, across = (edge + (side - 1) / 2 for edge in edges)
    axes.pcolormesh(across, down, mean, cmap=matplotlib.colormaps[COLORMAP], vmin=0, vmax=limit)
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.grid(False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_xlabel("column of its middle (px)")
    axes.set_ylabel("row (px)")
    for spine in ("top", "right"):
        axes.spines[spine].set_visible(True)


def _by_intensity(axes: Axes, rows: pd.DataFrame, limit: float) -> None:
    """A dot per image, and means with intervals within quarters of the covered intensity."""
    intensity, error = rows["intensity_missing"].to_numpy(float), rows["mse_missing"].to_numpy(float)
    axes.plot(intensity, error, "o", color=BLUE, alpha=0.3, markersize=2.6, markeredgewidth=0)
    edges = np.unique(np.quantile(intensity, [0, 0.25, 0.5, 0.75, 1]))
    edges[-1] += 1e-6
    for low, high in pairwise(edges):
        inside = rows[(intensity >= low) & (intensity < high)]
        if len(inside):
            x = float(inside["intensity_missing"].mean())
            mean, below, above = mean_over_images(inside, "mse_missing")
            draw_interval(axes, x, mean, below, min(above, 1.15 * limit), 1, markersize=5)  # cut where the axis ends
    add_note(axes, 0.03, 0.98, format_correlation(intensity, error))
    axes.set_ylim(0, 1.15 * limit)
    axes.set_xlim(left=min(0.0, intensity.min()))
    axes.set_xlabel("intensity under the square (sum of pixels)")
    axes.set_ylabel("MSE of the missing pixels")


def _details(rows: pd.DataFrame) -> str:
    side = round(math.sqrt(rows["missing"].iloc[0]))
    seeds = rows["seed"].nunique()
    words = f"a square of {side}×{side} pixels in {format_n([rows['index'].nunique()])} test images"
    words += f", {seeds} seeds" if seeds > 1 else f", seed {rows['seed'].iloc[0]}"
    beyond = format_percent(float((rows["mse_missing"] > 1.15 * _limit(rows)).mean()))
    words += "; left, blank: no square there; right: small dots are images, large ones means of quarters of them with "
    return words + f"95 % intervals over {interval_units(seeds > 1)}, {beyond} of the images lie beyond the axis"


def finding(tables: Mapping[str, pa.Table], spec: SquarePositionFigure) -> Finding:
    """How the error goes with the intensity that the square covers."""
    facts = to_frame(tables["inpainting"])
    facts = facts[(facts["inpainting"] == spec.inpainting) & (facts["mask"] == spec.mask)]
    rows: list[Row] = []
    parts = []
    for (generator, method), one in facts.groupby(["generator", "method"]):
        mse = mean_over_images(one, "mse_missing")
        related = format_correlation(one["intensity_missing"], one["mse_missing"])
        rows.append(
            {"generator": generator, "method": METHOD_NAMES[str(method)], "n": one["index"].nunique()}
            | {"seeds": one["seed"].nunique(), **interval_columns("mse_missing", mse), "with_intensity": related}
        )
        parts.append(f"{METHOD_NAMES[str(method)]} {format_value(*mse)} ({related})")
    n = format_n([facts["index"].nunique()])
    sentence = (
        f"MSE of the pixels under {spec.mask}, and how it goes with the intensity covered: {join_parts(parts)}; "
        f"{n} images, {format_seeds(facts['seed'])}."
    )
    return Finding("Where a missing square hurts", sentence, rows)
