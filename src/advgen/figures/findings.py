"""What a figure found, as a sentence and rows of numbers, and images of the run to browse."""

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from matplotlib.image import imsave
from numpy.typing import NDArray

Tables = Mapping[str, pa.Table]
"""The tables that a figure reads, by kind."""
Row = Mapping[str, Any]
SHEET_COLUMNS = 32
"""Images side by side in the PNG that holds the images of an explorer."""


@dataclass(frozen=True)
class Finding:
    """What a figure shows: a title and one sentence, both computed, and the numbers behind the sentence.

    A number `x` of a row may have an interval in `x_low` and `x_high`.
    """

    title: str
    sentence: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class Tile:
    """One image (channels, height, width), the caption below it, and whether it has a frame."""

    image: NDArray[Any]
    caption: str = ""
    framed: bool = False


@dataclass(frozen=True)
class Choice:
    """One control to select images: a slider over ordered options or a button for each; option `first` is preset."""

    name: str
    stops: Sequence[str]
    control: Literal["slider", "buttons"] = "buttons"
    first: int = 0


Strips = dict[tuple[int, ...], list[Tile]]
"""The images for each combination of options, by their numbers in the order of the choices."""


@dataclass(frozen=True)
class Explorer:
    """Images to browse: what they are, the controls that select them, and a strip of images for each combination.

    With `cells`, the first two choices become a table to click on; it shows these shares, which `measured` describes.
    """

    about: str
    choices: Sequence[Choice]
    strips: Strips
    cells: Mapping[tuple[int, int], float] | None = None
    measured: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object with all different images in one PNG."""
        places: dict[bytes, int] = {}
        images: list[NDArray[np.uint8]] = []
        strips: dict[str, list[list[Any]]] = {}
        for stops, tiles in self.strips.items():
            strip = strips[",".join(map(str, stops))] = []
            for tile in tiles:
                pixels = _to_pixels(tile.image)
                place = places.setdefault(pixels.tobytes(), len(places))
                if place == len(images):
                    images.append(pixels)
                strip.append([place, tile.caption, int(tile.framed)])
        height, width, _ = images[0].shape
        across = min(SHEET_COLUMNS, len(images))
        sheet = np.zeros((-(-len(images) // across) * height, across * width, 3), np.uint8)
        for place, pixels in enumerate(images):
            row, column = divmod(place, across)
            sheet[row * height :, column * width :][:height, :width] = pixels
        return {
            "about": self.about,
            "choices": [{**asdict(choice), "stops": list(choice.stops)} for choice in self.choices],
            "cells": {f"{row},{column}": share for (row, column), share in (self.cells or {}).items()},
            "measured": self.measured,
            "strips": strips,
            "across": across,
            "down": sheet.shape[0] // height,
            "size": [height, width],
            "sheet": _encode_png(sheet),
        }


def _to_pixels(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Convert an image (channels, height, width) to 8-bit RGB (height, width, 3)."""
    levels = image if image.dtype == np.uint8 else np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(np.moveaxis(levels, 0, 2), (*image.shape[1:], 3)))


def _encode_png(pixels: NDArray[np.uint8]) -> str:
    """Return a PNG file in base64; it does not contain the version of matplotlib."""
    file = BytesIO()
    without_version: Any = {"Software": None}
    imsave(file, pixels, format="png", metadata=without_version, pil_kwargs={"optimize": True})
    return base64.b64encode(file.getvalue()).decode()


def names_in(tables: Tables) -> list[str]:
    """Return all names in the tables: models, attacks, masks.

    Source models of transferred examples are left out, because transfer figures take their names from another table.
    """
    found: set[str] = set()
    for kind, table in tables.items():
        for field in table.schema if kind != "transferred" else ():
            if pa.types.is_string(field.type):
                found |= set(table.column(field.name).unique().to_pylist()) - {None}
    return sorted(found)


def to_json_rows(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return rows with NumPy scalars as Python's, and NaN and infinity as None."""
    return [{key: _to_json_value(value) for key, value in row.items()} for row in rows]


def _to_json_value(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def interval_columns(name: str, measured: tuple[float, float, float]) -> dict[str, float]:
    """Return a number and the ends of its interval as columns `name`, `name_low`, `name_high`."""
    return dict(zip((name, f"{name}_low", f"{name}_high"), measured, strict=True))
