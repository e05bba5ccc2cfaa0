"""Seeded choices among the images of a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from advgen.seeds import derive

if TYPE_CHECKING:
    import torch

    Pair = tuple[torch.Tensor, torch.Tensor]


def permutation(count: int, seed: int, label: str) -> np.ndarray[Any, Any]:
    """A seeded permutation of 0 … count-1; its first n elements are a choice that stays the same for a larger n."""
    return np.random.default_rng(derive(seed, label)).permutation(count)


def choose(count: int, n: int, seed: int, label: str = "choice", skip: int = 0) -> list[int]:
    """Sorted positions of a seeded choice of n among `count`, without those that a choice of `skip` has."""
    chosen: list[int] = np.sort(permutation(count, seed, label)[skip : skip + n]).tolist()
    return chosen


def training_rows(count: int, validation: int) -> np.ndarray[Any, Any]:
    """Sorted positions of the training images that are not held out for validation."""
    return np.sort(permutation(count, 0, "validation")[validation:])


def split_validation(images: torch.Tensor, labels: torch.Tensor, validation: int) -> tuple[Pair, Pair]:
    """Training and validation parts; the validation part is the same in every run."""
    if validation >= len(labels):
        raise ValueError(f"evaluation.validation = {validation} leaves none of {len(labels)} training images; lower it")
    train = training_rows(len(labels), validation)
    held_out = np.setdiff1d(np.arange(len(labels)), train)
    return (images[train], labels[train]), (images[held_out], labels[held_out])
