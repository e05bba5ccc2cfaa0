"""Test errors of classifiers over seeds, beside published ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from advgen.experiments.classifiers.experiment import ClassifierErrorsFigure
from advgen.figures.drawing import format_log_axis
from advgen.figures.findings import Finding, Row, interval_columns
from advgen.figures.formatting import format_count, format_n, format_number, format_value, join_parts
from advgen.figures.layout import Page, content_width, heading_height
from advgen.figures.statistics import present_in_order, to_frame
from advgen.figures.style import GREY, INK, RULE, series_colour, with_style
from advgen.figures.text import label_width
from advgen.metrics.intervals import average_runs
from advgen.metrics.published import TEST_ERRORS, Value

ROW, FOOT, VALUE = 8.0, 10.0, 10.0


class ClassifierError(NamedTuple):
    """One classifier: its error (%) with the interval, that of each seed, its test images, and the published error."""

    name: str
    error: tuple[float, float, float]
    seeds: NDArray[np.float64]
    n: int
    published: Value | None


def collect_errors(tables: Mapping[str, pa.Table], spec: ClassifierErrorsFigure) -> list[ClassifierError]:
    """The classifiers in order. Intervals are over seeds and images; of one seed Wilson's over images."""
    facts = to_frame(tables["classifier_quality"])
    found = []
    for name in present_in_order(spec.classifiers, facts["classifier"]):
        rows = facts[facts["classifier"] == name]
        runs = rows[["error", "error_low", "error_high"]].to_numpy(float)
        mean, low, high = (100 * one for one in average_runs(runs, share=True))
        net = spec.published_nets.get(name)
        published = TEST_ERRORS[net] if net else None
        found.append(ClassifierError(name, (mean, low, high), 100 * runs[:, 0], int(rows["n"].min()), published))
    return found


@with_style
def draw(tables: Mapping[str, pa.Table], spec: ClassifierErrorsFigure) -> Figure:
    """A row per classifier: the mean over seeds with its interval, a tick per seed, the published value hollow."""
    full = content_width(spec)
    rows = collect_errors(tables, spec)
    labels = [_label(row, spec) for row in rows]
    details = _details(rows)
    head = heading_height(full, details)
    margin = label_width(labels, 0.36 * full)
    page = Page(full, head + ROW * len(rows) + FOOT)
    page.heading(0, 0, full, "Test errors", details)
    axes = page.axes(margin, head, full - margin - VALUE, ROW * len(rows))
    page.row_labels(margin - 2, head, labels, ROW, margin - 2)
    values = np.concatenate([[*row.seeds, *([row.published.value] if row.published else [])] for row in rows])
    if values.min() > 0:
        axes.set_xscale("log")
        axes.set_xlim(values.min() / 1.3, values.max() * 1.3)
        format_log_axis(axes.xaxis, max(3, int((full - margin - VALUE) // 10)))
    else:
        axes.set_xlim(-0.03 * (values.max() or 1), 1.1 * (values.max() or 1))
    for y, row in enumerate(rows):
        _row(axes, y, row)
        if y:
            axes.axhline(y - 0.5, color=RULE, linewidth=0.4)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("test error (%)" + ("; log" if values.min() > 0 else ""))
    return page.figure


def _row(axes: Axes, y: float, row: ClassifierError) -> None:
    colour = series_colour(0)
    mean, *ends = row.error
    axes.plot(np.clip(ends, *axes.get_xlim()), [y, y], color=colour, linewidth=1.4, solid_capstyle="butt")
    if len(row.seeds) > 1:
        axes.plot(row.seeds, [y] * len(row.seeds), "|", color=colour, markersize=5, markeredgewidth=0.8)
    axes.plot(mean, y, "o", color=colour, markersize=4, zorder=3)
    told_ = [(-0.2 if row.published else 0, format_number(mean), colour)]
    if row.published:
        axes.plot(row.published.value, y, "D", color=INK, markerfacecolor="none", markersize=5, zorder=4)
        told_.append((0.2, _published(row.published), GREY))
    for shift, words, shade in told_:
        axes.annotate(
            words,
            (1, y + shift),
            (2, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            size=5.5,
            color=shade,
        )


def _published(value: Value) -> str:
    return f"{'' if value.verified else '~'}{value.value:g}"


def _label(row: ClassifierError, spec: ClassifierErrorsFigure) -> str:
    return f"{row.name}\n{spec.published_nets[row.name]}" if row.published else row.name


def _details(rows: list[ClassifierError]) -> str:
    words = f"{format_n([row.n for row in rows])} test images; bars: 95 % intervals over seeds and images"
    words += "; ticks: seeds" if max(len(row.seeds) for row in rows) > 1 else ""
    published = [row.published for row in rows if row.published]
    words += "; hollow, and grey below ours: published" if published else ""
    return words + ("; ~: recalled, not verified" if any(not one.verified for one in published) else "")


def finding(tables: Mapping[str, pa.Table], spec: ClassifierErrorsFigure) -> Finding:
    """The error of each classifier beside the published one."""
    found = collect_errors(tables, spec)
    rows: list[Row] = [
        {"classifier": row.name, "seeds": len(row.seeds), "n": row.n}
        | {name: one / 100 for name, one in interval_columns("error", row.error).items()}
        | {"published": row.published.value / 100 if row.published else None}
        | {"verified": row.published.verified if row.published else None}
        for row in found
    ]
    parts = [
        f"{row.name} {format_value(*row.error)}"
        + (f" (published {_published(row.published)})" if row.published else "")
        for row in found
    ]
    seeds = pd.Series([len(row.seeds) for row in found])
    sentence = f"Test error in percent: {join_parts(parts, 8)} ({format_n([row.n for row in found])} test images, "
    return Finding("Test errors", f"{sentence}{format_count(int(seeds.max()), 'seed')} at most).", rows)
