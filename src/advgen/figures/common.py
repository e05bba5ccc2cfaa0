"""What the figures share: the style, placement in millimetres, image grids, wording of numbers, and saving."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, wraps
from pathlib import Path
from typing import IO, Any, TypeVar

import matplotlib
import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import Collection as MarkCollection
from matplotlib.colors import Colormap, to_rgb, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.textpath import text_to_path
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from advgen.metrics.intervals import (
    average_runs,
    bootstrap_mean,
    rank_correlation,
    rate_over_runs,
    wilson,
)
from advgen.specs.figures import FigureSpec

STYLE = Path(__file__).with_name("advgen.mplstyle")
MM_PER_INCH = 25.4
MM_PER_POINT = MM_PER_INCH / 72

_LOOK = matplotlib.rc_params_from_file(STYLE, use_default_template=False)
COLOURS: tuple[str, ...] = tuple(_LOOK["axes.prop_cycle"].by_key()["color"])
BLUE, VERMILLION, *_ = COLOURS
INK, GREY, RULE, PALE, SHADED = (
    str(_LOOK[key]) for key in ("text.color", "legend.labelcolor", "patch.edgecolor", "lines.color", "patch.facecolor")
)
MARKERS = (("o", "●"), ("s", "■"), ("^", "▲"), ("D", "◆"))

# Millimetres around everything, and between blocks.
PAD = 1.5
GAP = 5.0
LEGEND = 4.0

NORMS = {"linf": "L∞", "l2": "L2", "l1": "L1", "l0": "L0"}
METHODS = {
    "full": "full loss",
    "contextual": "contextual loss",
    "contextual_prior": "contextual + prior loss",
    "harmonic": "harmonic fill, no generator",
    "poisson": "Poisson fill, no generator",
}
FILLS = ("harmonic", "poisson")
"""Those of them without a generator."""
# Threat models that have no radius.
FREE = {"spatial": "rotation and translation"}
CHANGED = {"region": "only a region's pixels"}

Images = NDArray[Any]
Draw = TypeVar("Draw", bound=Callable[..., Figure])


@contextmanager
def style() -> Iterator[None]:
    """The style sheet over matplotlib's own defaults, whatever the user's matplotlibrc says."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(matplotlib.rc_params_from_file(STYLE, use_default_template=False))
        yield


def styled(draw: Draw) -> Draw:
    """Runs a drawing function under the style sheet."""

    @wraps(draw)
    def wrapper(*args: Any, **kwargs: Any) -> Figure:
        with style():
            return draw(*args, **kwargs)

    return wrapper  # type: ignore[return-value]


def _embed_letters_alone() -> None:
    """Have matplotlib put fonts into a PDF without the tables that place letters, which nobody reads: they are placed.

    Cutting these tables down took a sixth of the time of a figure.
    """
    from fontTools.subset import Options

    Options._drop_tables_default = sorted({*Options._drop_tables_default, "GDEF", "GPOS", "GSUB"})


def save(figure: Figure, pdf: Path | IO[bytes] | None, png: Path | IO[bytes], stamp: str) -> None:
    """Write a figure as PDF, if wanted, and PNG with the stamp's token inside; equal figures give equal bytes."""
    with style():
        _embed_letters_alone()
        paper = figure.get_facecolor()
        if pdf is not None:
            figure.savefig(pdf, format="pdf", metadata={"CreationDate": None, "Keywords": stamp}, facecolor=paper)
        figure.savefig(png, format="png", metadata={"advgen": stamp, "Software": None}, facecolor=paper)


DARK_PAPER = "#15181c"
"""That of a dark page."""
_DARK = {
    "white": DARK_PAPER,
    INK: "#e8eaed",
    "#333333": "#d5d8dc",  # labels
    GREY: "#a9b0b9",
    "#8a8a8a": "#8a9099",  # axes
    RULE: "#4a515a",
    PALE: "#7b838d",
    SHADED: "#4a4228",
    "#e6e6e6": "#2b3037",  # grid
    **dict(zip(COLOURS, ("#5ab4ee", "#ff8f4d", "#4cc79c", "#e08fc0", "#d9b340", "#8fd0f5", "#b0b0b0"), strict=True)),
}
"""What stands for each colour of the style on dark paper, as legible there."""
FIXED = "keeps its colours"
"""Marks what lies on a colour that means something, and so stays as it is."""


