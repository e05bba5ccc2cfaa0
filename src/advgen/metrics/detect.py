"""Detectors of failures of GAN training: vanishing gradients, an overpowering discriminator, and collapse."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

Flags = np.ndarray[Any, np.dtype[np.bool_]]

WINDOW = 50
"""Steps for which a failure must last."""
GRADIENT = 1e-2
"""Norm of the generator's gradient below which it does not learn. In healthy runs (a DCGAN pair on MNIST and small ones
on stripes, with all losses) it was never below 0.09. Against a saturated discriminator it fell to 1e-3, and with
cross-entropy to 1e-4."""
DEVIATION = 1e-3
"""Half the median change of the generator's loss per step below which it is constant or only drifts: at least 0.003 in
those healthy runs, at most 1e-4 with a saturated discriminator."""
DEAD = 1e-6
"""Norm of the generator's gradient below which it has no effect, however much the discriminator changes the loss."""
SPIKE = 5
"""Steps that may interrupt a span without ending it."""
CERTAIN = math.log(99)
"""Logit of 99 %. A discriminator whose mean logits exceed it for real and generated images overpowers the generator.
Healthy runs stay below 1.4."""
MIN_VARIETY = 0.1
"""Variety of samples below which they are repetitions of a few images; real images have 1."""


def find_vanishing_gradients(gradient_N: ArrayLike, loss_N: ArrayLike, window: int = WINDOW) -> Flags:
    """Steps in a span of at least `window` in which the generator gets no training signal (N,).

    The norm of its gradient is below GRADIENT, except for spikes, while its loss changes by less than DEVIATION per
    step; or the norm is below DEAD. A run shorter than the window counts as one window.
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
    """Steps in a span of at least `window` in which the discriminator is CERTAIN of all images (N,).

    Its logits must be those of probabilities, which is not the case for the Wasserstein loss.
    """
    real, fake = np.asarray(logit_real_N, dtype=np.float64), np.asarray(logit_fake_N, dtype=np.float64)
    return _lasting(np.minimum(real, -fake) > CERTAIN, min(window, len(real)))


def _bridged(flags_N: Flags) -> Flags:
    """Flag also spikes, which are gaps of at most SPIKE steps between flags."""
    positions = np.flatnonzero(flags_N)
    bridged = flags_N.copy()
    for before, after in pairwise(positions):
        if after - before <= SPIKE + 1:
            bridged[before:after] = True
    return bridged


def _lasting(flags_N: Flags, window: int) -> Flags:
    """Spans of at least `window` flags, across spikes; none for a window of one step."""
    lasting = np.zeros(len(flags_N), dtype=bool)
    if window < 2:
        return lasting
    for start in np.flatnonzero(np.lib.stride_tricks.sliding_window_view(_bridged(flags_N), window).all(1)):
        lasting[start : start + window] = True
    return lasting


def is_collapsed(shares_K: ArrayLike, variety: float = 1.0) -> bool:
    """Whether samples collapsed: half of the classes or fewer have over 1 %, one is too frequent, or variety is low.

    A class is too frequent above the midpoint of its uniform share and all samples: .55 for ten classes, .75 for two.
    Variety is low if samples are much nearer to each other than real images are (`Support.variety`).
    """
    shares = np.asarray(shares_K, dtype=np.float64)
    too_few = (shares > 0.01).sum() <= len(shares) / 2
    return bool(too_few or shares.max() > (1 + 1 / len(shares)) / 2 or variety < MIN_VARIETY)
