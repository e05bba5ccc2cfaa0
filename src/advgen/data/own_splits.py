"""Training and test images of a data set of the user's own."""

from __future__ import annotations

from typing import Any

import numpy as np

from advgen.core.own_files import own_digest, own_facts
from advgen.data.choice import choose
from advgen.data.own import Progress, read_own
from advgen.specs.datasets import OwnDataset

Array = np.ndarray[Any, Any]
Arrays = tuple[Array, Array]


def own_splits(spec: OwnDataset, content: str, progress: Progress | None = None) -> tuple[Arrays, Arrays]:
    """(images (N, C, H, W) uint8, labels (N,)) for training and for test; ValueError if the files have changed."""
    if own_digest(spec) != content:
        raise ValueError(f"{spec.path}: was changed since this job was planned; run again")
    images, labels = _read(spec.path, progress)
    if spec.test_path is not None:
        return (images, labels), _read(spec.test_path, progress)
    bare = spec.model_copy(update={"train": None, "test": None})
    test = choose(len(labels), own_facts(bare).test, 0, "test images")
    train = np.setdiff1d(np.arange(len(labels)), test)
    return (images[train], labels[train]), (images[test], labels[test])


def _read(path: str, progress: Progress | None) -> Arrays:
    images, labels, *_ = read_own(path, progress=progress)
    if images.dtype != np.uint8:
        low, high = float(images.min()), float(images.max())
        if not 0 <= low <= high <= 1:
            raise ValueError(f"{path}: pixels are from {low:g} to {high:g}; give uint8, or floats from 0 to 1")
        images = np.round(images * 255).astype(np.uint8)
    return images, labels
