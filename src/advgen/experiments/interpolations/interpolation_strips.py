"""Frames between two test images, in autoencoders and in GANs."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure

from advgen.experiments.interpolations.experiment import InterpolationStripsFigure
from advgen.figures.findings import Choice, Explorer, Finding, Strips, Tile, interval_columns
from advgen.figures.formatting import (
    format_n,
    format_percent,
    format_seeds,
    format_share,
    format_wilson_share,
    join_parts,
)
from advgen.figures.images import ImageGrid, grid_height
from advgen.figures.layout import GAP, Page, content_width, count_columns, heading_height
from advgen.figures.statistics import first_seed, share_over_images, to_frame
from advgen.figures.style import GREY, VERMILLION, with_style
from advgen.figures.text import fit_font_size
from advgen.io.tables import read_images
from advgen.metrics.paths import endpoints_keep_labels, is_third_class, midpoint_frames

SMALLEST, LARGEST, BETWEEN, WORDS, ALPHAS = 8.0, 14.0, 4.0, 4.4, 3.6


@with_style
def draw(tables: Mapping[str, pa.Table], spec: InterpolationStripsFigure) -> Figure:
    """A block per model (its first seed), a row per pair of images; the judged class stands under each frame."""
    full = content_width(spec)
    table = tables["interpolation"]
    facts, images = to_frame(table), read_images(table)
    facts["third"] = is_third_class(facts)
    blocks = {name: first_seed(rows) for name, rows in facts.groupby("model")}
    frames = int(facts["frame"].max()) + 1
    pairs = min(spec.pairs, min(rows["pair"].nunique() for rows in blocks.values()))

    margin = 10.0
    room = full - margin
    across = count_columns(len(blocks), room + BETWEEN, SMALLEST * frames + BETWEEN)
    width = min((room - (across - 1) * BETWEEN) / across, LARGEST * frames)
    strip = grid_height(width, 1, frames, images.shape[1:]) + WORDS
    details = [_details(rows) for rows in blocks.values()]
    head = heading_height(width, *details)
    block = head + ALPHAS + pairs * strip + GAP
    page = Page(full, math.ceil(len(blocks) / across) * block - GAP)
    for number, (name, rows) in enumerate(blocks.items()):
        left = margin + number % across * (width + BETWEEN)
        top = number // across * block
        page.heading(left, top, width, str(name), details[number])
        first = int(rows["pair"].min())
        for row, pair in enumerate(sorted(set(rows["pair"]))[:pairs]):
            one = rows[rows["pair"] == pair].sort_values("frame")
            down = top + head + ALPHAS + row * strip
            grid = ImageGrid(page, left, down, width, [images[one.index]])
            if pair == first:
                cell = width / frames
                for c, alpha in enumerate(one["alpha"]):
                    text = f"{alpha:.3f}".rstrip("0").rstrip(".") if alpha % 1 else f"{alpha:.0f}"
                    size = fit_font_size(text, 0.9 * cell, 5.5, 4)
                    x, y = left + (c + 0.5) * cell, down - 0.8
                    page.text(x, y, text, ha="center", va="bottom", size=size, color=GREY)
            if pair == first and number % across == 0:
                page.text(left - 1.5, down - 0.8, "α", ha="right", va="bottom", size=6, color=GREY)
            if number % across == 0:
                ends = f"{one['label_from'].iloc[0]} → {one['label_to'].iloc[0]}"
                page.text(left - 1.5, down + (strip - WORDS) / 2, ends, ha="right", va="center", size=6.5)
            for c, shown in enumerate(one.itertuples()):
                if shown.third:
                    grid.frame(0, c)
                weight = "bold" if shown.third else "normal"
                grid.caption(c, f"{shown.judged}", color=VERMILLION if shown.third else GREY, weight=weight)
    return page.figure


def _details(rows: pd.DataFrame) -> str:
    middle = midpoint_frames(rows)
    third, blend = middle["third"], format_percent(middle["third_blend"].mean())
    kept = format_percent(endpoints_keep_labels(rows).mean())
    words = f"a third class halfway: {format_wilson_share(third.sum(), len(third), 'pairs')}, in pixel blends {blend}"
    return f"{words}; both ends kept theirs in {kept}"


def finding(tables: Mapping[str, pa.Table], spec: InterpolationStripsFigure) -> Finding:
    """Rate of a third class halfway, by model."""
    return third_classes(tables, "Paths between two test images")


def third_classes(tables: Mapping[str, pa.Table], title: str) -> Finding:
    """How many pairs of each model have a third class halfway."""
    paths = to_frame(tables["interpolation"])
    middles = midpoint_frames(paths)
    rows, parts = [], []
    for name, one in middles.groupby("model"):
        rate, n = share_over_images(one, one["third"], "pair"), one["pair"].nunique()
        blend = float(one["third_blend"].mean())
        rows.append(
            {"model": name, "n": n, "seeds": one["seed"].nunique(), **interval_columns("third_class", rate)}
            | {"third_class_blend": blend}
        )
        kept = format_percent(endpoints_keep_labels(paths[paths["model"] == name]).mean())
        parts.append(
            f"{format_share(*rate)} of the pairs of {name}, whose ends both kept theirs in {kept} (in pixel blends "
            f"of the two images {format_percent(blend)})"
        )
    pairs = format_n(middles.groupby(["model", "seed"]).size())
    sentence = (
        f"Halfway between two images the judge sees a class of neither end in {join_parts(parts)} "
        f"({pairs} pairs, {format_seeds(middles['seed'])})."
    )
    return Finding(title, sentence, rows)


def explorer(tables: Mapping[str, pa.Table], spec: InterpolationStripsFigure) -> Explorer:
    """All pairs at once, frame by frame."""
    table = tables["interpolation"]
    facts, images = to_frame(table), read_images(table)
    facts["third"] = is_third_class(facts)
    models = sorted(set(facts["model"]))
    alphas = sorted(set(facts["alpha"]))
    strips: Strips = {}
    for m, model in enumerate(models):
        rows = first_seed(facts[facts["model"] == model]).sort_values("pair")
        for a, alpha in enumerate(alphas):
            strips[m, a] = [
                Tile(images[row.Index], f"{row.label_from} → {row.label_to}: {row.judged}", bool(row.third))
                for row in rows[rows["alpha"] == alpha].itertuples()
            ]
    about = (
        "Slide along the paths: α = 0 and 1 are the ends. Below each pair what the judge sees, framed: a third class."
    )
    stops = [f"α = {alpha:.3g}" for alpha in alphas]
    return Explorer(about, [Choice("model", models), Choice("along the path", stops, "slider")], strips)
