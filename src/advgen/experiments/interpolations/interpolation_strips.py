"""Frames between two test images, in autoencoders and in GANs."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure

from advgen.experiments.interpolations.experiment import InterpolationStripsFigure
from advgen.experiments.interpolations.summary import ends_kept, halfway, third_class
from advgen.figures import common
from advgen.io.tables import read_images

SMALLEST, LARGEST, BETWEEN, WORDS, ALPHAS = 8.0, 14.0, 4.0, 4.4, 3.6


@common.styled
def draw(tables: Mapping[str, pa.Table], spec: InterpolationStripsFigure) -> Figure:
    """A block per model (its first seed), a row per pair of images; the judged class stands under each frame."""
    full = common.inside(spec)
    table = tables["interpolation"]
    facts, images = common.frame(table), read_images(table)
    facts["third"] = third_class(facts)
    blocks = {name: common.first_seed(rows) for name, rows in facts.groupby("model")}
    frames = int(facts["frame"].max()) + 1
    pairs = min(spec.pairs, min(rows["pair"].nunique() for rows in blocks.values()))

    margin = 10.0
    room = full - margin
    across = common.columns_that_fit(len(blocks), room + BETWEEN, SMALLEST * frames + BETWEEN)
    width = min((room - (across - 1) * BETWEEN) / across, LARGEST * frames)
    strip = common.grid_height(width, 1, frames, images.shape[1:]) + WORDS
    details = [_details(rows) for rows in blocks.values()]
    head = common.heading_height(width, *details)
    block = head + ALPHAS + pairs * strip + common.GAP
    page = common.Page(full, math.ceil(len(blocks) / across) * block - common.GAP)
    for number, (name, rows) in enumerate(blocks.items()):
        left = margin + number % across * (width + BETWEEN)
        top = number // across * block
        page.heading(left, top, width, str(name), details[number])
        first = int(rows["pair"].min())
        for row, pair in enumerate(sorted(set(rows["pair"]))[:pairs]):
            one = rows[rows["pair"] == pair].sort_values("frame")
            down = top + head + ALPHAS + row * strip
            grid = common.Grid(page, left, down, width, [[common.as_rgb(images[i]) for i in one.index]])
            if pair == first:
                cell = width / frames
                for c, alpha in enumerate(one["alpha"]):
                    text = f"{alpha:.3f}".rstrip("0").rstrip(".") if alpha % 1 else f"{alpha:.0f}"
                    size = common.fitting_size(text, 0.9 * cell, 5.5, 4)
                    x, y = left + (c + 0.5) * cell, down - 0.8
                    page.text(x, y, text, ha="center", va="bottom", size=size, color=common.GREY)
            if pair == first and number % across == 0:
                page.text(left - 1.5, down - 0.8, "α", ha="right", va="bottom", size=6, color=common.GREY)
            if number % across == 0:
                ends = f"{one['label_from'].iloc[0]} → {one['label_to'].iloc[0]}"
                page.text(left - 1.5, down + (strip - WORDS) / 2, ends, ha="right", va="center", size=6.5)
            for c, shown in enumerate(one.itertuples()):
                if shown.third:
                    grid.mark(0, c)
                weight = "bold" if shown.third else "normal"
                grid.below(c, f"{shown.judged}", color=common.VERMILLION if shown.third else common.GREY, weight=weight)
    return page.figure


def _details(rows: pd.DataFrame) -> str:
    third = halfway(rows)["third"]
    kept = common.percent(ends_kept(rows).mean())
    words = f"a third class halfway: {common.share_of(third.sum(), len(third), 'pairs')}"
    return f"{words}; both ends kept theirs in {kept}"
