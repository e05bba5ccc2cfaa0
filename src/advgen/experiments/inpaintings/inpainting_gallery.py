"""Original, masked and restored images for each mask and method."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure

from advgen.experiments.inpaintings.experiment import InpaintingGalleryFigure
from advgen.figures import common, findings
from advgen.io.tables import read_images

SMALLEST, LARGEST, BETWEEN = 9.0, 16.0, 4.0
MISSING = (0.62, 0.35, 0.12)
"""The colour of missing pixels: a black square on a black digit's ground could not be seen."""


@common.styled
def draw(tables: Mapping[str, pa.Table], spec: InpaintingGalleryFigure) -> Figure:
    """A block per mask; below each other: original, masked, then a row per method. Generators one under the other."""
    full = common.inside(spec)
    table = tables["inpainting"]
    facts = common.frame(table)
    pictures = {"image": read_images(table), "masked": tinted(table), "restored": read_images(table, "restored")}
    generators, masks, methods = sorted(set(facts["generator"])), common.masks(facts), common.methods(facts)
    labels = ["original", "masked", *(common.METHODS[method] for method in methods)]

    margin = common.label_width(labels, 0.2 * full)
    room = full - margin
    count = min(spec.images, facts.groupby(["generator", "mask"])["index"].nunique().max())
    across = common.columns_that_fit(len(masks), room + BETWEEN, SMALLEST * count + BETWEEN)
    width = min((room - (across - 1) * BETWEEN) / across, LARGEST * count)
    height = common.grid_height(width, len(labels), count, pictures["image"].shape[1:])
    lines = math.ceil(len(masks) / across)
    blocks = {name: common.first_seed(facts[facts["generator"] == name]) for name in generators}
    details = [_details(rows) for rows in blocks.values()]
    head = common.heading_height(full, *details)
    block = head + lines * (height + 6) + common.GAP - 1
    page = common.Page(full, len(generators) * block - common.GAP + 1)
    for number, (generator, rows) in enumerate(blocks.items()):
        top = number * block
        page.heading(0, top, full, f"Restored by {generator}", details[number])
        for k, mask in enumerate(masks):
            left = margin + k % across * (width + BETWEEN)
            down = top + head + k // across * (height + 6)
            here = rows[rows["mask"] == mask].sort_values("index")
            lost = f"{mask} ({here['missing'].mean():,.0f} pixels missing)"
            page.text(left, down, lost, size=common.fitting_size(lost, width, 6.5), weight="bold")
            by_method = {method: here[here["method"] == method].iloc[:count] for method in methods}
            first = by_method[methods[0]].index
            grid_rows = [[common.as_rgb(pictures[name][i]) for i in first] for name in ("image", "masked")]
            grid_rows += [[common.as_rgb(pictures["restored"][i]) for i in one.index] for one in by_method.values()]
            grid = common.Grid(page, left, down + 4, width, [row + [None] * (count - len(row)) for row in grid_rows])
            if k % across == 0:
                page.row_labels(margin - 2, down + 4, labels, grid.row, margin - 2)
            for r, one in enumerate(by_method.values(), 2):
                for c, row in enumerate(one.itertuples()):
                    if row.judged != row.label:
                        grid.mark(r, c)
    return page.figure


def tinted(table: pa.Table) -> common.Images:
    """What was known of each image, in colour (red, green, blue), with the missing pixels tinted."""
    known = read_images(table, "known").astype(bool)
    masked = read_images(table, "masked")
    tint = np.array(MISSING, masked.dtype)[None, :, None, None]
    return np.where(known, np.broadcast_to(masked, (len(masked), 3, *masked.shape[2:])), tint)


def _details(rows: pd.DataFrame) -> str:
    images = common.counted(rows["index"].nunique(), "image")
    framed = "coloured: missing; framed where the judge sees another class than the label"
    return f"seed {rows['seed'].iloc[0]}, the first of {images}, unselected; {framed}"


def finding(tables: Mapping[str, pa.Table], spec: InpaintingGalleryFigure) -> findings.Finding:
    """Of how many restored images the class can be seen, by mask and method."""
    facts = common.frame(tables["inpainting"])
    rows: list[findings.Row] = []
    parts = []
    for mask in common.masks(facts):
        kept = {}
        for method in common.methods(facts):
            one = facts[(facts["mask"] == mask) & (facts["method"] == method)]
            kept[method] = findings.kept(one)
            rows.append(
                {"mask": mask, "missing": one["missing"].mean(), "method": common.METHODS[method]}
                | {"n": one["index"].nunique(), "seeds": one["seed"].nunique()}
                | findings.kept_columns(one)
            )
        best = max((method for method in kept if method not in common.FILLS), key=kept.__getitem__)
        parts.append(f"behind {mask} {findings.share(*kept[best])} by {common.METHODS[best]}")
        fill = max((method for method in kept if method in common.FILLS), key=kept.__getitem__)
        parts[-1] += f" ({findings.share(*kept[fill])} by {common.METHODS[fill]})"
    guess = common.percent(facts.drop_duplicates("index")["label"].value_counts(normalize=True).max())
    n = common.n_is([facts["index"].nunique()])
    sentence = (
        f"The judge sees the right class in restored images at best {findings.listed(parts)}; naming the commonest "
        f"class alone gives {guess}, and {findings.of_originals(facts)} ({n} images, {findings.seeds(facts['seed'])})."
    )
    return findings.Finding("Images restored from behind masks", sentence, rows)


def explorer(tables: Mapping[str, pa.Table], spec: InpaintingGalleryFigure) -> findings.Explorer:
    """Original, masked and restored images by mask and method."""
    table = tables["inpainting"]
    facts = common.frame(table)
    facts = common.first_seed(facts[facts["generator"] == facts["generator"].min()])
    images, restored = read_images(table), read_images(table, "restored")
    known = read_images(table, "known").astype(bool)
    shown = {
        "original": images,
        "masked": tinted(table),
        "restored": restored,
        "known pixels put back": np.where(known, images, restored),
    }
    masks, methods = common.masks(facts), common.methods(facts)
    strips: findings.Strips = {}
    for m, mask in enumerate(masks):
        for k, method in enumerate(methods):
            rows = facts[(facts["mask"] == mask) & (facts["method"] == method)].sort_values("index").iloc[: spec.images]
            for s, (name, pictures) in enumerate(shown.items()):
                judged = name == "restored"
                strips[m, k, s] = [
                    findings.Tile(
                        pictures[row.Index],
                        f"{row.label} → {row.judged}" if judged else f"{row.label}",
                        judged and row.judged != row.label,
                    )
                    for row in rows.itertuples()
                ]
    about = "Flip between the original, what the search was shown, and what it restored; coloured: missing pixels."
    choices = [
        findings.Choice("mask", masks),
        findings.Choice("method", [common.METHODS[method] for method in methods]),
        findings.Choice("shown", list(shown)),
    ]
    return findings.Explorer(about, choices, strips)
