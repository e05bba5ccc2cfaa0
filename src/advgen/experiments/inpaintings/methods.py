"""The inpainting methods and masks that a table contains, in the order in which figures show them."""

import pandas as pd

from advgen.figures.statistics import present_in_order

METHOD_NAMES = {
    "full": "full loss",
    "contextual": "contextual loss",
    "contextual_prior": "contextual + prior loss",
    "harmonic": "harmonic fill",
    "poisson": "nearest training image, Poisson-blended",
}
FILLS = ("harmonic", "poisson")
"""The methods without a generator."""


def present_methods(facts: pd.DataFrame) -> list[str]:
    """Return the inpainting methods that occur, the simplest first."""
    return present_in_order(tuple(METHOD_NAMES), facts["method"])


def masks_by_size(facts: pd.DataFrame) -> list[str]:
    """Return the masks that occur, from the fewest missing pixels to the most."""
    missing = facts.groupby("mask")["missing"].mean().sort_index()
    return list(missing.sort_values(kind="stable").index)
