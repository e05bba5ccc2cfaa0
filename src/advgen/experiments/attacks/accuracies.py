"""Robust accuracy, worst cases and controls, computed from the tables of adversarial examples."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from advgen.experiments.attacks.experiment import AttackedFigure
from advgen.experiments.attacks.summary import match_transferred, select_transferred
from advgen.figures.findings import Finding, Row, interval_columns
from advgen.figures.formatting import NORM_NAMES, format_n, format_percent, format_seeds, format_share, join_parts
from advgen.figures.statistics import present_in_order, to_frame
from advgen.io.tables import read_images
from advgen.metrics.chance import majority_class_accuracy, models_at_chance
from advgen.metrics.intervals import rate_over_runs
from advgen.metrics.worst_case import BALLS, SIZES, TOLERANCE

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
"""Display names of the kinds of attacks."""
IN_WORST_CASE = {"robust_at_worst": "robust", "robust_rounded_at_worst": "robust_rounded"}
"""Columns that also count all other examples in the ball, and the columns that they replace in a worst case."""
AT_CHANCE = "at chance, so not compared"
"""Text in place of the accuracy under attack of a model at chance."""


class Accuracy(NamedTuple):
    """Mean accuracy of some models, its interval for `n` images, and the accuracy of each model."""

    mean: float
    low: float
    high: float
    n: int
    per_model: NDArray[np.float64]

    @property
    def interval(self) -> tuple[float, float, float]:
        """Mean, low and high."""
        return self[:3]

    @property
    def percent(self) -> tuple[float, float, float]:
        """Mean, low and high in percent."""
        return 100 * self.mean, 100 * self.low, 100 * self.high


class Selection(NamedTuple):
    """The examples that a figure shows, and its classifiers and attacks that occur, in the figure's order."""

    facts: pd.DataFrame
    sources: list[str]
    attacks: list[str]


def load_examples(tables: Mapping[str, pa.Table]) -> pd.DataFrame:
    """Return the columns of all examples that are no images, with columns that say which predictions are correct.

    The new columns:

    - `clean`: correct on the clean image; `robust`: also on the attacked image; `robust_rounded`: also after rounding
      to 256 grey levels; `robust_unaimed`: also under the attack's random control.
    - `off_target` and `off_target_unaimed`: 1 if the attack (its control) does not reach the target class; NaN without
      a target.
    - `above_chance`: the model is better than chance on clean images.
    - `robust_at_worst` and `robust_rounded_at_worst`: also correct under all other examples in the row's ball, which
      are transferred examples and perturbations of attacks without a budget. `other_attacks` counts their attacks.
    """
    facts = read_facts(tables["examples"])
    facts["clean"] = facts["predicted_clean"] == facts["label"]
    for name, predicted in (("robust", "predicted"), ("robust_unaimed", "predicted_unaimed")):
        facts[name] = facts["clean"] & (facts[predicted] == facts["label"])
    for name, predicted in (("off_target", "predicted"), ("off_target_unaimed", "predicted_unaimed")):
        reached = facts[predicted] == facts["target_label"]
        facts[name] = (facts["clean"] & ~reached).astype(float).where(facts["target_label"].notna())
    facts["robust_rounded"] = facts["clean"] & (facts["predicted_rounded"] == facts["label"])
    chance = models_at_chance(facts)
    facts["above_chance"] = [model not in chance for model in zip(facts["source"], facts["source_seed"], strict=True)]
    return _add_worst_case_columns(facts, tables)


def select_examples(tables: Mapping[str, pa.Table], spec: AttackedFigure) -> Selection:
    """Load the examples of a figure's classifiers and attacks."""
    facts = load_examples(tables)
    sources, attacks = present_in_order(spec.sources, facts["source"]), present_in_order(spec.attacks, facts["attack"])
    return Selection(facts[facts["source"].isin(sources) & facts["attack"].isin(attacks)], sources, attacks)


def read_facts(table: pa.Table) -> pd.DataFrame:
    """Return the columns of examples that are no images, and the L1 norm of perturbations of attacks in L1."""
    facts = to_frame(table)
    in_l1 = (facts["norm"] == "l1").to_numpy()
    if in_l1.any():
        perturbations = read_images(table, "adversarial")[in_l1] - read_images(table)[in_l1]
        facts.loc[in_l1, "l1"] = np.abs(perturbations).sum((1, 2, 3))
    return facts


def _add_worst_case_columns(facts: pd.DataFrame, tables: Mapping[str, pa.Table]) -> pd.DataFrame:
    facts = facts.assign(other_attacks=0, **{name: facts[column] for name, column in IN_WORST_CASE.items()})
    key = ["source", "source_seed", "index", "norm"]
    free = facts[facts["eps"].isna()]
    others = pd.concat([free[free[norm] > 0].assign(norm=norm, eps=free[norm] - TOLERANCE) for norm in SIZES])
    if "transferred" in tables:
        others = pd.concat([others, match_transferred(select_transferred(tables["transferred"]), facts)])
    balls = facts.loc[facts["norm"].isin(BALLS) & facts["eps"].notna(), [*key, "eps", "label"]].reset_index(names="row")
    columns = [*key, "eps", "attack", "predicted", "predicted_rounded"]
    both = balls.merge(others[columns], on=key, suffixes=("", "_other"))
    both = both[both["eps_other"] <= both["eps"]]
    for name, predicted in zip(IN_WORST_CASE, ("predicted", "predicted_rounded"), strict=True):
        facts.loc[both.loc[both[predicted] != both["label"], "row"].unique(), name] = False
    facts.loc[both["row"].unique(), "other_attacks"] = both.groupby("row")["attack"].nunique()
    return facts


