"""The number of training steps, for the training loop and for comparisons of studies without torch."""

import math


def steps_in(epochs: float, batch: int, images: int) -> int:
    """Return the number of steps: one per batch, including a smaller last one; epochs may be fractional."""
    return max(1, round(epochs * math.ceil(images / batch)))
