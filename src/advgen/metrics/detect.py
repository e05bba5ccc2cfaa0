"""Detectors of failures of GAN training: vanishing gradients, a discriminator that overpowers, and collapse."""

from __future__ import annotations

import math
from itertools import pairwise
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
"""Change of the generator's loss from step to step, half its median, below which it stands still or merely drifts, as
the discriminator learns: 0.003 and more in those healthy runs, 1e-4 and less once the discriminator was saturated."""
DEAD = 1e-6
"""Norm of the generator's gradient below which nothing comes of it, however much the discriminator moves the loss."""
SPIKE = 5
"""Most steps that interrupt a span without ending it."""
SURE = math.log(99)
"""Logit of 99 %: a discriminator whose mean logits are beyond it on both sides has won; healthy runs stay below 1.4."""
ALIKE = 0.1
"""Variety of samples below which they are the same few images again and again; of real images it is 1."""


def find_vanishing_gradients(gradient_N: ArrayLike, loss_N: ArrayLike, window: int = WINDOW) -> Flags:
    """Which steps belong to a span of at least `window` in which the generator gets no signal (N,).

    There its gradient's norm stays below GRADIENT, but for spikes, while its loss moves by less than DEVIATION a step;
    or it stays below DEAD. A run shorter than the window is one window.
    """
    gradient, loss = np.asarray(gradient_N, dtype=np.float64), np.asarray(loss_N, dtype=np.float64)
    window = min(window, len(loss))
    flags = _lasting(gradient < DEAD, window)
    if window < 2:
        return flags
    small = np.lib.stride_tricks.sliding_window_view(_bridged(gradient < GRADIENT), window).all(1)
    moves = np.lib.stride_tricks.sliding_window_view(np.abs(np.diff(loss)), window - 1)
    for start in np.flatnonzero(small & (np.median(moves, axis=1) / 2 < DEVIATION)):
        flags[start : start + window] = True
    return flags


def find_overpowering(logit_real_N: ArrayLike, logit_fake_N: ArrayLike, window: int = WINDOW) -> Flags:
    """Which steps belong to a span of at least `window` in which the discriminator is SURE of all images (N,).

    Of a discriminator whose logit is that of a probability, which one under the Wasserstein loss is not.
    """
    real, fake = np.asarray(logit_real_N, dtype=np.float64), np.asarray(logit_fake_N, dtype=np.float64)
    return _lasting(np.minimum(real, -fake) > SURE, min(window, len(real)))


def _bridged(flags_N: Flags) -> Flags:
    """Spikes, gaps of at most SPIKE steps between flags, are flagged as well."""
    places = np.flatnonzero(flags_N)
    bridged = flags_N.copy()
    for before, after in pairwise(places):
        if after - before <= SPIKE + 1:
            bridged[before:after] = True
    return bridged


def _lasting(flags_N: Flags, window: int) -> Flags:
    """Spans of at least `window` flags, spikes bridged; of one step alone nothing is told."""
    lasting = np.zeros(len(flags_N), dtype=bool)
    if window < 2:
        return lasting
    for start in np.flatnonzero(np.lib.stride_tricks.sliding_window_view(_bridged(flags_N), window).all(1)):
        lasting[start : start + window] = True
    return lasting


def is_collapsed(shares_K: ArrayLike, variety: float = 1.0) -> bool:
    """Whether samples have collapsed: half of the classes or fewer are over 1 %, one is far too frequent, or all alike.

    Too frequent is more than halfway from its even share to all samples: .55 of ten classes, .75 of two. All alike are
    samples whose nearest others are much nearer than those of real images (`Support.variety`): a few images repeated.
    """
    shares = np.asarray(shares_K, dtype=np.float64)
    dead = (shares > 0.01).sum() <= len(shares) / 2
    return bool(dead or shares.max() > (1 + 1 / len(shares)) / 2 or variety < ALIKE)
