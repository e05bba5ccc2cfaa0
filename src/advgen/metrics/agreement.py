"""Agreement of our numbers with published ones. Does not import torch."""

import numpy as np
from numpy.typing import ArrayLike


def kendall(ours: ArrayLike, published: ArrayLike) -> tuple[float, int]:
    """Kendall's tau-b over the cells that are not NaN in either set, and their number [kendall1938new].

    1 is the same order, −1 the opposite one. NaN if there are fewer than two such cells, or if one set is constant.
    """
    from scipy.stats import kendalltau  # importing it takes longer than drawing a figure

    ours_N, published_N = (np.asarray(one, dtype=np.float64).ravel() for one in (ours, published))
    both = np.isfinite(ours_N) & np.isfinite(published_N)
    if both.sum() < 2:
        return float("nan"), int(both.sum())
    return float(kendalltau(ours_N[both], published_N[both]).statistic), int(both.sum())
