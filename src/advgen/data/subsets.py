"""Data sets that reuse the images of another one: parts, training images as test images, shuffled labels."""

from typing import Any

import numpy as np

from advgen.data.choice import choose, permutation, training_rows
from advgen.specs.datasets import LearntImages, PartDataset, ShuffledLabels

Array = np.ndarray[Any, Any]


def part(images_NCHW: Array, labels_N: Array, spec: PartDataset, **_: Any) -> tuple[Array, Array, None]:
    """Part `spec.part` of `spec.parts` disjoint parts of equal size; the assignment to parts is always the same."""
    size = len(labels_N) // spec.parts
    rows = np.sort(permutation(len(labels_N), 0, "parts")[spec.part * size : (spec.part + 1) * size])
    return images_NCHW[rows], labels_N[rows], None


def learnt_images(
    images_NCHW: Array, labels_N: Array, spec: LearntImages, *, validation: int = 0, **_: Any
) -> tuple[Array, Array, None]:
    """`spec.images` images from the training set of every classifier that is trained on at least as many images."""
    rows = training_rows(len(labels_N), validation)
    chosen = rows[choose(len(rows), spec.images, 0, "training images")]
    return images_NCHW[chosen], labels_N[chosen], None


def shuffled_labels(
    images_NCHW: Array, labels_N: Array, spec: ShuffledLabels, *, seed: int, **_: Any
) -> tuple[Array, Array, None]:
    """The images with their labels in a random order, so that class frequencies stay the same."""
    return images_NCHW, labels_N[permutation(len(labels_N), seed, "shuffled labels")], None