@styled
def darkened(figure: Figure) -> Figure:
    """The same figure for a dark page: the style's colours change, pictures and the colours of cells stay."""
    colours = {to_rgb(light): to_rgb(dark) for light, dark in _DARK.items()}
    FigureCanvasAgg(figure)
    figure.draw_without_rendering()  # an axis makes its ticks only now, as many as the style's letters leave room for
    backings = [patch for text in figure.findobj(Text) if (patch := text.get_bbox_patch()) is not None]
    for artist in [*figure.findobj(), *backings]:
        if artist.get_gid() == FIXED:
            continue
        for name in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
            get, put = getattr(artist, f"get_{name}", None), getattr(artist, f"set_{name}", None)
            if get is None or put is None or isinstance(artist, AxesImage):
                continue
            old = get()
            if isinstance(old, str) and old in ("none", "auto"):
                continue
            old = to_rgba_array(old)
            new = np.array([[*colours.get(tuple(one[:3]), one[:3]), one[3]] for one in old])
            if len(new) and not np.array_equal(old, new):
                put(new if isinstance(artist, MarkCollection) else tuple(new[0]))
    return figure


# --- placement -------------------------------------------------------------------------------------------------------


def inside(spec: FigureSpec) -> float:
    """Millimetres across that a figure has for its content."""
    return spec.width_mm - 2 * PAD


class Page:
    """A figure whose parts are placed in millimetres from the upper left corner of its content."""

    def __init__(self, width: float, height: float):
        self.width, self.height = width, height
        self.full_width, self.full_height = width + 2 * PAD, height + 2 * PAD
        self.figure = Figure(figsize=(self.full_width / MM_PER_INCH, self.full_height / MM_PER_INCH))

    def place(self, left: float, top: float) -> tuple[float, float]:
        """A point as matplotlib counts: shares of the figure, from its lower left corner."""
        return (left + PAD) / self.full_width, 1 - (top + PAD) / self.full_height

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes whose frame has this corner and size."""
        size = (width / self.full_width, height / self.full_height)
        return self.figure.add_axes((*self.place(left, top + height), *size))

    def text(self, left: float, top: float, text: str, **kwargs: Any) -> Text:
        """Text whose upper left corner, unless told otherwise, is here."""
        kwargs = {"va": "top", "ha": "left", **kwargs}
        return self.figure.text(*self.place(left, top), text, **kwargs)

    def heading(self, left: float, top: float, width: float, name: str, details: str = "") -> None:
        """A bold name and below it details in lines of `width`; `heading_height` is what it takes."""
        self.text(left, top, name, weight="bold", size=fitting_size(name, width, 8, weight="bold"))
        self.text(left, top + 4.2, "\n".join(wrapped(details, width)), color=GREY, size=6.5, linespacing=1.2)

    def row_labels(self, right: float, top: float, labels: Sequence[str], row: float, width: float) -> None:
        """One label left of each row of a grid, ending at `right`."""
        for number, label in enumerate(labels):
            lines = wrapped(label, width)
            height = row / MM_PER_POINT / (1.2 * len(lines))
            size = min(height, *(fitting_size(line, width, 6.5) for line in lines))
            middle = top + (number + 0.5) * row
            self.text(right, middle, "\n".join(lines), ha="right", va="center", size=size, linespacing=1.15)

    def legend(self, left: float, top: float, width: float, names: Sequence[str]) -> None:
        """The names of `colour` 0, 1, … in these colours, after their marks; `legend_height` is what they take."""
        for line, entries in enumerate(_legend_lines(names, width)):
            for shift, number in entries:
                text = f"{marker(number)[1]} {names[number]}"
                size = fitting_size(text, width, 7, weight="bold")
                self.text(left + shift, top + LEGEND * line, text, weight="bold", size=size, color=colour(number))


@dataclass(frozen=True)
class Panels:
    """Places for equal panels, side by side in as many lines as are needed; measures are millimetres.

    A panel has a title on top and, inside its share of the width, room for labels at its left, right and foot.
    """

    count: int
    width: float
    smallest: float
    tall: float
    left: float
    foot: float
    right: float = 2.0
    title: float = 5.0

    @property
    def columns(self) -> int:
        """Panels side by side."""
        fitting = columns_that_fit(self.count, self.width, self.smallest)
        return math.ceil(self.count / math.ceil(self.count / fitting))

    @property
    def height(self) -> float:
        """Of all lines together."""
        return math.ceil(self.count / self.columns) * (self.title + self.tall + self.foot)

    @property
    def inner(self) -> float:
        """Width of a panel's frame."""
        return self.width / self.columns - self.left - self.right

    def axes(self, page: Page, top: float, number: int, title: str, left: float = 0.0) -> Axes:
        """The axes of one panel with its title above, the first line at `top`."""
        line, column = divmod(number, self.columns)
        x = left + column * self.width / self.columns + self.left
        y = top + line * (self.title + self.tall + self.foot) + self.title
        size = fitting_size(title, self.inner + self.right, 7, weight="bold")
        page.text(x, y - 1.2, title, va="bottom", size=size, weight="bold")
        return page.axes(x, y, self.inner, self.tall)

    def first(self, number: int) -> bool:
        """Whether a panel is the leftmost of its line."""
        return number % self.columns == 0

    def last(self, number: int) -> bool:
        """Whether nothing is below a panel."""
        return number + self.columns >= self.count


