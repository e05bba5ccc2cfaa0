"""A transfer study beside a published table, and the difference of each cell."""

from __future__ import annotations

import math
from collections.abc import Mapping

import matplotlib
import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from advgen.experiments.transfers.experiment import PublishedTransferFigure
from advgen.experiments.transfers.transfer_matrix import learnt, summary
from advgen.figures import common, told
from advgen.metrics.published import PUBLISHED, Published, kendall

SMALLEST, LARGEST, BETWEEN = 8.5, 17.0, 4.0


@common.styled
def draw(tables: Mapping[str, pa.Table], spec: PublishedTransferFigure) -> Figure:
    """Three matrices per attack: published, ours, ours minus published; rows are sources and noise controls."""
    full = common.inside(spec)
    facts, left_out = learnt(tables)
    facts = facts[facts["study"] == spec.transfer]
    published = PUBLISHED[spec.published]
    attacks, controls = set(facts["attack"]), set(spec.names.values())
    rows = [name for name in published.errors if spec.names.get(name) in {*facts["source"], *attacks}]
    columns = [name for name in published.targets if spec.names.get(name) in set(facts["target"])]
    theirs = np.array([[published.error(row, column) for column in columns] for row in rows])

    margin = common.label_width([f"on {row}" for row in rows], 0.24 * full)
    room = full - margin
    across = common.columns_that_fit(3, room + BETWEEN, SMALLEST * len(columns) + BETWEEN)
    width = min((room - (across - 1) * BETWEEN) / across, LARGEST * len(columns))
    cell = width / len(columns)
    tall = 9.0
    heads = [common.wrapped(column.replace("(", " ("), cell - 1.2, 6) for column in columns]
    names = 2.8 * max(map(len, heads)) + 1
    title = 5.0
    block = title + names + tall * len(rows) + 3
    shown = sorted(attacks - controls) or sorted(attacks)
    found = {attack: _ours(facts, spec.names, rows, columns, attack) for attack in shown}
    cells = {attack: ours for attack, (ours, _) in found.items()}
    intervals = {attack: lines for attack, (_, lines) in found.items()}
    details = [
        _details(facts[facts["attack"] == attack], published, (rows, columns), ours, theirs) + left_out
        for attack, ours in cells.items()
    ]
    head = common.heading_height(full, *details)
    page = common.Page(full, len(cells) * (head + math.ceil(3 / across) * block + common.GAP) - common.GAP - 2)
    for number, (attack, ours) in enumerate(cells.items()):
        top = number * (head + math.ceil(3 / across) * block + common.GAP)
        page.heading(0, top, full, f"{spec.transfer}, {attack}: {published.title}", details[number])
        for k, (name, values) in enumerate(
            (("published", theirs), ("ours", ours), ("ours − published", ours - theirs))
        ):
            left = margin + k % across * (width + BETWEEN)
            down = top + head + k // across * block
            page.text(left, down, name, weight="bold", size=common.fitting_size(name, width, 7.5, weight="bold"))
            down += title + names
            for c, words in enumerate(heads):
                size = min(common.fitting_size(word, cell - 1.2, 6) for word in words)
                middle = left + (c + 0.5) * cell
                page.text(middle, down - 0.8, "\n".join(words), ha="center", va="bottom", size=size, linespacing=1.1)
            place = (left, down, width, tall * len(rows))
            _matrix(page, place, values, (rows, columns), published, k, intervals[attack])
            if k % across == 0:
                page.row_labels(margin - 2, down, [_row(row) for row in rows], tall, margin - 2)
    return page.figure


def _row(name: str) -> str:
    return f"under {name}" if name.startswith("Gaussian") else f"on {name}"


def _matrix(
    page: common.Page,
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
        fill = common.shade(colours, 0.5 + value / 200 if kind == 2 else value / 100)
        lines = [intervals[r, c]] if kind == 1 else []
        common.heat_cell(axes, c, r, text, fill, lines, place[2] / len(columns))
        if rows[r] == columns[c]:
            corner = (c + 0.02, r + 0.02)
            axes.add_patch(Rectangle(corner, 0.96, 0.96, fill=False, edgecolor=common.INK, linewidth=1.2))


def _ours(
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
                error, lines = summary(pairs, not control and names[row] == names[column])
                errors[r, c], intervals[r, c] = 100 * error, lines[0]
    return errors, intervals


def _details(
    facts: pd.DataFrame, published: Published, names: tuple[list[str], list[str]], ours: np.ndarray, theirs: np.ndarray
) -> str:
    words = f"error (%) of the column's net, {common.n_is(facts['n'])}, means over seeds; small: 95 % Wilson interval; "
    agreed = _agreement(published, names, ours, theirs)
    words += f"Kendall's tau of the cells that are neither outlined nor unverified: {agreed}"
    rms = " to ".join(dict.fromkeys(common.number(one) for one in (facts["rms"].min(), facts["rms"].max())))
    words += f"; RMS of our changes {rms}, of the published ones, whose targets may be others, {_range(published)}"
    return words + ("; ~: recalled, not verified" if published.unverified else "")


def _agreement(published: Published, names: tuple[list[str], list[str]], ours: np.ndarray, theirs: np.ndarray) -> str:
    """Kendall's tau over the cells away from the diagonal; what was only recalled proves nothing."""
    rows, columns = names
    away = np.array([[published.counts(row, column) for column in columns] for row in rows])
    tau, count = kendall(ours[away], theirs[away])
    agreed = f"{tau:.2f}".replace("-", "−") if np.isfinite(tau) else "not defined"
    return f"{agreed} (n\u00a0=\u00a0{count})"


def _range(published: Published) -> str:
    values = [one for row, one in published.distortion.items() if not row.startswith("Gaussian")]
    return " to ".join(dict.fromkeys(f"{one:g}" for one in (min(values), max(values))))


def finding(tables: Mapping[str, pa.Table], spec: PublishedTransferFigure) -> told.Finding:
    """How far our cells are from the published ones."""
    facts, left_out = learnt(tables)
    facts = facts[facts["study"] == spec.transfer]
    published = PUBLISHED[spec.published]
    attacks, controls = set(facts["attack"]), set(spec.names.values())
    rows_ = [name for name in published.errors if spec.names.get(name) in {*facts["source"], *attacks}]
    columns = [name for name in published.targets if spec.names.get(name) in set(facts["target"])]
    rows: list[told.Row] = []
    parts = []
    for attack in sorted(attacks - controls) or sorted(attacks):
        ours, intervals = _ours(facts, spec.names, rows_, columns, attack)
        apart = []  # of the cells that were measured and verified
        for (r, c), error in np.ndenumerate(ours):
            if np.isfinite(error):
                theirs = published.error(rows_[r], columns[c])
                verified = published.counts(rows_[r], columns[c])
                apart += [abs(error - theirs)] if verified else []
                rows.append(
                    {"attack": attack, "source": rows_[r], "target": columns[c], "published": theirs, "ours": error}
                    | {"verified": verified, "interval": intervals[r, c]}
                )
        if apart:
            theirs_all = np.array([[published.error(row, column) for column in columns] for row in rows_])
            agreed = _agreement(published, (rows_, columns), ours, theirs_all)
            parts.append(
                f"{attack} by {np.median(apart):.1f} points in the median of {len(apart)} verified cells, in an order "
                f"with Kendall's tau {agreed}"
            )
    sentence = (
        f"Errors differ from {published.title}: {told.listed(parts) if parts else 'nothing to compare'} "
        f"({common.n_is(facts['n'])}, {told.seeds(facts['source_seed'])}){left_out}."
    )
    return told.Finding("Transfer beside a published table", sentence, rows)
