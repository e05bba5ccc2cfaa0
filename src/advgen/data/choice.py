"""The fixed choices among the images of a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from advgen.seeds import derive

if TYPE_CHECKING:
    import torch

    Pair = tuple[torch.Tensor, torch.Tensor]


def permutation(count: int, seed: int, label: str) -> np.ndarray[Any, Any]:
    """A seeded order of 0 … count-1; the first n of it are a choice that stays when n grows."""
    return np.random.default_rng(derive(seed, label)).permutation(count)


def choose(count: int, n: int, seed: int, label: str = "choice", skip: int = 0) -> list[int]:
    """Ascending positions of a seeded choice of n among count; `skip`: of n others than a choice of so many takes."""
    chosen: list[int] = np.sort(permutation(count, seed, label)[skip : skip + n]).tolist()
    return chosen


def training_rows(count: int, validation: int) -> np.ndarray[Any, Any]:
    """Ascending positions of the training images that are not set apart for validation."""
    return np.sort(permutation(count, 0, "validation")[validation:])


def split_validation(images: torch.Tensor, labels: torch.Tensor, validation: int) -> tuple[Pair, Pair]:
    """Training and validation parts; the validation part is the same in every run."""
    if validation >= len(labels):
        raise ValueError(f"evaluation.validation = {validation} leaves none of {len(labels)} training images; lower it")
    kept = training_rows(len(labels), validation)
    apart = np.setdiff1d(np.arange(len(labels)), kept)
    return (images[kept], labels[kept]), (images[apart], labels[apart])
