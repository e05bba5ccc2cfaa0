"""The glasses mask: the frame of a pair of glasses is missing."""

import torch
from torch import Tensor

from advgen.geometry.glasses import glasses_frame
from advgen.specs.base import Shape
from advgen.specs.masks import GlassesMask


def glasses(spec: GlassesMask, shape: Shape, *, seed: int, indices: list[int]) -> Tensor:
    """Known pixels (B, H, W) as bool; the same frame in every image [sharif2016accessorize]."""
    _, height, width = shape
    rows, columns = zip(*glasses_frame(shape, spec.thickness), strict=True)
    known_HW = torch.ones(height, width, dtype=torch.bool)
    known_HW[list(rows), list(columns)] = False
    return known_HW.repeat(len(indices), 1, 1)
