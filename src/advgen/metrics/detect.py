"""Detectors of the two failures of GAN training that the report met: vanishing gradients and mode collapse."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

Flags = np.ndarray[Any, np.dtype[np.bool_]]

WINDOW = 50
"""Steps for which a signal must stay away."""
GRADIENT = 1e-2
"""Norm of the generator's gradient below which it does not learn. In healthy runs (a DCGAN pair on MNIST, small ones on
stripes, every loss) it was never below 0.09; against a saturated discriminator it fell to 1e-3 and on to 1e-4 under
cross-entropy."""
DEVIATION = 1e-3
"""Standard deviation of the generator's loss within a window below which nothing happens: 0.04 and more in those
healthy runs, 1e-4 and less once the discriminator was saturated."""


def vanishing(gradient_N: ArrayLike, loss_N: ArrayLike, window: int = WINDOW) -> Flags:
    """Which steps belong to a span of at least `window` in which the generator gets no signal (N,).

    There its gradient's norm stays below GRADIENT and its loss within DEVIATION of its mean over the window. A run
    shorter than the window is one window.
    """
    gradient, loss = np.asarray(gradient_N, dtype=np.float64), np.asarray(loss_N, dtype=np.float64)
    window = min(window, len(loss))
    flags = np.zeros(len(loss), dtype=bool)
    if window < 2:
        return flags
    small = np.lib.stride_tricks.sliding_window_view(gradient, window).max(1) < GRADIENT
    still = np.lib.stride_tricks.sliding_window_view(loss, window).std(1) < DEVIATION
    for start in np.flatnonzero(small & still):
        flags[start : start + window] = True
    return flags


def collapsed(shares_K: ArrayLike) -> bool:
    """Whether samples have collapsed: fewer than half of the classes are over 1 %, or one is far too frequent.

    That is more than halfway from its even share to all samples: .55 of ten classes, .75 of two.
    """
    shares = np.asarray(shares_K, dtype=np.float64)
    return bool((shares > 0.01).sum() < len(shares) / 2 or shares.max() > (1 + 1 / len(shares)) / 2)
