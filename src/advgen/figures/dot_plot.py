"""Dot plots: a row for each thing compared, a column for each measure, with an interval and a tick for each seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from advgen.figures.drawing import format_log_axis
from advgen.figures.formatting import format_number
from advgen.figures.layout import Panels, titled_page
from advgen.figures.style import GREY, INK, RULE, SHORT_DASHES, series_colour, series_marker
from advgen.figures.text import fit_font_size, label_width, wrap_text

GROUP_DISTANCE, SMALLEST, BETWEEN, HEAD, FOOT, VALUE = 3.2, 36.0, 4.0, 8.0, 7.0, 9.0


@dataclass(frozen=True)
class Mark:
    """One value in a row: its interval, the values of the seeds, and the group that gives the colour."""

    row: int
    value: float
    low: float
    high: float
    seeds: NDArray[np.float64]
    group: int = 0


@dataclass(frozen=True)
class Measure:
    """One column: what is measured and in which direction it is better.

    `zero` is for effects: it draws a dashed line at 0. `reference` draws one at another value.
    """

    title: str
    note: str
    marks: Sequence[Mark]
    log: bool = False
    limits: tuple[float, float] | None = None
    zero: bool = False
    reference: float | None = None

    @property
    def line(self) -> float | None:
        """Position of the dashed line, if there is one."""
        return 0.0 if self.zero else self.reference


def draw_dot_plot(
    title: str, details: str, labels: Sequence[str], measures: Sequence[Measure], groups: Sequence[str], width: float
) -> Figure:
    """Draw all measures side by side, in as many lines as necessary; two or more groups get a legend.

    Args:
        title, details: the heading.
        labels: one for each row.
        measures: the columns.
        groups: names of the groups of marks.
        width: millimetres of the content.
    """
    margin = label_width(labels, 0.3 * width)
    row = max(6.5, GROUP_DISTANCE * max(1, len(groups)) + 2.5)
    row = max(row, *(2.6 * len(wrap_text(label, margin - 2)) for label in labels))
    height = row * len(labels)
    panels = Panels(len(measures), width - margin + BETWEEN, SMALLEST, height, 0, FOOT, BETWEEN + VALUE, HEAD)
    page, top = titled_page(width, title, details, panels.height - 1, groups if len(groups) > 1 else ())
    for number, measure in enumerate(measures):
        left, down = panels.corner(top, number, margin)
        room = panels.axes_width + VALUE
        page.text(left, down, measure.title, weight="bold", size=fit_font_size(measure.title, room, 7))
        page.text(left, down + 3.2, measure.note, size=fit_font_size(measure.note, room, 6), color=GREY)
        axes = page.axes(left, down + HEAD, panels.axes_width, height)
        _draw_measure(axes, measure, len(labels), max(1, len(groups)), row, panels.axes_width)
        if panels.is_leftmost(number):
            page.row_labels(margin - 2, down + HEAD, labels, row, margin - 2)
    return page.figure


def _draw_measure(axes: Axes, measure: Measure, rows: int, groups: int, row: float, width: float) -> None:
    axes.set(ylim=(rows - 0.5, -0.5), yticks=[])
    axes.spines["left"].set_visible(False)
    for line in range(1, rows):
        axes.axhline(line - 0.5, color=RULE, linewidth=0.4)
    if measure.log:
        axes.set_xscale("log")
    if measure.marks:
        axes.set_xlim(*_limits(measure))
    if measure.line is not None:
        axes.axvline(measure.line, color=INK, linewidth=0.8, linestyle=SHORT_DASHES)
    limits = axes.get_xlim()
    for mark in measure.marks:
        y = mark.row + (mark.group - (groups - 1) / 2) * GROUP_DISTANCE / row
        colour = series_colour(mark.group)
        axes.plot(np.clip([mark.low, mark.high], *limits), [y, y], color=colour, linewidth=1.4, solid_capstyle="butt")
        if len(mark.seeds) > 1:
            axes.plot(mark.seeds, [y] * len(mark.seeds), "|", color=colour, markersize=5, markeredgewidth=0.8)
        axes.plot(mark.value, y, series_marker(mark.group), color=colour, markersize=4.5, zorder=3, clip_on=False)
        # Outside the frame, where no bar can cross it.
        axes.annotate(
            format_number(mark.value).replace("-", "−"),
            (1, y),
            (2, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            size=5.5,
            color=colour,
        )
    if measure.log:
        format_log_axis(axes.xaxis, max(3, int(width // 10)))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(max(2, int(width // 9)), steps=[1, 2, 2.5, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}".replace("-", "−")))


def _limits(measure: Measure) -> tuple[float, float]:
    """Return an x range with all values and seeds; intervals may be cut off."""
    values = np.concatenate([[mark.value, *mark.seeds] for mark in measure.marks])
    if measure.reference is not None:
        values = np.append(values, measure.reference)
    ends = np.concatenate([[mark.low, mark.high] for mark in measure.marks])
    if measure.limits is not None:
        low, high = measure.limits
        margin = 0.03 * (high - low)
        return low - margin, high + margin
    if measure.zero:
        low, high = min(0.0, ends.min()), max(0.0, ends.max())
        margin = 0.05 * ((high - low) or 1.0)
        return float(low - margin), float(high + margin)
    if measure.log:
        low, high = max(ends.min(), values.min() / 3), min(ends.max(), 3 * values.max())
        return float(low / 1.15), float(high * 1.15)
    low, high = min(0.0, values.min()), max(values.max(), min(ends.max(), 1.6 * values.max()))
    span = (high - low) or 1.0
    return low - 0.03 * span, high + 0.05 * span
