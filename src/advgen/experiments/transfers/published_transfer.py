"""A transfer study beside a published table, and the difference of each cell."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import matplotlib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from advgen.experiments.transfers.experiment import PublishedTransferFigure
from advgen.experiments.transfers.transfer_matrix import exclude_chance_models, summarise_pairs
from advgen.figures.drawing import draw_heat_cell, map_colour
from advgen.figures.findings import Finding, Row
from advgen.figures.formatting import format_n, format_number, format_seeds, join_parts
from advgen.figures.layout import GAP, Page, content_width, count_columns, heading_height
from advgen.figures.style import INK, with_style
from advgen.figures.text import fit_font_size, label_width, wrap_text
from advgen.metrics.agreement import kendall
from advgen.metrics.published import PUBLISHED, Published

SMALLEST, LARGEST, BETWEEN = 8.5, 17.0, 4.0


class Ours(NamedTuple):
    """Errors (%) under one attack of a transfer study, by published row and column, NaN where there are none.

    Kendall's tau and the median difference are over the `cells` that may be compared: measured, verified, and of
    examples made for another net; noise is made for none.
    """

    attack: str
    facts: pd.DataFrame
    errors: NDArray[np.float64]
    intervals: Mapping[tuple[int, int], str]
    cells: int
    tau: float
    median_difference: float


class Beside(NamedTuple):
    """A transfer study in the order of a published table: its rows, its columns, its errors and ours by attack."""

    rows: list[str]
    columns: list[str]
    theirs: NDArray[np.float64]
    ours: list[Ours]
    left_out: str


def compare_with_published(tables: Mapping[str, pa.Table], spec: PublishedTransferFigure) -> Beside:
    """The study of a figure beside its published table."""
    own = {kind: tables[kind].filter(pc.equal(tables[kind]["study"], spec.transfer)) for kind in NEEDED}
    facts, left_out = exclude_chance_models(own)
    published, attacks, controls = PUBLISHED[spec.published], set(facts["attack"]), set(spec.names.values())
    rows = [name for name in published.errors if spec.names.get(name) in {*facts["source"], *attacks}]
    columns = [name for name in published.targets if spec.names.get(name) in set(facts["target"])]
    theirs = np.array([[published.error(row, column) for column in columns] for row in rows])
    counts = [[published.counts(row, column) and spec.names[row] not in attacks for column in columns] for row in rows]
    ours = []
    for attack in sorted(attacks - controls) or sorted(attacks):
        errors, intervals = _errors(facts, spec.names, rows, columns, attack)
        compared = np.isfinite(errors) & np.array(counts, dtype=bool).reshape(errors.shape)
        tau, cells = kendall(errors[compared], theirs[compared])
        apart = float(np.median(np.abs(errors - theirs)[compared])) if cells else math.nan
        ours.append(Ours(attack, facts[facts["attack"] == attack], errors, intervals, cells, tau, apart))
    return Beside(rows, columns, theirs, ours, left_out)


NEEDED = ("transfer", "transferred")
"""The kinds of tables that it is made from."""


@with_style
def draw(tables: Mapping[str, pa.Table], spec: PublishedTransferFigure) -> Figure:
    """Three matrices per attack: published, ours, ours minus published; rows are sources and noise controls."""
    full = content_width(spec)
    published = PUBLISHED[spec.published]
    rows, columns, theirs, found, left_out = compare_with_published(tables, spec)

    margin = label_width([f"on {row}" for row in rows], 0.24 * full)
    room = full - margin
    across = count_columns(3, room + BETWEEN, SMALLEST * len(columns) + BETWEEN)
    width = min((room - (across - 1) * BETWEEN) / across, LARGEST * len(columns))
    cell = width / len(columns)
    tall = 9.0
    heads = [wrap_text(column.replace("(", " ("), cell - 1.2, 6) for column in columns]
    names = 2.8 * max(map(len, heads)) + 1
    title = 5.0
    block = title + names + tall * len(rows) + 3
    details = [_details(ours, published, rows) + left_out for ours in found]
    head = heading_height(full, *details)
    page = Page(full, len(found) * (head + math.ceil(3 / across) * block + GAP) - GAP - 2)
    for number, ours in enumerate(found):
        top = number * (head + math.ceil(3 / across) * block + GAP)
        page.heading(0, top, full, f"{spec.transfer}, {ours.attack}: {published.title}", details[number])
        for k, (name, values) in enumerate(
            (("published", theirs), ("ours", ours.errors), ("ours − published", ours.errors - theirs))
        ):
            left = margin + k % across * (width + BETWEEN)
            down = top + head + k // across * block
            page.text(left, down, name, weight="bold", size=fit_font_size(name, width, 7.5, weight="bold"))
            down += title + names
            for c, words in enumerate(heads):
                size = min(fit_font_size(word, cell - 1.2, 6) for word in words)
                middle = left + (c + 0.5) * cell
                page.text(middle, down - 0.8, "\n".join(words), ha="center", va="bottom", size=size, linespacing=1.1)
            place = (left, down, width, tall * len(rows))
            _matrix(page, place, values, (rows, columns), published, k, ours.intervals)
            if k % across == 0:
                page.row_labels(margin - 2, down, [_row(row) for row in rows], tall, margin - 2)
    return page.figure


def _row(name: str) -> str:
    return f"under {name}" if _is_noise(name) else f"on {name}"


def _is_noise(name: str) -> bool:
    return name.startswith("Gaussian")


def _matrix(
    page: Page,
    place: tuple[float, float, float, float],
    values: np.ndarray,
    names: tuple[list[str], list[str]],
    published: Published,
    kind: int,
    intervals: Mapping[tuple[int, int], str],
) -> None:
    """Cells in percent: published (0; the unverified have a tilde), ours (1), their difference (2)."""
    rows, columns = names
    axes = page.axes(*place)
    axes.set_xlim(0, len(columns))
    axes.set_ylim(len(rows), 0)
    axes.set_axis_off()
    colours = matplotlib.colormaps["RdBu_r" if kind == 2 else "Blues"]
    for (r, c), value in np.ndenumerate(values):
        if not np.isfinite(value):
            continue
        recalled = kind == 0 and (rows[r], columns[c]) in published.unverified
        signed = f"{value:+.1f}".replace("-", "−") if abs(value) >= 0.05 else "0.0"
        text = signed if kind == 2 else f"{'~' if recalled else ''}{value:.1f}"
        fill = map_colour(colours, 0.5 + value / 200 if kind == 2 else value / 100)
        lines = [intervals[r, c]] if kind == 1 else []
        draw_heat_cell(axes, c, r, text, fill, lines, place[2] / len(columns))
        if rows[r] == columns[c]:
            corner = (c + 0.02, r + 0.02)
            axes.add_patch(Rectangle(corner, 0.96, 0.96, fill=False, edgecolor=INK, linewidth=1.2))


def _errors(
    facts: pd.DataFrame, names: Mapping[str, str], rows: list[str], columns: list[str], attack: str
) -> tuple[np.ndarray, dict[tuple[int, int], str]]:
    """Our errors in percent in the published order, means over seeds, NaN where there are none; and their intervals."""
    errors = np.full((len(rows), len(columns)), np.nan)
    intervals = {}
    for r, row in enumerate(rows):
        control = names[row] in set(facts["attack"])
        # Noise knows nothing of the net that it is meant for: all sources count.
        mine = (
            facts["attack"] == names[row] if control else (facts["source"] == names[row]) & (facts["attack"] == attack)
        )
        for c, column in enumerate(columns):
            pairs = facts[mine & (facts["target"] == names[column])]
            if len(pairs):
                error, lines = summarise_pairs(pairs, not control and names[row] == names[column])
                errors[r, c], intervals[r, c] = 100 * error, lines[0]
    return errors, intervals


def _details(ours: Ours, published: Published, rows: list[str]) -> str:
    facts = ours.facts
    words = f"error (%) of the column's net, {format_n(facts['n'])}, means over seeds; small: 95 % Wilson interval; "
    words += f"Kendall's tau of the verified cells of examples made for another net: {_agreement(ours)}"
    rms = " to ".join(dict.fromkeys(format_number(one) for one in (facts["rms"].min(), facts["rms"].max())))
    words += "; our noise is not clipped to [0, 1]" if any(map(_is_noise, rows)) else ""
    words += f"; RMS of our changes {rms}, of the published ones, whose targets may be others, {_range(published)}"
    return words + ("; ~: recalled, not verified" if published.unverified else "")


def _agreement(ours: Ours) -> str:
    agreed = f"{ours.tau:.2f}".replace("-", "−") if np.isfinite(ours.tau) else "not defined"
    return f"{agreed} (n\u00a0=\u00a0{ours.cells})"


def _range(published: Published) -> str:
    values = [one for row, one in published.distortion.items() if not row.startswith("Gaussian")]
    return " to ".join(dict.fromkeys(f"{one:g}" for one in (min(values), max(values))))


def finding(tables: Mapping[str, pa.Table], spec: PublishedTransferFigure) -> Finding:
    """How far our cells are from the published ones."""
    published = PUBLISHED[spec.published]
    names, columns, theirs, found, left_out = compare_with_published(tables, spec)
    rows: list[Row] = []
    parts = []
    for ours in found:
        for (r, c), error in np.ndenumerate(ours.errors):
            if np.isfinite(error):
                rows.append(
                    {"attack": ours.attack, "source": names[r], "target": columns[c], "published": theirs[r, c]}
                    | {"ours": error, "verified": published.counts(names[r], columns[c])}
                    | {"interval": ours.intervals[r, c]}
                )
        if ours.cells:
            parts.append(
                f"{ours.attack} by {ours.median_difference:.1f} points in the median of {ours.cells} verified cells, "
                f"in an order with Kendall's tau {_agreement(ours)}"
            )
    facts = pd.concat([ours.facts for ours in found])
    sentence = (
        f"Errors differ from {published.title}: {join_parts(parts) if parts else 'nothing to compare'} "
        f"({format_n(facts['n'])}, {format_seeds(facts['source_seed'])}){left_out}."
    )
    return Finding("Transfer beside a published table", sentence, rows)
