"""The crosswalk mask: every n-th row is missing."""

import torch
from torch import Tensor

from advgen.specs.base import Shape
from advgen.specs.masks import CrosswalkMask


def crosswalk(spec: CrosswalkMask, shape: Shape, *, seed: int, indices: list[int]) -> Tensor:
    """Known pixels (B, H, W) as bool; rows n, 2n, …, counted from 1, are missing in every image."""
    _, height, width = shape
    if spec.period > height:
        raise ValueError(f"period = {spec.period}: a crosswalk mask removes no row of {height}; lower it")
    known_H = torch.arange(1, height + 1) % spec.period != 0
    return known_H[None, :, None].repeat(len(indices), 1, width)
