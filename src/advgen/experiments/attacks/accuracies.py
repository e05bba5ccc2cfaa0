"""Accuracy under attack, from the examples of several classifiers, seeds and attacks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from advgen.experiments.attacks.summary import match_transferred, select_transferred
from advgen.figures.findings import Choice, Explorer, Row, Strips, Tile, interval_columns
from advgen.figures.formatting import (
    NORM_NAMES,
    describe_threat,
    format_n,
    format_number,
    format_percent,
    format_seeds,
    format_share,
    join_parts,
)
from advgen.figures.images import Images
from advgen.figures.statistics import first_seed, present_in_order, to_frame
from advgen.io.tables import read_images
from advgen.metrics.chance import majority_class_accuracy, models_at_chance
from advgen.metrics.intervals import rate_over_runs
from advgen.metrics.worst_case import BALLS, SIZES, SLACK

ATTACK_NAMES = {
    "fgsm": "FGSM",
    "pgd": "PGD",
    "apgd": "APGD",
    "universal": "universal perturbation",
    "lbfgs": "L-BFGS",
    "deepfool": "DeepFool",
    "fmn": "FMN",
    "fab": "FAB",
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


AT_WORST = {"robust_at_worst": "robust", "robust_rounded_at_worst": "robust_rounded"}
"""What is right under all else in the ball, too, and what it is called where this counts."""


class Accuracy(NamedTuple):
    """Mean accuracy of some nets, its interval for `n` images, and the accuracy of each net."""

    mean: float
    low: float
    high: float
    n: int
    per_model: NDArray[np.float64]


def load_examples(tables: Mapping[str, pa.Table]) -> pd.DataFrame:
    """The facts of all examples; `clean`: right on the clean image, `robust`: on the attacked one too.

    `robust_rounded`: on the attacked one as 256 grey levels show it; `robust_unaimed`: on the attack's controls
    (`control`); `off_target`: not put into the class that the attack aims at, and `off_target_unaimed` not by its
    controls; `learnt`: not by a net at chance.
    `others`: how many attacks else gave examples that lie in the row's ball: on nets other than this one, which met
    them, too, and those without a budget.
    """
    facts = _read_examples(tables["examples"])
    facts["clean"] = facts["predicted_clean"] == facts["label"]
    facts["robust"] = facts["clean"] & (facts["predicted"] == facts["label"])
    facts["robust_unaimed"] = facts["clean"] & (facts["predicted_unaimed"] == facts["label"])
    for name, predicted in (("off_target", "predicted"), ("off_target_unaimed", "predicted_unaimed")):
        reached = facts[predicted] == facts["target_label"]
        # NaN: attacks without a target
        facts[name] = (facts["clean"] & ~reached).astype(float).where(facts["target_label"].notna())
    facts["robust_rounded"] = facts["clean"] & (facts["predicted_rounded"] == facts["label"])
    chance = models_at_chance(facts)
    facts["above_chance"] = [net not in chance for net in zip(facts["source"], facts["source_seed"], strict=True)]
    return _add_worst_case_columns(facts, tables)


def _read_examples(table: pa.Table) -> pd.DataFrame:
    """The columns of examples, and the L1 size of the changes of attacks in L1, which no column holds."""
    facts = to_frame(table)
    in_l1 = (facts["norm"] == "l1").to_numpy()
    if in_l1.any():
        changes = read_images(table, "adversarial")[in_l1] - read_images(table)[in_l1]
        facts.loc[in_l1, "l1"] = np.abs(changes).sum((1, 2, 3))
    return facts


def _add_worst_case_columns(facts: pd.DataFrame, tables: Mapping[str, pa.Table]) -> pd.DataFrame:
    """With what is right under all else that lies in each row's ball (`*_at_worst`)."""
    facts = facts.assign(other_attacks=0, **{name: facts[own] for name, own in AT_WORST.items()})
    key = ["source", "source_seed", "index", "norm"]
    free = facts[facts["eps"].isna()]
    met = pd.concat([free[free[norm] > 0].assign(norm=norm, eps=free[norm] - SLACK) for norm in SIZES])
    if "transferred" in tables:
        met = pd.concat([met, match_transferred(select_transferred(tables["transferred"]), facts)])
    balls = facts.loc[facts["norm"].isin(BALLS) & facts["eps"].notna(), [*key, "eps", "label"]].reset_index(names="row")
    both = balls.merge(met[[*key, "eps", "attack", "predicted", "predicted_rounded"]], on=key, suffixes=("", "_met"))
    both = both[both["eps_met"] <= both["eps"]]
    for name, predicted in zip(AT_WORST, ("predicted", "predicted_rounded"), strict=True):
        facts.loc[both.loc[both[predicted] != both["label"], "row"].unique(), name] = False
    facts.loc[both["row"].unique(), "other_attacks"] = both.groupby("row")["attack"].nunique()
    return facts


