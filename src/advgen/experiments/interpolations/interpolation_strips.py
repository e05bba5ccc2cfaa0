"""Frames between two test images, interpolated in the latent spaces of autoencoders and GANs."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from advgen.experiments.interpolations.experiment import InterpolationStripsFigure
from advgen.figures.findings import Choice, Explorer, Finding, Strips, Tables, Tile, interval_columns
from advgen.figures.formatting import (
    format_n,
    format_percent,
    format_seeds,
    format_share,
    format_wilson_share,
    join_parts,
)
from advgen.figures.images import ImageGrid, Images, grid_height
from advgen.figures.layout import GAP, Columns, Page, content_width, heading_height
from advgen.figures.statistics import count_images, first_seed, share_over_images, to_frame
from advgen.figures.style import GREY, VERMILLION, with_style
from advgen.figures.text import fit_font_size
from advgen.io.tables import read_images
from advgen.metrics.paths import endpoints_keep_labels, is_third_class, midpoint_frames

SMALLEST, LARGEST, BETWEEN, MARGIN, CAPTION, ALPHAS = 8.0, 14.0, 4.0, 10.0, 4.4, 3.6


@with_style
def draw(tables: Tables, spec: InterpolationStripsFigure) -> Figure:
    """Draw a block per model (its first seed), a row per pair of images, with the predicted class below each frame."""
    width = content_width(spec)
    facts, images = read_paths(tables)
    blocks = {str(name): first_seed(rows) for name, rows in facts.groupby("model")}
    frames = int(facts["frame"].max()) + 1
    pairs = min(spec.pairs, min(rows["pair"].nunique() for rows in blocks.values()))

    strips = Columns(len(blocks), width - MARGIN, SMALLEST * frames, LARGEST * frames, BETWEEN, MARGIN)
    strip_height = grid_height(strips.width, 1, frames, images.shape[1:])
    details = [_details(rows) for rows in blocks.values()]
    head = heading_height(strips.width, *details)
    block = head + ALPHAS + pairs * (strip_height + CAPTION) + GAP
    page = Page(width, strips.lines * block - GAP)
    for number, (name, rows) in enumerate(blocks.items()):
        left, top = strips.place(number, 0, block)
        page.heading(left, top, strips.width, name, details[number])
        top += head + ALPHAS
        label_at = left - 1.5 if strips.is_leftmost(number) else None
        alphas = rows.groupby("frame")["alpha"].first()
        for column, alpha in enumerate(alphas):
            text = f"{alpha:.3f}".rstrip("0").rstrip(".")
            x, cell = left + (column + 0.5) * strips.width / frames, strips.width / frames
            size = fit_font_size(text, 0.9 * cell, 5.5, 4)
            page.text(x, top - 0.8, text, ha="center", va="bottom", size=size, color=GREY)
        if label_at is not None:
            page.text(label_at, top - 0.8, "α", ha="right", va="bottom", size=6, color=GREY)
        for line, pair in enumerate(sorted(set(rows["pair"]))[:pairs]):
            path = rows[rows["pair"] == pair].sort_values("frame")
            down = top + line * (strip_height + CAPTION)
            grid = ImageGrid(page, left, down, strips.width, [images[path.index]])
            if label_at is not None:
                ends = f"{path['label_from'].iloc[0]} → {path['label_to'].iloc[0]}"
                page.text(label_at, down + strip_height / 2, ends, ha="right", va="center", size=6.5)
            grid.frame_where(0, path["third"])
            for column, frame in enumerate(path.itertuples()):
                grid.caption(column, f"{frame.judged}", **caption_style(frame.third))
    return page.figure


def read_paths(tables: Tables) -> tuple[pd.DataFrame, Images]:
    """Return the frames of all paths, with a column `third` for those of a third class, and their images."""
    facts = to_frame(tables["interpolation"])
    facts["third"] = is_third_class(facts)
    return facts, read_images(tables["interpolation"])


def caption_style(third: bool) -> dict[str, Any]:
    """Return the text style of a predicted class, which stands out if it is a third class."""
    return {"color": VERMILLION, "weight": "bold"} if third else {"color": GREY, "weight": "normal"}


def _details(rows: pd.DataFrame) -> str:
    middle = midpoint_frames(rows)
    third, blend = middle["third"], format_percent(middle["third_blend"].mean())
    kept = format_percent(endpoints_keep_labels(rows).mean())
    words = (
        f"third class at the midpoint: {format_wilson_share(third.sum(), len(third), 'pairs')}, pixel blends {blend}"
    )
    return f"{words}; both ends keep their class: {kept}"


def finding(tables: Tables, spec: InterpolationStripsFigure) -> Finding:
    """Report the share of pairs with a third class halfway, by model."""
    return report_third_classes(tables, "Interpolation between test images")


def report_third_classes(tables: Tables, title: str) -> Finding:
    """Report the share of pairs with a third class halfway, by model, compared with pixel blends."""
    facts = to_frame(tables["interpolation"])
    middles = midpoint_frames(facts)
    rows, parts = [], []
    for name, pairs in middles.groupby("model"):
        rate = share_over_images(pairs, pairs["third"], "pair")
        blend = float(pairs["third_blend"].mean())
        rows.append(
            {"model": name, **count_images(pairs, "pair"), **interval_columns("third_class", rate)}
            | {"third_class_blend": blend}
        )
        kept = format_percent(endpoints_keep_labels(facts[facts["model"] == name]).mean())
        parts.append(
            f"{format_share(*rate)} of the pairs with {name} (both ends keep their class: {kept}, "
            f"pixel blends: {format_percent(blend)})"
        )
    n = format_n(middles.groupby(["model", "seed"]).size())
    sentence = (
        f"At the midpoint the reference classifier predicts a third class for {join_parts(parts)} "
        f"({n} pairs, {format_seeds(middles['seed'])})."
    )
    return Finding(title, sentence, rows)


def explorer(tables: Tables, spec: InterpolationStripsFigure) -> Explorer:
    """Show one frame of all pairs at once; a slider moves along the paths."""
    facts, images = read_paths(tables)
    models, alphas = sorted(set(facts["model"])), sorted(set(facts["alpha"]))
    strips: Strips = {}
    for m, model in enumerate(models):
        rows = first_seed(facts[facts["model"] == model]).sort_values("pair")
        for a, alpha in enumerate(alphas):
            strips[m, a] = [
                Tile(images[row.Index], f"{row.label_from} → {row.label_to}: {row.judged}", bool(row.third))
                for row in rows[rows["alpha"] == alpha].itertuples()
            ]
    about = "Move along the paths from α = 0 to α = 1. Below each pair: the predicted class; framed: a third class."
    stops = [f"α = {alpha:.3g}" for alpha in alphas]
    return Explorer(about, [Choice("model", models), Choice("along the path", stops, "slider")], strips)
