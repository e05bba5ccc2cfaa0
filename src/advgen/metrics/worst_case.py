"""What belongs to one worst case: attacks of one norm, whose balls lie inside one another, and small enough changes."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

BALLS = ("linf", "l2", "l1", "l0")
"""Norms in which a smaller budget is part of a larger one."""
SIZES = ("linf", "l2", "l0")
"""Those in which tables tell the size of every change."""
SLACK = 1e-6
"""By which float32 may stick out of a ball."""


class WorstCase(NamedTuple):
    """A norm and a radius, and the attacks that stay within it, in order of their names."""

    norm: str
    eps: float
    attacks: tuple[str, ...]


def list_worst_cases(examples: pd.DataFrame) -> list[WorstCase]:
    """One for each norm and eps of the attacks in `examples` (columns `attack`, `norm`, `eps`), smallest first.

    What fools a net within a ball fools it within every larger ball of that norm, so attacks with a smaller eps count,
    too. A ball in which there is but one attack has no worst case of its own; attacks without a budget and changes
    that have no norm have none, but see `inside`.
    """
    attacks = examples[["attack", "norm", "eps"]].drop_duplicates()
    attacks = attacks[attacks["norm"].isin(BALLS) & attacks["eps"].notna()]
    found = []
    for (norm, eps), _ in attacks.groupby(["norm", "eps"]):
        within = attacks[(attacks["norm"] == norm) & (attacks["eps"] <= eps)]
        if len(within) > 1:
            found.append(WorstCase(str(norm), float(eps), tuple(sorted(within["attack"]))))
    return sorted(found, key=lambda case: (BALLS.index(case.norm), case.eps))


def is_inside(examples: pd.DataFrame, case: WorstCase) -> pd.Series:
    """Which rows of `examples` lie in the ball of a worst case.

    Those of its attacks, and changes of attacks without a budget that are no larger than it (columns `linf`, `l2`,
    `l0`). In L1 there are no such changes, since no table tells their sizes.
    """
    within = examples["attack"].isin(case.attacks)
    if case.norm in SIZES:
        size = examples[case.norm]
        within |= examples["eps"].isna() & (size > 0) & (size <= case.eps + SLACK)
    return within
