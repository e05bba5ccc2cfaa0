"""A transfer study compared with a published table, and the difference of each cell."""

from collections.abc import Mapping

import matplotlib
import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure
from numpy.typing import NDArray

from advgen.experiments.transfers.experiment import PublishedTransferFigure
from advgen.experiments.transfers.published_comparison import (
    AttackErrors,
    PublishedComparison,
    compare_with_published,
)
from advgen.figures.drawing import map_colour
from advgen.figures.findings import Finding, Row
from advgen.figures.formatting import format_n, format_number, format_seeds, join_parts
from advgen.figures.heat_table import Cell, HeatTable
from advgen.figures.layout import Columns, content_width, stacked_page
from advgen.figures.style import with_style
from advgen.figures.text import label_width
from advgen.metrics.published import PUBLISHED, Published

SMALLEST, LARGEST, BETWEEN, ROW, TITLE = 8.5, 17.0, 4.0, 9.0, 5.0
MATRICES = ("published", "ours", "ours − published")


@with_style
def draw(tables: Mapping[str, pa.Table], spec: PublishedTransferFigure) -> Figure:
    """Draw three matrices per attack: published, ours, and the difference; rows are sources and noise controls."""
    full = content_width(spec)
    table, comparison = PUBLISHED[spec.published], compare_with_published(tables, spec)
    rows, headings = comparison.rows, [column.replace("(", " (") for column in comparison.columns]
    margin = label_width([f"on {row}" for row in rows], 0.24 * full)
    matrices = Columns(3, full - margin, SMALLEST * len(headings), LARGEST * len(headings), BETWEEN, margin)
    cells = HeatTable(headings, matrices.width / len(headings), ROW)
    above = TITLE + cells.heading_height
    block = above + ROW * len(rows) + 3
    blocks = {
        f"{spec.transfer}, {ours.attack}: {table.title}": _details(ours, table, rows) + comparison.excluded
        for ours in comparison.ours
    }
    page, tops = stacked_page(full, blocks, matrices.lines * block - 2)
    for head, ours in zip(tops, comparison.ours, strict=True):
        for k, name in enumerate(MATRICES):
            left, top = matrices.place(k, head, block)
            page.subheading(left, top, matrices.width, name)
            values = (comparison.published, ours.errors, ours.errors - comparison.published)[k]
            cells.draw(page, left, top + above, len(rows), _make_cells(name, values, comparison, ours, table))
            if matrices.is_leftmost(k):
                labels = [f"{'under' if _is_noise(row) else 'on'} {row}" for row in rows]
                page.row_labels(margin - 2, top + above, labels, ROW, margin - 2)
    return page.figure


def _is_noise(name: str) -> bool:
    return name.startswith("Gaussian")


def _make_cells(
    matrix: str, values: NDArray[np.float64], comparison: PublishedComparison, ours: AttackErrors, table: Published
) -> dict[tuple[float, int], Cell]:
    """Return the cells of a matrix in percent; published values that were not verified have a tilde."""
    is_difference = matrix == MATRICES[2]
    colours = matplotlib.colormaps["RdBu_r" if is_difference else "Blues"]
    cells = {}
    for (r, c), value in np.ndenumerate(values):
        if not np.isfinite(value):
            continue
        names = comparison.rows[r], comparison.columns[c]
        tilde = "~" if matrix == MATRICES[0] and names in table.unverified else ""
        signed = f"{value:+.1f}".replace("-", "−") if abs(value) >= 0.05 else "0.0"
        cells[float(r), c] = Cell(
            signed if is_difference else f"{tilde}{value:.1f}",
            map_colour(colours, 0.5 + value / 200 if is_difference else value / 100),
            [ours.intervals[r, c]] if matrix == MATRICES[1] else [],
            names[0] == names[1],
        )
    return cells


def _details(ours: AttackErrors, table: Published, rows: list[str]) -> str:
    facts = ours.facts
    words = f"error (%) of the column's model, {format_n(facts['n'])}, means over seeds; small: 95 % interval; "
    words += f"Kendall's tau of the verified cells with examples of another model: {_describe_agreement(ours)}"
    rms = " to ".join(dict.fromkeys(format_number(value) for value in (facts["rms"].min(), facts["rms"].max())))
    words += "; our noise is not clipped to [0, 1]" if any(map(_is_noise, rows)) else ""
    words += f"; RMS of our perturbations {rms}, of the published ones, whose targets may differ, {_rms_range(table)}"
    return words + ("; ~: recalled, not verified" if table.unverified else "")


def _describe_agreement(ours: AttackErrors) -> str:
    tau = f"{ours.tau:.2f}".replace("-", "−") if np.isfinite(ours.tau) else "not defined"
    return f"{tau} ({format_n([ours.cells])})"


def _rms_range(table: Published) -> str:
    values = [rms for row, rms in table.distortion.items() if not _is_noise(row)]
    return " to ".join(dict.fromkeys(f"{value:g}" for value in (min(values), max(values))))


def finding(tables: Mapping[str, pa.Table], spec: PublishedTransferFigure) -> Finding:
    """Summarise how far our cells are from the published ones."""
    table, comparison = PUBLISHED[spec.published], compare_with_published(tables, spec)
    rows: list[Row] = []
    parts = []
    for ours in comparison.ours:
        for (r, c), error in np.ndenumerate(ours.errors):
            if np.isfinite(error):
                source, target = comparison.rows[r], comparison.columns[c]
                rows.append(
                    {"attack": ours.attack, "source": source, "target": target}
                    | {"published": comparison.published[r, c], "ours": error}
                    | {"verified": table.counts(source, target), "interval": ours.intervals[r, c]}
                )
        if ours.cells:
            parts.append(
                f"{ours.attack} by {ours.median_difference:.1f} points (median of {ours.cells} verified cells; "
                f"Kendall's tau {_describe_agreement(ours)})"
            )
    facts = pd.concat([ours.facts for ours in comparison.ours])
    sentence = (
        f"Errors differ from {table.title}: {join_parts(parts) if parts else 'nothing to compare'} "
        f"({format_n(facts['n'])}, {format_seeds(facts['source_seed'])}){comparison.excluded}."
    )
    return Finding("Transfer compared with a published table", sentence, rows)
