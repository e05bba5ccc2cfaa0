"""Images of each class of a data set, the first ones of its test split."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
from matplotlib.figure import Figure

from advgen.experiments.datasets.experiment import DatasetSamplesFigure
from advgen.figures import common, findings
from advgen.io.tables import read_images
from advgen.metrics.intervals import wilson


@common.styled
def draw(tables: Mapping[str, pa.Table], spec: DatasetSamplesFigure) -> Figure:
    """One row per class."""
    full = common.inside(spec)
    table = tables["dataset"]
    facts, images = common.frame(table), read_images(table)
    rows, labels = [], []
    for label, members in facts.groupby("label"):
        chosen = members.index[: spec.per_class]
        rows.append([common.as_rgb(images[i]) for i in chosen])
        labels.append(f"class {label}\n{common.n_is([len(members)])}")
    columns = max(map(len, rows))
    margin = common.label_width(labels, 30)
    # Few images a class would otherwise be drawn as large as the page.
    width = min(full - margin, 14.0 * columns)
    height = common.grid_height(width, len(rows), columns, images.shape[1:])
    details = f"test split, {common.n_is([len(facts)])}; the first of each class, unselected"
    if facts["cue"].notna().any():
        same = float((facts["cue"] == facts["label"]).mean())
        details += f"; the texture is that of the label's class in {common.percent(same)}"
    head = common.heading_height(full, details)
    page = common.Page(full, head + height)
    page.heading(0, 0, full, f"Images of {spec.dataset}", details)
    grid = common.Grid(page, margin, head, width, rows)
    page.row_labels(margin - 2, head, labels, grid.row, margin - 2)
    return page.figure


def finding(tables: Mapping[str, pa.Table], spec: DatasetSamplesFigure) -> findings.Finding:
    """How many images of each class there are, and what always naming the commonest is right in."""
    labels = common.frame(tables["dataset"])["label"]
    counts = labels.value_counts().sort_index()
    rows = [{"class": label, "n": count, "share": count / len(labels)} for label, count in counts.items()]
    commonest = findings.share(counts.max() / len(labels), *wilson(int(counts.max()), len(labels)))
    sentence = (
        f"{len(labels):,} test images of {common.counted(len(counts), 'class', 'classes')}, {counts.min():,} to "
        f"{counts.max():,} of each; always naming the commonest class is right in {commonest} of them."
    )
    return findings.Finding(f"Images of {spec.dataset}", sentence, rows)
