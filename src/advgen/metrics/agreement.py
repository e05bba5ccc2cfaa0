"""How well our numbers agree with published ones. Torch-free."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def kendall(ours: ArrayLike, published: ArrayLike) -> tuple[float, int]:
    """Kendall's tau-b between two sets of cells, and how many both have; NaN in a cell leaves it out.

    1: the same order, −1: the opposite one, about 0: none in common. NaN where fewer than two cells are left or one
    side has no two different values [kendall1938new].
    """
    from scipy.stats import kendalltau  # importing it takes longer than drawing a figure

    ours_N, published_N = (np.asarray(one, dtype=np.float64).ravel() for one in (ours, published))
    both = np.isfinite(ours_N) & np.isfinite(published_N)
    if both.sum() < 2:
        return float("nan"), int(both.sum())
    return float(kendalltau(ours_N[both], published_N[both]).statistic), int(both.sum())
