"""Rows of things compared, a column per measure: a mark with its interval and a dot per seed in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from advgen.figures import common

DODGE, NARROWEST, BETWEEN, HEAD, FOOT, VALUE = 3.2, 36.0, 4.0, 8.0, 7.0, 9.0


@dataclass(frozen=True)
class Mark:
    """One value in a row: its interval, the seeds it is the mean of, and the group whose colour it has."""

    row: int
    value: float
    low: float
    high: float
    seeds: NDArray[np.float64]
    group: int = 0


@dataclass(frozen=True)
class Measure:
    """One column: what is measured and in which direction it is better; `zero`: effects, with a line at none.

    `reference`, too, gets a dashed line.
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
        """Where the dashed line stands, if there is one."""
        return 0.0 if self.zero else self.reference


def draw(
    name: str, details: str, labels: Sequence[str], measures: Sequence[Measure], groups: Sequence[str], full: float
) -> Figure:
    """All measures side by side, in as many lines as they need; the groups are named where there are several."""
    margin = common.label_width(labels, 0.3 * full)
    room = full - margin
    columns = common.columns_that_fit(len(measures), room + BETWEEN, NARROWEST)
    columns = -(-len(measures) // -(-len(measures) // columns))
    width = (room + BETWEEN) / columns - BETWEEN
    row = max(6.5, DODGE * max(1, len(groups)) + 2.5, *(2.6 * len(common.wrapped(one, margin - 2)) for one in labels))
    tall = row * len(labels)
    head = common.heading_height(full, details)
    top = head + (common.legend_height(groups, full) if len(groups) > 1 else 0)
    lines = -(-len(measures) // columns)
    page = common.Page(full, top + lines * (HEAD + tall + FOOT) - 1)
    page.heading(0, 0, full, name, details)
    if len(groups) > 1:
        page.legend(0, head, full, groups)
    for number, measure in enumerate(measures):
        line, column = divmod(number, columns)
        left = margin + column * (width + BETWEEN)
        down = top + line * (HEAD + tall + FOOT)
        page.text(left, down, measure.title, weight="bold", size=common.fitting_size(measure.title, width, 7))
        page.text(left, down + 3.2, measure.note, size=common.fitting_size(measure.note, width, 6), color=common.GREY)
        axes = page.axes(left, down + HEAD, width - VALUE, tall)
        _column(axes, measure, len(labels), max(1, len(groups)), row, width - VALUE)
        if column == 0:
            page.row_labels(margin - 2, down + HEAD, labels, row, margin - 2)
    return page.figure


def _column(axes: Axes, measure: Measure, rows: int, groups: int, row: float, width: float) -> None:
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    for line in range(1, rows):
        axes.axhline(line - 0.5, color=common.RULE, linewidth=0.4)
    if measure.log:
        axes.set_xscale("log")
    if measure.marks:
        axes.set_xlim(*_limits(measure))
    if measure.line is not None:
        axes.axvline(measure.line, color=common.INK, linewidth=0.8, linestyle=(0, (2, 1.5)))
    low, high = axes.get_xlim()
    for mark in measure.marks:
        y = mark.row + (mark.group - (groups - 1) / 2) * DODGE / row
        colour = common.colour(mark.group)
        ends = np.clip([mark.low, mark.high], low, high)
        axes.plot(ends, [y, y], color=colour, linewidth=1.4, solid_capstyle="butt")
        if len(mark.seeds) > 1:
            axes.plot(mark.seeds, [y] * len(mark.seeds), "|", color=colour, markersize=5, markeredgewidth=0.8)
        axes.plot(mark.value, y, common.marker(mark.group)[0], color=colour, markersize=4.5, zorder=3, clip_on=False)
        # Outside the frame, where no bar can cross it.
        axes.annotate(
            common.number(mark.value).replace("-", "−"),
            (1, y),
            (2, 0),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            va="center",
            size=5.5,
            color=colour,
        )
    if measure.log:
        common.log_numbers(axes.xaxis, max(3, int(width // 10)))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(max(2, int(width // 9)), steps=[1, 2, 2.5, 5, 10]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}".replace("-", "−")))


def _limits(measure: Measure) -> tuple[float, float]:
    """Room for every mark and seed; an interval may be cut."""
    shown = np.concatenate([[mark.value, *mark.seeds] for mark in measure.marks])
    if measure.reference is not None:
        shown = np.append(shown, measure.reference)
    ends = np.concatenate([[mark.low, mark.high] for mark in measure.marks])
    if measure.limits is not None:
        floor, ceiling = measure.limits
        return floor - 0.03 * (ceiling - floor), ceiling + 0.03 * (ceiling - floor)
    if measure.zero:
        low, high = min(0.0, ends.min()), max(0.0, ends.max())
        room = 0.05 * ((high - low) or 1.0)
        return float(low - room), float(high + room)
    if measure.log:
        low, high = max(ends.min(), shown.min() / 3), min(ends.max(), 3 * shown.max())
        return float(low / 1.15), float(high * 1.15)
    low, high = min(0.0, shown.min()), max(shown.max(), min(ends.max(), 1.6 * shown.max()))
    room = (high - low) or 1.0
    return low - 0.03 * room, high + 0.05 * room
