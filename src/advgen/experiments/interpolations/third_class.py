"""Rate of a third class halfway between two images, and the most surprising pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from advgen.experiments.interpolations.experiment import ThirdClassFigure
from advgen.experiments.interpolations.interpolation_strips import third_classes
from advgen.figures.findings import Finding
from advgen.figures.formatting import format_n, format_percent
from advgen.figures.images import ImageGrid, grid_height
from advgen.figures.layout import Page, content_width, count_columns, heading_height
from advgen.figures.statistics import share_over_images, to_frame
from advgen.figures.style import BLUE, GREY, VERMILLION, with_style
from advgen.figures.text import fit_font_size, label_width
from advgen.io.tables import read_images
from advgen.metrics.intervals import wilson
from advgen.metrics.paths import endpoints_keep_labels, is_third_class, midpoint_frames

ROW, FOOT, SMALLEST, LARGEST, BETWEEN, WORDS = 7.0, 12.5, 6.0, 13.0, 5.0, 4.4


@with_style
def draw(tables: Mapping[str, pa.Table], spec: ThirdClassFigure) -> Figure:
    """The rates of all models on top; below, for each, the pairs whose third class the judge is surest of."""
    full = content_width(spec)
    table = tables["interpolation"]
    facts, images = to_frame(table), read_images(table)
    facts["third"] = is_third_class(facts)
    frames = int(facts["frame"].max()) + 1
    middles = midpoint_frames(facts)
    blocks = {str(name): rows for name, rows in middles.groupby("model")}
    details = _details(middles)
    head = heading_height(full, details)
    kept = endpoints_keep_labels(facts).groupby("model").mean()
    labels = [f"{name}\nboth ends kept: {format_percent(kept[name])}" for name in blocks]
    margin = label_width(labels, 0.3 * full)
    top = head + 1 + ROW * len(blocks) + FOOT

    ends = 12.0
    across = count_columns(len(blocks), full + BETWEEN, SMALLEST * frames + ends + BETWEEN)
    width = min((full - (across - 1) * BETWEEN) / across, LARGEST * frames + ends) - ends
    strip = grid_height(width, 1, frames, images.shape[1:]) + WORDS
    chosen = {name: _surest(rows, spec.pairs) for name, rows in blocks.items()}
    title = 4.5
    block = title + strip * max(1, *map(len, chosen.values())) + 3
    page = Page(full, top + math.ceil(len(blocks) / across) * block - 2)
    page.heading(0, 0, full, "A third class halfway", details)
    axes = page.axes(margin, head + 1, full - margin - 8, ROW * len(blocks))
    _rates(axes, blocks)
    page.row_labels(margin - 2, head + 1, labels, ROW, margin - 2)
    for number, (name, surest) in enumerate(chosen.items()):
        left = number % across * (width + ends + BETWEEN)
        down = top + number // across * block
        words = f"{name}: the judge's surest" if len(surest) else f"{name}: none"
        page.text(left, down, words, weight="bold", size=fit_font_size(words, width + ends, 7, weight="bold"))
        for line, middle in enumerate(surest.itertuples()):
            one = facts[
                (facts["model"] == name) & (facts["seed"] == middle.seed) & (facts["pair"] == middle.pair)
            ].sort_values("frame")
            y = down + title + line * strip
            grid = ImageGrid(page, left + ends, y, width, [images[one.index]])
            words = f"{middle.label_from} → {middle.label_to}"
            page.text(left + ends - 1.5, y + (strip - WORDS) / 2, words, ha="right", va="center", size=6.5)
            for c, shown in enumerate(one.itertuples()):
                colour = VERMILLION if shown.third else GREY
                text = f"{shown.judged}"
                if shown.Index == middle.Index:
                    grid.frame(0, c)
                    text = f"{shown.judged}: {100 * shown.confidence:.0f} %"
                size = fit_font_size(text, 1.6 * width / frames, 5.5, 4)
                grid.caption(c, text, color=colour, size=size, weight="bold" if shown.third else "normal")
    return page.figure


def _surest(middles: pd.DataFrame, count: int) -> pd.DataFrame:
    """The pairs whose middle is of a third class, by the judge's confidence."""
    return middles[middles["third"]].sort_values("confidence", ascending=False, kind="stable").iloc[:count]


def _rates(axes: Axes, blocks: Mapping[str, pd.DataFrame]) -> None:
    farthest = 0.0
    for y, rows in enumerate(blocks.values()):
        blend = rows.groupby("pair")["third_blend"].mean()
        ends = [100 * bound for bound in wilson(round(blend.sum()), len(blend))]
        axes.plot(ends, [y + 0.22] * 2, color=GREY, linewidth=1, solid_capstyle="butt", clip_on=False)
        place, face = (100 * blend.mean(), y + 0.22), "white"
        axes.plot(*place, "D", color=GREY, markerfacecolor=face, markersize=4, zorder=3, clip_on=False)
        seeds = rows.groupby("seed")["third"].mean()
        farthest = max(farthest, ends[1])
        mean, low, high = (100 * one for one in share_over_images(rows, rows["third"], "pair"))
        farthest = max(farthest, high, 100 * seeds.max())
        axes.plot([low, high], [y, y], color=BLUE, linewidth=1.4, solid_capstyle="butt", clip_on=False)
        if len(seeds) > 1:
            ticks = [y] * len(seeds)
            axes.plot(100 * seeds, ticks, "|", color=BLUE, markersize=6, markeredgewidth=0.8, clip_on=False)
        axes.plot(mean, y, "o", color=BLUE, markersize=5, zorder=3, clip_on=False)
        right = mean < 55
        axes.annotate(
            f"{mean:.1f}",
            (max(high, 100 * seeds.max()) if right else min(low, 100 * seeds.min()), y),
            (5 if right else -5, 0),
            textcoords="offset points",
            ha="left" if right else "right",
            va="center",
            size=6.5,
            color=BLUE,
        )
    axes.set_ylim(len(blocks) - 0.5, -0.5)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlim(-1, min(101, max(10, 1.15 * farthest)))
    axes.set_xlabel("pairs with a third class in the middle frame (%)")


def _details(middles: pd.DataFrame) -> str:
    n = format_n(middles.groupby(["model", "seed"]).size())
    words = f"{n} pairs of test images with different labels; bars: 95 % intervals over pairs and seeds"
    if middles["seed"].nunique() > 1:
        words += "; dots: means of the seeds, ticks: the seeds"
    words += "; grey, hollow: a pixel blend of the two images, without a model"
    words += "; a third class is neither end's label nor what the judge sees there"
    return words + "; under each frame the judge's class, framed: the middle with its confidence"


def finding(tables: Mapping[str, pa.Table], spec: ThirdClassFigure) -> Finding:
    """Rate of a third class halfway, by model."""
    return third_classes(tables, "A third class between two images")
