"""Draw on axes: values with intervals, labels at the ends of lines, notes, cells of heat maps and axes for classes."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import Colormap
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from advgen.figures.style import INK, KEEP_COLOUR, series_colour, series_marker
from advgen.figures.text import MM_PER_POINT, fit_font_size


def draw_interval(axes: Axes, x: float, y: float, low: float, high: float, number: int, **kwargs: Any) -> None:
    """Draw a marker with a vertical bar from `low` to `high`, in the colour of the n-th series."""
    axes.plot([x, x], [low, high], color=series_colour(number), linewidth=1.2, solid_capstyle="butt", clip_on=False)
    kwargs = {"markersize": 3.6, "zorder": 3, "clip_on": False, **kwargs}
    axes.plot(x, y, series_marker(number), color=series_colour(number), **kwargs)


def label_line_ends(axes: Axes, ends: Iterable[tuple[float, str, str]], height: float, size: float = 6.5) -> None:
    """Write names at the right ends of lines and move them apart where they overlap.

    Args:
        axes: the axes; their scales and limits must be final.
        ends: the last value, the name and the colour of each line.
        height: height of the axes in millimetres.
        size: font size in points.
    """
    distance = 1.2 * size * MM_PER_POINT / height
    sorted_ends = sorted((_relative_height(axes, value), name, colour) for value, name, colour in ends)
    places: list[float] = []
    for place, _, _ in sorted_ends:
        places.append(max(place, places[-1] + distance) if places else place)
    excess = max(0.0, places[-1] - 1)
    for number in reversed(range(len(places))):
        ceiling = places[number + 1] - distance if number + 1 < len(places) else places[-1] - excess
        places[number] = min(places[number], ceiling)
    for place, (_, name, colour) in zip(places, sorted_ends, strict=True):
        where: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "annotation_clip": False}
        axes.annotate(name, (1, place), (3, 0), va="center", size=size, weight="bold", color=colour, **where)


def _relative_height(axes: Axes, value: float) -> float:
    """Return where a value is between the lower (0) and the upper (1) end of the axes."""
    point = axes.transData.transform((axes.get_xlim()[1], value))
    return float(np.clip(axes.transAxes.inverted().transform(point)[1], 0, 1))


def add_note(axes: Axes, x: float, y: float, text: str, colour: str = INK, ha: str = "left", va: str = "top") -> None:
    """Write small bold text inside the axes, at shares of their size, on a background that keeps it legible."""
    backing = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
    axes.text(x, y, text, transform=axes.transAxes, ha=ha, va=va, size=6, color=colour, weight="bold", bbox=backing)


def draw_heat_cell(
    axes: Axes, x: float, y: float, text: str, fill: tuple[float, ...], lines: Sequence[str], width: float
) -> None:
    """Draw a filled unit square with a large text and small lines below it; `width` is its millimetres."""
    axes.add_patch(Rectangle((x, y), 1, 1, facecolor=fill, edgecolor="none", gid=KEEP_COLOUR))
    axes.add_patch(Rectangle((x, y), 1, 1, fill=False, edgecolor="white", linewidth=1.0))
    luminance = np.dot([0.2126, 0.7152, 0.0722], np.power(fill[:3], 2.2))
    # At a luminance of 0.2, white and dark text have the same contrast.
    ink = "white" if luminance < 0.2 else INK
    small = min((fit_font_size(line, 0.9 * width, 5.2, 3.5) for line in lines), default=5.2)
    total = 8 + 1.25 * small * len(lines)
    where: dict[str, Any] = {
        "textcoords": "offset points",
        "ha": "center",
        "va": "center",
        "color": ink,
        "gid": KEEP_COLOUR,
    }
    middle = (x + 0.5, y + 0.5)
    size = fit_font_size(text, 0.9 * width, 7.5, 3.5, weight="bold")
    axes.annotate(text, middle, (0, total / 2 - 4), size=size, weight="bold", **where)
    for number, line in enumerate(lines):
        drop = total / 2 - 8 - (number + 0.6) * 1.25 * small
        axes.annotate(line, middle, (0, drop), size=small, **where)


def map_colour(colours: Colormap, share: float) -> tuple[float, ...]:
    """Return the colour of a share; shares below 0 and above 1 get the colours of the ends."""
    return tuple(colours(min(max(float(share), 0.0), 1.0)))


def set_classes(axes: Axes, labels: Sequence[Any]) -> None:
    """Make the x axis one of categories, one unit apart, without grid lines."""
    axes.set_xticks(range(len(labels)), [str(label) for label in labels])
    axes.set_xlim(-0.6, len(labels) - 0.4)
    axes.grid(False, axis="x")


def format_log_axis(axis: Axis, most: int) -> None:
    """Put about `most` round numbers on a logarithmic axis; its range must be final."""
    low, high = sorted(axis.get_view_interval())
    decades = math.log10(high / low)
    # Below 0.7 decades, a logarithmic locator might find fewer than two numbers.
    if decades > 0.7:
        subs = (1.0,) if decades > 2 else (1.0, 3.0) if decades > max(1, most / 3) else (1.0, 2.0, 5.0)
        axis.set_major_locator(LogLocator(subs=subs, numticks=most))
    else:
        axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_formatter(NullFormatter())
