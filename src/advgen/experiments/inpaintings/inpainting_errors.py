"""Error of each inpainting method for each mask, with intervals."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from advgen.experiments.inpaintings.experiment import InpaintingErrorsFigure
from advgen.experiments.inpaintings.methods import FILLS, METHOD_NAMES, masks_by_size, present_methods
from advgen.figures.drawing import draw_interval, set_classes
from advgen.figures.findings import Finding, Row, Tables, interval_columns
from advgen.figures.formatting import format_n, format_number, format_seeds, format_value, interval_units, name_seeds
from advgen.figures.layout import Columns, content_width, legend_height, stacked_page
from advgen.figures.statistics import count_images, mean_over_images, to_frame
from advgen.figures.style import DASHED, DENSE_DOTS, INK, SHADED, series_colour, with_style

MEASURES = {
    "mse_whole": "MSE, whole image",
    "mse_missing": "MSE, missing pixels only",
    "mse_blended": "MSE, missing, Poisson blending",
    "mse_composite": "MSE, known pixels put back",
    "ssim_whole": "SSIM, whole image",
    "ssim_composite": "SSIM, known pixels put back",
}
FILL_STYLES = dict(zip(FILLS, (DASHED, DENSE_DOTS), strict=True))
HEIGHT, LEFT, BOTTOM = 40.0, 13.0, 4.0


@with_style
def draw(tables: Tables, spec: InpaintingErrorsFigure) -> Figure:
    """Draw a panel per measure with masks along x and a colour per method; lines are fills without a generator."""
    width = content_width(spec)
    facts = to_frame(tables["inpainting"])
    blocks = dict(list(facts.groupby("generator")))
    methods = [method for method in present_methods(facts) if method not in FILLS]
    panels = Columns(len(MEASURES), width, max(45.0, width / 3.5), width, 0)  # three columns at most
    names = [METHOD_NAMES[method] for method in methods]
    legend = legend_height(names, width - LEFT)
    line = HEIGHT + BOTTOM + 6
    headings = {f"Inpainting error with {generator}": _details(rows) for generator, rows in blocks.items()}
    page, tops = stacked_page(width, headings, legend + panels.lines * line)
    for top, rows in zip(tops, blocks.values(), strict=True):
        page.legend(LEFT, top, width - LEFT, names)
        ends = {kind: _limit(rows, kind) for kind in ("mse", "ssim")}
        for k, (measure, title) in enumerate(MEASURES.items()):
            left, down = panels.place(k, top + legend + 5, line)
            axes = page.axes(left + LEFT, down, panels.width - LEFT - 1, HEIGHT)
            _draw_panel(axes, rows, measure, masks_by_size(facts), methods)
            better = "lower is better" if measure.startswith("mse") else "higher is better"
            axes.set(ylim=(0, ends[measure.split("_")[0]]), ylabel=f"{title.split(',')[0]}, {better}")
            axes.set_title(title, size=7)
    return page.figure


def _draw_panel(axes: Axes, rows: pd.DataFrame, measure: str, masks: list[str], methods: list[str]) -> None:
    groups = dict(list(rows.groupby(["mask", "method"])))
    step = min(0.42, 0.8 / len(methods))
    for m, method in enumerate(methods):
        shift = (m - (len(methods) - 1) / 2) * step
        for x, mask in enumerate(masks):
            mean, low, high = _measure(groups, mask, method, measure)
            if math.isnan(mean):
                continue
            draw_interval(axes, x + shift, mean, low, high, m)
            if len(methods) <= 2:
                where: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "size": 5}
                axes.annotate(format_number(mean), (x + shift, high), (0, 2), color=series_colour(m), **where)
    for x, mask in enumerate(masks):
        for fill, dashes in FILL_STYLES.items():
            mean, low, high = _measure(groups, mask, fill, measure)
            axes.fill_between([x - 0.45, x + 0.45], low, high, color=SHADED, linewidth=0, zorder=0)
            axes.plot([x - 0.45, x + 0.45], [mean, mean], color=INK, linewidth=0.9, linestyle=dashes)
    set_classes(axes, masks)
    axes.tick_params(axis="x", length=0)


def _measure(
    groups: Mapping[tuple[str, str], pd.DataFrame], mask: str, method: str, measure: str
) -> tuple[float, float, float]:
    """Return the mean with its interval, NaN where a method was not run with a mask."""
    if (mask, method) not in groups:
        return math.nan, math.nan, math.nan
    return mean_over_images(groups[mask, method], measure)


def _limit(rows: pd.DataFrame, kind: str) -> float:
    """Return the end of the axes of all measures of a kind, so that their panels can be compared."""
    if kind == "ssim":
        return 1.02
    measures = [measure for measure in MEASURES if measure.startswith(kind)]
    groups = [group for _, group in rows.groupby(["mask", "method"])]
    ends = [mean_over_images(group, measure)[2] for group in groups for measure in measures]
    return 1.06 * max(ends) or 1.0


def _details(rows: pd.DataFrame) -> str:
    several = rows["seed"].nunique() > 1
    return (
        f"{format_n([rows['index'].nunique()])} images, {'mean of ' if several else ''}{name_seeds(rows['seed'])}; "
        f"bars: 95 % intervals over {interval_units(several)}; "
        "without a generator: harmonic fill (dashes), nearest training image, Poisson-blended (dots)"
    )


def finding(tables: Tables, spec: InpaintingErrorsFigure) -> Finding:
    """Report the error on the missing pixels of each method for the mask that removes most pixels."""
    facts = to_frame(tables["inpainting"])
    rows: list[Row] = []
    hardest: list[str] = []
    for mask in masks_by_size(facts):
        hardest = [mask]
        for method in present_methods(facts):
            group = facts[(facts["mask"] == mask) & (facts["method"] == method)]
            row: dict[str, Any] = {"mask": mask, "method": METHOD_NAMES[method], "missing": group["missing"].mean()}
            row |= count_images(group)
            for measure in MEASURES:
                row |= interval_columns(measure, mean_over_images(group, measure))
            rows.append(row)
            error = format_value(row["mse_missing"], row["mse_missing_low"], row["mse_missing_high"])
            hardest.append(f"{error} by {METHOD_NAMES[method]}")
    mask, *words = hardest
    n = format_n([facts["index"].nunique()])
    sentence = (
        f"MSE on the missing pixels with {mask}, the mask that hides most pixels: {', '.join(words)} "
        f"({n} images, {format_seeds(facts['seed'])})."
    )
    return Finding("Inpainting error by mask and method", sentence, rows)
