"""The pepper mask: random pixels are missing."""

import torch
from torch import Tensor

from advgen import seeds
from advgen.specs.base import Shape
from advgen.specs.masks import PepperMask


def pepper(spec: PepperMask, shape: Shape, *, seed: int, indices: list[int]) -> Tensor:
    """Known pixels (B, H, W) as bool; every image has equally many missing ones, random per seed and index."""
    _, height, width = shape
    missing = round(spec.fraction * height * width)
    if not 0 < missing < height * width:
        raise ValueError(f"fraction = {spec.fraction:g}: a pepper mask removes {missing} of {height * width} pixels")
    noise_BP = seeds.uniform(seed, "pepper", indices, height * width)
    known_BP = torch.ones_like(noise_BP, dtype=torch.bool)
    known_BP.scatter_(1, noise_BP.argsort(dim=1, stable=True)[:, :missing], False)
    return known_BP.view(-1, height, width)
