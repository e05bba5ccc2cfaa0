"""Random numbers. A seed and labels identify every stream; numbers are drawn on the CPU."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive(seed: int, *labels: object) -> int:
    """Return the 63-bit seed of a stream, which is independent of order of use, batch size and machine."""
    text = "\0".join(str(part) for part in (seed, *labels))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *labels: object) -> torch.Generator:
    """Return a new CPU generator for a stream."""
    import torch

    return torch.Generator().manual_seed(derive(seed, *labels))


def normal(seed: int, label: str, indices: list[int], *shape: int) -> torch.Tensor:
    """Draw standard normal numbers (len(indices), *shape), per index, so that rows do not depend on the batch."""
    import torch

    return torch.stack([torch.randn(shape, generator=generator(seed, label, index)) for index in indices])


def uniform(seed: int, label: str, indices: list[int], *shape: int) -> torch.Tensor:
    """Draw uniform numbers in [0, 1) (len(indices), *shape), per index, so that rows do not depend on the batch."""
    import torch

    return torch.stack([torch.rand(shape, generator=generator(seed, label, index)) for index in indices])


def seed_global(seed: int) -> None:
    """Seed torch's global generators, so that dropout in a step is the same after a resumed run.

    torch.manual_seed would take a quarter of a small network's step, since it formats a stack trace for each missing
    accelerator.
    """
    import torch

    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(seed)
