"""Images, the perturbation magnified, and the adversarial examples."""

from __future__ import annotations

import math
from collections.abc import Mapping

import matplotlib
import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from advgen.experiments.attacks import accuracies
from advgen.experiments.attacks.experiment import AttackGalleryFigure
from advgen.figures.findings import Explorer, Finding, Row, interval_columns
from advgen.figures.formatting import describe_threat, format_n, format_seeds, format_share, join_parts
from advgen.figures.images import ImageGrid, grid_height
from advgen.figures.layout import GAP, Page, content_width, count_columns, heading_height
from advgen.figures.statistics import first_seed, present_in_order, share_over_images
from advgen.figures.style import GREY, VERMILLION, with_style
from advgen.figures.text import fit_font_size, label_width, wrap_text
from advgen.io.tables import read_images

SMALLEST, LARGEST, BETWEEN, WORDS, FOOT = 9.5, 18.0, 4.0, 4.2, 9.0
COLORMAP = "RdBu_r"
WORDS_BELOW = (
    "change of a pixel (0 is black, 1 is white); label → prediction; then prediction, confidence; framed: fooled"
)


@with_style
def draw(tables: Mapping[str, pa.Table], spec: AttackGalleryFigure) -> Figure:
    """A block per source and attack: original, perturbation, adversarial example, with what the source predicts."""
    full = content_width(spec)
    table = tables["examples"]
    facts = accuracies.load_examples(tables)
    images, adversarial = read_images(table), read_images(table, "adversarial")
    blocks = []
    for source in present_in_order(spec.sources, facts["source"]):
        for attack in present_in_order(spec.attacks, facts["attack"]):
            rows = facts[(facts["source"] == source) & (facts["attack"] == attack)]
            if len(rows):
                blocks.append((source, attack, first_seed(rows, "source_seed")))

    labels = ["original", f"change × {spec.magnify:g}" if spec.magnify != 1 else "change", "adversarial"]
    margin = label_width(labels, 30)
    room = full - margin
    count = min(spec.images, max(len(rows) for *_, rows in blocks))
    across = count_columns(len(spec.attacks), room + BETWEEN, SMALLEST * count + BETWEEN)
    width = min((room - (across - 1) * BETWEEN) / across, LARGEST * count)
    row_height = grid_height(width, 1, count, images.shape[1:])
    details = [_details(rows) for *_, rows in blocks]
    head = heading_height(width, *details)
    block = head + 3 * row_height + 2 * WORDS + 1 + GAP
    lines = math.ceil(len(blocks) / across)
    words = wrap_text(WORDS_BELOW, full - margin - _bar_width(full) - 4, 6)
    foot = max(FOOT, 2.9 * len(words))
    page = Page(full, lines * block - GAP + foot + 3)
    colours = matplotlib.colormaps[COLORMAP]
    for number, (source, attack, rows) in enumerate(blocks):
        left = margin + number % across * (width + BETWEEN)
        top = number // across * block
        page.heading(left, top, width, f"{source} under {attack}", details[number])
        chosen = _chosen(rows, count)
        changes = spec.magnify * (adversarial[chosen.index] - images[chosen.index]).mean(axis=1)
        strips = (
            images[chosen.index],
            np.moveaxis(colours(np.clip(0.5 + changes / 2, 0, 1))[..., :3], 3, 1),
            adversarial[chosen.index],
        )
        down = top + head
        for k, strip in enumerate(strips):
            grid = ImageGrid(page, left, down, width, [strip], count)
            if number % across == 0:
                page.row_labels(margin - 2, down, labels[k : k + 1], row_height, margin - 2)
            for c, row in enumerate(chosen.itertuples()):
                fooled = row.predicted != row.label
                if k == 0:
                    wrong = row.predicted_clean != row.label
                    colour = VERMILLION if wrong else GREY
                    grid.caption(c, f"{row.label} → {row.predicted_clean}", color=colour)
                elif k == 2:
                    text = f"{row.predicted}, {100 * row.confidence:.0f} %"
                    size = fit_font_size(text, 0.95 * width / count, 5.5, 4)
                    colour = VERMILLION if fooled else GREY
                    grid.caption(c, text, size=size, color=colour, weight="bold" if fooled else "normal")
                    if fooled:
                        grid.frame(0, c)
            down += row_height + (WORDS if k == 0 else 1)
    _colour_bar(page, margin, page.height - foot, spec.magnify, words)
    return page.figure


def _chosen(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """The first examples by index that were right on the clean image; if there are too few, also others."""
    right = rows["predicted_clean"] == rows["label"]
    return pd.concat([rows[right], rows[~right]]).iloc[:count].sort_values("index")


def _bar_width(full: float) -> float:
    return min(45.0, 0.4 * full)


def _colour_bar(page: Page, left: float, top: float, magnify: float, words: list[str]) -> None:
    """What the colours of the perturbation mean, in units of a pixel, and what the words under the images are."""
    axes = page.axes(left, top, _bar_width(page.width), 2.2)
    limit = 1 / magnify
    bar = page.figure.colorbar(ScalarMappable(Normalize(-limit, limit), COLORMAP), cax=axes, orientation="horizontal")
    bar.set_ticks([-limit, 0, limit], labels=[f"−{limit:.2g}", "0", f"+{limit:.2g}"])
    bar.outline.set_linewidth(0.4)
    for line, text in enumerate(words):
        page.text(left + _bar_width(page.width) + 4, top - 0.6 + 2.9 * line, text, size=6, color=GREY)


def _details(rows: pd.DataFrame) -> str:
    right = rows[rows["clean"]]
    fooled = f"fools {int((~right['robust']).sum()):,} of {len(right):,} that were right"
    return f"{describe_threat(rows.iloc[0])}; {fooled if rows['above_chance'].all() else accuracies.AT_CHANCE}"


def finding(tables: Mapping[str, pa.Table], spec: AttackGalleryFigure) -> Finding:
    """Of the images that were right, how many each attack turns."""
    facts = accuracies.load_examples(tables)
    rows: list[Row] = []
    parts = []
    for source in present_in_order(spec.sources, facts["source"]):
        for attack in present_in_order(spec.attacks, facts["attack"]):
            mine = facts[
                (facts["source"] == source) & (facts["attack"] == attack) & facts["clean"] & facts["above_chance"]
            ]
            if mine.empty:
                continue
            fooled, n = share_over_images(mine, ~mine["robust"]), int(mine.groupby("source_seed").size().min())
            rows.append(
                {"source": source, "attack": attack, "seeds": mine["source_seed"].nunique(), "n": n}
                | interval_columns("fooled", fooled)
                | {"fooled_rounded": 1 - float(mine.groupby("source_seed")["robust_rounded"].mean().mean())}
            )
            parts.append(f"{attack} fools {source} on {format_share(*fooled)}")
    counts = f"{format_n([row['n'] for row in rows] or [0])}, {format_seeds(facts['source_seed'])}"
    shown = facts[facts["source"].isin(spec.sources) & facts["attack"].isin(spec.attacks)]
    found = f"Of the images that are right when clean, {join_parts(parts)} ({counts})"
    sentence = f"{found}{accuracies.describe_excluded(shown)}."
    return Finding("Adversarial examples", sentence, rows)


def explorer(tables: Mapping[str, pa.Table], spec: AttackGalleryFigure) -> Explorer:
    """The images with and without their perturbation."""
    return accuracies.explorer(tables, spec.sources, spec.attacks)
