"""Error of each inpainting method under each mask, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from advgen.experiments.inpaintings.experiment import InpaintingErrorsFigure
from advgen.figures import common, told
from advgen.io.tables import read_images
from advgen.metrics.intervals import bootstrap_mean

MEASURES = {
    "mse_whole": "MSE, whole image",
    "mse_missing": "MSE, missing pixels only",
    "mse_composite": "MSE, known pixels put back",
    "ssim_whole": "SSIM, whole image",
    "ssim_composite": "SSIM, known pixels put back",
}
TALL, LEFT, FOOT = 40.0, 13.0, 4.0


@common.styled
def draw(tables: Mapping[str, pa.Table], spec: InpaintingErrorsFigure) -> Figure:
    """A panel per measure, masks along x, a colour per method; generators below each other."""
    full = common.inside(spec)
    facts = common.frame(tables["inpainting"])
    generators, masks, methods = sorted(set(facts["generator"])), common.masks(facts), common.methods(facts)
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
    axes.set_ylim(0, top * 1.12 or 1)
    axes.set_xlim(-0.6, len(masks) - 0.4)
    axes.set_xticks(range(len(masks)), masks)
    axes.tick_params(axis="x", length=0)
    axes.grid(False, axis="x")


def _details(rows: pd.DataFrame) -> str:
    seeds = rows["seed"].nunique()
    words = f"{common.n_is([rows['index'].nunique()])} images"
    words += f", mean of {seeds} seeds" if seeds > 1 else f", seed {rows['seed'].iloc[0]}"
    return f"{words}; bars: 95 % bootstrap intervals over images"


def finding(tables: Mapping[str, pa.Table], spec: InpaintingErrorsFigure) -> told.Finding:
    """Error on the missing pixels by mask and method, beside leaving them black."""
    table = tables["inpainting"]
    facts = common.frame(table)
    images = read_images(table).astype(float)
    images_masked = read_images(table, "masked").astype(float)
    facts["left"] = ((images - images_masked) ** 2).mean(1).sum((1, 2)) / facts["missing"].clip(lower=1)
    rows: list[told.Row] = []
    parts = []
    for mask in common.masks(facts):
        words = []
        for method in common.methods(facts):
            one = facts[(facts["mask"] == mask) & (facts["method"] == method)]
            row: dict[str, Any] = {"mask": mask, "method": common.METHODS[method], "missing": one["missing"].mean()} | {
                "n": one["index"].nunique(),
                "seeds": one["seed"].nunique(),
            }
            for measure in MEASURES:
                row |= told.columns_of(measure, told.mean_over_images(one, measure))
            rows.append(row)
            words.append(f"{told.value(*told.mean_over_images(one, 'mse_missing'))} by {common.METHODS[method]}")
        here = facts[facts["mask"] == mask]
        parts.append(f"{mask}: {', '.join(words)}, left black {common.number(here['left'].mean())}")
    n = common.n_is([facts["index"].nunique()])
    hardest = parts[-1]
    sentence = (
        f"MSE on the missing pixels, {hardest} ({n} images, {told.seeds(facts['seed'])}; the mask that takes most)."
    )
    return told.Finding("Error of restored images, by mask and method", sentence, rows)
