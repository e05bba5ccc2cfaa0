"""The attacks and examples of a worst case: those of one norm whose perturbations are inside its ball."""

from typing import NamedTuple

import pandas as pd

BALLS = ("linf", "l2", "l1", "l0")
"""Norms in which a smaller ball is inside a larger one."""
SIZES = ("linf", "l2", "l0")
"""Norms of which tables have the size of every perturbation."""
TOLERANCE = 1e-6
"""Excess over a radius that float32 rounding explains."""


class WorstCase(NamedTuple):
    """A norm, a radius, and the attacks inside that ball, sorted by name."""

    norm: str
    eps: float
    attacks: tuple[str, ...]


def list_worst_cases(examples: pd.DataFrame) -> list[WorstCase]:
    """One for each norm and eps of the attacks in `examples` (columns `attack`, `norm`, `eps`), smallest first.

    Attacks with a smaller eps of the same norm count as well, since their balls are inside. A ball with a single attack
    has no worst case, and neither have attacks without a budget or norm (but see `is_inside`).
    """
    attacks = examples[["attack", "norm", "eps"]].drop_duplicates()
    attacks = attacks[attacks["norm"].isin(BALLS) & attacks["eps"].notna()]
    cases = []
    for (norm, eps), _ in attacks.groupby(["norm", "eps"]):
        within = attacks[(attacks["norm"] == norm) & (attacks["eps"] <= eps)]
        if len(within) > 1:
            cases.append(WorstCase(str(norm), float(eps), tuple(sorted(within["attack"]))))
    return sorted(cases, key=lambda case: (BALLS.index(case.norm), case.eps))


def is_inside(examples: pd.DataFrame, case: WorstCase) -> pd.Series:
    """Which rows of `examples` are inside the ball of a worst case.

    These are the rows of its attacks, and of attacks without a budget whose perturbation is small enough (columns
    `linf`, `l2`, `l0`). In L1 there are none of the latter, since tables do not have their sizes.
    """
    within = examples["attack"].isin(case.attacks)
    if case.norm in SIZES:
        size = examples[case.norm]
        within |= examples["eps"].isna() & (size > 0) & (size <= case.eps + TOLERANCE)
    return within
