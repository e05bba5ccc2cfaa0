"""Lay out a figure in millimetres: pages with headings and legends, blocks, panels and columns.

Matplotlib's own layouts resize the axes until the labels fit; here axes keep their size, so that panels of different
figures are equally large. A figure module computes the sizes first and then draws:

```python
page, top = titled_page(content_width(spec), "Title", "n = 20 images", panels.height, legend=names)
for number, name in enumerate(names):
    axes = panels.axes(page, top, number, name, ylabel="accuracy (%)")
```

- `titled_page` makes a page with one heading and an optional legend; `stacked_page` makes one with several blocks of
  equal height, each with its own heading. Both return the page and where the content begins.
- `Panels` places equal axes side by side, in as many lines as necessary.
- `Columns` places larger blocks side by side, such as grids of images.
- `advgen.figures.images.ImageGrid` draws images, `advgen.figures.drawing` draws intervals, labels and notes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from advgen.figures.style import GREY, MARKERS, series_colour, series_marker
from advgen.figures.text import MM_PER_INCH, MM_PER_POINT, fit_font_size, text_width, wrap_text
from advgen.specs.figures import FigureSpec

PAD = 1.5
"""Millimetres around the content of a figure."""
GAP = 5.0
"""Millimetres between blocks."""
LEGEND = 4.0
"""Millimetres of a line of a legend."""


def content_width(spec: FigureSpec) -> float:
    """Return the width in millimetres that a figure has for its content."""
    return spec.width_mm - 2 * PAD


class Page:
    """A figure whose parts are placed in millimetres from the upper left corner of its content."""

    def __init__(self, width: float, height: float):
        self.width, self.height = width, height
        self.full_width, self.full_height = width + 2 * PAD, height + 2 * PAD
        self.figure = Figure(figsize=(self.full_width / MM_PER_INCH, self.full_height / MM_PER_INCH))

    def to_figure_coordinates(self, left: float, top: float) -> tuple[float, float]:
        """Convert millimetres to matplotlib's figure coordinates, shares of the figure from its lower left corner."""
        return (left + PAD) / self.full_width, 1 - (top + PAD) / self.full_height

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Add axes whose frame has this upper left corner and size."""
        size = (width / self.full_width, height / self.full_height)
        return self.figure.add_axes((*self.to_figure_coordinates(left, top + height), *size))

    def text(self, left: float, top: float, text: str, **kwargs: Any) -> Text:
        """Add text; its upper left corner is here unless `va` and `ha` say otherwise."""
        kwargs = {"va": "top", "ha": "left", **kwargs}
        return self.figure.text(*self.to_figure_coordinates(left, top), text, **kwargs)

    def heading(self, left: float, top: float, width: float, title: str, details: str = "") -> None:
        """Add a bold title with details below it, wrapped to `width`; the height is `heading_height`."""
        self.text(left, top, title, weight="bold", size=fit_font_size(title, width, 8, weight="bold"))
        self.text(left, top + 4.2, "\n".join(wrap_text(details, width)), color=GREY, size=6.5, linespacing=1.2)

    def subheading(self, left: float, top: float, width: float, title: str, size: float = 7.5) -> None:
        """Add a bold title on one line of at most `width`; `size` is in points."""
        self.text(left, top, title, weight="bold", size=fit_font_size(title, width, size, weight="bold"))

    def row_labels(self, right: float, top: float, labels: Sequence[str], row_height: float, width: float) -> None:
        """Add a label at the left of each row of a grid, right-aligned at `right`."""
        for number, label in enumerate(labels):
            lines = wrap_text(label, width)
            largest = row_height / MM_PER_POINT / (1.2 * len(lines))
            size = min(largest, *(fit_font_size(line, width, 6.5) for line in lines))
            middle = top + (number + 0.5) * row_height
            self.text(right, middle, "\n".join(lines), ha="right", va="center", size=size, linespacing=1.15)

    def legend(self, left: float, top: float, width: float, names: Sequence[str]) -> None:
        """Add the names of series 0, 1, … with their colours and markers; the height is `legend_height`."""
        for line, entries in enumerate(_break_legend(names, width)):
            for shift, number in entries:
                text = f"{MARKERS[series_marker(number)]} {names[number]}"
                size = fit_font_size(text, width, 7, weight="bold")
                place = (left + shift, top + LEGEND * line)
                self.text(*place, text, weight="bold", size=size, color=series_colour(number))


def heading_height(width: float, *details: str) -> float:
    """Return the height in millimetres of the tallest of some headings, with the gap below it."""
    return 6.0 + 3.0 * max(len(wrap_text(words, width)) for words in details)


def legend_height(names: Sequence[str], width: float) -> float:
    """Return the height in millimetres of a legend, with the gap below it."""
    return LEGEND * len(_break_legend(names, width)) + 1


def _break_legend(names: Sequence[str], width: float) -> list[list[tuple[float, int]]]:
    """Return lines of (left end in millimetres, number of the name) that fit into `width`."""
    lines: list[list[tuple[float, int]]] = [[]]
    left = 0.0
    for number, name in enumerate(names):
        wide = text_width(f"● {name}", 7, "bold")
        if left + wide > width and lines[-1]:
            lines.append([])
            left = 0.0
        lines[-1].append((left, number))
        left += wide + 4
    return lines


def stacked_page(
    width: float, headings: Mapping[str, str], height: float, gap: float = GAP, legend: Sequence[str] = ()
) -> tuple[Page, list[float]]:
    """Make a page of blocks of equal height, one below the other, each with its heading.

    Args:
        width: millimetres of the content.
        headings: the title of each block, and the details below the title.
        height: millimetres of a block's content, below heading and legend.
        gap: millimetres between blocks.
        legend: names of series for a legend below each heading.

    Returns:
        The page, and for each block where its content begins, in millimetres from the top.
    """
    head = heading_height(width, *headings.values())
    content = head + (legend_height(legend, width) if legend else 0)
    block = content + height + gap
    page = Page(width, len(headings) * block - gap)
    for number, (title, details) in enumerate(headings.items()):
        page.heading(0, number * block, width, title, details)
        if legend:
            page.legend(0, number * block + head, width, legend)
    return page, [number * block + content for number in range(len(headings))]


def titled_page(
    width: float, title: str, details: str, height: float, legend: Sequence[str] = ()
) -> tuple[Page, float]:
    """Make a page with one heading and an optional legend; see `stacked_page`.

    Returns:
        The page, and where its content begins, in millimetres from the top.
    """
    page, [top] = stacked_page(width, {title: details}, height, legend=legend)
    return page, top


def count_columns(count: int, width: float, smallest: float) -> int:
    """Return how many of `count` equal columns of at least `smallest` millimetres fit side by side, at least 1."""
    return max(1, min(count, int(width // smallest)))


def balance_columns(count: int, most: int) -> int:
    """Return the number of columns, at most `most`, that fills the lines of `count` items most evenly."""
    return math.ceil(count / math.ceil(count / most))


@dataclass(frozen=True)
class Panels:
    """Equal axes side by side, in as many lines as necessary; all sizes are millimetres.

    A panel consists of a title, the axes, and margins for labels at the left, right and bottom.
    """

    count: int
    width: float
    smallest: float
    axes_height: float
    left: float
    bottom: float
    right: float = 2.0
    title: float = 5.0

    @property
    def columns(self) -> int:
        """Number of panels side by side."""
        return balance_columns(self.count, count_columns(self.count, self.width, self.smallest))

    @property
    def line_height(self) -> float:
        """Height of one line of panels."""
        return self.title + self.axes_height + self.bottom

    @property
    def height(self) -> float:
        """Height of all lines."""
        return math.ceil(self.count / self.columns) * self.line_height

    @property
    def axes_width(self) -> float:
        """Width of the axes of a panel."""
        return self.width / self.columns - self.left - self.right

    def corner(self, top: float, number: int, left: float = 0.0) -> tuple[float, float]:
        """Return the left edge of a panel's axes and the top of its title, if the first line begins at `top`."""
        line, column = divmod(number, self.columns)
        return left + column * self.width / self.columns + self.left, top + line * self.line_height

    def axes(self, page: Page, top: float, number: int, title: str, left: float = 0.0, ylabel: str = "") -> Axes:
        """Add the axes of a panel with its title; `ylabel` is drawn on the leftmost panel of each line."""
        x, y = self.corner(top, number, left)
        y += self.title
        size = fit_font_size(title, self.axes_width + self.right, 7, weight="bold")
        page.text(x, y - 1.2, title, va="bottom", size=size, weight="bold")
        axes = page.axes(x, y, self.axes_width, self.axes_height)
        if ylabel and self.is_leftmost(number):
            axes.set_ylabel(ylabel)
        return axes

    def is_leftmost(self, number: int) -> bool:
        """Return whether a panel is the first of its line."""
        return number % self.columns == 0

    def is_lowest(self, number: int) -> bool:
        """Return whether no panel is below this one."""
        return number + self.columns >= self.count


@dataclass(frozen=True)
class Columns:
    """Blocks of equal size side by side, in as many lines as necessary; all sizes are millimetres.

    A block is `smallest` to `largest` wide, and `between` is the gap between two of them.
    """

    count: int
    room: float
    smallest: float
    largest: float
    between: float
    left: float = 0.0

    @property
    def columns(self) -> int:
        """Number of blocks side by side."""
        return count_columns(self.count, self.room + self.between, self.smallest + self.between)

    @property
    def lines(self) -> int:
        """Number of lines of blocks."""
        return math.ceil(self.count / self.columns)

    @property
    def width(self) -> float:
        """Width of a block."""
        return min((self.room - (self.columns - 1) * self.between) / self.columns, self.largest)

    def place(self, number: int, top: float, height: float) -> tuple[float, float]:
        """Return left and top of a block, if the first line is at `top` and a line takes `height`."""
        line, column = divmod(number, self.columns)
        return self.left + column * (self.width + self.between), top + line * height

    def is_leftmost(self, number: int) -> bool:
        """Return whether a block is the first of its line."""
        return number % self.columns == 0
