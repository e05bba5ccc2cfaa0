"""Training images as test images."""

from __future__ import annotations

from typing import Any

import numpy as np

from advgen.data.choice import choose, training_rows
from advgen.specs.datasets import LearntImages

Array = np.ndarray[Any, Any]


def learnt_images(
    images_NCHW: Array, labels_N: Array, spec: LearntImages, *, validation: int = 0, **_: Any
) -> tuple[Array, Array, None]:
    """The first `spec.images` of those that every classifier of as many images or more is trained on."""
    rows = training_rows(len(labels_N), validation)
    kept = rows[choose(len(rows), spec.images, 0, "training images")]
    return images_NCHW[kept], labels_N[kept], None