def measure(rows: pd.DataFrame, column: str = "robust") -> Accuracy | None:
    """Share of the images that are right in all rows about them, the mean over nets; None without rows.

    Under attack, nets at chance do not count: what says the same of all images is never fooled.
    The interval is over nets and images: nets share their images, so more of them do not make it narrower than Wilson's
    for these.
    """
    rows = rows if column == "clean" else rows[rows["above_chance"]]
    if rows.empty:
        return None
    right = rows.groupby(["source", "source_seed", "index"])[column].min()
    nets = right.groupby(["source", "source_seed"]).agg(["mean", "size"])
    each, n = nets["mean"].to_numpy(float), int(nets["size"].min())
    return Accuracy(*rate_over_runs(each, n), n, each)


def measure_control(rows: pd.DataFrame) -> Accuracy | None:
    """Accuracy under what an attack does unaimed: noise of its norms, a white or black region, a pose at random.

    None for noise, which is a control itself.
    """
    return measure(rows[rows["kind"] != "gaussian_noise"], "robust_unaimed")


def select_bounded(facts: pd.DataFrame, attacks: Sequence[str]) -> list[str]:
    """The attacks with a budget; those that seek the smallest change may go as far as they like."""
    free = facts["eps"].isna() & facts["norm"].isin(BALLS)
    return [attack for attack in attacks if attack not in set(facts.loc[free, "attack"])]


def list_worst_cases(facts: pd.DataFrame, attacks: Sequence[str]) -> dict[str, list[str]]:
    """What each worst case over these attacks is called, and the attacks in it: one for each norm and eps.

    A single attack has one where more than its examples lies in its ball.
    """
    facts = facts[facts["attack"].isin(attacks) & facts["norm"].isin(BALLS) & facts["eps"].notna()]
    cases = {}
    for norm in BALLS:
        own = facts[facts["norm"] == norm]
        for eps in sorted(set(own["eps"])):
            within = own[own["eps"] <= eps]
            if within["attack"].nunique() > 1 or within["other_attacks"].any():
                cases[_worst_case(norm, eps)] = sorted(set(within["attack"]))
    return cases


def _worst_case(norm: str, eps: float) -> str:
    return f"worst case, {NORM_NAMES[norm]} ≤ {eps:g}"


def choose_conditions(facts: pd.DataFrame, attacks: Sequence[str]) -> dict[str, list[str]]:
    """What nets are compared under: of each norm the largest eps that all of them met, with the attacks up to it.

    That is a worst case, or the one attack there is. Changes that have no norm, such as a region's or a pose, stand
    each by itself. Noise is no attack, what seeks the smallest change has no budget, and nets at chance do not count.
    """
    facts = facts[facts["above_chance"] & (facts["norm"] != "none")]
    met = [set(rows["attack"]) for _, rows in facts.groupby("source")]
    shared = select_bounded(facts, [attack for attack in attacks if all(attack in one for one in met)])
    facts = facts[facts["attack"].isin(shared)]
    cases = list_worst_cases(facts, shared)
    found: dict[str, list[str]] = {}
    for norm, rows in facts.groupby("norm", sort=False):
        names = present_in_order(shared, rows["attack"])
        worst = _worst_case(norm, rows["eps"].max()) if norm in BALLS else ""
        found |= {worst: cases[worst]} if worst in cases else {name: [name] for name in names}
    return found