def measure(rows: pd.DataFrame, column: str = "robust") -> Accuracy | None:
    """Return the share of images for which `column` is true in all of their rows, the mean over models.

    Models at chance only count for clean accuracy: a constant prediction cannot be attacked. The interval is over
    models and images. Since models share their images, more models do not make it narrower than Wilson's interval.

    Returns:
        None without rows.
    """
    rows = rows if column == "clean" else rows[rows["above_chance"]]
    if rows.empty:
        return None
    correct = rows.groupby(["source", "source_seed", "index"])[column].min()
    models = correct.groupby(["source", "source_seed"]).agg(["mean", "size"])
    per_model, n = models["mean"].to_numpy(float), int(models["size"].min())
    return Accuracy(*rate_over_runs(per_model, n), n, per_model)


def measure_control(rows: pd.DataFrame) -> Accuracy | None:
    """Return the accuracy under the random controls of attacks; None for noise, which is a control itself."""
    return measure(rows[rows["kind"] != "gaussian_noise"], "robust_unaimed")


def select_bounded(facts: pd.DataFrame, attacks: Sequence[str]) -> list[str]:
    """Return the attacks that do not search for the smallest perturbation in a norm."""
    free = facts["eps"].isna() & facts["norm"].isin(BALLS)
    return [attack for attack in attacks if attack not in set(facts.loc[free, "attack"])]


def list_worst_cases(facts: pd.DataFrame, attacks: Sequence[str]) -> dict[str, list[str]]:
    """Return the worst case for each norm and eps: its name and its attacks.

    A ball with a single attack only has one if other examples lie in the ball.
    """
    facts = facts[facts["attack"].isin(attacks) & facts["norm"].isin(BALLS) & facts["eps"].notna()]
    cases = {}
    for norm in BALLS:
        in_norm = facts[facts["norm"] == norm]
        for eps in sorted(set(in_norm["eps"])):
            within = in_norm[in_norm["eps"] <= eps]
            if within["attack"].nunique() > 1 or within["other_attacks"].any():
                cases[_name_worst_case(norm, eps)] = sorted(set(within["attack"]))
    return cases


def _name_worst_case(norm: str, eps: float) -> str:
    return f"worst case, {NORM_NAMES[norm]} ≤ {eps:g}"


def choose_conditions(facts: pd.DataFrame, attacks: Sequence[str]) -> dict[str, list[str]]:
    """Return the conditions under which all classifiers can be compared: names, and the attacks of each.

    For each norm it is the largest eps with which all classifiers were attacked: the worst case, or the single attack.
    Perturbations without a norm, such as regions and poses, are conditions of their own. Noise and attacks without a
    budget are left out, and models at chance do not count.
    """
    facts = facts[facts["above_chance"] & (facts["norm"] != "none")]
    per_source = [set(rows["attack"]) for _, rows in facts.groupby("source")]
    shared = select_bounded(facts, [attack for attack in attacks if all(attack in names for names in per_source)])
    facts = facts[facts["attack"].isin(shared)]
    cases = list_worst_cases(facts, shared)
    conditions: dict[str, list[str]] = {}
    for norm, rows in facts.groupby("norm", sort=False):
        worst = _name_worst_case(norm, rows["eps"].max()) if norm in BALLS else ""
        names = present_in_order(shared, rows["attack"])
        conditions |= {worst: cases[worst]} if worst in cases else {name: [name] for name in names}
    return conditions


def combine(rows: pd.DataFrame, attacks: Sequence[str]) -> pd.DataFrame:
    """Return the rows of images that every one of the attacks was run on; `measure` of them is the worst case.

    Other examples in the balls of the attacks count too.
    """
    rows = rows[rows["attack"].isin(attacks)]
    tried = rows.groupby(["source", "source_seed", "index"])["attack"].transform("nunique") == len(set(attacks))
    return rows[tried].drop(columns=["robust", "robust_rounded"]).rename(columns=IN_WORST_CASE)


def combine_all(rows: pd.DataFrame) -> pd.DataFrame:
    """Return `combine` with all attacks that occur in the rows."""
    return combine(rows, sorted(set(rows["attack"])))


def combine_by_eps(rows: pd.DataFrame) -> Iterable[tuple[float, pd.DataFrame]]:
    """Yield each eps with the combined rows of all attacks up to it; without a ball, of the attacks at that eps."""
    nested = rows["norm"].isin(BALLS).all()
    for eps in sorted(set(rows["eps"])):
        yield float(eps), combine_all(rows[(rows["eps"] <= eps) if nested else (rows["eps"] == eps)])


