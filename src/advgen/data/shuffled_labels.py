"""Training images whose labels say nothing about them."""

from __future__ import annotations

from typing import Any

import numpy as np

from advgen.data.choice import permutation
from advgen.specs.datasets import ShuffledLabels

Array = np.ndarray[Any, Any]


def shuffled_labels(
    images_NCHW: Array, labels_N: Array, spec: ShuffledLabels, *, seed: int, **_: Any
) -> tuple[Array, Array, None]:
    """The images with their labels in a seeded order: as many of each class as before."""
    return images_NCHW, labels_N[permutation(len(labels_N), seed, "shuffled labels")], None
