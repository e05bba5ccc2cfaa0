"""Images of each class of a data set, the first ones of its test split."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
from matplotlib.figure import Figure

from advgen.experiments.datasets.experiment import DatasetSamplesFigure
from advgen.figures.findings import Finding
from advgen.figures.formatting import format_count, format_n, format_percent, format_share
from advgen.figures.images import ImageGrid, grid_height
from advgen.figures.layout import Page, content_width, heading_height
from advgen.figures.statistics import to_frame
from advgen.figures.style import with_style
from advgen.figures.text import label_width
from advgen.io.tables import read_images
from advgen.metrics.intervals import wilson


@with_style
def draw(tables: Mapping[str, pa.Table], spec: DatasetSamplesFigure) -> Figure:
    """One row per class."""
    full = content_width(spec)
    table = tables["dataset"]
    facts, images = to_frame(table), read_images(table)
    rows, labels = [], []
    for label, members in facts.groupby("label"):
        chosen = members.index[: spec.per_class]
        rows.append(images[chosen])
        labels.append(f"class {label}\n{format_n([len(members)])}")
    columns = max(map(len, rows))
    margin = label_width(labels, 30)
    # Few images a class would otherwise be drawn as large as the page.
    width = min(full - margin, 14.0 * columns)
    height = grid_height(width, len(rows), columns, images.shape[1:])
    details = f"test split, {format_n([len(facts)])}; the first of each class, unselected"
    if facts["cue"].notna().any():
        same = float((facts["cue"] == facts["label"]).mean())
        details += f"; the texture is that of the label's class in {format_percent(same)}"
    head = heading_height(full, details)
    page = Page(full, head + height)
    page.heading(0, 0, full, f"Images of {spec.dataset}", details)
    grid = ImageGrid(page, margin, head, width, rows)
    page.row_labels(margin - 2, head, labels, grid.row_height, margin - 2)
    return page.figure


def finding(tables: Mapping[str, pa.Table], spec: DatasetSamplesFigure) -> Finding:
    """How many images of each class there are, and what always naming the commonest is right in."""
    labels = to_frame(tables["dataset"])["label"]
    counts = labels.value_counts().sort_index()
    rows = [{"class": label, "n": count, "share": count / len(labels)} for label, count in counts.items()]
    commonest = format_share(counts.max() / len(labels), *wilson(int(counts.max()), len(labels)))
    sentence = (
        f"{len(labels):,} test images of {format_count(len(counts), 'class', 'classes')}, {counts.min():,} to "
        f"{counts.max():,} of each; always naming the commonest class is right in {commonest} of them."
    )
    return Finding(f"Images of {spec.dataset}", sentence, rows)
