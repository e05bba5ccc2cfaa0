"""Images, the perturbation magnified, and the adversarial examples."""

from collections.abc import Mapping

import matplotlib
import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from advgen.experiments.attacks import accuracies
from advgen.experiments.attacks.example_explorer import explore_examples
from advgen.experiments.attacks.experiment import AttackGalleryFigure
from advgen.figures.findings import Finding, Row, interval_columns
from advgen.figures.formatting import describe_threat, format_n, format_seeds, format_share, join_parts
from advgen.figures.images import ImageGrid, grid_height
from advgen.figures.layout import GAP, Columns, Page, content_width, heading_height
from advgen.figures.statistics import first_seed, share_over_images
from advgen.figures.style import GREY, VERMILLION, with_style
from advgen.figures.text import fit_font_size, label_width, wrap_text
from advgen.io.tables import read_images

SMALLEST, LARGEST, BETWEEN, CAPTION, FOOT = 9.5, 18.0, 4.0, 4.2, 9.0
COLORMAP = "RdBu_r"
LEGEND = (
    "change of a pixel (0 is black, 1 is white); label → prediction; then prediction, confidence; framed: misclassified"
)


@with_style
def draw(tables: Mapping[str, pa.Table], spec: AttackGalleryFigure) -> Figure:
    """Draw a block per classifier and attack: original, perturbation and adversarial example with the predictions."""
    table, full = tables["examples"], content_width(spec)
    selection = accuracies.select_examples(tables, spec)
    images, adversarial = read_images(table), read_images(table, "adversarial")
    blocks = [(*pair, first_seed(rows, "source_seed")) for *pair, rows in _split(selection)]
    labels = ["original", f"change × {spec.magnify:g}" if spec.magnify != 1 else "change", "adversarial"]
    margin = label_width(labels, 30)
    count = min(spec.images, max(len(rows) for *_, rows in blocks))
    columns = Columns(len(spec.attacks), full - margin, SMALLEST * count, LARGEST * count, BETWEEN, margin)
    width = columns.width
    row_height = grid_height(width, 1, count, images.shape[1:])
    details = [_details(rows) for *_, rows in blocks]
    head = heading_height(width, *details)
    block = head + 3 * row_height + 2 * CAPTION + 1 + GAP
    legend = wrap_text(LEGEND, full - margin - _bar_width(full) - 4, 6)
    foot = max(FOOT, 2.9 * len(legend))
    page = Page(full, -(-len(blocks) // columns.columns) * block - GAP + foot + 3)
    colours = matplotlib.colormaps[COLORMAP]
    for number, (source, attack, rows) in enumerate(blocks):
        left, top = columns.place(number, 0, block)
        page.heading(left, top, width, f"{source} under {attack}", details[number])
        examples = _choose_examples(rows, count)
        changes = spec.magnify * (adversarial[examples.index] - images[examples.index]).mean(axis=1)
        coloured = np.moveaxis(colours(np.clip(0.5 + changes / 2, 0, 1))[..., :3], 3, 1)
        grids = []
        down = top + head
        for strip, label in zip((images[examples.index], coloured, adversarial[examples.index]), labels, strict=True):
            if columns.is_leftmost(number):
                page.row_labels(margin - 2, down, [label], row_height, margin - 2)
            grids.append(ImageGrid(page, left, down, width, [strip], count))
            down += row_height + (CAPTION if len(grids) == 1 else 1)
        for column, row in enumerate(examples.itertuples()):
            colour = VERMILLION if row.predicted_clean != row.label else GREY
            grids[0].caption(column, f"{row.label} → {row.predicted_clean}", color=colour)
            fooled = row.predicted != row.label
            text = f"{row.predicted}, {100 * row.confidence:.0f} %"
            style = {"color": VERMILLION, "weight": "bold"} if fooled else {}
            grids[2].caption(column, text, size=fit_font_size(text, 0.95 * width / count, 5.5, 4), **style)
        grids[2].frame_where(0, examples["predicted"] != examples["label"])
    _draw_colour_bar(page, margin, page.height - foot, spec.magnify, legend)
    return page.figure


def _split(selection: accuracies.Selection) -> list[tuple[str, str, pd.DataFrame]]:
    """Return the examples of each classifier and attack."""
    facts = selection.facts
    pairs = [
        (source, attack, facts[(facts["source"] == source) & (facts["attack"] == attack)])
        for source in selection.sources
        for attack in selection.attacks
    ]
    return [(source, attack, rows) for source, attack, rows in pairs if len(rows)]


def _choose_examples(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return the first examples whose clean image is classified correctly; fill up with others."""
    return pd.concat([rows[rows["clean"]], rows[~rows["clean"]]]).iloc[:count].sort_values("index")


def _bar_width(width: float) -> float:
    return min(45.0, 0.4 * width)


def _draw_colour_bar(page: Page, left: float, top: float, magnify: float, legend: list[str]) -> None:
    """Draw the colour scale of the perturbation, and at its right the legend of the captions."""
    axes = page.axes(left, top, _bar_width(page.width), 2.2)
    limit = 1 / magnify
    bar = page.figure.colorbar(ScalarMappable(Normalize(-limit, limit), COLORMAP), cax=axes, orientation="horizontal")
    bar.set_ticks([-limit, 0, limit], labels=[f"−{limit:.2g}", "0", f"+{limit:.2g}"])
    bar.outline.set_linewidth(0.4)
    for line, text in enumerate(legend):
        page.text(left + _bar_width(page.width) + 4, top - 0.6 + 2.9 * line, text, size=6, color=GREY)


def _details(rows: pd.DataFrame) -> str:
    correct = rows[rows["clean"]]
    fooled = f"fools {int((~correct['robust']).sum()):,} of {len(correct):,} correct images"
    return f"{describe_threat(rows.iloc[0])}; {fooled if rows['above_chance'].all() else accuracies.AT_CHANCE}"


def finding(tables: Mapping[str, pa.Table], spec: AttackGalleryFigure) -> Finding:
    """List the success rate of each attack on each classifier."""
    selection = accuracies.select_examples(tables, spec)
    rows: list[Row] = []
    parts = []
    for source, attack, examples in _split(selection):
        tried = examples[examples["clean"] & examples["above_chance"]]
        if tried.empty:
            continue
        fooled, n = share_over_images(tried, ~tried["robust"]), int(tried.groupby("source_seed").size().min())
        rows.append(
            {"source": source, "attack": attack, "seeds": tried["source_seed"].nunique(), "n": n}
            | interval_columns("fooled", fooled)
            | {"fooled_rounded": 1 - float(tried.groupby("source_seed")["robust_rounded"].mean().mean())}
        )
        parts.append(f"{attack} fools {source} on {format_share(*fooled)}")
    counts = f"{format_n([row['n'] for row in rows] or [0])}, {format_seeds(selection.facts['source_seed'])}"
    words = f"Success rates on correctly classified images: {join_parts(parts)} ({counts})"
    return Finding("Adversarial examples", f"{words}{accuracies.describe_excluded(selection.facts)}.", rows)


explorer = explore_examples
