"""Original, masked and inpainted images for each mask and method."""

from itertools import product

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure

from advgen.experiments.inpaintings.experiment import InpaintingGalleryFigure
from advgen.experiments.inpaintings.methods import FILLS, METHOD_NAMES, masks_by_size, present_methods
from advgen.figures.findings import Choice, Explorer, Finding, Row, Strips, Tables, Tile
from advgen.figures.formatting import format_count, format_n, format_percent, format_seeds, format_share, join_parts
from advgen.figures.images import ImageGrid, Images, grid_height
from advgen.figures.layout import GAP, Columns, content_width, stacked_page
from advgen.figures.reconstruction import class_kept, class_kept_columns, describe_real_accuracy
from advgen.figures.statistics import count_images, first_seed, to_frame
from advgen.figures.style import with_style
from advgen.figures.text import fit_font_size, label_width
from advgen.io.tables import read_images

SMALLEST, LARGEST, BETWEEN = 9.0, 16.0, 4.0
MISSING = (0.62, 0.35, 0.12)
"""Colour of missing pixels; black ones would be invisible on the black background of digits."""


@with_style
def draw(tables: Tables, spec: InpaintingGalleryFigure) -> Figure:
    """Draw a grid per mask with original, masked image and a row per method; generators are one below the other."""
    width = content_width(spec)
    table = tables["inpainting"]
    facts = to_frame(table)
    images, masked, restored = read_images(table), tint_missing(table), read_images(table, "restored")
    masks, methods = masks_by_size(facts), present_methods(facts)
    blocks = {str(name): first_seed(rows) for name, rows in facts.groupby("generator")}
    labels = ["original", "masked", *(METHOD_NAMES[method] for method in methods)]

    margin = label_width(labels, 0.2 * width)
    count = min(spec.images, facts.groupby(["generator", "mask"])["index"].nunique().max())
    grids = Columns(len(masks), width - margin, SMALLEST * count, LARGEST * count, BETWEEN, margin)
    line = grid_height(grids.width, len(labels), count, images.shape[1:]) + 6
    headings = {f"Inpainting with {generator}": _details(rows) for generator, rows in blocks.items()}
    page, tops = stacked_page(width, headings, grids.lines * line, gap=GAP - 1)
    for top, rows in zip(tops, blocks.values(), strict=True):
        for k, mask in enumerate(masks):
            left, down = grids.place(k, top, line)
            group = rows[rows["mask"] == mask].sort_values("index")
            title = f"{mask} ({group['missing'].mean():,.0f} pixels missing)"
            page.text(left, down, title, size=fit_font_size(title, grids.width, 6.5), weight="bold")
            by_method = [group[group["method"] == method].iloc[:count] for method in methods]
            first = by_method[0].index
            strips = [images[first], masked[first], *(restored[chosen.index] for chosen in by_method)]
            grid = ImageGrid(page, left, down + 4, grids.width, strips, count)
            if grids.is_leftmost(k):
                page.row_labels(margin - 2, down + 4, labels, grid.row_height, margin - 2)
            for number, chosen in enumerate(by_method, 2):
                grid.frame_where(number, chosen["judged"] != chosen["label"])
    return page.figure


def tint_missing(table: pa.Table) -> Images:
    """Return the masked images as RGB with the missing pixels in the colour MISSING."""
    known = read_images(table, "known").astype(bool)
    masked = read_images(table, "masked")
    tint = np.array(MISSING, masked.dtype)[None, :, None, None]
    return np.where(known, np.broadcast_to(masked, (len(masked), 3, *masked.shape[2:])), tint)


def _details(rows: pd.DataFrame) -> str:
    images = format_count(rows["index"].nunique(), "image")
    framed = "colour: missing pixels; framed: the reference classifier predicts another class than the label"
    return f"seed {rows['seed'].iloc[0]}, the first of {images}, not selected; {framed}"


def finding(tables: Tables, spec: InpaintingGalleryFigure) -> Finding:
    """Report the share of kept classes by mask, for the best method with a generator and the best one without."""
    facts = to_frame(tables["inpainting"])
    rows: list[Row] = []
    parts = []
    for mask in masks_by_size(facts):
        kept = {}
        for method in present_methods(facts):
            group = facts[(facts["mask"] == mask) & (facts["method"] == method)]
            kept[method] = class_kept(group)
            rows.append(
                {"mask": mask, "missing": group["missing"].mean(), "method": METHOD_NAMES[method]}
                | count_images(group)
                | class_kept_columns(group)
            )
        best = max((method for method in kept if method not in FILLS), key=kept.__getitem__)
        fill = max((method for method in kept if method in FILLS), key=kept.__getitem__)
        parts.append(
            f"{mask} {format_share(*kept[best])} by {METHOD_NAMES[best]} "
            f"(without a generator {format_share(*kept[fill])} by {METHOD_NAMES[fill]})"
        )
    majority = format_percent(facts.drop_duplicates("index")["label"].value_counts(normalize=True).max())
    n = format_n([facts["index"].nunique()])
    sentence = (
        f"Inpainted images that are still assigned the original class, by the best method: {join_parts(parts)}; "
        f"majority-class baseline: {majority}, {describe_real_accuracy(facts)} "
        f"({n} images, {format_seeds(facts['seed'])})."
    )
    return Finding("Inpainting of test images", sentence, rows)


def explorer(tables: Tables, spec: InpaintingGalleryFigure) -> Explorer:
    """Show original, masked and inpainted images by mask and method."""
    table = tables["inpainting"]
    facts = to_frame(table)
    facts = first_seed(facts[facts["generator"] == facts["generator"].min()])
    images, restored = read_images(table), read_images(table, "restored")
    known = read_images(table, "known").astype(bool)
    versions = {
        "original": images,
        "masked": tint_missing(table),
        "inpainted": restored,
        "known pixels put back": np.where(known, images, restored),
    }
    masks, methods = masks_by_size(facts), present_methods(facts)
    strips: Strips = {}
    for (m, mask), (k, method) in product(enumerate(masks), enumerate(methods)):
        rows = facts[(facts["mask"] == mask) & (facts["method"] == method)].sort_values("index").iloc[: spec.images]
        for v, (name, pictures) in enumerate(versions.items()):
            strips[m, k, v] = [
                Tile(pictures[row.Index], f"{row.label} → {row.judged}", row.judged != row.label)
                if name == "inpainted"
                else Tile(pictures[row.Index], f"{row.label}")
                for row in rows.itertuples()
            ]
    about = "Switch between the original, the masked input and the inpainted image; colour: missing pixels."
    choices = [
        Choice("mask", masks),
        Choice("method", [METHOD_NAMES[method] for method in methods]),
        Choice("shown", list(versions)),
    ]
    return Explorer(about, choices, strips)
