"""Published figures that ours are compared with, and how well the two agree. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Published:
    """A published table of errors in percent, with the cells that were recalled and not read again.

    `targets` are its columns; `recalled` holds (row, column) pairs; `distortion` is the RMS of each row's change.
    """

    title: str
    source: str
    targets: tuple[str, ...]
    errors: Mapping[str, tuple[float, ...]]
    distortion: Mapping[str, float]
    recalled: frozenset[tuple[str, str]]

    def error(self, row: str, column: str) -> float:
        """One cell, in percent."""
        return self.errors[row][self.targets.index(column)]


NETS = ("FC10(1e-4)", "FC10(1e-2)", "FC10(1)", "FC100-100-10", "FC200-200-10", "AE400-10")

MINIMUM_DISTORTION = {
    "FC10(1e-4)": (7.4, 0.062),
    "FC10(1e-2)": (9.4, 0.1),
    "FC10(1)": (20.0, 0.14),
    "FC100-100-10": (1.64, 0.058),
    "FC200-200-10": (1.54, 0.065),
    "AE400-10": (1.9, 0.086),
}
"""Test error (%) and mean RMS of the least distortion of each net, MNIST [szegedy2014intriguing, table 1]."""

_TRANSFER = {
    "FC10(1e-4)": (100, 11.7, 22.7, 2, 3.9, 2.7),
    "FC10(1e-2)": (87.1, 100, 35.2, 35.9, 27.3, 9.8),
    "FC10(1)": (71.9, 76.2, 100, 48.1, 47, 34.4),
    "FC100-100-10": (28.9, 13.7, 21.1, 100, 6.6, 2),
    "FC200-200-10": (38.2, 14, 23.8, 20.3, 100, 2.7),
    "AE400-10": (23.4, 16, 24.8, 9.4, 6.6, 100),
    "Gaussian sd 0.1": (5.0, 10.1, 18.3, 0, 0, 0.8),
    "Gaussian sd 0.3": (15.6, 11.3, 22.7, 5, 4.3, 3.1),
}
_HALVES = ("FC100-100-10", "FC123-456-10", "FC100-100-10'")
_PLAIN = {
    "FC100-100-10": (100, 26.2, 5.9),
    "FC123-456-10": (6.25, 100, 5.1),
    "FC100-100-10'": (8.2, 8.2, 100),
    "Gaussian sd 0.06": (2.2, 2.6, 2.4),
}
_AMPLIFIED = {
    "FC100-100-10": (100, 98, 43),
    "FC123-456-10": (96, 100, 22),
    "FC100-100-10'": (27, 50, 100),
    "Gaussian sd 0.1": (2.6, 2.8, 2.7),
}


def _cells(rows: tuple[str, ...], columns: tuple[str, ...]) -> frozenset[tuple[str, str]]:
    return frozenset((row, column) for row in rows for column in columns if row != column)


PUBLISHED = {
    "szegedy2014-table-2": Published(
        "Szegedy et al. 2014, table 2",
        "szegedy2014intriguing",
        NETS,
        _TRANSFER,
        {
            **{net: distortion for net, (_, distortion) in MINIMUM_DISTORTION.items()},
            "Gaussian sd 0.1": 0.1,
            "Gaussian sd 0.3": 0.3,
        },
        _cells(tuple(_TRANSFER), ("FC10(1e-2)", "FC10(1)", "FC200-200-10")),
    ),
    "szegedy2014-table-4": Published(
        "Szegedy et al. 2014, table 4",
        "szegedy2014intriguing",
        _HALVES,
        _PLAIN,
        {"FC100-100-10": 0.062, "FC123-456-10": 0.059, "FC100-100-10'": 0.058, "Gaussian sd 0.06": 0.06},
        _cells(("FC123-456-10", "FC100-100-10'", "Gaussian sd 0.06"), _HALVES),
    ),
    "szegedy2014-table-4-amplified": Published(
        "Szegedy et al. 2014, table 4, amplified",
        "szegedy2014intriguing",
        _HALVES,
        _AMPLIFIED,
        dict.fromkeys(_AMPLIFIED, 0.1),
        _cells(("FC123-456-10", "FC100-100-10'", "Gaussian sd 0.1"), _HALVES),
    ),
}
"""Errors (%) of the column's net on the examples of the row's, or under noise; MNIST [szegedy2014intriguing].

In table 4 the last net (with a prime) was trained on the other half of the training images.
"""


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
