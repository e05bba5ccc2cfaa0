"""The steps of a training, known without tensors: the loop takes them, and comparisons hold them equal."""

from __future__ import annotations

import math


def steps_in(epochs: float, batch: int, images: int) -> int:
    """One per batch, also where the last one of an epoch is smaller; a part of an epoch counts for its share."""
    return max(1, round(epochs * math.ceil(images / batch)))