def combine(rows: pd.DataFrame, attacks: Sequence[str]) -> pd.DataFrame:
    """The rows of the images on which every one of the attacks was tried; over them `accuracy` is the worst case.

    What else lies in the attacks' balls counts, too.
    """
    rows = rows[rows["attack"].isin(attacks)]
    tried = rows.groupby(["source", "source_seed", "index"])["attack"].transform("nunique") == len(set(attacks))
    return rows[tried].drop(columns=["robust", "robust_rounded"]).rename(columns=AT_WORST)


def compute_majority_baseline(facts: pd.DataFrame) -> float:
    """Share (%) of the images that always naming their commonest class is right on: below it a net knows nothing."""
    return 100 * majority_class_accuracy(facts.drop_duplicates(["source", "index"])["label"])


def describe_counts(facts: pd.DataFrame) -> str:
    """How many images each net was tested on."""
    words = f"{format_n(facts.groupby(['source', 'source_seed', 'attack']).size())} test images"
    return words + describe_excluded(facts)


AT_CHANCE = "at chance, so not compared"
"""What stands where a net at chance would have a number under attack."""


def describe_excluded(facts: pd.DataFrame) -> str:
    """The nets at chance, if there are any."""
    nets = facts.loc[~facts["above_chance"], ["source", "source_seed"]].drop_duplicates().itertuples(index=False)
    chance = [f"{source} seed {seed}" for source, seed in nets]
    return f"; {AT_CHANCE} under attack: {', '.join(chance)}" if chance else ""


def describe_transferred(facts: pd.DataFrame) -> str:
    """The nets in whose worst cases more counts than the attacks inside, if there are any."""
    sets = facts[facts["above_chance"]].groupby("source")["other_attacks"].max()
    met = [f"{source} {count}" for source, count in sets.items() if count]
    words = "; worst cases also count examples in the ball of other nets and of attacks without a budget, in sets: "
    return f"{words}{', '.join(met)}" if met else ""


def describe_seeds(facts: pd.DataFrame, mark: str = "ticks") -> str:
    """What stands for the seeds, if there are several."""
    seeds = int(facts.groupby("source")["source_seed"].nunique().max())
    return f"; means of up to {seeds} seeds, {mark}: the seeds" if seeds > 1 else ""


def build_rows(facts: pd.DataFrame, sources: Sequence[str], attacks: Sequence[str]) -> list[Row]:
    """Accuracy of each classifier when clean, under each attack and in each worst case, as rows of numbers."""
    rows: list[Row] = []
    worst = list_worst_cases(facts[facts["source"].isin(sources)], attacks)
    for source in sources:
        mine = facts[facts["source"] == source]
        clean = measure(mine, "clean")
        if clean is not None:
            rows.append(_row(source, "clean", clean, math.nan, None))
        under = {attack: mine[mine["attack"] == attack] for attack in attacks}
        under |= {name: combine(mine, within) for name, within in worst.items()}
        rows += [row for name, one in under.items() if (row := _build_row(source, name, one)) is not None]
    return rows


def _build_row(source: str, name: str, rows: pd.DataFrame) -> Row | None:
    """Accuracy of a classifier under an attack or in a worst case; None where it met none, or is at chance."""
    right, rounded = measure(rows), measure(rows, "robust_rounded")
    if right is None or rounded is None:
        return None
    return _row(source, name, right, rounded.mean, measure_control(rows))


def _row(source: str, name: str, right: Accuracy, rounded: float, unaimed: Accuracy | None) -> Row:
    return {
        **{"source": source, "under": name, "seeds": len(right.per_model), "n": right.n},
        **interval_columns("accuracy", (right.mean, right.low, right.high)),
        "accuracy_rounded": rounded,
        "accuracy_unaimed": unaimed.mean if unaimed else math.nan,
    }


