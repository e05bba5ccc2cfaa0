"""Colour symbols in two styles: for each style a page with all pictures, and a list of their positions on it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from advgen.data.choice import permutation
from advgen.data.download import RawFiles, npm
from advgen.specs.datasets import SymbolsDataset

Arrays = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]
SKIPPED_CATEGORY = "Component"
"""Plain squares of skin tones, which are too few for a class."""
BORDER = 1
"""Empty pixels around each symbol of the page."""


def symbols(spec: SymbolsDataset) -> RawFiles:
    """Symbols in one of two styles, from the npm packages emoji-datasource-*."""
    paths = {"emoji.json": "emoji.json", f"{spec.style}.png": f"img/{spec.style}/sheets/32.png"}
    return RawFiles("symbols", SymbolsDataset.raw, (npm(f"emoji-datasource-{spec.style}@16.0.0", paths),))


def read(raw: Sequence[Path], spec: SymbolsDataset) -> tuple[Arrays, Arrays]:
    """Images (N, 3, 32, 32) uint8 on white and labels (N,) uint8 for training and for test.

    One symbol in six is for test, with all its variants, which differ only in skin tone.
    """
    listed = [symbol for symbol in json.loads(raw[0].read_text()) if symbol["category"] != SKIPPED_CATEGORY]
    listed.sort(key=lambda symbol: symbol["unified"])
    categories = sorted({symbol["category"] for symbol in listed})
    with Image.open(raw[1]) as file:
        page = file.convert("RGBA")
    test_positions = set(permutation(len(listed), 0, "test symbols")[: len(listed) // 6].tolist())
    splits = []
    for test in (False, True):
        chosen = [symbol for position, symbol in enumerate(listed) if (position in test_positions) == test]
        variants = [(symbol, one) for symbol in chosen for one in (symbol, *symbol.get("skin_variations", {}).values())]
        images = np.stack([_cut(page, one["sheet_x"], one["sheet_y"], spec.shape[1]) for _, one in variants])
        splits.append((images, np.array([categories.index(symbol["category"]) for symbol, _ in variants], np.uint8)))
    return splits[0], splits[1]


def _cut(page: Image.Image, column: int, row: int, side: int) -> np.ndarray[Any, Any]:
    """One symbol (3, side, side) on white."""
    left, top = (BORDER + place * (side + 2 * BORDER) for place in (column, row))
    symbol = page.crop((left, top, left + side, top + side))
    white = Image.new("RGBA", symbol.size, "white")
    return np.asarray(Image.alpha_composite(white, symbol).convert("RGB")).transpose(2, 0, 1)
