"""Original, masked and restored images for each mask and method."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure

from advgen.experiments.inpaintings.experiment import InpaintingGalleryFigure
from advgen.figures import common
from advgen.io.tables import read_images

SMALLEST, LARGEST, BETWEEN = 9.0, 16.0, 4.0


@common.styled
def draw(tables: Mapping[str, pa.Table], spec: InpaintingGalleryFigure) -> Figure:
    """A block per mask; below each other: original, masked, then a row per method. Generators one under the other."""
    full = common.inside(spec)
    table = tables["inpainting"]
    facts = common.frame(table)
    pictures = {name: read_images(table, name) for name in ("image", "masked", "restored")}
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
        page.heading(0, top, full, f"{spec.inpainting}: {generator}", details[number])
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


def _details(rows: pd.DataFrame) -> str:
    images = common.counted(rows["index"].nunique(), "image")
    framed = "framed where the judge sees another class than the label"
    return f"seed {rows['seed'].iloc[0]}, the first of {images}, unselected; {framed}"
