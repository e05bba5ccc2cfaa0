"""Random numbers: every stream is named by a seed and labels, and drawn on the CPU."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive(seed: int, *labels: object) -> int:
    """A 63-bit seed for the stream that `labels` name: independent of order of use, batch size and machine."""
    text = "\0".join(str(part) for part in (seed, *labels))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *labels: object) -> torch.Generator:
    """A fresh CPU generator for the stream that `labels` name."""
    import torch

    return torch.Generator().manual_seed(derive(seed, *labels))


def normal(seed: int, label: str, indices: list[int], *shape: int) -> torch.Tensor:
    """Standard normal numbers (len(indices), *shape), drawn per index so that a row does not depend on its batch."""
    import torch

    return torch.stack([torch.randn(shape, generator=generator(seed, label, index)) for index in indices])


def uniform(seed: int, label: str, indices: list[int], *shape: int) -> torch.Tensor:
    """Numbers uniform on [0, 1) (len(indices), *shape), drawn per index so that a row does not depend on its batch."""
    import torch

    return torch.stack([torch.rand(shape, generator=generator(seed, label, index)) for index in indices])


def seed_global(seed: int) -> None:
    """Seed torch's global generators, so that a step's dropout is the same after a resume.

    Not by torch.manual_seed, which formats a stack trace for each accelerator that is not there: as slow as a quarter
    of a small network's step.
    """
    import torch

    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(seed)
