"""Error of each inpainting method under each mask, with intervals."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from advgen.experiments.inpaintings.experiment import InpaintingErrorsFigure
from advgen.figures import common
from advgen.metrics.intervals import bootstrap_mean

MEASURES = {
    "mse_whole": "MSE, whole image",
    "mse_missing": "MSE, missing pixels only",
    "mse_blended": "MSE, missing pixels, blended in",
    "mse_composite": "MSE, known pixels put back",
    "ssim_whole": "SSIM, whole image",
    "ssim_composite": "SSIM, known pixels put back",
}
BASELINE = "harmonic"
TALL, LEFT, FOOT = 40.0, 13.0, 4.0


@common.styled
def draw(tables: Mapping[str, pa.Table], spec: InpaintingErrorsFigure) -> Figure:
    """A panel per measure, masks along x, a colour per method, dashes where no generator is used."""
    full = common.inside(spec)
    facts = common.frame(tables["inpainting"])
    generators, masks, methods = sorted(set(facts["generator"])), common.masks(facts), common.methods(facts)
    methods = [method for method in methods if method != BASELINE]
    columns = common.columns_that_fit(3, full, 45.0)
    lines = -(-len(MEASURES) // columns)
    width = full / columns
    details = [_details(facts[facts["generator"] == generator]) for generator in generators]
    head = common.heading_height(full, *details)
    names = [common.METHODS[method] for method in methods]
    legend = common.legend_height(names, full - LEFT)
    block = head + legend + lines * (TALL + FOOT + 6) + common.GAP
    page = common.Page(full, len(generators) * block - common.GAP)
    for number, generator in enumerate(generators):
        rows = facts[facts["generator"] == generator]
        top = number * block
        page.heading(0, top, full, f"{spec.inpainting}: {generator}", details[number])
        page.legend(LEFT, top + head, full - LEFT, names)
        for k, (measure, title) in enumerate(MEASURES.items()):
            down = top + head + legend + 5 + k // columns * (TALL + FOOT + 6)
            axes = page.axes(k % columns * width + LEFT, down, width - LEFT - 1, TALL)
            _panel(axes, rows, measure, masks, methods)
            axes.set_title(title, size=7)
            better = "less is better" if measure.startswith("mse") else "more is better"
            axes.set_ylabel(f"{title.split(',')[0]}, {better}")
    return page.figure


def _panel(axes: Axes, rows: pd.DataFrame, measure: str, masks: list[str], methods: list[str]) -> None:
    step = min(0.42, 0.8 / len(methods))
    top = 0.0
    for m, method in enumerate(methods):
        shift = (m - (len(methods) - 1) / 2) * step
        colour = common.colour(m)
        for x, mask in enumerate(masks):
            chosen = rows[(rows["mask"] == mask) & (rows["method"] == method)]
            values = common.means_over_images(chosen, measure)
            if not len(values):
                continue
            mean, low, high = bootstrap_mean(values, 0)
            common.interval(axes, x + shift, mean, low, high, m)
            if len(methods) <= 2:
                axes.annotate(
                    common.number(mean),
                    (x + shift, high),
                    (0, 2),
                    textcoords="offset points",
                    ha="center",
                    size=5,
                    color=colour,
                )
            top = max(top, high)
    for x, mask in enumerate(masks):
        filled = rows[(rows["mask"] == mask) & (rows["method"] == BASELINE)]
        mean, low, high = bootstrap_mean(common.means_over_images(filled, measure), 0)
        axes.fill_between([x - 0.45, x + 0.45], low, high, color=common.SHADED, linewidth=0, zorder=0)
        axes.plot([x - 0.45, x + 0.45], [mean, mean], color=common.INK, linewidth=0.9, linestyle=(0, (2.5, 1.5)))
        top = max(top, high)
    axes.set_ylim(0, top * 1.12 or 1)
    axes.set_xlim(-0.6, len(masks) - 0.4)
    axes.set_xticks(range(len(masks)), masks)
    axes.tick_params(axis="x", length=0)
    axes.grid(False, axis="x")


def _details(rows: pd.DataFrame) -> str:
    seeds = rows["seed"].nunique()
    words = f"{common.n_is([rows['index'].nunique()])} images"
    words += f", mean of {seeds} seeds" if seeds > 1 else f", seed {rows['seed'].iloc[0]}"
    return f"{words}; bars: 95 % bootstrap intervals over images; dashes: harmonic fill"
