"""What inversion keeps and loses: extent and mean intensity of the found image, error by class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from advgen.experiments.inversions.experiment import InversionKeepsFigure
from advgen.figures.drawing import add_note, draw_interval
from advgen.figures.findings import Finding, Row, interval_columns
from advgen.figures.formatting import format_n, format_number, format_seeds, format_value, interval_units
from advgen.figures.layout import GAP, Page, Panels, content_width, heading_height
from advgen.figures.reconstruction import class_kept
from advgen.figures.statistics import mean_over_images, to_frame
from advgen.figures.style import BLUE, INK, with_style

SIZES = {"width": "width (px)", "height": "height (px)", "intensity": "mean intensity"}
TALL, LEFT, FOOT = 36.0, 14.0, 10.0


@with_style
def draw(tables: Mapping[str, pa.Table], spec: InversionKeepsFigure) -> Figure:
    """A block per generator: found against given width, height and mean intensity; error and kept class by class."""
    full = content_width(spec)
    facts = to_frame(tables["inversion"])
    facts = facts[(facts["inversion"] == spec.inversion) & facts["best"]]
    blocks = dict(list(facts.groupby("generator")))
    details = [_details(rows) for rows in blocks.values()]
    head = heading_height(full, *details)
    extents = Panels(3, full, 48.0, TALL, LEFT, FOOT)
    classes = Panels(2, full, 62.0, TALL, LEFT, FOOT)
    block = head + extents.height + classes.height + GAP - 2
    page = Page(full, len(blocks) * block - GAP + 2)
    for number, (generator, rows) in enumerate(blocks.items()):
        top = number * block
        page.heading(0, top, full, f"{spec.inversion}: {generator}", details[number])
        for k, (name, title) in enumerate(SIZES.items()):
            _extent(extents.axes(page, top + head, k, title), rows, name, extents.is_leftmost(k))
        down = top + head + extents.height
        error = classes.axes(page, down, 0, "mean squared error by class")
        kept = classes.axes(page, down, 1, "class kept, by the judge (%)")
        _by_class(error, kept, rows)
    return page.figure


def _extent(axes: Axes, rows: pd.DataFrame, name: str, first: bool) -> None:
    """A dot per image, the diagonal where nothing changes, and the mean change."""
    given, found = rows[name].to_numpy(float), rows[f"{name}_found"].to_numpy(float)
    top = 1.06 * (max(given.max(), found.max()) or 1)
    axes.plot([0, top], [0, top], color=INK, linewidth=0.8)
    axes.plot(given, found, "o", color=BLUE, alpha=0.35, markersize=2.6, markeredgewidth=0)
    axes.set_xlim(0, top)
    axes.set_ylim(0, top)
    change, low, high = _change(rows, name)
    text = f"change {_signed(change)}\n[{_signed(low)}, {_signed(high)}]"
    add_note(axes, 0.03, 0.98, text, BLUE)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4))
    axes.set_xlabel("given image")
    if first:
        axes.set_ylabel("found image")


def _change(rows: pd.DataFrame, name: str) -> tuple[float, float, float]:
    """Mean change of a size with its interval over seeds and images."""
    change = rows.assign(change=rows[f"{name}_found"].astype(float) - rows[name].astype(float))
    return mean_over_images(change, "change")


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{format_number(abs(value))}"


def _by_class(error: Axes, kept: Axes, rows: pd.DataFrame) -> None:
    labels = sorted(set(rows["label"]))
    for x, label in enumerate(labels):
        mine = rows[rows["label"] == label]
        draw_interval(error, x, *mean_over_images(mine, "mse"), 0)
        share, low, high = class_kept(mine)
        draw_interval(kept, x, 100 * share, 100 * low, 100 * high, 0)
    error.axhline(rows["mse"].mean(), color=INK, linewidth=0.8)
    kept.axhline(100 * (rows["judged"] == rows["label"]).mean(), color=INK, linewidth=0.8)
    error.set_ylim(bottom=0)
    kept.set_ylim(0, 102)
    error.set_ylabel("MSE")
    kept.set_ylabel("images (%)")
    for axes in (error, kept):
        axes.set_xticks(np.arange(len(labels)), [str(label) for label in labels])
        axes.set_xlim(-0.6, len(labels) - 0.4)
        axes.grid(False, axis="x")
        axes.set_xlabel("class; line: all classes")


def _details(rows: pd.DataFrame) -> str:
    seeds = rows["seed"].nunique()
    words = f"{format_n([rows['index'].nunique()])} test images, the best start of each"
    words += f", {seeds} seeds" if seeds > 1 else f", seed {rows['seed'].iloc[0]}"
    over = interval_units(seeds > 1)
    return f"{words}; on the line nothing changed; brackets and bars: 95 % intervals over {over}"


def finding(tables: Mapping[str, pa.Table], spec: InversionKeepsFigure) -> Finding:
    """How width, height and intensity change, and the class that is held worst."""
    facts = to_frame(tables["inversion"])
    facts = facts[(facts["inversion"] == spec.inversion) & facts["best"]]
    rows: list[Row] = []
    parts = []
    for name, one in facts.groupby("generator"):
        row: dict[str, Any] = {"generator": name, "seeds": one["seed"].nunique(), "n": one["index"].nunique()}
        words = []
        for size, title in SIZES.items():
            change = _change(one, size)
            row |= interval_columns(f"change_of_{size}", change)
            mean, low, high = map(_signed, change)
            words.append(f"{title} by {mean} [{low}, {high}]")
        worst = int(one.groupby("label")["mse"].mean().idxmax())
        error = mean_over_images(one[one["label"] == worst], "mse")
        rows.append(row | {"worst_class": worst} | interval_columns("mse_of_worst_class", error))
        mean = format_number(one["mse"].mean())
        parts.append(
            f"{name} changes {', '.join(words)}; it holds class {worst} worst, at an MSE of {format_value(*error)}, "
            f"where all classes have {mean}"
        )
    n = format_n([facts["index"].nunique()])
    sentence = f"{'; '.join(parts)} ({n} test images, {format_seeds(facts['seed'])}; no change is 0)."
    return Finding("What an inversion keeps of an image", sentence, rows)
