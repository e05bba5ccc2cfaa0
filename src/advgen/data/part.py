"""One of several disjoint parts of a data set's training images."""

from __future__ import annotations

from typing import Any

import numpy as np

from advgen.data.choice import permutation
from advgen.specs.datasets import PartDataset

Array = np.ndarray[Any, Any]


def part(images_NCHW: Array, labels_N: Array, spec: PartDataset, **_: Any) -> tuple[Array, Array, None]:
    """Part `spec.part` of `spec.parts`, of equal size; the order in which they are dealt out is always the same."""
    size = len(labels_N) // spec.parts
    kept = np.sort(permutation(len(labels_N), 0, "parts")[spec.part * size : (spec.part + 1) * size])
    return images_NCHW[kept], labels_N[kept], None
