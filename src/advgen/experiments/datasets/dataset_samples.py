"""Images of each class of a data set, the first ones of its test split."""

from matplotlib.figure import Figure

from advgen.experiments.datasets.experiment import DatasetSamplesFigure
from advgen.figures.findings import Finding, Tables
from advgen.figures.formatting import format_count, format_n, format_percent, format_share
from advgen.figures.images import ImageGrid, grid_height
from advgen.figures.layout import content_width, titled_page
from advgen.figures.statistics import to_frame
from advgen.figures.style import with_style
from advgen.figures.text import label_width
from advgen.io.tables import read_images
from advgen.metrics.intervals import wilson


@with_style
def draw(tables: Tables, spec: DatasetSamplesFigure) -> Figure:
    """Draw a row of images per class."""
    width = content_width(spec)
    facts, images = to_frame(tables["dataset"]), read_images(tables["dataset"])
    classes = dict(list(facts.groupby("label")))
    rows = [images[members.index[: spec.per_class]] for members in classes.values()]
    labels = [f"class {label}\n{format_n([len(members)])}" for label, members in classes.items()]
    columns = max(map(len, rows))
    margin = label_width(labels, 30)
    # With few images per class, the images would otherwise fill the width of the page.
    grid_width = min(width - margin, 14.0 * columns)
    height = grid_height(grid_width, len(rows), columns, images.shape[1:])
    details = f"test split, {format_n([len(facts)])}; first images of each class, not selected"
    if facts["cue"].notna().any():
        same = float((facts["cue"] == facts["label"]).mean())
        details += f"; the texture matches the label in {format_percent(same)}"
    page, top = titled_page(width, f"Images of {spec.dataset}", details, height)
    grid = ImageGrid(page, margin, top, grid_width, rows)
    page.row_labels(margin - 2, top, labels, grid.row_height, margin - 2)
    return page.figure


def finding(tables: Tables, spec: DatasetSamplesFigure) -> Finding:
    """Report the number of images of each class and the accuracy of the majority-class baseline."""
    labels = to_frame(tables["dataset"])["label"]
    counts = labels.value_counts().sort_index()
    rows = [{"class": label, "n": count, "share": count / len(labels)} for label, count in counts.items()]
    majority = format_share(counts.max() / len(labels), *wilson(int(counts.max()), len(labels)))
    sentence = (
        f"{len(labels):,} test images of {format_count(len(counts), 'class', 'classes')}, {counts.min():,} to "
        f"{counts.max():,} of each; majority-class baseline: {majority}."
    )
    return Finding(f"Images of {spec.dataset}", sentence, rows)
