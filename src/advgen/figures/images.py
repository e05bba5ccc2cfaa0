"""Draw rows of images."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from advgen.figures.layout import Page, balance_columns
from advgen.figures.style import GREY, VERMILLION
from advgen.figures.text import MM_PER_POINT

Images = NDArray[Any]
"""One image (channels, height, width) or several, in [0, 1] or uint8."""


def to_rgb(image: Images) -> NDArray[np.float32]:
    """Convert an image (channels, height, width) in [0, 1] or uint8 to (height, width, 3) in [0, 1]."""
    scaled = image / 255.0 if image.dtype == np.uint8 else np.clip(image, 0, 1)
    return np.broadcast_to(np.moveaxis(scaled, 0, 2), (*image.shape[1:], 3)).astype(np.float32)


class ImageGrid:
    """Rows of images on a page with thin gaps. In the axes, one unit is one cell and row 0 is at the top.

    Args:
        page: where to draw.
        left, top, width: millimetres.
        rows: images (channels, height, width) of equal size.
        columns: number of cells in a row, if more than the longest row has; the others stay empty.
        gap: pixels between images.
    """

    def __init__(
        self,
        page: Page,
        left: float,
        top: float,
        width: float,
        rows: Sequence[Sequence[Images] | Images],
        columns: int = 0,
        gap: int = 1,
    ):
        self.columns, count = max(columns, *map(len, rows)), len(rows)
        height, side = next(image.shape[1:] for row in rows for image in row)
        self.down, self.across = height + gap, side + gap
        # The gaps are transparent, so that they have the page's colour.
        canvas = np.zeros((count * self.down - gap, self.columns * self.across - gap, 4), np.float32)
        for i, row in enumerate(rows):
            for j, image in enumerate(row):
                cell = canvas[i * self.down :, j * self.across :][:height, :side]
                cell[..., :3], cell[..., 3] = to_rgb(image), 1
        self.gap = gap
        self.height = width * canvas.shape[0] / canvas.shape[1]
        self.row_height = (width + gap * width / canvas.shape[1]) / self.columns * self.down / self.across
        self.axes = page.axes(left, top, width, self.height)
        self.axes.set_axis_off()
        # PDF viewers smooth small images; enlarging by a whole number keeps the pixels square in all viewers.
        factor = max(1, 112 // side)
        x, y = gap / 2 / self.across, gap / 2 / self.down
        self.axes.imshow(
            canvas.repeat(factor, 0).repeat(factor, 1),
            extent=(x, self.columns - x, count - y, y),
            aspect="auto",
        )

    def frame(self, row: int, column: int, colour: str = VERMILLION) -> None:
        """Draw a frame inside a cell, so that frames of neighbouring cells do not touch."""
        line = 1.3 * MM_PER_POINT / self.row_height
        x, y = (self.gap / 2 / side + line / 2 for side in (self.across, self.down))
        size = (1 - 2 * x, 1 - 2 * y)
        self.axes.add_patch(Rectangle((column + x, row + y), *size, fill=False, edgecolor=colour, linewidth=1.3))

    def frame_where(self, row: int, flags: Iterable[bool]) -> None:
        """Draw a frame in each cell of a row whose flag is true."""
        for column, flag in enumerate(flags):
            if flag:
                self.frame(row, column)

    def caption(self, column: int, text: str, **kwargs: Any) -> None:
        """Add small text below a cell of the last row."""
        low = self.axes.get_ylim()[0]
        kwargs = {"size": 5.5, "color": GREY, **kwargs}
        self.axes.annotate(
            text, (column + 0.5, low), (0, -1.5), textcoords="offset points", ha="center", va="top", **kwargs
        )


def grid_height(width: float, rows: int, columns: int, shape: Sequence[int], gap: int = 1) -> float:
    """Return the height in millimetres of a grid; `shape` is (channels, height, width) of an image."""
    _, height, side = shape
    return width * (rows * (height + gap) - gap) / (columns * (side + gap) - gap)


@dataclass(frozen=True)
class ImageBands:
    """Break long rows of images into bands, one below the other.

    A band shows the same number of `rows` for each of its images; an image is `smallest` to `largest` millimetres wide.
    """

    count: int
    rows: int
    room: float
    shape: tuple[int, ...]
    smallest: float = 9.0
    largest: float = 16.0

    @property
    def columns(self) -> int:
        """Number of images side by side."""
        return balance_columns(self.count, int(max(1, self.room // self.smallest)))

    @property
    def width(self) -> float:
        """Width of a band in millimetres."""
        return min(self.room, self.largest * self.columns)

    @property
    def height(self) -> float:
        """Height of a band in millimetres."""
        return grid_height(self.width, self.rows, self.columns, self.shape)

    @property
    def bands(self) -> list[slice]:
        """The images of each band."""
        return [slice(start, min(start + self.columns, self.count)) for start in range(0, self.count, self.columns)]
