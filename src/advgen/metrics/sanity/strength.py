"""Checks that attacks are as strong as they must be: more access, effort or budget leaves no more accuracy.

Each comparison pairs the examples that both sides share, and a 99.9 % interval decides. A weak attack is only a warning
if the worst case over all attacks of its budget is strong.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, permutations
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from advgen.metrics.chance import MODEL_KEYS, is_better_than_chance, one_row_per_image
from advgen.metrics.sanity.integrity import NORMS
from advgen.metrics.sanity.results import Check, binary_difference, check_not_worse, make_check, rate_numbers

METHOD = ["kind", "norm", "loss"]
"""Columns in which two attacks agree that differ in eps and effort alone."""
EFFORT = ["steps", "restarts"]
SQUARE = "a gradient attack leaves no more right than Square"
ITERATIVE = {"pgd": "PGD", "apgd": "APGD", "ensemble": "an ensemble"}
"""Gradient attacks of several steps inside a ball, and their names in checks."""
MAX_LOSS_DIFFERENCE = 0.03
"""Difference in accuracy between losses above which there is a warning."""
MAX_REMAINING = 0.01
"""Share of the images that an attack without a budget may leave correctly classified."""


class Comparison(NamedTuple):
    """The worst case over `strong` attacks must leave no more accuracy than that over `weak` ones.

    A failure is a warning if the worst case over all `attacks` of the budget leaves no more.
    """

    check: str
    strong: list[str]
    weak: list[str]
    kind: str = "check"
    attacks: Sequence[str] = ()


def compare_attacks(examples: pa.Table) -> Iterator[Check]:
    """Compare the attacks on each classifier that is better than chance, which a constant one is not.

    An example counts as correct if it is correct when clean and under every attack of its side. Targeted attacks are
    left out, since they may miss errors that are not the target. The comparison with Square does not count what an
    ensemble found by its own Square, since it is about gradients.
    """
    columns = ["source", "source_seed", "attack", *METHOD, *EFFORT, "eps", "step_size", "target", "index"]
    columns += ["label", "predicted_clean", "predicted", "found_by"]
    rows = examples.select(columns).to_pandas()
    rows = rows[rows["target"] == "none"]
    correct = (rows["predicted_clean"] == rows["label"]) & (rows["predicted"] == rows["label"])
    rows["correct"] = correct.astype(float)
    by_square = rows["found_by"].astype("string").str.startswith("Square").fillna(False).to_numpy(bool)
    rows["correct_by_gradients"] = np.where(by_square, 1.0, rows["correct"])
    for (source, seed), group in rows.groupby(MODEL_KEYS):
        if not is_better_than_chance(one_row_per_image(group)):
            continue
        attacks = group.drop_duplicates("attack").set_index("attack").sort_values("eps")
        correct_NA, by_gradients_NA = (
            group.pivot(index="index", columns="attack", values=name) for name in ("correct", "correct_by_gradients")
        )
        model = f"{source} seed {seed}"
        for comparison in list_comparisons(attacks):
            uses_gradients = comparison.check == SQUARE
            yield _compare(comparison, by_gradients_NA if uses_gradients else correct_NA, source, model)
        yield from _check_largest_ball(attacks, correct_NA, source, model)
        yield from _check_losses_agree(attacks, correct_NA, source, model)
        yield from _check_fgsm_is_not_alone(attacks, correct_NA, source, model)


def _compare(comparison: Comparison, correct_NA: pd.DataFrame, source: str, model: str) -> Check:
    check, strong, weak, kind, attacks = comparison
    subject = f"{' + '.join(strong)} against {' + '.join(weak)} on {model}"

    def compare(names: Sequence[str]) -> Check:
        both = correct_NA[list({*names, *weak})].dropna()
        a, b = both[list(names)].min(axis=1).to_numpy(), both[weak].min(axis=1).to_numpy()
        return check_not_worse(check, subject, binary_difference(a, b), len(both), "accuracy", source, kind)

    result = compare(strong)
    if result["holds"] or not {*attacks} > {*strong} or not compare(attacks)["holds"]:
        return result
    others = " + ".join(name for name in attacks if name not in strong)
    return {**result, "kind": "warning", "detail": f"{result['detail']}; the worst case with {others} passes"}


def list_comparisons(attacks: pd.DataFrame) -> Iterator[Comparison]:
    """All comparisons between the attacks on one classifier: a row each, by name, in order of eps."""
    bounded = attacks[attacks["norm"].isin(NORMS) & attacks["eps"].notna()]
    for norm, of_norm in bounded.groupby("norm"):
        yield from compare_budgets(of_norm)
        yield from compare_effort(of_norm)
        for eps, of_budget in of_norm.groupby("eps"):
            by_kind = {kind: list(group.index) for kind, group in of_budget.groupby("kind")}
            for kind, name in ITERATIVE.items():
                yield from compare_with_fgsm(of_budget, by_kind.get(kind, []), name)
                yield from compare_with_square(of_budget, by_kind.get(kind, []))
            noise = attacks[(attacks["kind"] == "gaussian_noise") & (attacks["eps"] <= eps)]
            if norm == "linf" and len(noise):
                for names in by_kind.values():  # with the largest noise that is no larger than the budget
                    check = "an attack leaves no more right than noise"
                    yield Comparison(check, names, [noise.index[-1]], attacks=list(of_budget.index))


def compare_budgets(attacks: pd.DataFrame) -> Iterator[Comparison]:
    """Each eps with the next smaller one, over the attacks that were run at both with the same effort.

    A warning for single steps, and for steps too short to reach the border of the larger ball.
    """
    by_eps = {eps: group.reset_index().set_index([*METHOD, *EFFORT])["attack"] for eps, group in attacks.groupby("eps")}
    for large in by_eps:
        for small in sorted((eps for eps in by_eps if eps < large), reverse=True):
            shared = by_eps[large].index.intersection(by_eps[small].index)
            if len(shared):
                strong, weak = (sorted(by_eps[eps].loc[shared]) for eps in (large, small))
                too_short = any(
                    attacks.loc[name, "kind"] == "pgd" and not _can_reach_border(attacks.loc[name]) for name in strong
                )
                kind = "warning" if too_short or set(shared.get_level_values("kind")) == {"fgsm"} else "check"
                of_budget = list(attacks.index[attacks["eps"] == large])
                yield Comparison("a larger eps leaves no more right", strong, weak, kind, of_budget)
                break


def compare_effort(attacks: pd.DataFrame) -> Iterator[Comparison]:
    """More steps or restarts on the same loss; a warning if they are shorter in total than the other ones."""
    for _, same in attacks.groupby([*METHOD, "eps"]):
        of_budget = attacks.index[attacks["eps"] == same["eps"].iloc[0]]
        for a, b in permutations(same.itertuples(), 2):
            more = a.steps >= b.steps and a.restarts >= b.restarts
            if more and (a.steps, a.restarts) != (b.steps, b.restarts):
                kind = "warning" if a.steps * a.step_size < b.steps * b.step_size else "check"
                others = [name for name in of_budget if name != b.Index]
                yield Comparison("more steps or restarts leave no more right", [a.Index], [b.Index], kind, others)


def compare_with_fgsm(attacks: pd.DataFrame, strong: list[str], name: str) -> Iterator[Comparison]:
    """Iterative attacks with FGSM; a warning if none of them maximises its loss across the ball.

    An ensemble does, among other things. Other losses, or steps too short to reach the border, may be weaker.
    """
    fgsm = attacks[attacks["kind"] == "fgsm"]
    if strong and len(fgsm):
        ours = attacks.loc[strong]
        same = ours["loss"].isin(set(fgsm["loss"])) & ours.apply(_can_reach_border, axis=1)
        kind = "check" if ((ours["kind"] == "ensemble") | same).any() else "warning"
        several = list(attacks.index[~attacks["kind"].isin(["square", "fgsm"])])
        yield Comparison(f"{name} leaves no more right than FGSM", strong, list(fgsm.index), kind, several)


def compare_with_square(attacks: pd.DataFrame, strong: list[str]) -> Iterator[Comparison]:
    """Gradient attacks, FGSM included, with Square, which needs no gradients."""
    square = list(attacks.index[attacks["kind"] == "square"])
    if strong and square:
        fgsm = list(attacks.index[attacks["kind"] == "fgsm"])
        yield Comparison(SQUARE, strong + fgsm, square, attacks=list(attacks.index[attacks["kind"] != "square"]))


def _can_reach_border(attack: pd.Series) -> bool:
    return bool(attack["steps"] * attack["step_size"] >= attack["eps"] * (1 - 1e-9))


def _check_largest_ball(attacks: pd.DataFrame, correct_NA: pd.DataFrame, source: str, model: str) -> Iterator[Check]:
    """With eps = 1 every image can become any other, so none stays correct; a single step is not enough for that."""
    several = (attacks["steps"] > 1) | attacks["kind"].isin([*ITERATIVE, "square"])
    unlimited = attacks[(attacks["norm"] == "linf") & (attacks["eps"] >= 1) & several]
    if len(unlimited):
        correct_N = correct_NA[list(unlimited.index)].dropna().min(axis=1)
        remaining, n = int(correct_N.sum()), len(correct_N)
        detail = f"{remaining} of {n} are still classified correctly under {' + '.join(unlimited.index)}"
        yield make_check("eps = 1 leaves nothing right", model, remaining == 0, detail, n, source=source)


def _check_losses_agree(attacks: pd.DataFrame, correct_NA: pd.DataFrame, source: str, model: str) -> Iterator[Check]:
    """PGD attacks of one budget and effort leave similar accuracy, whatever loss or start they use."""
    pgd = attacks[attacks["kind"] == "pgd"]
    for _, same in pgd.groupby(["norm", *EFFORT, "eps", "step_size"]):
        for a, b in combinations(sorted(same.index), 2):
            both = correct_NA[[a, b]].dropna()
            estimate, low, high = binary_difference(both[a].to_numpy(), both[b].to_numpy())
            detail = f"difference in accuracy {estimate:+.4f} [{low:+.4f}, {high:+.4f}], n = {len(both)}"
            check, subject = "losses agree within 3 points", f"{a} and {b} on {model}"
            holds, numbers = abs(estimate) <= MAX_LOSS_DIFFERENCE, {"estimate": estimate, "low": low, "high": high}
            yield make_check(check, subject, holds, detail, len(both), "warning", **numbers, source=source)


def _check_fgsm_is_not_alone(
    attacks: pd.DataFrame, correct_NA: pd.DataFrame, source: str, model: str
) -> Iterator[Check]:
    """FGSM is accompanied by a multi-step attack of its norm and eps: FGSM training looks robust under FGSM alone."""
    several = attacks[attacks["kind"].isin(ITERATIVE) & (attacks["steps"] > 1)]
    for fgsm in attacks[attacks["kind"] == "fgsm"].itertuples():
        others = sorted(several.index[(several["norm"] == fgsm.norm) & (several["eps"] == fgsm.eps)])
        detail = f"multi-step attacks at eps {fgsm.eps:g}: {', '.join(others) or 'none'}"
        n, check = int(correct_NA[fgsm.Index].count()), "several steps stand beside FGSM at its eps"
        yield make_check(check, f"{fgsm.Index} on {model}", bool(others), detail, n, "warning", source=source)


def check_step_sizes(examples: pa.Table) -> Iterator[Check]:
    """The steps of an attack, taken together, reach the border of its ball; otherwise it explores only a part of it."""
    rows = examples.select(["attack", "norm", "eps", "steps", "step_size"]).to_pandas()
    rows = rows[rows["norm"].isin(["linf", "l2"]) & rows["eps"].notna() & (rows["step_size"] > 0)]
    for name, group in rows.groupby("attack"):
        attack = group.iloc[0]
        detail = f"{attack['steps']} steps of {attack['step_size']:g}, eps is {attack['eps']:g}"
        check = "the steps reach the ball's border"
        yield make_check(check, str(name), _can_reach_border(attack), detail, len(group), "warning")


def check_unlimited_attacks(examples: pa.Table) -> Iterator[Check]:
    """An attack without a budget leaves almost no image correct, since an image of another class always exists."""
    columns = [*MODEL_KEYS, "attack", "kind", "norm", "eps", "index", "label", "predicted_clean", "predicted"]
    rows = examples.select(columns).to_pandas()
    rows["correct"] = (rows["predicted_clean"] == rows["label"]) & (rows["predicted"] == rows["label"])
    rows = rows[rows["norm"].isin([*NORMS, "l0"]) & rows["eps"].isna()]
    rows = rows[rows["kind"] != "jsma"]  # it changes a limited share of the pixels
    for (source, seed, attack), group in rows.groupby([*MODEL_KEYS, "attack"]):
        if not is_better_than_chance(group):
            continue
        remaining, n = int(group["correct"].sum()), len(group)
        detail = f"{remaining} of {n} are still classified correctly under {attack}, which has no budget"
        check, subject = "an attack without a budget leaves nothing right", f"{attack} on {source} seed {seed}"
        numbers, holds = rate_numbers(remaining, n), remaining <= MAX_REMAINING * n
        yield make_check(check, subject, holds, detail, n, "warning", **numbers, source=source)