def colour(number: int) -> str:
    """The colour of the n-th line or group."""
    return COLOURS[number % len(COLOURS)]


def marker(number: int) -> tuple[str, str]:
    """Its mark, for matplotlib and as a character, so that no line is told by its colour alone."""
    return MARKERS[number % len(MARKERS)]


def _legend_lines(names: Sequence[str], width: float) -> list[list[tuple[float, int]]]:
    """Left ends in millimetres and numbers of the names, in lines that fit."""
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


def legend_height(names: Sequence[str], width: float) -> float:
    """Millimetres of a legend, with the gap below."""
    return LEGEND * len(_legend_lines(names, width)) + 1


def name_ends(axes: Axes, ends: Iterable[tuple[float, str, str]], tall: float, size: float = 6.5) -> None:
    """Names right of the ends of curves (their last value, the name, its colour), moved apart where they overlap.

    `tall` is the height of the axes in millimetres; the axes' scales must be settled.
    """
    least = 1.2 * size * MM_PER_POINT / tall
    heights = sorted((_height(axes, value), name, shade) for value, name, shade in ends)
    places: list[float] = []
    for height, _, _ in heights:
        places.append(max(height, places[-1] + least) if places else height)
    over = max(0.0, places[-1] - 1)
    for number in reversed(range(len(places))):
        ceiling = places[number + 1] - least if number + 1 < len(places) else places[-1] - over
        places[number] = min(places[number], ceiling)
    for place, (_, name, shade) in zip(places, heights, strict=True):
        where: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "annotation_clip": False}
        axes.annotate(name, (1, place), (3, 0), va="center", size=size, weight="bold", color=shade, **where)


def _height(axes: Axes, value: float) -> float:
    """Where a value lies between the axes' lower and upper end, 0 to 1."""
    point = axes.transData.transform((axes.get_xlim()[1], value))
    return float(np.clip(axes.transAxes.inverted().transform(point)[1], 0, 1))


def note(axes: Axes, x: float, y: float, text: str, shade: str = INK, ha: str = "left", va: str = "top") -> None:
    """Small bold text inside the axes, placed in shares of their frame, legible over whatever is drawn there."""
    backing = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1}
    axes.text(x, y, text, transform=axes.transAxes, ha=ha, va=va, size=6, color=shade, weight="bold", bbox=backing)


def interval(axes: Axes, x: float, y: float, low: float, high: float, number: int, **kwargs: Any) -> None:
    """A mark with a vertical bar from `low` to `high`, in the colour of the n-th line."""
    axes.plot([x, x], [low, high], color=colour(number), linewidth=1.2, solid_capstyle="butt", clip_on=False)
    kwargs = {"markersize": 3.6, "zorder": 3, "clip_on": False, **kwargs}
    axes.plot(x, y, marker(number)[0], color=colour(number), **kwargs)


