"""What a figure found, in a sentence with the numbers behind it, and real images of the run to look through."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.image import imsave
from numpy.typing import NDArray

from advgen.figures.common import counted, number, percent, share_over_images

Row = Mapping[str, Any]
NO_NAME: Any = {"Software": None}
"""Keeps the version of the library out of the file."""
ACROSS = 32
"""Images side by side in the sheet that a page cuts them from."""


@dataclass(frozen=True)
class Finding:
    """What a figure shows: its title and one sentence, both computed, and the numbers that the sentence is about.

    A number `x` of a row may have an interval in `x_low` and `x_high`.
    """

    title: str
    sentence: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class Tile:
    """One image (channels, height, width), the words below it, and whether it is framed."""

    image: NDArray[Any]
    words: str = ""
    framed: bool = False


@dataclass(frozen=True)
class Choice:
    """One way to choose among images, at `first` to begin with: a slider over steps in order, or a button for each."""

    name: str
    stops: Sequence[str]
    control: Literal["slider", "buttons"] = "buttons"
    first: int = 0


Strips = dict[tuple[int, ...], list[Tile]]
"""Images for each combination of stops, told by their numbers in order of the choices."""


@dataclass(frozen=True)
class Explorer:
    """Images to look through: what they are, how to choose among them, and a strip for each choice.

    With `cells`, shares by the stops of the first two choices, these are a table to point at, rows by columns, of what
    `measured` says.
    """

    about: str
    choices: Sequence[Choice]
    strips: Strips
    cells: Mapping[tuple[int, int], float] | None = None
    measured: str = ""

    def packed(self) -> dict[str, Any]:
        """As JSON: equal images once, in one PNG."""
        sheet: dict[bytes, int] = {}
        pictures: list[NDArray[np.uint8]] = []
        strips: dict[str, list[list[Any]]] = {}
        for stops, tiles in self.strips.items():
            strip = []
            for tile in tiles:
                pixels = _pixels(tile.image)
                place = sheet.setdefault(pixels.tobytes(), len(sheet))
                if place == len(pictures):
                    pictures.append(pixels)
                strip.append([place, tile.words, int(tile.framed)])
            strips[",".join(map(str, stops))] = strip
        height, width, _ = pictures[0].shape
        across = min(ACROSS, len(pictures))
        canvas = np.zeros((-(-len(pictures) // across) * height, across * width, 3), np.uint8)
        for place, pixels in enumerate(pictures):
            down, right = divmod(place, across)
            canvas[down * height :, right * width :][:height, :width] = pixels
        cells = {f"{row},{column}": share for (row, column), share in (self.cells or {}).items()}
        return {
            "about": self.about,
            "choices": [{**one.__dict__, "stops": list(one.stops)} for one in self.choices],
            "cells": cells,
            "measured": self.measured,
            "strips": strips,
            "across": across,
            "down": canvas.shape[0] // height,
            "size": [height, width],
            "sheet": _png(canvas),
        }


def _pixels(image: NDArray[Any]) -> NDArray[np.uint8]:
    """An image (channels, height, width) as height, width, 3 in whole grey levels."""
    levels = image if image.dtype == np.uint8 else np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(np.moveaxis(levels, 0, 2), (*image.shape[1:], 3)))


def _png(pixels: NDArray[np.uint8]) -> str:
    file = BytesIO()
    imsave(file, pixels, format="png", metadata=NO_NAME, pil_kwargs={"optimize": True})
    return base64.b64encode(file.getvalue()).decode()


def names_in(tables: Mapping[str, pa.Table]) -> list[str]:
    """Everything that the tables call by a name: models, attacks, masks.

    Not the nets on which what a net met was crafted: figures of transfer have their names from another table.
    """
    found: set[str] = set()
    for kind, table in tables.items():
        for field in table.schema if kind != "transferred" else ():
            if pa.types.is_string(field.type):
                found |= set(table.column(field.name).unique().to_pylist()) - {None}
    return sorted(found)


def plain(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows as JSON can hold them: no numbers that are none, no types of NumPy."""
    return [{key: _plain(value) for key, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


# --- words -----------------------------------------------------------------------------------------------------------


def share(mean: float, low: float, high: float) -> str:
    """A share in percent with its interval."""
    return f"{percent(mean)} [{100 * low:.1f}, {100 * high:.1f}]"


def value(mean: float, low: float, high: float) -> str:
    """A number with its interval."""
    return f"{number(mean)} [{number(low)}, {number(high)}]".replace("-", "−")


def listed(parts: Sequence[str], most: int = 4) -> str:
    """Parts of a sentence, the first and last alone where there are many; nets that learnt nothing leave none."""
    if not parts:
        return "none"
    if len(parts) > most:
        return f"{parts[0]}, … and {parts[-1]} ({len(parts)} compared)"
    if any("," in part.split("[")[0] or ";" in part for part in parts):
        return "; ".join(parts)
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def seeds(column: pd.Series) -> str:
    """How many seeds."""
    return counted(column.nunique(), "seed")


def kept(rows: pd.DataFrame) -> tuple[float, float, float]:
    """Share of the images whose class the judge still sees, with its interval over seeds and images."""
    return share_over_images(rows, rows["judged"] == rows["label"])


def kept_columns(rows: pd.DataFrame) -> dict[str, float]:
    """Share of the images whose class is kept, and of those that the judge reads rightly as they were, as columns."""
    return columns_of("class_kept", kept(rows)) | {"class_kept_real": _read_rightly(rows)}


def of_originals(rows: pd.DataFrame) -> str:
    """What the judge reads rightly before anything can be lost, to stand beside the class kept."""
    return f"{percent(_read_rightly(rows))} of the originals are read rightly"


def _read_rightly(rows: pd.DataFrame) -> float:
    return float((rows["judged_real"] == rows["label"]).mean())


TRIVIAL = {"mse_principal": "as many principal components", "mse_nearest": "nearest training image"}
"""Errors of what needs no autoencoder and no generator, and what they are of."""


def trivial(rows: pd.DataFrame) -> str:
    """The mean error of each of them."""
    return ", ".join(f"{words} {number(float(rows[name].mean()))}" for name, words in TRIVIAL.items())


def trivial_columns(rows: pd.DataFrame) -> dict[str, float]:
    """The same as columns."""
    return {name: float(rows[name].mean()) for name in TRIVIAL}


def columns_of(name: str, measured: tuple[float, float, float]) -> dict[str, float]:
    """A number with its interval as columns of a row."""
    return dict(zip((name, f"{name}_low", f"{name}_high"), measured, strict=True))