def compute_majority_baseline(facts: pd.DataFrame) -> float:
    """Return the accuracy (%) of always predicting the most common class."""
    return 100 * majority_class_accuracy(facts.drop_duplicates(["source", "index"])["label"])


def describe_counts(facts: pd.DataFrame) -> str:
    """Describe the number of test images of each model, and models at chance."""
    n = format_n(facts.groupby(["source", "source_seed", "attack"]).size())
    return f"{n} test images{describe_excluded(facts)}"


def describe_excluded(facts: pd.DataFrame) -> str:
    """List the models at chance; empty if there are none."""
    models = facts.loc[~facts["above_chance"], ["source", "source_seed"]].drop_duplicates().itertuples(index=False)
    names = ", ".join(f"{source} seed {seed}" for source, seed in models)
    return f"; {AT_CHANCE} under attack: {names}" if names else ""


def describe_other_attacks(facts: pd.DataFrame) -> str:
    """List the classifiers whose worst cases include other examples in the ball; empty if there are none."""
    counts = facts[facts["above_chance"]].groupby("source")["other_attacks"].max()
    names = ", ".join(f"{source} {count}" for source, count in counts.items() if count)
    words = "worst cases include examples transferred from other models and examples of attacks without a budget"
    return f"; {words} (sets in the ball: {names})" if names else ""


def describe_seeds(facts: pd.DataFrame, mark: str = "ticks") -> str:
    """Describe how the figure shows seeds; empty for a single seed."""
    seeds = int(facts.groupby("source")["source_seed"].nunique().max())
    return f"; means of up to {seeds} seeds, {mark}: the seeds" if seeds > 1 else ""


def build_rows(facts: pd.DataFrame, sources: Sequence[str], attacks: Sequence[str]) -> list[Row]:
    """Return a row of numbers for each classifier: clean, under each attack and in each worst case."""
    rows: list[Row] = []
    cases = list_worst_cases(facts[facts["source"].isin(sources)], attacks)
    for source in sources:
        of_source = facts[facts["source"] == source]
        clean = measure(of_source, "clean")
        if clean is not None:
            rows.append(_make_row(source, "clean", clean, math.nan, None))
        under = {attack: of_source[of_source["attack"] == attack] for attack in attacks}
        under |= {name: combine(of_source, within) for name, within in cases.items()}
        rows += [row for name, examples in under.items() if (row := _build_row(source, name, examples)) is not None]
    return rows


def _build_row(source: str, name: str, rows: pd.DataFrame) -> Row | None:
    """Return the accuracy under an attack or in a worst case; None without examples or if all models are at chance."""
    accuracy, rounded = measure(rows), measure(rows, "robust_rounded")
    if accuracy is None or rounded is None:
        return None
    return _make_row(source, name, accuracy, rounded.mean, measure_control(rows))


def _make_row(source: str, name: str, accuracy: Accuracy, rounded: float, control: Accuracy | None) -> Row:
    return {
        **{"source": source, "under": name, "seeds": len(accuracy.per_model), "n": accuracy.n},
        **interval_columns("accuracy", accuracy.interval),
        "accuracy_rounded": rounded,
        "accuracy_unaimed": control.mean if control else math.nan,
    }


def compare_with_clean(facts: pd.DataFrame, sources: Sequence[str], attacks: Sequence[str]) -> tuple[str, list[Row]]:
    """Compare robust and clean accuracy of each classifier under shared conditions: a sentence and all numbers."""
    facts = facts[facts["source"].isin(sources) & facts["attack"].isin(attacks)]
    clauses = []
    for name, within in choose_conditions(facts, attacks).items():
        parts = []
        for source in sources:
            of_source = facts[facts["source"] == source]
            clean, row = measure(of_source, "clean"), _build_row(source, name, combine(of_source, within))
            if clean is None or row is None:
                continue
            share = format_share(*(row[column] for column in ("accuracy", "accuracy_low", "accuracy_high")))
            words = f"{source} {share} under {name} ({format_percent(clean.mean)} clean"
            if not math.isnan(row["accuracy_unaimed"]):
                words += f", {format_percent(row['accuracy_unaimed'])} under random perturbations of the same size"
            parts.append((row["accuracy"], f"{words})"))
        if parts:
            clauses.append(join_parts([words for _, words in sorted(parts, reverse=True)]))
    n = format_n(facts.groupby(["source", "source_seed", "attack"]).size())
    words = f"Robust accuracy: {'; '.join(clauses) or 'none'}; {n} test images, {format_seeds(facts['source_seed'])}"
    sentence = f"{words}{describe_other_attacks(facts)}{describe_excluded(facts)}."
    return sentence, build_rows(facts, sources, attacks)


def find_robust_accuracy(tables: Mapping[str, pa.Table], spec: AttackedFigure, title: str) -> Finding:
    """Return the finding of `compare_with_clean` for a figure's classifiers and attacks."""
    return Finding(title, *compare_with_clean(*select_examples(tables, spec)))
