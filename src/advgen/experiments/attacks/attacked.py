"""Accuracy under attack, from the examples of several classifiers, seeds and attacks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from advgen.figures import common, told
from advgen.io.tables import read_images
from advgen.metrics import worst_case
from advgen.metrics.chance import at_chance, commonest
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

    `robust_rounded`: on the attacked one as 256 grey levels show it; `robust_unaimed`: on the attack's controls
    (`control`); `learnt`: not by a net at chance.
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


def control(rows: pd.DataFrame) -> Accuracy | None:
    """Accuracy under what an attack does unaimed: noise of its norms, a white or black region, a pose at random.

    None for noise, which is a control itself.
    """
    return accuracy(rows[rows["kind"] != "gaussian_noise"], "robust_unaimed")


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


def chance(facts: pd.DataFrame) -> float:
    """Share (%) of the images that always naming their commonest class is right on: below it a net knows nothing."""
    return 100 * commonest(facts.drop_duplicates(["source", "index"])["label"])


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


def table(facts: pd.DataFrame, sources: Sequence[str], attacks: Sequence[str]) -> list[told.Row]:
    """Accuracy of each classifier when clean, under each attack and in each worst case, as rows of numbers."""
    rows: list[told.Row] = []
    for source in sources:
        mine = facts[facts["source"] == source]
        shown = {"clean": accuracy(mine, "clean")}
        shown |= {attack: accuracy(mine[mine["attack"] == attack]) for attack in attacks}
        worst = worst_cases(facts[facts["source"].isin(sources)], attacks)
        shown |= {name: accuracy(under_all(mine, within)) for name, within in worst.items()}
        controls = {attack: control(mine[mine["attack"] == attack]) for attack in attacks}
        controls |= {name: control(under_all(mine, within)) for name, within in worst.items()}
        for name, right in shown.items():
            if right is not None:
                numbers = told.columns_of("accuracy", (right.mean, right.low, right.high))
                unaimed = controls.get(name)
                numbers["accuracy_unaimed"] = unaimed.mean if unaimed else math.nan
                rows.append({"source": source, "under": name, "seeds": len(right.nets), "n": right.n, **numbers})
    return rows


def against_clean(facts: pd.DataFrame, sources: Sequence[str], attacks: Sequence[str]) -> tuple[str, list[told.Row]]:
    """What each classifier keeps of its clean accuracy under the attack, or worst case, that leaves it least."""
    rows = table(facts, sources, attacks)
    parts = []
    for source in sources:
        mine = {str(row["under"]): row for row in rows if row["source"] == source}
        clean = mine.pop("clean", None)
        if clean is None or not mine:
            continue
        under, least = min(mine.items(), key=lambda one: float(one[1]["accuracy"]))
        ends = (least["accuracy"], least["accuracy_low"], least["accuracy_high"])
        words = f"{source} {told.share(*ends)} under {under} ({common.percent(clean['accuracy'])} clean"
        if not math.isnan(least["accuracy_unaimed"]):
            words += f", {common.percent(least['accuracy_unaimed'])} under the same unaimed"
        parts.append((least["accuracy"], f"{words})"))
    words = told.listed([words for _, words in sorted(parts, reverse=True)])
    n = common.n_is(facts.groupby(["source", "source_seed", "attack"]).size())
    return f"Right at worst: {words}; {n} test images, {told.seeds(facts['source_seed'])}{left_out(facts)}.", rows


def explorer(tables: Mapping[str, pa.Table], sources: Sequence[str], attacks: Sequence[str]) -> told.Explorer:
    """The first test images when clean and under each attack, from the smallest budget on, by classifier."""
    examples = tables["examples"]
    facts, images = common.frame(examples), read_images(examples)
    adversarial = read_images(examples, "adversarial")
    facts["place"] = facts.index
    sources, attacks = common.in_order(sources, facts["source"]), common.in_order(attacks, facts["attack"])
    first = {attack: facts[facts["attack"] == attack].iloc[0] for attack in attacks}
    attacks = sorted(attacks, key=lambda attack: (first[attack]["norm"], first[attack]["eps"]))
    shared = set.intersection(*(set(rows["index"]) for _, rows in facts.groupby(["source", "attack"])))
    stops = [(attack, radius) for attack in attacks for radius in _radii(facts[facts["attack"] == attack])]
    strips: told.Strips = {}
    for s, source in enumerate(sources):
        for a, (attack, radius) in enumerate(stops, 1):
            rows = facts[(facts["source"] == source) & (facts["attack"] == attack)]
            rows = common.first_seed(rows[rows["index"].isin(shared)], "source_seed").sort_values("index").iloc[:SHOWN]
            strips[s, 0] = [_clean(images, row) for row in rows.to_dict("records")]
            strips[s, a] = [
                _clean(images, row) if radius is not None and row[row["norm"]] > radius else _attacked(adversarial, row)
                for row in rows.to_dict("records")
            ]
    names = [
        f"{attack}: {common.threat(first[attack])}"
        + ("" if radius is None else f", of which up to {common.number(radius)}")
        for attack, radius in stops
    ]
    about = "Slide from the clean images over the attacks, smaller budgets first; label → prediction, framed: wrong."
    if any(radius is not None for _, radius in stops):
        about += " Where an attack seeks the smallest change, each budget shows those that it has found within it."
    choices = [told.Choice("classifier", sources), told.Choice("under", ["clean", *names], "slider")]
    return told.Explorer(about, choices, strips)


def _radii(rows: pd.DataFrame) -> list[float | None]:
    """The budgets at which to look at an attack: its own (None), or some of the sizes that it found smallest."""
    norm = rows["norm"].iloc[0]
    found = rows.loc[(rows["predicted_clean"] == rows["label"]) & (rows["predicted"] != rows["label"])]
    if pd.notna(rows["eps"].iloc[0]) or norm not in BALLS or found.empty:
        return [None]
    return sorted(set(np.quantile(found[norm].to_numpy(float), STOPS).tolist()))


def _clean(images: common.Images, row: told.Row) -> told.Tile:
    words = f"{row['label']} → {row['predicted_clean']}"
    return told.Tile(images[row["place"]], words, row["predicted_clean"] != row["label"])


def _attacked(images: common.Images, row: told.Row) -> told.Tile:
    words = f"{row['label']} → {row['predicted']}, {100 * row['confidence']:.0f} %"
    return told.Tile(images[row["place"]], words, row["predicted"] != row["label"])


STOPS = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Shares of the fooled images that a slider over budgets stops at."""
BALLS = ("linf", "l2", "l0")
"""Norms in which a smallest change is sought."""
SHOWN = 10
"""Images to look through."""
