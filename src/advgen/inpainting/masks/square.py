"""The square mask: one square is missing."""

import torch
from torch import Tensor

from advgen import seeds
from advgen.specs.base import Shape
from advgen.specs.masks import SquareMask


def square(spec: SquareMask, shape: Shape, *, seed: int, indices: list[int]) -> Tensor:
    """Known pixels (B, H, W) as bool; the square is inside the image, at a random position per seed and index."""
    _, height, width = shape
    if spec.size > min(height, width) or spec.size == height == width:
        raise ValueError(f"size = {spec.size}: a square mask covers all of a {height}×{width} image")
    positions_B2 = seeds.uniform(seed, "square", indices, 2)
    top_B11 = (positions_B2[:, 0] * (height - spec.size + 1)).long()[:, None, None]
    left_B11 = (positions_B2[:, 1] * (width - spec.size + 1)).long()[:, None, None]
    row_H1, column_W = torch.arange(height)[:, None], torch.arange(width)
    in_rows = (top_B11 <= row_H1) & (row_H1 < top_B11 + spec.size)
    in_columns = (left_B11 <= column_W) & (column_W < left_B11 + spec.size)
    return ~(in_rows & in_columns)
