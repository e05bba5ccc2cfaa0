"""Share of pairs with a third class halfway between two images, and the clearest cases."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from advgen.experiments.interpolations.experiment import ThirdClassFigure
from advgen.experiments.interpolations.interpolation_strips import caption_style, read_paths, report_third_classes
from advgen.figures.findings import Finding, Tables
from advgen.figures.formatting import format_n, format_percent
from advgen.figures.images import ImageGrid, grid_height
from advgen.figures.layout import Columns, content_width, titled_page
from advgen.figures.statistics import share_over_images
from advgen.figures.style import BLUE, GREY, with_style
from advgen.figures.text import fit_font_size, label_width
from advgen.metrics.intervals import wilson
from advgen.metrics.paths import endpoints_keep_labels, midpoint_frames

ROW, AXIS, SMALLEST, LARGEST, BETWEEN, CAPTION = 7.0, 12.5, 6.0, 13.0, 5.0, 4.4
ENDS = 12.0
"""Width of the labels with the classes of a path's ends."""
TITLE = 4.5


@with_style
def draw(tables: Tables, spec: ThirdClassFigure) -> Figure:
    """Draw the rates of all models, and below them the pairs whose third class is predicted most confidently."""
    width = content_width(spec)
    facts, images = read_paths(tables)
    frames = int(facts["frame"].max()) + 1
    middles = midpoint_frames(facts)
    blocks = {str(name): rows for name, rows in middles.groupby("model")}
    kept = endpoints_keep_labels(facts).groupby("model").mean()
    labels = [f"{name}\nboth ends keep their class: {format_percent(kept[name])}" for name in blocks]
    margin = label_width(labels, 0.3 * width)
    rates_height = ROW * len(blocks)

    strips = Columns(len(blocks), width, SMALLEST * frames + ENDS, LARGEST * frames + ENDS, BETWEEN)
    strip_width = strips.width - ENDS
    strip_height = grid_height(strip_width, 1, frames, images.shape[1:])
    surest = {name: _select_surest(rows, spec.pairs) for name, rows in blocks.items()}
    block = TITLE + (strip_height + CAPTION) * max(1, *map(len, surest.values())) + 3
    body = 1 + rates_height + AXIS + strips.lines * block - 2
    page, top = titled_page(width, "Third class at the midpoint", _details(middles), body)
    _draw_rates(page.axes(margin, top + 1, width - margin - 8, rates_height), blocks)
    page.row_labels(margin - 2, top + 1, labels, ROW, margin - 2)
    top += 1 + rates_height + AXIS
    for number, (name, pairs) in enumerate(surest.items()):
        left, down = strips.place(number, top, block)
        title = f"{name}: most confident" if len(pairs) else f"{name}: none"
        page.subheading(left, down, strips.width, title, 7)
        left, down = left + ENDS, down + TITLE
        for line, middle in enumerate(pairs.itertuples()):
            of_pair = (facts["model"] == name) & (facts["seed"] == middle.seed) & (facts["pair"] == middle.pair)
            path = facts[of_pair].sort_values("frame")
            y = down + line * (strip_height + CAPTION)
            grid = ImageGrid(page, left, y, strip_width, [images[path.index]])
            ends = f"{middle.label_from} → {middle.label_to}"
            page.text(left - 1.5, y + strip_height / 2, ends, ha="right", va="center", size=6.5)
            grid.frame_where(0, path.index == middle.Index)
            for column, frame in enumerate(path.itertuples()):
                text = f"{frame.judged}"
                if frame.Index == middle.Index:
                    text += f": {100 * frame.confidence:.0f} %"
                size = fit_font_size(text, 1.6 * strip_width / frames, 5.5, 4)
                grid.caption(column, text, size=size, **caption_style(frame.third))
    return page.figure


def _select_surest(middles: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return the pairs with a third class in the middle whose prediction has the highest confidence."""
    return middles[middles["third"]].sort_values("confidence", ascending=False, kind="stable").iloc[:count]


def _draw_rates(axes: Axes, blocks: Mapping[str, pd.DataFrame]) -> None:
    """Draw a row per model: mean, interval and seeds, and in grey the rate of pixel blends."""
    farthest = 0.0
    bar: dict[str, Any] = {"solid_capstyle": "butt", "clip_on": False}
    for y, rows in enumerate(blocks.values()):
        blend = rows.groupby("pair")["third_blend"].mean()
        ends = [100 * end for end in wilson(round(blend.sum()), len(blend))]
        axes.plot(ends, [y + 0.22] * 2, color=GREY, linewidth=1, **bar)
        hollow: dict[str, Any] = {"markerfacecolor": "white", "markersize": 4, "zorder": 3, "clip_on": False}
        axes.plot(100 * blend.mean(), y + 0.22, "D", color=GREY, **hollow)
        seeds = 100 * rows.groupby("seed")["third"].mean()
        mean, low, high = (100 * share for share in share_over_images(rows, rows["third"], "pair"))
        axes.plot([low, high], [y, y], color=BLUE, linewidth=1.4, **bar)
        if len(seeds) > 1:
            ticks = [y] * len(seeds)
            axes.plot(seeds, ticks, "|", color=BLUE, markersize=6, markeredgewidth=0.8, clip_on=False)
        axes.plot(mean, y, "o", color=BLUE, markersize=5, zorder=3, clip_on=False)
        low, high = min(low, seeds.min()), max(high, seeds.max())
        farthest = max(farthest, ends[1], high)
        x, shift, ha = (high, 5, "left") if mean < 55 else (low, -5, "right")
        where: dict[str, Any] = {"textcoords": "offset points", "ha": ha, "va": "center", "size": 6.5, "color": BLUE}
        axes.annotate(f"{mean:.1f}", (x, y), (shift, 0), **where)
    axes.set(ylim=(len(blocks) - 0.5, -0.5), yticks=[], xlim=(-1, min(101, max(10, 1.15 * farthest))))
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("pairs with a third class in the middle frame (%)")


def _details(middles: pd.DataFrame) -> str:
    n = format_n(middles.groupby(["model", "seed"]).size())
    words = f"{n} pairs of test images with different labels; bars: 95 % intervals over pairs and seeds"
    if middles["seed"].nunique() > 1:
        words += "; dots: means over seeds, ticks: single seeds"
    return (
        f"{words}; grey, hollow: pixel blends of the two images, without a model; "
        "a third class differs from the labels and the predicted classes of both ends; "
        "below each frame: the predicted class; framed: the midpoint with its confidence"
    )


def finding(tables: Tables, spec: ThirdClassFigure) -> Finding:
    """Report the share of pairs with a third class halfway, by model."""
    return report_third_classes(tables, "Third class between two images")
