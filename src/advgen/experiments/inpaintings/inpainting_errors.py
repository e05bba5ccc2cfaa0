"""Error of each inpainting method under each mask, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from advgen.experiments.inpaintings.experiment import InpaintingErrorsFigure
from advgen.experiments.inpaintings.methods import FILLS, METHOD_NAMES, masks_by_size, present_methods
from advgen.figures.drawing import draw_interval
from advgen.figures.findings import Finding, Row, interval_columns
from advgen.figures.formatting import format_n, format_number, format_seeds, format_value, interval_units
from advgen.figures.layout import GAP, Page, content_width, count_columns, heading_height, legend_height
from advgen.figures.statistics import mean_over_images, to_frame
from advgen.figures.style import INK, SHADED, series_colour, with_style

MEASURES = {
    "mse_whole": "MSE, whole image",
    "mse_missing": "MSE, missing pixels only",
    "mse_blended": "MSE, missing, Poisson blending",
    "mse_composite": "MSE, known pixels put back",
    "ssim_whole": "SSIM, whole image",
    "ssim_composite": "SSIM, known pixels put back",
}
DASHES = dict(zip(FILLS, ((0, (2.5, 1.5)), (0, (1, 1))), strict=True))
TALL, LEFT, FOOT = 40.0, 13.0, 4.0


@with_style
def draw(tables: Mapping[str, pa.Table], spec: InpaintingErrorsFigure) -> Figure:
    """A panel per measure, masks along x, a colour per method, dashes and dots where no generator is used."""
    full = content_width(spec)
    facts = to_frame(tables["inpainting"])
    generators, masks, methods = sorted(set(facts["generator"])), masks_by_size(facts), present_methods(facts)
    methods = [method for method in methods if method not in FILLS]
    columns = count_columns(3, full, 45.0)
    lines = -(-len(MEASURES) // columns)
    width = full / columns
    details = [_details(facts[facts["generator"] == generator]) for generator in generators]
    head = heading_height(full, *details)
    names = [METHOD_NAMES[method] for method in methods]
    legend = legend_height(names, full - LEFT)
    block = head + legend + lines * (TALL + FOOT + 6) + GAP
    page = Page(full, len(generators) * block - GAP)
    for number, generator in enumerate(generators):
        rows = facts[facts["generator"] == generator]
        top = number * block
        page.heading(0, top, full, f"Errors of what {generator} restores", details[number])
        page.legend(LEFT, top + head, full - LEFT, names)
        tops = {kind: _top(rows, kind) for kind in ("mse", "ssim")}
        for k, (measure, title) in enumerate(MEASURES.items()):
            down = top + head + legend + 5 + k // columns * (TALL + FOOT + 6)
            axes = page.axes(k % columns * width + LEFT, down, width - LEFT - 1, TALL)
            _panel(axes, rows, measure, masks, methods)
            axes.set_ylim(0, tops[measure.split("_")[0]])
            axes.set_title(title, size=7)
            better = "less is better" if measure.startswith("mse") else "more is better"
            axes.set_ylabel(f"{title.split(',')[0]}, {better}")
    return page.figure


def _panel(axes: Axes, rows: pd.DataFrame, measure: str, masks: list[str], methods: list[str]) -> None:
    step = min(0.42, 0.8 / len(methods))
    for m, method in enumerate(methods):
        shift = (m - (len(methods) - 1) / 2) * step
        colour = series_colour(m)
        for x, mask in enumerate(masks):
            chosen = rows[(rows["mask"] == mask) & (rows["method"] == method)]
            mean, low, high = mean_over_images(chosen, measure)
            if math.isnan(mean):
                continue
            draw_interval(axes, x + shift, mean, low, high, m)
            if len(methods) <= 2:
                axes.annotate(
                    format_number(mean),
                    (x + shift, high),
                    (0, 2),
                    textcoords="offset points",
                    ha="center",
                    size=5,
                    color=colour,
                )
    for x, mask in enumerate(masks):
        for fill, dashes in DASHES.items():
            filled = rows[(rows["mask"] == mask) & (rows["method"] == fill)]
            mean, low, high = mean_over_images(filled, measure)
            axes.fill_between([x - 0.45, x + 0.45], low, high, color=SHADED, linewidth=0, zorder=0)
            axes.plot([x - 0.45, x + 0.45], [mean, mean], color=INK, linewidth=0.9, linestyle=dashes)
    axes.set_xlim(-0.6, len(masks) - 0.4)
    axes.set_xticks(range(len(masks)), masks)
    axes.tick_params(axis="x", length=0)
    axes.grid(False, axis="x")


def _top(rows: pd.DataFrame, kind: str) -> float:
    """End of the axes of all measures of a kind, so that they can be compared; no SSIM is above 1."""
    if kind == "ssim":
        return 1.02
    measures = [measure for measure in MEASURES if measure.startswith(kind)]
    groups = [one for _, one in rows.groupby(["mask", "method"])]
    ends = [mean_over_images(one, measure)[2] for one in groups for measure in measures]
    return 1.06 * max(ends) or 1.0


def _details(rows: pd.DataFrame) -> str:
    seeds = rows["seed"].nunique()
    words = f"{format_n([rows['index'].nunique()])} images"
    words += f", mean of {seeds} seeds" if seeds > 1 else f", seed {rows['seed'].iloc[0]}"
    words += f"; bars: 95 % intervals over {interval_units(seeds > 1)}"
    return f"{words}; dashes: harmonic fill, dots: Poisson fill"


def finding(tables: Mapping[str, pa.Table], spec: InpaintingErrorsFigure) -> Finding:
    """Error on the missing pixels by mask and method, that without a generator among them."""
    facts = to_frame(tables["inpainting"])
    rows: list[Row] = []
    parts = []
    for mask in masks_by_size(facts):
        words = []
        for method in present_methods(facts):
            one = facts[(facts["mask"] == mask) & (facts["method"] == method)]
            row: dict[str, Any] = {"mask": mask, "method": METHOD_NAMES[method], "missing": one["missing"].mean()} | {
                "n": one["index"].nunique(),
                "seeds": one["seed"].nunique(),
            }
            for measure in MEASURES:
                row |= interval_columns(measure, mean_over_images(one, measure))
            rows.append(row)
            words.append(f"{format_value(*mean_over_images(one, 'mse_missing'))} by {METHOD_NAMES[method]}")
        parts.append(f"{mask}: {', '.join(words)}")
    n = format_n([facts["index"].nunique()])
    hardest = parts[-1]
    sentence = (
        f"MSE on the missing pixels, {hardest} ({n} images, {format_seeds(facts['seed'])}; the mask that takes most)."
    )
    return Finding("Error of restored images, by mask and method", sentence, rows)