def heat_cell(
    axes: Axes, x: float, y: float, text: str, fill: tuple[float, ...], lines: Sequence[str], wide: float
) -> None:
    """A unit square filled with a colour, with a large text and small lines under it; `wide` is its millimetres."""
    axes.add_patch(Rectangle((x, y), 1, 1, facecolor=fill, edgecolor="none", gid=FIXED))
    axes.add_patch(Rectangle((x, y), 1, 1, fill=False, edgecolor="white", linewidth=1.0))
    luminance = np.dot([0.2126, 0.7152, 0.0722], np.power(fill[:3], 2.2))
    # At this luminance white and dark words have the same contrast.
    ink = "white" if luminance < 0.2 else INK
    small = min((fitting_size(line, 0.9 * wide, 5.2, 3.5) for line in lines), default=5.2)
    total = 8 + 1.25 * small * len(lines)
    where: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "va": "center", "color": ink, "gid": FIXED}
    middle = (x + 0.5, y + 0.5)
    size = fitting_size(text, 0.9 * wide, 7.5, 3.5, weight="bold")
    axes.annotate(text, middle, (0, total / 2 - 4), size=size, weight="bold", **where)
    for number, line in enumerate(lines):
        drop = total / 2 - 8 - (number + 0.6) * 1.25 * small
        axes.annotate(line, middle, (0, drop), size=small, **where)


def shade(colours: Colormap, share: float) -> tuple[float, ...]:
    """The colour of a share; those beyond 0 and 1 have the ends' colours."""
    return tuple(colours(min(max(float(share), 0.0), 1.0)))


def heading_height(width: float, *details: str) -> float:
    """Millimetres of the tallest of some headings, with the gap below."""
    return 6.0 + 3.0 * max(len(wrapped(one, width)) for one in details)


@cache
def text_width(text: str, size: float, weight: str = "normal") -> float:
    """Millimetres that a line of text takes."""
    font = FontProperties(family="DejaVu Sans", weight=weight, size=size)
    return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]) * MM_PER_POINT


def fitting_size(text: str, width: float, size: float, smallest: float = 4.5, weight: str = "normal") -> float:
    """`size` in points, or less so that the text fits into `width` millimetres."""
    wide = text_width(text, size, weight)
    # Rasterised letters stand on whole pixels, so that small ones take a little more than they should.
    return size if wide <= width else max(smallest, 0.97 * size * width / wide)


def wrapped(text: str, width: float, size: float = 6.5) -> list[str]:
    """The text in lines that fit into `width` millimetres, if it has spaces or hyphens to break at."""
    lines = []
    for paragraph in text.split("\n"):
        line = ""
        for piece in re.findall(r"[^ -]+-* *|-+ *", paragraph):
            if line and text_width((line + piece).rstrip(), size) > width + 0.01:
                lines.append(line.rstrip())
                line = ""
            line += piece
        lines.append(line.rstrip())
    return lines


def label_width(labels: Iterable[str], widest: float, size: float = 6.5, weight: str = "normal") -> float:
    """Millimetres to keep for labels left of something, 2 of them as a gap; the labels get at most `widest`."""
    lines = [line for label in labels for line in label.split("\n")]
    return min(widest, max((text_width(line, size, weight) for line in lines), default=0.0)) + 2.0


