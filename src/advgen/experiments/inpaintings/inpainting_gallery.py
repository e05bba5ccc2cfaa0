"""Original, masked and restored images for each mask and method."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure

from advgen.experiments.inpaintings.experiment import InpaintingGalleryFigure
from advgen.experiments.inpaintings.methods import FILLS, METHOD_NAMES, masks_by_size, present_methods
from advgen.figures.findings import Choice, Explorer, Finding, Row, Strips, Tile
from advgen.figures.formatting import format_count, format_n, format_percent, format_seeds, format_share, join_parts
from advgen.figures.images import ImageGrid, Images, grid_height
from advgen.figures.layout import GAP, Page, content_width, count_columns, heading_height
from advgen.figures.reconstruction import class_kept, class_kept_columns, describe_real_accuracy
from advgen.figures.statistics import first_seed, to_frame
from advgen.figures.style import with_style
from advgen.figures.text import fit_font_size, label_width
from advgen.io.tables import read_images

SMALLEST, LARGEST, BETWEEN = 9.0, 16.0, 4.0
MISSING = (0.62, 0.35, 0.12)
"""The colour of missing pixels: a black square on a black digit's ground could not be seen."""


@with_style
def draw(tables: Mapping[str, pa.Table], spec: InpaintingGalleryFigure) -> Figure:
    """A block per mask; below each other: original, masked, then a row per method. Generators one under the other."""
    full = content_width(spec)
    table = tables["inpainting"]
    facts = to_frame(table)
    pictures = {"image": read_images(table), "masked": tinted(table), "restored": read_images(table, "restored")}
    generators, masks, methods = sorted(set(facts["generator"])), masks_by_size(facts), present_methods(facts)
    labels = ["original", "masked", *(METHOD_NAMES[method] for method in methods)]

    margin = label_width(labels, 0.2 * full)
    room = full - margin
    count = min(spec.images, facts.groupby(["generator", "mask"])["index"].nunique().max())
    across = count_columns(len(masks), room + BETWEEN, SMALLEST * count + BETWEEN)
    width = min((room - (across - 1) * BETWEEN) / across, LARGEST * count)
    height = grid_height(width, len(labels), count, pictures["image"].shape[1:])
    lines = math.ceil(len(masks) / across)
    blocks = {name: first_seed(facts[facts["generator"] == name]) for name in generators}
    details = [_details(rows) for rows in blocks.values()]
    head = heading_height(full, *details)
    block = head + lines * (height + 6) + GAP - 1
    page = Page(full, len(generators) * block - GAP + 1)
    for number, (generator, rows) in enumerate(blocks.items()):
        top = number * block
        page.heading(0, top, full, f"Restored by {generator}", details[number])
        for k, mask in enumerate(masks):
            left = margin + k % across * (width + BETWEEN)
            down = top + head + k // across * (height + 6)
            here = rows[rows["mask"] == mask].sort_values("index")
            lost = f"{mask} ({here['missing'].mean():,.0f} pixels missing)"
            page.text(left, down, lost, size=fit_font_size(lost, width, 6.5), weight="bold")
            by_method = {method: here[here["method"] == method].iloc[:count] for method in methods}
            first = by_method[methods[0]].index
            grid_rows = [pictures[name][first] for name in ("image", "masked")]
            grid_rows += [pictures["restored"][one.index] for one in by_method.values()]
            grid = ImageGrid(page, left, down + 4, width, grid_rows, count)
            if k % across == 0:
                page.row_labels(margin - 2, down + 4, labels, grid.row_height, margin - 2)
            for r, one in enumerate(by_method.values(), 2):
                for c, row in enumerate(one.itertuples()):
                    if row.judged != row.label:
                        grid.frame(r, c)
    return page.figure


def tinted(table: pa.Table) -> Images:
    """What was known of each image, in colour (red, green, blue), with the missing pixels tinted."""
    known = read_images(table, "known").astype(bool)
    masked = read_images(table, "masked")
    tint = np.array(MISSING, masked.dtype)[None, :, None, None]
    return np.where(known, np.broadcast_to(masked, (len(masked), 3, *masked.shape[2:])), tint)


def _details(rows: pd.DataFrame) -> str:
    images = format_count(rows["index"].nunique(), "image")
    framed = "coloured: missing; framed where the judge sees another class than the label"
    return f"seed {rows['seed'].iloc[0]}, the first of {images}, unselected; {framed}"


def finding(tables: Mapping[str, pa.Table], spec: InpaintingGalleryFigure) -> Finding:
    """Of how many restored images the class can be seen, by mask and method."""
    facts = to_frame(tables["inpainting"])
    rows: list[Row] = []
    parts = []
    for mask in masks_by_size(facts):
        kept = {}
        for method in present_methods(facts):
            one = facts[(facts["mask"] == mask) & (facts["method"] == method)]
            kept[method] = class_kept(one)
            rows.append(
                {"mask": mask, "missing": one["missing"].mean(), "method": METHOD_NAMES[method]}
                | {"n": one["index"].nunique(), "seeds": one["seed"].nunique()}
                | class_kept_columns(one)
            )
        best = max((method for method in kept if method not in FILLS), key=kept.__getitem__)
        parts.append(f"behind {mask} {format_share(*kept[best])} by {METHOD_NAMES[best]}")
        fill = max((method for method in kept if method in FILLS), key=kept.__getitem__)
        parts[-1] += f" ({format_share(*kept[fill])} by {METHOD_NAMES[fill]})"
    guess = format_percent(facts.drop_duplicates("index")["label"].value_counts(normalize=True).max())
    n = format_n([facts["index"].nunique()])
    sentence = (
        f"The judge sees the right class in restored images at best {join_parts(parts)}; naming the commonest "
        f"class alone gives {guess}, and {describe_real_accuracy(facts)} ({n} images, {format_seeds(facts['seed'])})."
    )
    return Finding("Images restored from behind masks", sentence, rows)


def explorer(tables: Mapping[str, pa.Table], spec: InpaintingGalleryFigure) -> Explorer:
    """Original, masked and restored images by mask and method."""
    table = tables["inpainting"]
    facts = to_frame(table)
    facts = first_seed(facts[facts["generator"] == facts["generator"].min()])
    images, restored = read_images(table), read_images(table, "restored")
    known = read_images(table, "known").astype(bool)
    shown = {
        "original": images,
        "masked": tinted(table),
        "restored": restored,
        "known pixels put back": np.where(known, images, restored),
    }
    masks, methods = masks_by_size(facts), present_methods(facts)
    strips: Strips = {}
    for m, mask in enumerate(masks):
        for k, method in enumerate(methods):
            rows = facts[(facts["mask"] == mask) & (facts["method"] == method)].sort_values("index").iloc[: spec.images]
            for s, (name, pictures) in enumerate(shown.items()):
                judged = name == "restored"
                strips[m, k, s] = [
                    Tile(
                        pictures[row.Index],
                        f"{row.label} → {row.judged}" if judged else f"{row.label}",
                        judged and row.judged != row.label,
                    )
                    for row in rows.itertuples()
                ]
    about = "Flip between the original, what the search was shown, and what it restored; coloured: missing pixels."
    choices = [
        Choice("mask", masks),
        Choice("method", [METHOD_NAMES[method] for method in methods]),
        Choice("shown", list(shown)),
    ]
    return Explorer(about, choices, strips)
