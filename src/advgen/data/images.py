"""Images and labels from the Parquet files of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from advgen.data.choice import choose
from advgen.io.tables import read_images, read_table

if TYPE_CHECKING:
    import torch


def load_images(path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """All images (N, C, H, W) uint8 and labels (N,) int64 of a Parquet file."""
    return _load(path)[:2]


def load_subset(path: Path, n: int, seed: int, skip: int = 0) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
    """A seeded choice of n images as float32 in [0, 1], their labels, and their values of the column `index`.

    The choice has none of the images that a choice of `skip` images has.
    """
    images, labels, index = _load(path)
    rows = choose(len(labels), n, seed, skip=skip)
    return images[rows].float() / 255, labels[rows], index[rows].tolist()


def _load(path: Path) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    import torch

    table = read_table(path, "dataset")
    columns = (table.column(name).to_numpy().astype(np.int64) for name in ("label", "index"))
    labels, index = (torch.from_numpy(column) for column in columns)
    return torch.from_numpy(read_images(table).copy()), labels, index