def columns_that_fit(count: int, width: float, smallest: float) -> int:
    """How many of `count` equal columns of at least `smallest` millimetres stand side by side."""
    return max(1, min(count, int(width // smallest)))


# --- images ----------------------------------------------------------------------------------------------------------


def as_rgb(image: Images) -> Images:
    """Channels, height, width in [0, 1] or uint8 as height, width, 3 in [0, 1]."""
    scaled = image / 255.0 if image.dtype == np.uint8 else np.clip(image, 0, 1)
    return np.broadcast_to(np.moveaxis(scaled, 0, 2), (*image.shape[1:], 3)).astype(np.float32)


class Grid:
    """Rows of images on a page with thin separators. In the axes, one unit is one cell and row 0 is on top."""

    def __init__(
        self, page: Page, left: float, top: float, width: float, rows: Sequence[Sequence[Images | None]], gap: int = 1
    ):
        """Images are height, width, 3 in [0, 1]; None leaves a cell blank."""
        self.columns, count = max(len(row) for row in rows), len(rows)
        height, side = next(image.shape[:2] for row in rows for image in row if image is not None)
        self.down, self.across = height + gap, side + gap
        # clear between the images, so that the page's own colour separates them
        canvas = np.zeros((count * self.down - gap, self.columns * self.across - gap, 4), np.float32)
        for i, row in enumerate(rows):
            for j, image in enumerate(row):
                if image is not None:
                    cell = canvas[i * self.down :, j * self.across :][:height, :side]
                    cell[..., :3], cell[..., 3] = image, 1
        self.gap = gap
        self.height = width * canvas.shape[0] / canvas.shape[1]
        self.row = (width + gap * width / canvas.shape[1]) / self.columns * self.down / self.across
        self.axes = page.axes(left, top, width, self.height)
        self.axes.set_axis_off()
        # PDF viewers smooth small pictures: whole-number enlargement keeps pixels square in all of them.
        factor = max(1, 112 // side)
        x, y = gap / 2 / self.across, gap / 2 / self.down
        self.axes.imshow(
            canvas.repeat(factor, 0).repeat(factor, 1),
            extent=(x, self.columns - x, count - y, y),
            aspect="auto",
        )

    def mark(self, row: int, column: int, colour: str = VERMILLION) -> None:
        """A frame around a cell."""
        # Inside the cell, so that frames of neighbours stay apart.
        line = 1.3 * MM_PER_POINT / self.row
        x, y = (self.gap / 2 / side + line / 2 for side in (self.across, self.down))
        size = (1 - 2 * x, 1 - 2 * y)
        self.axes.add_patch(Rectangle((column + x, row + y), *size, fill=False, edgecolor=colour, linewidth=1.3))

    def below(self, column: int, text: str, **kwargs: Any) -> None:
        """Small text under a cell of the last row."""
        low = self.axes.get_ylim()[0]
        kwargs = {"size": 5.5, "color": GREY, **kwargs}
        self.axes.annotate(
            text, (column + 0.5, low), (0, -1.5), textcoords="offset points", ha="center", va="top", **kwargs
        )


def grid_height(width: float, rows: int, columns: int, shape: Sequence[int], gap: int = 1) -> float:
    """Millimetres down of a grid that is `width` across; `shape` is channels, height, width of an image."""
    _, height, side = shape
    return width * (rows * (height + gap) - gap) / (columns * (side + gap) - gap)


# --- tables ----------------------------------------------------------------------------------------------------------


def frame(table: pa.Table) -> pd.DataFrame:
    """The columns that are no images; row i of the frame is image i of `read_images`."""
    plain = [field.name for field in table.schema if not pa.types.is_fixed_size_binary(field.type)]
    return table.select(plain).to_pandas()


def first_seed(rows: pd.DataFrame, column: str = "seed") -> pd.DataFrame:
    """The rows of the lowest seed."""
    return rows[rows[column] == rows[column].min()]


def in_order(wanted: Sequence[str], column: pd.Series) -> list[str]:
    """The wanted names that the column has, in the wanted order."""
    present = set(column)
    return [name for name in wanted if name in present]


def methods(facts: pd.DataFrame) -> list[str]:
    """The methods of inpainting that occur, the plainest first."""
    return in_order(tuple(METHODS), facts["method"])


def masks(facts: pd.DataFrame) -> list[str]:
    """The masks of an inpainting, from the fewest pixels missing to the most."""
    missing = facts.groupby("mask")["missing"].mean().sort_index()
    return list(missing.sort_values(kind="stable").index)


def mean_over_images(rows: pd.DataFrame, column: str, of: str = "index") -> tuple[float, float, float]:
    """Mean of a column with its 95 % interval over seeds and images, which seeds share; of one seed, over images.

    `of` tells images apart. Not a number where no image has one. What is nowhere negative has no negative end.
    """
    values = rows.groupby([_seed(rows), of])[column].mean().astype(float)
    values = values[np.isfinite(values)]
    if values.empty:
        return math.nan, math.nan, math.nan
    mean, low, high = average_runs([bootstrap_mean(one.to_numpy(), 0) for _, one in values.groupby(level=0)])
    return mean, low if values.min() < 0 else max(0.0, low), high


def share_over_images(rows: pd.DataFrame, held: pd.Series, of: str = "index") -> tuple[float, float, float]:
    """Share of rows for which something `held`, with its 95 % interval over seeds and images; of one seed Wilson's."""
    seeds = rows.groupby(_seed(rows))
    return rate_over_runs(held.groupby(rows[_seed(rows)]).mean(), int(seeds[of].nunique().min()))


def _seed(rows: pd.DataFrame) -> str:
    return "source_seed" if "source_seed" in rows else "seed"


def over_what(several: bool) -> str:
    """What such an interval is over, of several seeds or of one."""
    return "seeds and images" if several else "images"


def over_seeds(values: NDArray[np.float64], confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean of a value per seed with Student's interval, (mean, low, high); the mean alone where there is one seed."""
    mean = float(values.mean())
    if len(values) < 2:
        return mean, mean, mean
    half = float(stdtrit(len(values) - 1, (1 + confidence) / 2) * values.std(ddof=1) / math.sqrt(len(values)))
    return mean, mean - half, mean + half


def median(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Median with the order statistics that bound it with 95 % confidence (the sign test's interval)."""
    ordered, n = np.sort(values), len(values)
    reach = 1.96 * np.sqrt(n) / 2
    low, high = int(max(0, np.floor(n / 2 - reach))), int(min(n - 1, np.ceil(n / 2 + reach)))
    return float(np.median(ordered)), float(ordered[low]), float(ordered[high])


def running_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Centred mean over `window` values, over fewer at both ends."""
    ones = np.ones(min(window, len(values)))
    counts = np.convolve(np.ones(len(values)), ones, mode="same")
    return np.asarray(np.convolve(values, ones, mode="same") / counts)


# --- words -----------------------------------------------------------------------------------------------------------


def number(value: float) -> str:
    """Three significant digits, or all before the point; no exponent where people can read it so."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}" if digits <= 6 and abs(value) < 1e9 else f"{value:.2e}"


def percent(share: float) -> str:
    """A share in percent, with a decimal where it matters."""
    value = 100 * share
    return f"{value:.0f} %" if value >= 99.95 or value < 0.05 else f"{value:.1f} %"


def share_of(successes: float, n: int, things: str) -> str:
    """A share with its 95 % Wilson interval and the number of things it is a share of."""
    low, high = wilson(round(successes), n)
    return f"{percent(successes / n)} [{100 * low:.1f}, {100 * high:.1f}] ({n_is([n])} {things})"


def log_numbers(axis: Axis, most: int) -> None:
    """Round numbers, `most` or few more of them, at a logarithmic axis whose range is set."""
    low, high = sorted(axis.get_view_interval())
    decades = math.log10(high / low)
    if decades > 0.7:  # so that there are two of them at least
        subs = (1.0,) if decades > 2 else (1.0, 3.0) if decades > max(1, most / 3) else (1.0, 2.0, 5.0)
        axis.set_major_locator(LogLocator(subs=subs, numticks=most))
    else:
        axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_formatter(NullFormatter())


def correlation(x: ArrayLike, y: ArrayLike) -> str:
    """Spearman's rank correlation with its 95 % bootstrap interval over examples."""
    rank, low, high = rank_correlation(x, y, 0)
    return f"rank correlation {rank:.2f} [{low:.2f}, {high:.2f}]".replace("-", "−")


def n_is(counts: Collection[int]) -> str:
    """How many there are, or from how many to how many, with spaces that do not break."""
    low, high = min(counts), max(counts)
    return f"n\u00a0=\u00a0{low:,}" + (f"\u00a0to\u00a0{high:,}" if low < high else "")


def counted(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun: 1 step, 40 steps."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def threat(row: Mapping[str, Any] | pd.Series) -> str:
    """Norm, budget and effort of an attack as people say it."""
    norm = str(row["norm"])
    if norm == "none":
        words = f"noise of sd {row['eps']:g}"
    elif pd.isna(row["eps"]):
        words = FREE.get(norm, f"least {NORMS.get(norm, norm)}")
    else:
        words = CHANGED.get(norm, f"{NORMS.get(norm, norm)} ≤ {row['eps']:g}")
    if "access" in row and row["target"] != "none":
        words += f", targeted: {row['target']}"
    if "steps" in row and row["steps"] > 0:
        words += f", {counted(int(row['steps']), 'step')}"
        if row["restarts"] > 1:
            words += f" × {counted(int(row['restarts']), 'restart')}"
    return words
