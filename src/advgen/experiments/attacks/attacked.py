"""Accuracy under attack, from the examples of several classifiers, seeds and attacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from advgen.figures import common
from advgen.metrics import worst_case
from advgen.metrics.chance import at_chance
from advgen.metrics.intervals import wilson

KINDS = {
    "fgsm": "FGSM",
    "pgd": "PGD",
    "apgd": "APGD",
    "universal": "universal perturbation",
    "lbfgs": "L-BFGS",
    "deepfool": "DeepFool",
    "fmn": "FMN",
    "jsma": "JSMA",
    "carlini_wagner": "Carlini–Wagner",
    "square": "Square",
    "hop_skip_jump": "HopSkipJump",
    "ensemble": "attack ensemble",
    "one_pixel": "one pixel",
    "spatial": "rotation and translation",
    "region": "region",
    "gaussian_noise": "Gaussian noise",
}
"""What kinds of attacks are called."""


class Accuracy(NamedTuple):
    """Mean accuracy of some nets, its interval for `n` images, and the accuracy of each net."""

    mean: float
    low: float
    high: float
    n: int
    nets: NDArray[np.float64]


def examples(tables: Mapping[str, pa.Table]) -> pd.DataFrame:
    """The facts of all examples; `clean`: right on the clean image, `robust`: on the attacked one too.

    `robust_rounded`: on the attacked one as 256 grey levels show it; `robust_unaimed`: on one with the same change at
    other pixels; `learnt`: not by a net at chance.
    """
    facts = common.frame(tables["examples"])
    facts["clean"] = facts["predicted_clean"] == facts["label"]
    facts["robust"] = facts["clean"] & (facts["predicted"] == facts["label"])
    facts["robust_unaimed"] = facts["clean"] & (facts["predicted_unaimed"] == facts["label"])
    facts["robust_rounded"] = facts["clean"] & (facts["predicted_rounded"] == facts["label"])
    chance = at_chance(facts)
    facts["learnt"] = [net not in chance for net in zip(facts["source"], facts["source_seed"], strict=True)]
    return facts


def accuracy(rows: pd.DataFrame, column: str = "robust") -> Accuracy | None:
    """Share of the images that are right in all rows about them, the mean over nets; None without rows.

    Under attack, nets at chance do not count: what says the same of all images is never fooled.
    The interval is Wilson's for the number of images at that mean: nets share their images, so more of them do not
    make it narrower.
    """
    rows = rows if column == "clean" else rows[rows["learnt"]]
    if rows.empty:
        return None
    right = rows.groupby(["source", "source_seed", "index"])[column].min()
    nets = right.groupby(["source", "source_seed"]).agg(["mean", "size"])
    mean, n = float(nets["mean"].mean()), int(nets["size"].min())
    low, high = wilson(round(mean * n), n)
    return Accuracy(mean, low, high, n, nets["mean"].to_numpy(float))


def bounded(facts: pd.DataFrame, attacks: Sequence[str]) -> list[str]:
    """The attacks with a budget; those that seek the smallest change may go as far as they like."""
    free = facts["eps"].isna() & facts["norm"].isin(["linf", "l2", "l0"])
    return [attack for attack in attacks if attack not in set(facts.loc[free, "attack"])]


def worst_cases(facts: pd.DataFrame, attacks: Sequence[str]) -> dict[str, list[str]]:
    """What each worst case over these attacks is called, and the attacks in it: one for each norm and eps."""
    return {
        f"worst case, {common.NORMS[case.norm]} ≤ {case.eps:g}": list(case.attacks)
        for case in worst_case.worst_cases(facts[facts["attack"].isin(attacks)])
    }


def under_all(rows: pd.DataFrame, attacks: Sequence[str]) -> pd.DataFrame:
    """The rows of the images on which every one of the attacks was tried; over them `accuracy` is the worst case."""
    rows = rows[rows["attack"].isin(attacks)]
    return rows[rows.groupby(["source", "source_seed", "index"])["attack"].transform("nunique") == len(set(attacks))]


def counts(facts: pd.DataFrame) -> str:
    """How many images each net was tested on."""
    words = f"{common.n_is(facts.groupby(['source', 'source_seed', 'attack']).size())} test images"
    return words + left_out(facts)


def left_out(facts: pd.DataFrame) -> str:
    """The nets at chance, if there are any."""
    nets = facts.loc[~facts["learnt"], ["source", "source_seed"]].drop_duplicates().itertuples(index=False)
    chance = [f"{source} seed {seed}" for source, seed in nets]
    return f"; at chance, so not compared under attack: {', '.join(chance)}" if chance else ""


def seeds_shown(facts: pd.DataFrame, mark: str = "ticks") -> str:
    """What stands for the seeds, if there are several."""
    seeds = int(facts.groupby("source")["source_seed"].nunique().max())
    return f"; means of up to {seeds} seeds, {mark}: the seeds" if seeds > 1 else ""
