"""Colour symbols in two styles: one page of pictures each, and a list that tells where each symbol stands on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from advgen.data.choice import permutation
from advgen.data.download import fetch, local, local_folder, npm
from advgen.specs.datasets import SymbolsDataset

Arrays = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]
LEFT_OUT = "Component"
"""Squares that show a tone of skin: too few to be a class."""
BORDER = 1
"""Empty pixels around each symbol of the page."""


class Symbols:
    """Where the list and the page of a style come from."""

    def __init__(self, spec: SymbolsDataset):
        self.style = spec.style

    def fetch(self, targets: Sequence[Path]) -> None:
        """Write the raw files; ValueError lists every source tried."""
        page = f"{self.style}.png"
        paths = {"emoji.json": "emoji.json", page: f"img/{self.style}/sheets/32.png"}
        package = npm(f"emoji-datasource-{self.style}@16.0.0", paths)
        fetch(SymbolsDataset.raw, targets, [local(local_folder("symbols")), package], "symbols")


def symbols(spec: SymbolsDataset) -> Symbols:
    """Symbols in one of two styles, by checksum: a local folder, then the npm packages emoji-datasource-*."""
    return Symbols(spec)


def read(raw: Sequence[Path], spec: SymbolsDataset) -> tuple[Arrays, Arrays]:
    """(images (N, 3, 32, 32) uint8 on white, labels (N,) uint8) for training and for test.

    One symbol in six is a test symbol, with all its variants: they differ in little but the tone of skin.
    """
    listed = [symbol for symbol in json.loads(raw[0].read_text()) if symbol["category"] != LEFT_OUT]
    listed.sort(key=lambda symbol: symbol["unified"])
    categories = sorted({symbol["category"] for symbol in listed})
    with Image.open(raw[1]) as page:
        drawn = page.convert("RGBA")
    tested = set(permutation(len(listed), 0, "test symbols")[: len(listed) // 6].tolist())
    splits = []
    for test in (False, True):
        chosen = [symbol for place, symbol in enumerate(listed) if (place in tested) == test]
        every = [(symbol, one) for symbol in chosen for one in (symbol, *symbol.get("skin_variations", {}).values())]
        images = np.stack([_cut(drawn, one["sheet_x"], one["sheet_y"], spec.shape[1]) for _, one in every])
        splits.append((images, np.array([categories.index(symbol["category"]) for symbol, _ in every], np.uint8)))
    return splits[0], splits[1]


def _cut(page: Image.Image, column: int, row: int, side: int) -> np.ndarray[Any, Any]:
    """One symbol (3, side, side) on white."""
    left, top = (BORDER + place * (side + 2 * BORDER) for place in (column, row))
    symbol = page.crop((left, top, left + side, top + side))
    white = Image.new("RGBA", symbol.size, "white")
    return np.asarray(Image.alpha_composite(white, symbol).convert("RGB")).transpose(2, 0, 1)