def compare_with_clean(facts: pd.DataFrame, sources: Sequence[str], attacks: Sequence[str]) -> tuple[str, list[Row]]:
    """What each classifier keeps of its clean accuracy where all of them met the same, most left first."""
    facts = facts[facts["source"].isin(sources) & facts["attack"].isin(attacks)]
    clauses = []
    for name, within in choose_conditions(facts, attacks).items():
        parts = []
        for source in sources:
            mine = facts[facts["source"] == source]
            clean, row = measure(mine, "clean"), _build_row(source, name, combine(mine, within))
            if clean is None or row is None:
                continue
            ends = (row["accuracy"], row["accuracy_low"], row["accuracy_high"])
            words = f"{source} {format_share(*ends)} under {name} ({format_percent(clean.mean)} clean"
            if not math.isnan(row["accuracy_unaimed"]):
                words += f", {format_percent(row['accuracy_unaimed'])} under the same unaimed"
            parts.append((row["accuracy"], f"{words})"))
        if parts:
            clauses.append(join_parts([words for _, words in sorted(parts, reverse=True)]))
    n = format_n(facts.groupby(["source", "source_seed", "attack"]).size())
    words = f"Right at worst: {'; '.join(clauses) or 'none'}; {n} test images, {format_seeds(facts['source_seed'])}"
    return f"{words}{describe_transferred(facts)}{describe_excluded(facts)}.", build_rows(facts, sources, attacks)


def explorer(tables: Mapping[str, pa.Table], sources: Sequence[str], attacks: Sequence[str]) -> Explorer:
    """The first test images when clean and under each attack, from the smallest budget on, by classifier."""
    examples = tables["examples"]
    facts, images = _read_examples(examples), read_images(examples)
    adversarial = read_images(examples, "adversarial")
    facts["place"] = facts.index
    sources, attacks = present_in_order(sources, facts["source"]), present_in_order(attacks, facts["attack"])
    first = {attack: facts[facts["attack"] == attack].iloc[0] for attack in attacks}
    attacks = sorted(attacks, key=lambda attack: (first[attack]["norm"], first[attack]["eps"]))
    shared = set.intersection(*(set(rows["index"]) for _, rows in facts.groupby(["source", "attack"])))
    stops = [(attack, radius) for attack in attacks for radius in _radii(facts[facts["attack"] == attack])]
    strips: Strips = {}
    for s, source in enumerate(sources):
        for a, (attack, radius) in enumerate(stops, 1):
            rows = facts[(facts["source"] == source) & (facts["attack"] == attack)]
            rows = first_seed(rows[rows["index"].isin(shared)], "source_seed").sort_values("index").iloc[:SHOWN]
            strips[s, 0] = [_clean(images, row) for row in rows.to_dict("records")]
            strips[s, a] = [
                _clean(images, row) if radius is not None and row[row["norm"]] > radius else _attacked(adversarial, row)
                for row in rows.to_dict("records")
            ]
    names = [
        f"{attack}: "
        + (
            describe_threat(first[attack])
            if radius is None
            else f"{NORM_NAMES[first[attack]['norm']]} up to {format_number(radius)}"
        )
        for attack, radius in stops
    ]
    about = "Slide from the clean images over the attacks, smaller budgets first; label → prediction, framed: wrong."
    if any(radius is not None for _, radius in stops):
        about += " Where an attack seeks the smallest change, each budget shows those that it has found within it."
    choices = [Choice("classifier", sources), Choice("under", ["clean", *names], "slider")]
    return Explorer(about, choices, strips)


def _radii(rows: pd.DataFrame) -> list[float | None]:
    """The budgets at which to look at an attack: its own (None), or some of the sizes that it found smallest."""
    norm = rows["norm"].iloc[0]
    found = rows.loc[(rows["predicted_clean"] == rows["label"]) & (rows["predicted"] != rows["label"])]
    if pd.notna(rows["eps"].iloc[0]) or norm not in BALLS or found.empty:
        return [None]
    return sorted(set(np.quantile(found[norm].to_numpy(float), STOPS).tolist()))


def _clean(images: Images, row: Row) -> Tile:
    words = f"{row['label']} → {row['predicted_clean']}"
    return Tile(images[row["place"]], words, row["predicted_clean"] != row["label"])


def _attacked(images: Images, row: Row) -> Tile:
    words = f"{row['label']} → {row['predicted']}, {100 * row['confidence']:.0f} %"
    return Tile(images[row["place"]], words, row["predicted"] != row["label"])


STOPS = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
"""Shares of the fooled images that a slider over budgets stops at."""
SHOWN = 10
"""Images to look through."""
