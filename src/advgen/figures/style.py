"""Colours, line styles and markers of all figures, the style sheet, saving, and the version for dark pages."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import IO, Any, TypeVar

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import Collection
from matplotlib.colors import to_rgb, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Text

STYLE = Path(__file__).with_name("advgen.mplstyle")

_STYLE_SHEET = matplotlib.rc_params_from_file(STYLE, use_default_template=False)
COLOURS: tuple[str, ...] = tuple(_STYLE_SHEET["axes.prop_cycle"].by_key()["color"])
BLUE, VERMILLION, *_ = COLOURS
INK, GREY, RULE, PALE, SHADED = (
    str(_STYLE_SHEET[key])
    for key in ("text.color", "legend.labelcolor", "patch.edgecolor", "lines.color", "patch.facecolor")
)
MARKERS = {"o": "●", "s": "■", "^": "▲", "D": "◆"}
"""Matplotlib's name of each marker, and the character that stands for it in a legend."""

DASHED = (0, (2.5, 1.5))
SHORT_DASHES = (0, (2, 1.5))
DOTTED = (0, (1, 1.5))
SPARSE_DOTS = (0, (1, 2))
DENSE_DOTS = (0, (1, 1))

DARK_PAPER = "#15181c"
"""Background colour of a figure for a dark page."""
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
"""The dark-page colour for each colour of the style, with the same legibility."""
KEEP_COLOUR = "keep colour"
"""Group id of artists that `darken` must not change, because the colour behind them does not change either."""

Draw = TypeVar("Draw", bound=Callable[..., Figure])


@contextmanager
def style_sheet() -> Iterator[None]:
    """Apply the style sheet on top of matplotlib's defaults and ignore the user's matplotlibrc."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(matplotlib.rc_params_from_file(STYLE, use_default_template=False))
        yield


def with_style(draw: Draw) -> Draw:
    """Decorate a drawing function so that it runs under the style sheet."""

    @wraps(draw)
    def wrapper(*args: Any, **kwargs: Any) -> Figure:
        with style_sheet():
            return draw(*args, **kwargs)

    return wrapper  # type: ignore[return-value]


def series_colour(number: int) -> str:
    """Return the colour of the n-th series."""
    return COLOURS[number % len(COLOURS)]


def series_marker(number: int) -> str:
    """Return matplotlib's marker of the n-th series, so that colour is not the only difference between series."""
    return list(MARKERS)[number % len(MARKERS)]


def save_figure(figure: Figure, pdf: Path | IO[bytes] | None, png: Path | IO[bytes], stamp: str) -> None:
    """Save a figure as PNG and, unless `pdf` is None, as PDF; both embed the provenance token `stamp`.

    Equal figures give equal bytes.
    """
    with style_sheet():
        _drop_layout_tables()
        paper = figure.get_facecolor()
        if pdf is not None:
            figure.savefig(pdf, format="pdf", metadata={"CreationDate": None, "Keywords": stamp}, facecolor=paper)
        figure.savefig(png, format="png", metadata={"advgen": stamp, "Software": None}, facecolor=paper)


def _drop_layout_tables() -> None:
    """Leave the OpenType layout tables out of fonts embedded in a PDF.

    The PDF positions each glyph itself, and subsetting these tables took a sixth of the drawing time.
    """
    from fontTools.subset import Options

    Options._drop_tables_default = sorted({*Options._drop_tables_default, "GDEF", "GPOS", "GSUB"})


@with_style
def darken(figure: Figure) -> Figure:
    """Recolour a figure in place for a dark page; images and artists marked KEEP_COLOUR stay as they are."""
    colours = {to_rgb(light): to_rgb(dark) for light, dark in _DARK.items()}
    FigureCanvasAgg(figure)
    # Matplotlib creates the ticks only when it draws, and their number depends on the style's font size.
    figure.draw_without_rendering()
    backings = [patch for text in figure.findobj(Text) if (patch := text.get_bbox_patch()) is not None]
    for artist in [*figure.findobj(), *backings]:
        if artist.get_gid() == KEEP_COLOUR or isinstance(artist, AxesImage):
            continue
        for name in ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor"):
            getter, setter = getattr(artist, f"get_{name}", None), getattr(artist, f"set_{name}", None)
            if getter is None or setter is None:
                continue
            old = getter()
            if isinstance(old, str) and old in ("none", "auto"):
                continue
            old = to_rgba_array(old)
            new = np.array([[*colours.get(tuple(rgba[:3]), rgba[:3]), rgba[3]] for rgba in old])
            if len(new) and not np.array_equal(old, new):
                setter(new if isinstance(artist, Collection) else tuple(new[0]))
    return figure
