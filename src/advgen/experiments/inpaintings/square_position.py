"""Inpainting error by the position of the missing square and by the intensity that it covers."""

import json
import math
from itertools import pairwise

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from advgen.experiments.inpaintings.experiment import SquarePositionFigure
from advgen.experiments.inpaintings.methods import METHOD_NAMES, present_methods
from advgen.figures.drawing import add_note, draw_interval
from advgen.figures.findings import Finding, Row, Tables, interval_columns
from advgen.figures.formatting import (
    format_correlation,
    format_n,
    format_percent,
    format_seeds,
    format_value,
    interval_units,
    join_parts,
    name_seeds,
)
from advgen.figures.layout import content_width, stacked_page
from advgen.figures.statistics import count_images, mean_over_images, to_frame
from advgen.figures.style import BLUE, with_style

HEIGHT, TITLE, LEFT, BOTTOM, COLOUR_BAR = 38.0, 5.0, 13.0, 10.0, 13.0
BINS = 7
"""Cells of the map in each direction at most."""
COLORMAP = "viridis"


@with_style
def draw(tables: Tables, spec: SquarePositionFigure) -> Figure:
    """Draw a block per generator and a line per method: mean error by position, and error by covered intensity."""
    width = content_width(spec)
    _, rows_px, columns_px = json.loads(tables["inpainting"].schema.field("image").metadata[b"shape"])
    facts = _select(tables, spec)
    methods = present_methods(facts)
    blocks = dict(list(facts.groupby("generator")))
    panels = 2 if width >= 110 else 1
    room = width / panels
    map_width = min(HEIGHT * columns_px / rows_px, room - LEFT - COLOUR_BAR - 3)
    panel = TITLE + HEIGHT + BOTTOM
    line = panel * 2 / panels
    headings = {f"Inpainting with {generator}: {spec.mask}": _details(rows) for generator, rows in blocks.items()}
    page, tops = stacked_page(width, headings, len(methods) * line, gap=3)
    for top, rows in zip(tops, blocks.values(), strict=True):
        limit = _limit(rows)
        for k, method in enumerate(methods):
            of_method = rows[rows["method"] == method]
            down = top + k * line
            page.subheading(LEFT, down, room - LEFT, f"{METHOD_NAMES[method]}: error by position", 7)
            _draw_map(page.axes(LEFT, down + TITLE, map_width, HEIGHT), of_method, rows_px, columns_px, limit)
            colour_bar = page.axes(LEFT + map_width + 3, down + TITLE, 2.2, HEIGHT)
            colours = ScalarMappable(Normalize(0, limit), COLORMAP)
            page.figure.colorbar(colours, cax=colour_bar).outline.set_linewidth(0.4)
            colour_bar.set_ylabel("MSE of the missing pixels", size=6)
            left, down = (room + LEFT, down) if panels == 2 else (LEFT, down + panel)
            page.subheading(left, down, room - LEFT, f"{METHOD_NAMES[method]}: error by intensity", 7)
            _draw_intensities(page.axes(left, down + TITLE, room - LEFT - 2, HEIGHT), of_method, limit)
    return page.figure


def _select(tables: Tables, spec: SquarePositionFigure) -> pd.DataFrame:
    facts = to_frame(tables["inpainting"])
    return facts[(facts["inpainting"] == spec.inpainting) & (facts["mask"] == spec.mask)]


def _limit(rows: pd.DataFrame) -> float:
    """Return the end of the colour scale and of the error axis; 2 % of the images are beyond it."""
    return float(rows["mse_missing"].quantile(0.98)) or 1.0


def _side(rows: pd.DataFrame) -> int:
    """Return the side of the missing square in pixels."""
    return round(math.sqrt(rows["missing"].iloc[0]))


def _draw_map(axes: Axes, rows: pd.DataFrame, height: int, width: int, limit: float) -> None:
    """Draw the mean error by the position of the square's centre."""
    side = _side(rows)
    spans = (height - side + 1, width - side + 1)
    edges = [np.linspace(0, span, min(BINS, span) + 1) for span in spans]
    places = rows["missing_top"] + 0.5, rows["missing_left"] + 0.5
    total, _, _ = np.histogram2d(*places, bins=edges, weights=rows["mse_missing"])
    count, _, _ = np.histogram2d(*places, bins=edges)
    mean = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    # The bins are of upper left corners, the map is of centres.
    down, across = (edge + (side - 1) / 2 for edge in edges)
    axes.pcolormesh(across, down, mean, cmap=matplotlib.colormaps[COLORMAP], vmin=0, vmax=limit)
    axes.set(xlim=(0, width), ylim=(height, 0), xlabel="column of the centre (px)", ylabel="row (px)")
    axes.grid(False)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4, integer=True))
    for spine in ("top", "right"):
        axes.spines[spine].set_visible(True)


def _draw_intensities(axes: Axes, rows: pd.DataFrame, limit: float) -> None:
    """Draw a dot per image, and means with intervals within the quarters of the covered intensity."""
    intensity, error = rows["intensity_missing"].to_numpy(float), rows["mse_missing"].to_numpy(float)
    axes.plot(intensity, error, "o", color=BLUE, alpha=0.3, markersize=2.6, markeredgewidth=0)
    edges = np.unique(np.quantile(intensity, [0, 0.25, 0.5, 0.75, 1]))
    edges[-1] += 1e-6
    end = 1.15 * limit
    for lower, upper in pairwise(edges):
        quarter = rows[(intensity >= lower) & (intensity < upper)]
        if len(quarter):
            mean, low, high = mean_over_images(quarter, "mse_missing")
            x = float(quarter["intensity_missing"].mean())
            draw_interval(axes, x, mean, low, min(high, end), 1, markersize=5)
    add_note(axes, 0.03, 0.98, format_correlation(intensity, error))
    axes.set_xlim(left=min(0.0, intensity.min()))
    axes.set(ylim=(0, end), xlabel="intensity under the square (sum of pixels)", ylabel="MSE of the missing pixels")


def _details(rows: pd.DataFrame) -> str:
    side, seeds = _side(rows), rows["seed"]
    beyond = format_percent(float((rows["mse_missing"] > 1.15 * _limit(rows)).mean()))
    return (
        f"a square of {side}×{side} pixels in {format_n([rows['index'].nunique()])} test images, {name_seeds(seeds)}; "
        "left: empty cells had no square; right: dots are images, markers are means of quarters of them with "
        f"95 % intervals over {interval_units(seeds.nunique() > 1)}, {beyond} of the images are beyond the axis"
    )


def finding(tables: Tables, spec: SquarePositionFigure) -> Finding:
    """Report the error and its rank correlation with the intensity that the square covers."""
    facts = _select(tables, spec)
    rows: list[Row] = []
    parts = []
    for (generator, method), group in facts.groupby(["generator", "method"]):
        name = METHOD_NAMES[str(method)]
        mse = mean_over_images(group, "mse_missing")
        correlation = format_correlation(group["intensity_missing"], group["mse_missing"])
        rows.append(
            {"generator": generator, "method": name, **count_images(group)}
            | {**interval_columns("mse_missing", mse), "with_intensity": correlation}
        )
        parts.append(f"{name} {format_value(*mse)} ({correlation})")
    n = format_n([facts["index"].nunique()])
    sentence = (
        f"MSE of the missing pixels with {spec.mask}, and correlation with the covered intensity: {join_parts(parts)}; "
        f"{n} images, {format_seeds(facts['seed'])}."
    )
    return Finding("Inpainting error by position of the missing square", sentence, rows)
