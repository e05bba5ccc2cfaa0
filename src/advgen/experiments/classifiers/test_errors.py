"""Test errors of classifiers over seeds, compared with published ones."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from advgen.experiments.classifiers.experiment import ClassifierErrorsFigure
from advgen.figures.drawing import format_log_axis
from advgen.figures.findings import Finding, Row, interval_columns
from advgen.figures.formatting import format_count, format_n, format_number, format_value, join_parts
from advgen.figures.layout import content_width, titled_page
from advgen.figures.statistics import split_in_order, to_frame
from advgen.figures.style import GREY, INK, RULE, series_colour, with_style
from advgen.figures.text import label_width
from advgen.metrics.intervals import average_runs
from advgen.metrics.published import TEST_ERRORS, Value

ROW, BOTTOM, VALUE = 8.0, 10.0, 10.0


class ClassifierError(NamedTuple):
    """The error (%) of a classifier with its interval, the error of each seed, and the published error.

    The interval is over seeds and images; with one seed it is Wilson's interval over `n` images.
    """

    name: str
    error: tuple[float, float, float]
    seeds: NDArray[np.float64]
    n: int
    published_name: str
    published: Value | None

    @property
    def published_text(self) -> str:
        """The published error, with a tilde if it was not verified."""
        return f"{'' if self.published.verified else '~'}{self.published.value:g}" if self.published else ""


def collect_errors(tables: Mapping[str, pa.Table], spec: ClassifierErrorsFigure) -> list[ClassifierError]:
    """Return the errors of the figure's classifiers, in its order."""
    found = []
    for name, rows in split_in_order(to_frame(tables["classifier_quality"]), "classifier", spec.classifiers).items():
        runs = rows[["error", "error_low", "error_high"]].to_numpy(float)
        mean, low, high = (100 * value for value in average_runs(runs, share=True))
        published = spec.published_nets.get(name, "")
        value = TEST_ERRORS[published] if published else None
        found.append(ClassifierError(name, (mean, low, high), 100 * runs[:, 0], int(rows["n"].min()), published, value))
    return found


@with_style
def draw(tables: Mapping[str, pa.Table], spec: ClassifierErrorsFigure) -> Figure:
    """Draw a row per classifier: the mean over seeds with its interval, a tick per seed, the published value hollow."""
    width, rows = content_width(spec), collect_errors(tables, spec)
    labels = [f"{row.name}\n{row.published_name}".rstrip() for row in rows]
    margin, height = label_width(labels, 0.36 * width), ROW * len(rows)
    page, top = titled_page(width, "Test errors", _details(rows), height + BOTTOM)
    axes = page.axes(margin, top, width - margin - VALUE, height)
    page.row_labels(margin - 2, top, labels, ROW, margin - 2)
    values = np.concatenate([[*row.seeds, *([row.published.value] if row.published else [])] for row in rows])
    if values.min() > 0:
        axes.set(xscale="log", xlim=(values.min() / 1.3, values.max() * 1.3), xlabel="test error (%); log")
        format_log_axis(axes.xaxis, max(3, int((width - margin - VALUE) // 10)))
    else:
        largest = values.max() or 1
        axes.set(xlim=(-0.03 * largest, 1.1 * largest), xlabel="test error (%)")
    for y, row in enumerate(rows):
        _draw_row(axes, y, row)
        if y:
            axes.axhline(y - 0.5, color=RULE, linewidth=0.4)
    axes.set(ylim=(len(rows) - 0.5, -0.5), yticks=[])
    axes.spines["left"].set_visible(False)
    return page.figure


def _draw_row(axes: Axes, y: float, row: ClassifierError) -> None:
    colour = series_colour(0)
    mean, *ends = row.error
    axes.plot(np.clip(ends, *axes.get_xlim()), [y, y], color=colour, linewidth=1.4, solid_capstyle="butt")
    if len(row.seeds) > 1:
        axes.plot(row.seeds, [y] * len(row.seeds), "|", color=colour, markersize=5, markeredgewidth=0.8)
    axes.plot(mean, y, "o", color=colour, markersize=4, zorder=3)
    labels = [(-0.2 if row.published else 0, format_number(mean), colour)]
    if row.published:
        axes.plot(row.published.value, y, "D", color=INK, markerfacecolor="none", markersize=5, zorder=4)
        labels.append((0.2, row.published_text, GREY))
    for shift, text, text_colour in labels:
        axes.annotate(
            text,
            (1, y + shift),
            (2, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            size=5.5,
            color=text_colour,
        )


def _details(rows: list[ClassifierError]) -> str:
    words = f"{format_n([row.n for row in rows])} test images; bars: 95 % intervals over seeds and images"
    words += "; ticks: seeds" if max(len(row.seeds) for row in rows) > 1 else ""
    published = [row.published for row in rows if row.published]
    words += "; hollow markers and grey numbers: published" if published else ""
    return words + ("; ~: recalled, not verified" if any(not value.verified for value in published) else "")


def finding(tables: Mapping[str, pa.Table], spec: ClassifierErrorsFigure) -> Finding:
    """List the error of each classifier with the published one."""
    errors = collect_errors(tables, spec)
    rows: list[Row] = [
        {"classifier": row.name, "seeds": len(row.seeds), "n": row.n}
        | {name: value / 100 for name, value in interval_columns("error", row.error).items()}
        | {"published": row.published.value / 100 if row.published else None}
        | {"verified": row.published.verified if row.published else None}
        for row in errors
    ]
    parts = [
        f"{row.name} {format_value(*row.error)}" + (f" (published {row.published_text})" if row.published else "")
        for row in errors
    ]
    seeds = format_count(max(len(row.seeds) for row in errors), "seed")
    counts = f"{format_n([row.n for row in errors])} test images, up to {seeds}"
    return Finding("Test errors", f"Test error in percent: {join_parts(parts, 8)} ({counts}).", rows)
