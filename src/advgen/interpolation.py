"""Linear interpolation in a latent space."""

from collections.abc import Callable

import torch
from torch import Tensor


def alphas(count: int = 9) -> list[float]:
    """Equally spaced positions from 0 to 1; ValueError for fewer than two."""
    if count < 2:
        raise ValueError(f"an interpolation needs at least 2 frames, not {count}")
    return [frame / (count - 1) for frame in range(count)]


@torch.no_grad()
def decode_frames(decode: Callable[[Tensor], Tensor], z_from_BD: Tensor, z_to_BD: Tensor, count: int = 9) -> Tensor:
    """Images (B, count, C, H, W) along the lines between B pairs of latent vectors.

    The first and last frames equal `decode(z_from_BD)` and `decode(z_to_BD)` bit for bit: lerp is exact at 0 and 1, and
    each frame is decoded in a batch of the same size (another size may round differently).

    Args:
        decode: latent vectors (B, D) to images; an autoencoder's `decode` or a generator in eval mode.
    """
    return torch.stack([decode(torch.lerp(z_from_BD, z_to_BD, alpha)) for alpha in alphas(count)], 1)
