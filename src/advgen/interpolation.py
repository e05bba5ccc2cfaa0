"""Straight lines through a latent space."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def alphas(count: int = 9) -> list[float]:
    """Positions from 0 to 1 of equally spaced frames; ValueError if there are fewer than two."""
    if count < 2:
        raise ValueError(f"an interpolation has two ends, so {count} frame is too few")
    return [frame / (count - 1) for frame in range(count)]


@torch.no_grad()
def decode_frames(decode: Callable[[Tensor], Tensor], z_from_BD: Tensor, z_to_BD: Tensor, count: int = 9) -> Tensor:
    """Images (B, count, C, H, W) along the line from one latent vector to another, for B pairs at once.

    The first and last frames equal `decode(z_from_BD)` and `decode(z_to_BD)` bit for bit: lerp is exact at 0 and 1, and
    one call per frame decodes the same batch as these do (a batch of another size may round differently).

    Args:
        decode: latent vectors (B, D) to images; an autoencoder's `decode` or a generator in eval mode.
    """
    return torch.stack([decode(torch.lerp(z_from_BD, z_to_BD, alpha)) for alpha in alphas(count)], 1)
