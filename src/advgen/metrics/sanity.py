"""Sanity checks, tested on the tables.

Invariants (finite numbers, ball, box, test images, the same images under every attack, clean accuracy as tested) hold
or fail, and so does that eps = 1 leaves nothing right, but for classifiers declared to have obfuscated gradients.
Statistical checks are judged by a 99.9 % interval: they fail where the whole interval is on the wrong side. With fewer
than 30 examples a failure is only a warning. An attack may be weak as long as the worst case over the attacks of its
budget is not: that, too, is a warning. Intervals are paired, over the examples that both sides share; tables of
transfers keep only counts, so there the interval is that of two independent shares. Warnings are never failed checks:
they say what to look at.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import combinations, pairwise, permutations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from torch import nn

from advgen import seeds
from advgen.io.tables import read_images
from advgen.metrics.chance import (
    CONFIDENCE,
    MIN_FOR_INTERVAL,
    MIN_WITHOUT_INTERVAL,
    MODEL_KEYS,
    is_better_than_chance,
    majority_class_accuracy,
    models_at_chance,
    one_row_per_image,
)
from advgen.metrics.intervals import paired_difference, wilson
from advgen.models.predict import ROUNDING, predict

Check = dict[str, Any]
Test = Callable[..., list[Check]]
SLACK = 1e-6
RESAMPLES = 20_000
CHANCE = "the net is better than chance"
"""The check whose failure makes an evaluation of one model unsound, while a study may show it as a finding."""
GRADIENTS, ALIKE = "input gradients are not zero", "two passes give the same logits"
ZERO_GRADIENTS, SOME_ZERO = 0.01, 2
"""Share and number of images of which the larger may have gradients that are zero."""
INTERVAL = f"the {100 * CONFIDENCE:g} % interval"
APART = 0.03
"""Accuracy by which attacks of one budget may differ before it gives a warning."""
SAMPLE = 50
"""Images of each attack that are shown to its net again, or a few more."""
FEW_LEFT = 0.01
"""Share of the images that an attack without a budget may leave right, or a net answer in another way."""
CERTIFIED = ["certification", "source", "seed", "index"]
MET = [*MODEL_KEYS, "attack", "index", "predicted", "linf", "l2"]
BALL = [*MODEL_KEYS, "attack", "norm", "eps"]
METHOD = ["kind", "norm", "loss"]
"""What makes two attacks the same but for eps and effort."""
EFFORT = ["steps", "restarts"]
AVERAGED = ["kind", "loss", "unstable"]
"""What tells whether a net answers otherwise each time, and attacks average over that."""
SQUARE = "a gradient attack leaves no more right than Square"
ITERATED = {"pgd": "PGD", "apgd": "APGD", "ensemble": "an ensemble"}
"""Gradient attacks of several steps inside a ball, and what checks call them."""
NORMS = ("linf", "l2", "l1")
"""Norms of changes that are of any size, unlike counts of pixels."""
REMEDY = "average each attack over passes of the net, by its key expectation"
"""What to do about a net that answers otherwise each time."""


def check_tables(tables: Mapping[str, pa.Table]) -> list[Check]:
    """The statistical checks that tables without images can be tested for, as rows of the table of checks."""
    return tested(STATISTICAL, tables)


def check_invariants(tables: Mapping[str, pa.Table]) -> list[Check]:
    """What holds of tables without images whatever the classifiers are, as rows of the table of checks."""
    return tested(INVARIANT, tables)


def tested(checks: Mapping[tuple[str, ...], tuple[Test, ...]], tables: Mapping[str, pa.Table]) -> list[Check]:
    """The rows of all checks whose tables there are."""
    possible = {names: tests for names, tests in checks.items() if tables.keys() >= set(names)}
    return [row for names, tests in possible.items() for test in tests for row in test(*(tables[n] for n in names))]


def _check(check: str, subject: str, holds: bool, detail: str, n: int, kind: str = "check", **numbers: Any) -> Check:
    """`source` names the attacked classifier that a check is about, if it is about one."""
    blank = {"estimate": None, "low": None, "high": None, "source": None}
    return {
        "check": check,
        "subject": subject,
        "kind": kind,
        "holds": holds,
        "n": n,
        **blank,
        **numbers,
        "detail": detail,
    }


def ball_and_box(examples: pa.Table, unclipped: Collection[str] = ()) -> list[Check]:
    """Every saved example and its clean image are made of numbers and lie in the box; its change lies in the ball.

    Examples of `unclipped` attacks may leave the box.
    """
    images, clean = (read_images(examples, column).astype(np.float64) for column in ("adversarial", "image"))
    change = np.abs(images - clean).reshape(len(images), -1)
    rows = examples.select(["source", "source_seed", "attack", "norm", "eps"]).to_pandas()
    rows["finite"] = np.isfinite(images).all((1, 2, 3)) & np.isfinite(clean).all((1, 2, 3))
    low, high = np.minimum(images, clean).min((1, 2, 3)), np.maximum(images, clean).max((1, 2, 3))
    rows["outside"] = np.maximum(-low, high - 1)
    rows["linf"], rows["l2"], rows["l1"] = change.max(1), np.sqrt((change**2).sum(1)), change.sum(1)
    checks = []
    for (source, seed, attack, norm, eps), group in rows.groupby(BALL, dropna=False):
        subject, n = f"{attack} on {source} seed {seed}", len(group)
        strange = int((~group["finite"]).sum())
        detail = f"{strange} of {n} examples have pixels that are no numbers"
        checks.append(_check("finite", subject, strange == 0, detail, n, source=source))
        outside = group["outside"].to_numpy().max()  # NaN if any is, unlike pandas' own
        detail = f"pixels leave [0, 1] by {max(outside, 0):.1e}"
        if attack not in unclipped:
            checks.append(_check("box", subject, bool(outside <= SLACK), detail, n, source=source))
        if norm in NORMS and not np.isnan(eps):  # an attack that seeks the smallest change has no ball
            over = group[norm].to_numpy().max() - eps
            detail = f"largest {norm} change is {over + eps:.6f}, eps is {eps:g}"
            slack = SLACK * (max(1, eps) if norm == "l1" else 1)  # which rounding adds up over the pixels
            checks.append(_check("ball", subject, bool(over <= slack), detail, n, source=source))
    return checks


def attacks_test_images(examples: pa.Table, test: pa.Table) -> list[Check]:
    """What was attacked are the data set's test images with their labels, each the one that its index names."""
    rows = examples.select(["source", "source_seed", "attack", "index", "label"]).to_pandas()
    images, clean = read_images(test), read_images(examples, "image")
    place = pd.Index(test.column("index").to_numpy()).get_indexer(rows["index"])
    known = place >= 0
    rows["same"] = known & (test.column("label").to_numpy()[place] == rows["label"])
    if images.shape[1:] == clean.shape[1:]:
        expected = images[place].astype(np.float32) / 255
        rows["same"] &= (expected == clean).all((1, 2, 3))
    else:
        rows["same"] = False
    checks = []
    for (source, seed, attack), group in rows.groupby(["source", "source_seed", "attack"]):
        others, n = int((~group["same"]).sum()), len(group)
        detail = f"{others} of {n} are other images or have another label"
        subject = f"{attack} on {source} seed {seed}"
        checks.append(_check("test images are attacked", subject, others == 0, detail, n, source=source))
    return checks


def predictions_are_repeated(examples: pa.Table, model: nn.Module) -> list[Check]:
    """The model gives the saved predictions for the saved images, clean and attacked, of a sample of each attack.

    Only another label that leads clearly counts: the smallest changes end on a boundary, where rounding decides. A
    warning where the net is known to answer otherwise each time, and the attack averaged over that.
    """
    rows = examples.select(["source", "source_seed", "attack", *AVERAGED]).to_pandas()
    checks = []
    for (source, seed, attack), group in rows.groupby(["source", "source_seed", "attack"]):
        sample = examples.take(pa.array(group.index[:: max(1, len(group) // SAMPLE)]))
        strange = np.zeros(len(sample), bool)
        for image, saved in (("image", "predicted_clean"), ("adversarial", "predicted")):
            _, logits_NK = predict(model, torch.from_numpy(read_images(sample, image).copy()))
            told_N1 = torch.from_numpy(sample.column(saved).to_numpy().astype(np.int64))[:, None]
            lead_N = logits_NK.amax(1) - logits_NK.gather(1, told_N1)[:, 0]
            strange |= (lead_N > ROUNDING * logits_NK.abs().amax(1)).numpy()
        detail = f"{strange.sum()} of {len(sample)} saved images get another prediction than the saved one"
        subject = f"{attack} on {source} seed {seed}"
        check, holds = "saved images give the saved predictions", not strange.any()
        kind = "warning" if _averaged(group) else "check"
        checks.append(_check(check, subject, holds, detail, len(sample), kind, source=source))
    return checks


class Comparison(NamedTuple):
    """The worst case over `strong` attacks must leave no more right than that over `weak` ones.

    If it does leave more, that is a warning where the worst case over all `attacks` of this budget leaves no more.
    """

    check: str
    strong: list[str]
    weak: list[str]
    kind: str = "check"
    attacks: Sequence[str] = ()


def attacks_in_order(examples: pa.Table) -> list[Check]:
    """What more access, effort or budget must do to the accuracy of each attacked classifier.

    An example counts as right when it is right when clean and under every attack of the side. Targeted attacks are left
    out: they spare what is wrong in another way. So is a net that has learnt nothing: a constant one is never fooled.
    Beside Square, an ensemble does not count what its own Square found, since that check is about gradients.
    """
    columns = ["source", "source_seed", "attack", *METHOD, *EFFORT, "eps", "step_size", "target", "index"]
    columns += ["label", "predicted_clean", "predicted", "found_by"]
    rows = examples.select(columns).to_pandas()
    rows = rows[rows["target"] == "none"]
    right = (rows["predicted_clean"] == rows["label"]) & (rows["predicted"] == rows["label"])
    rows["right"] = right.astype(float)
    by_square = rows["found_by"].astype("string").str.startswith("Square").fillna(False).to_numpy(bool)
    rows["right_by_gradients"] = np.where(by_square, 1.0, rows["right"])
    checks = []
    for (source, seed), group in rows.groupby(MODEL_KEYS):
        if not is_better_than_chance(one_row_per_image(group)):
            continue
        facts = group.drop_duplicates("attack").set_index("attack").sort_values("eps")
        right_NA, by_gradients_NA = (
            group.pivot(index="index", columns="attack", values=name) for name in ("right", "right_by_gradients")
        )
        on = f"on {source} seed {seed}"
        for comparison in _comparisons(facts):
            about_gradients = comparison.check == SQUARE
            checks.append(_compared(comparison, by_gradients_NA if about_gradients else right_NA, source, on))
        checks += _nothing_left(facts, right_NA, source, on)
        checks += _losses_agree(facts, right_NA, source, on)
        checks += _single_steps_have_company(facts, right_NA, source, on)
    return checks


def _compared(comparison: Comparison, right_NA: pd.DataFrame, source: str, on: str) -> Check:
    """A weak attack is only a warning if the worst case over the other attacks of its budget is not weak."""
    check, strong, weak, kind, attacks = comparison
    subject = f"{' + '.join(strong)} against {' + '.join(weak)} {on}"

    def judged(names: Sequence[str]) -> Check:
        both = right_NA[list({*names, *weak})].dropna()
        a, b = both[list(names)].min(axis=1).to_numpy(), both[weak].min(axis=1).to_numpy()
        return _judged(check, subject, binary_difference(a, b), len(both), "accuracy", source, kind)

    found = judged(strong)
    if found["holds"] or not {*attacks} > {*strong} or not judged(attacks)["holds"]:
        return found
    others = " + ".join(name for name in attacks if name not in strong)
    return {**found, "kind": "warning", "detail": f"{found['detail']}; the worst case with {others} does not"}


def _comparisons(facts: pd.DataFrame) -> Iterator[Comparison]:
    """All comparisons that the attacks on one classifier allow; `facts` are theirs, by name, in order of eps."""
    ball = facts[facts["norm"].isin(NORMS) & facts["eps"].notna()]
    for norm, attacks in ball.groupby("norm"):
        yield from _larger_budgets(attacks)
        yield from _more_effort(attacks)
        for eps, same in attacks.groupby("eps"):
            by_kind = {kind: list(group.index) for kind, group in same.groupby("kind")}
            fgsm, square = (by_kind.get(kind, []) for kind in ("fgsm", "square"))
            by_gradients = same[same["kind"] != "square"]
            several = list(by_gradients.index[by_gradients["kind"] != "fgsm"])
            for kind, name in ITERATED.items():
                strong = by_kind.get(kind, [])
                if strong and fgsm:
                    comparable = _as_strong(same.loc[strong], set(same.loc[fgsm, "loss"]))
                    check = f"{name} leaves no more right than FGSM"
                    yield Comparison(check, strong, fgsm, "check" if comparable else "warning", several)
                if strong and square:
                    yield Comparison(SQUARE, strong + fgsm, square, attacks=list(by_gradients.index))
            if norm != "linf":
                continue
            noise = facts[(facts["kind"] == "gaussian_noise") & (facts["eps"] <= eps)]
            for names in by_kind.values():
                if len(noise):  # the largest that is no larger than the attack's budget
                    check = "an attack leaves no more right than noise"
                    yield Comparison(check, names, [noise.index[-1]], attacks=list(same.index))


def _larger_budgets(attacks: pd.DataFrame) -> Iterator[Comparison]:
    """Each eps against the next smaller one, by the attacks that were run at both with the same effort.

    A warning where they are single steps, or too short to reach the larger ball's border.
    """
    by_eps = {eps: group.reset_index().set_index([*METHOD, *EFFORT])["attack"] for eps, group in attacks.groupby("eps")}
    for large in by_eps:
        for small in sorted((eps for eps in by_eps if eps < large), reverse=True):
            shared = by_eps[large].index.intersection(by_eps[small].index)
            if len(shared):
                strong, weak = (sorted(by_eps[eps].loc[shared]) for eps in (large, small))
                short = any(attacks.loc[name, "kind"] == "pgd" and not _reaches(attacks.loc[name]) for name in strong)
                kind = "warning" if short or set(shared.get_level_values("kind")) == {"fgsm"} else "check"
                whole = list(attacks.index[attacks["eps"] == large])
                yield Comparison("a larger eps leaves no more right", strong, weak, kind, whole)
                break


def _as_strong(attacks: pd.DataFrame, losses: set[str]) -> bool:
    """Whether one of them must be as strong as a single step on `losses`: it climbs one of these across the ball.

    An ensemble does among other things; steps of another loss, or too short ones, need not be the stronger.
    """
    same = attacks["loss"].isin(losses) & attacks.apply(_reaches, axis=1)
    return bool(((attacks["kind"] == "ensemble") | same).any())


def _reaches(attack: pd.Series) -> bool:
    """Whether an attack's steps lead from the centre of its ball to the border."""
    return bool(attack["steps"] * attack["step_size"] >= attack["eps"] * (1 - 1e-9))


def _more_effort(attacks: pd.DataFrame) -> Iterator[Comparison]:
    """More steps or restarts on the same loss; a warning where the steps are so short that all lead less far."""
    for _, same in attacks.groupby([*METHOD, "eps"]):
        budget = attacks.index[attacks["eps"] == same["eps"].iloc[0]]
        for a, b in permutations(same.itertuples(), 2):
            more = a.steps >= b.steps and a.restarts >= b.restarts
            if more and (a.steps, a.restarts) != (b.steps, b.restarts):
                kind = "warning" if a.steps * a.step_size < b.steps * b.step_size else "check"
                others = [name for name in budget if name != b.Index]
                yield Comparison("more steps or restarts leave no more right", [a.Index], [b.Index], kind, others)


def _nothing_left(facts: pd.DataFrame, right_NA: pd.DataFrame, source: str, on: str) -> Iterator[Check]:
    """Where every image may be turned into every other one, none is safe; a single step proves nothing."""
    several = (facts["steps"] > 1) | facts["kind"].isin([*ITERATED, "square"])
    attacks = facts[(facts["norm"] == "linf") & (facts["eps"] >= 1) & several]
    if len(attacks):
        right_N = right_NA[list(attacks.index)].dropna().min(axis=1)
        left, n = int(right_N.sum()), len(right_N)
        detail = f"{left} of {n} are right under {' + '.join(attacks.index)}"
        yield _check("eps = 1 leaves nothing right", on.removeprefix("on "), left == 0, detail, n, source=source)


def _losses_agree(facts: pd.DataFrame, right_NA: pd.DataFrame, source: str, on: str) -> Iterator[Check]:
    """PGD attacks of one budget and effort, which differ in the loss that they climb (or in their start)."""
    pgd = facts[facts["kind"] == "pgd"]
    for _, same in pgd.groupby(["norm", *EFFORT, "eps", "step_size"]):
        for a, b in combinations(sorted(same.index), 2):
            both = right_NA[[a, b]].dropna()
            estimate, low, high = binary_difference(both[a].to_numpy(), both[b].to_numpy())
            detail = f"difference in accuracy {estimate:+.4f} [{low:+.4f}, {high:+.4f}], n = {len(both)}"
            numbers = {"estimate": estimate, "low": low, "high": high, "source": source}
            holds = abs(estimate) <= APART
            yield _check(
                "losses agree within 3 points", f"{a} and {b} {on}", holds, detail, len(both), "warning", **numbers
            )


def _single_steps_have_company(facts: pd.DataFrame, right_NA: pd.DataFrame, source: str, on: str) -> Iterator[Check]:
    """A net that was fitted to FGSM looks robust under it alone: several steps stand beside it, at the same eps."""
    several = facts[facts["kind"].isin(ITERATED) & (facts["steps"] > 1)]
    for single in facts[facts["kind"] == "fgsm"].itertuples():
        beside = sorted(several.index[(several["norm"] == single.norm) & (several["eps"] == single.eps)])
        detail = f"beside it: {', '.join(beside) or 'no attack of several steps'} at eps {single.eps:g}"
        n = int(right_NA[single.Index].count())
        check = "several steps stand beside FGSM at its eps"
        yield _check(check, f"{single.Index} {on}", bool(beside), detail, n, "warning", source=source)


def nets_have_learnt(examples: pa.Table) -> list[Check]:
    """A net that is right by chance or names one class cannot be fooled: its robustness says nothing."""
    columns = [*MODEL_KEYS, "index", "label", "predicted_clean"]
    checks = []
    for (source, seed), images in one_row_per_image(examples.select(columns).to_pandas()).groupby(MODEL_KEYS):
        right, n = int((images["predicted_clean"] == images["label"]).sum()), len(images)
        low, high = wilson(right, n, CONFIDENCE)
        named = images["predicted_clean"].nunique()
        detail = (
            f"{right / n:.1%} of {n} are right when clean, always naming the commonest class gives "
            f"{majority_class_accuracy(images['label']):.1%}; it names {named} of {images['label'].nunique()} classes"
        )
        numbers = {"estimate": right / n, "low": low, "high": high, "source": source}
        holds = is_better_than_chance(images)
        checks.append(_check(CHANCE, f"{source} seed {seed}", holds, detail, n, "warning", **numbers))
    return checks


def clean_accuracy_is_as_tested(examples: pa.Table, quality: pa.Table) -> list[Check]:
    """The clean accuracy of the attacked images is that of all test images, within the former's interval.

    It is not where training images were attacked, labels are shuffled or the net is another one.
    """
    error = quality.select(["classifier", "seed", "error"]).to_pandas().set_index(["classifier", "seed"])["error"]
    columns = [*MODEL_KEYS, "index", "label", "predicted_clean"]
    checks = []
    for (source, seed), images in one_row_per_image(examples.select(columns).to_pandas()).groupby(MODEL_KEYS):
        if (source, seed) not in error.index:
            continue
        right, n, tested = (
            int((images["predicted_clean"] == images["label"]).sum()),
            len(images),
            1 - error[source, seed],
        )
        low, high = wilson(right, n, CONFIDENCE)
        detail = f"{right / n:.1%} of {n} attacked images are right when clean, {tested:.1%} of all test images"
        numbers = {"estimate": right / n - tested, "low": low - tested, "high": high - tested, "source": source}
        holds = low <= tested <= high
        check = "clean accuracy is the test accuracy"
        checks.append(statistical(check, f"{source} seed {seed}", holds, detail, n, **numbers))
    return checks


def numbers_are_finite(examples: pa.Table) -> list[Check]:
    """No fact about an example is missing or infinite; a net whose outputs are no numbers is not fooled but broken."""
    facts = ["confidence", "linf", "l2", "rms", "gradient_calls", "forward_calls"]
    rows = examples.select([*MODEL_KEYS, "attack", *facts]).to_pandas()
    rows["strange"] = ~np.isfinite(rows[facts].to_numpy(float)).all(1)
    checks = []
    for (source, seed, attack), group in rows.groupby([*MODEL_KEYS, "attack"]):
        strange, n = int(group["strange"].sum()), len(group)
        detail = f"{strange} of {n} rows have a fact that is no number, such as the confidence"
        subject = f"{attack} on {source} seed {seed}"
        checks.append(_check("facts are numbers", subject, strange == 0, detail, n, source=source))
    return checks


def attacks_meet_the_same_images(examples: pa.Table) -> list[Check]:
    """All attacks on a net met the same images, and the same net: it answers alike on the clean ones.

    One answer, or one in a hundred, may differ: devices round differently. A warning where the net is known to answer
    otherwise each time, and all attacks averaged over that.
    """
    columns = [*MODEL_KEYS, "attack", "index", "predicted_clean", *AVERAGED]
    checks = []
    for (source, seed), net in examples.select(columns).to_pandas().groupby(MODEL_KEYS):
        subject = f"{source} seed {seed}"
        clean_NA = net.pivot(index="index", columns="attack", values="predicted_clean")
        other, n = int(clean_NA.isna().any(axis=1).sum()), len(clean_NA)
        detail = f"{other} of {n} images are not under all of {clean_NA.shape[1]} attacks"
        checks.append(_check("attacks meet the same images", subject, other == 0, detail, n, source=source))
        shared = clean_NA.dropna()
        answers = int((shared.nunique(axis=1) > 1).sum())
        detail = f"{answers} of {len(shared)} clean images have another prediction under another attack"
        holds, kind = answers <= max(1, FEW_LEFT * len(shared)), "warning" if _averaged(net) else "check"
        checks.append(_check("attacks meet the same net", subject, holds, detail, len(shared), kind, source=source))
    return checks


def steps_reach_the_border(examples: pa.Table) -> list[Check]:
    """An attack whose steps are too short or too few for its ball explores only a part of it."""
    columns = ["attack", "norm", "eps", "steps", "step_size"]
    rows = examples.select(columns).to_pandas()
    rows = rows[rows["norm"].isin(["linf", "l2"]) & rows["eps"].notna() & (rows["step_size"] > 0)]
    checks = []
    for name, group in rows.groupby("attack"):
        attack = group.iloc[0]
        detail = f"{attack['steps']} steps of {attack['step_size']:g}, eps is {attack['eps']:g}"
        check = "the steps reach the ball's border"
        checks.append(_check(check, str(name), _reaches(attack), detail, len(group), "warning"))
    return checks


def smallest_changes_are_found(examples: pa.Table) -> list[Check]:
    """An attack that may go as far as it likes leaves next to nothing right: there is an image of another class."""
    columns = [*MODEL_KEYS, "attack", "kind", "norm", "eps", "index", "label", "predicted_clean", "predicted"]
    rows = examples.select(columns).to_pandas()
    rows["right"] = (rows["predicted_clean"] == rows["label"]) & (rows["predicted"] == rows["label"])
    rows = rows[rows["norm"].isin([*NORMS, "l0"]) & rows["eps"].isna()]
    rows = rows[rows["kind"] != "jsma"]  # which changes a share of the pixels at most
    checks = []
    for (source, seed, attack), group in rows.groupby([*MODEL_KEYS, "attack"]):
        if not is_better_than_chance(group):
            continue
        left, n = int(group["right"].sum()), len(group)
        low, high = wilson(left, n, CONFIDENCE)
        detail = f"{left} of {n} are right under {attack}, which has no budget"
        numbers = {"estimate": left / n, "low": low, "high": high, "source": source}
        check, subject = "an attack without a budget leaves nothing right", f"{attack} on {source} seed {seed}"
        checks.append(_check(check, subject, left <= FEW_LEFT * n, detail, n, "warning", **numbers))
    return checks


def nets_answer_alike(examples: pa.Table) -> list[Check]:
    """Shown again in another batch, a net gives the same logits; if not, attacks must average over its randomness.

    A warning where all of them do.
    """
    rows = examples.select([*MODEL_KEYS, "index", *AVERAGED]).to_pandas()
    checks = []
    for (source, seed), net in rows.groupby(MODEL_KEYS):
        images = one_row_per_image(net)
        unstable, n = int(images["unstable"].sum()), len(images)
        low, high = wilson(unstable, n, CONFIDENCE)
        detail = f"{unstable} of {n} clean images get other logits in another batch"
        numbers = {"estimate": unstable / n, "low": low, "high": high, "source": source}
        holds, check = unstable <= FEW_LEFT * n, ALIKE
        kind, detail = "warning" if _averaged(net) else "check", detail if holds else f"{detail}; {REMEDY}"
        checks.append(_check(check, f"{source} seed {seed}", holds, detail, n, kind, **numbers))
    return checks


def _averaged(examples: pd.DataFrame) -> bool:
    """Whether a net answers otherwise each time and all attacks on it average over that; noise seeks nothing."""
    losses = examples.loc[examples["kind"] != "gaussian_noise", "loss"].unique()
    expected = len(losses) > 0 and all(loss.startswith("expected ") for loss in losses)
    return bool(examples["unstable"].mean() > FEW_LEFT and expected)


def certified_radii_hold(certification: pa.Table, examples: pa.Table) -> list[Check]:
    """No adversarial example lies inside the radius that was certified for its net, image and norm.

    By its size in that norm, whatever the attack had in mind. A smoothed net is another one than the attacked net, so
    that its radii are not refuted by examples of the latter.
    """
    return _radii_hold(certification, examples.select(MET).to_pandas(), "")


def certified_radii_hold_for_others(certification: pa.Table, examples: pa.Table, transferred: pa.Table) -> list[Check]:
    """The same of the examples that were crafted on other nets and shown to the certified one.

    They must be of the data set that the net was attacked on itself: of another one, an index names another image.
    Amplified ones may have left the box, for which radii are certified.
    """
    rows = transferred.to_pandas()
    own = (rows["source"] == rows["target"]) & (rows["source_seed"] == rows["target_seed"])
    rows = rows[~own & ~rows["amplified"]]
    rows["attack"] += " from " + rows["source"] + " seed " + rows["source_seed"].astype(str)
    rows = rows.assign(source=rows["target"], source_seed=rows["target_seed"])
    attacked = examples.select([*MODEL_KEYS, "tested_on", "index", "label"]).to_pandas().drop_duplicates()
    met = rows.merge(attacked).drop_duplicates([*MODEL_KEYS, "attack", "index"])  # studies may share rows
    return _radii_hold(certification, met, ", examples of other nets")


def _radii_hold(certification: pa.Table, examples: pd.DataFrame, which: str) -> list[Check]:
    proven = certification.select([*CERTIFIED, "norm", "smoothed", "predicted", "radius"]).to_pandas()
    proven = proven[~proven["smoothed"]].rename(columns={"seed": "source_seed", "predicted": "certain"})
    met = proven.merge(examples[MET], on=[*MODEL_KEYS, "index"])
    met["size"] = met["l2"].where(met["norm"] == "l2", met["linf"])
    met["broken"] = (met["predicted"] != met["certain"]) & (met["size"] < met["radius"] - SLACK)
    checks = []
    for (certification_, source, seed), group in met.groupby(["certification", *MODEL_KEYS]):
        broken, n = group[group["broken"]], len(group)
        attacks = ", ".join(sorted(set(broken["attack"])))
        detail = f"{len(broken)} of {n} examples lie inside a certified radius and get another label"
        detail += f" ({attacks})" if attacks else ""
        subject = f"{certification_} of {source} seed {seed}{which}"
        checks.append(_check("certified radii hold", subject, broken.empty, detail, n, source=source))
    return checks


def gradients_are_there(examples: pa.Table) -> list[Check]:
    """At next to all images some gradient attack of each budget has a gradient that is not zero: else it sees nothing.

    Each by its own loss at the clean image: the cross-entropy may saturate where a margin stands beside it. Fails
    whatever the number of images is.
    """
    columns = [*MODEL_KEYS, "norm", "eps", "index", "zero_gradient", "gradient_calls"]
    rows = examples.select(columns).to_pandas()
    checks = []
    for (source, seed), group in rows.groupby(MODEL_KEYS):
        used = group[group["gradient_calls"] > 0]
        budgets = (used if len(used) else group).groupby(["norm", "eps", "index"], dropna=False)["zero_gradient"]
        zero_N = budgets.min().groupby("index").max()
        zeros, n = int(zero_N.sum()), len(zero_N)
        low, high = wilson(zeros, n, CONFIDENCE)
        numbers = {"estimate": zeros / n, "low": low, "high": high, "source": source}
        detail = f"{zeros} of {n} images have a gradient of exactly zero under all gradient attacks of a budget"
        holds = zeros < n and zeros <= max(SOME_ZERO, ZERO_GRADIENTS * n)
        checks.append(_check(GRADIENTS, f"{source} seed {seed}", holds, detail, n, **numbers))
    return checks


def binary_difference(a_N: Any, b_N: Any) -> tuple[float, float, float]:
    """Mean of a - b for values 0 and 1 of the same examples, with its bootstrap interval: a multinomial's quantiles."""
    n = len(a_N)
    if n == 0:
        return 0.0, -1.0, 1.0
    ups, downs = int((a_N > b_N).sum()), int((a_N < b_N).sum())
    random = np.random.default_rng(seeds.derive(0, "laws"))
    counts = random.multinomial(n, [ups / n, downs / n, 1 - (ups + downs) / n], size=RESAMPLES)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile((counts[:, 0] - counts[:, 1]) / n, [tail, 1 - tail])
    return (ups - downs) / n, float(low), float(high)


def _paired(check: str, subject: str, small: Any, large: Any, unit: str, kind: str = "check") -> Check:
    """`small` must not exceed `large`, judged by the paired interval of their difference."""
    return _judged(check, subject, paired_difference(small, large, 0, CONFIDENCE), len(small), unit, None, kind)


def statistical(
    check: str, subject: str, holds: bool, detail: str, n: int, kind: str = "check", **numbers: Any
) -> Check:
    """A check over n examples; a mere warning with too few to judge: without an interval that takes more of them."""
    least = MIN_WITHOUT_INTERVAL if numbers.get("low") is None else MIN_FOR_INTERVAL
    if n < least:
        kind = "warning"
        if not holds or least == MIN_WITHOUT_INTERVAL:
            detail = f"{detail}; inconclusive with fewer than {least} examples"
    return _check(check, subject, holds, detail, n, kind, **numbers)


def _judged(
    check: str,
    subject: str,
    difference: tuple[float, float, float],
    n: int,
    unit: str,
    source: str | None,
    kind: str = "check",
) -> Check:
    """A difference that must not be positive: it fails where its interval lies above zero."""
    estimate, low, high = difference
    numbers = {"estimate": estimate, "low": low, "high": high, "source": source}
    detail = f"difference in {unit} {estimate:+.4f} [{low:+.4f}, {high:+.4f}], n = {n}"
    if estimate > 0 and n >= MIN_FOR_INTERVAL:
        detail += f"; {INTERVAL} excludes 0" if low > 0 else f"; inconclusive: {INTERVAL} includes 0"
    return statistical(check, subject, low <= 0, detail, n, kind, **numbers)


def white_box_is_strongest(transfer: pa.Table, transferred: pa.Table | None = None) -> list[Check]:
    """Examples crafted on a model fool it at least as often as those crafted on another one do (the column), and fool
    it at least as often as any other model (the row).

    Models that have learnt nothing, by the answers in `transferred`, are left out. The row is a check where the attack
    seeks the smallest change, which succeeds on all images of its own model. Else it is a warning and counts the error
    beyond each model's clean one: another model may simply be weaker.
    """
    rows = transfer.to_pandas()
    for source, seed in [] if transferred is None else _targets_at_chance(transferred):
        as_source = (rows["source"] == source) & (rows["source_seed"] == seed)
        rows = rows[~as_source & ~((rows["target"] == source) & (rows["target_seed"] == seed))]
    rows = rows[rows["norm"] != "none"]
    rows["excess"] = rows["error"] - rows["clean_error"]
    own = (rows["source"] == rows["target"]) & (rows["source_seed"] == rows["target_seed"])
    checks = []
    for white in rows[own].itertuples():
        same = rows[~own & (rows["study"] == white.study) & (rows["attack"] == white.attack)]
        column = same[(same["target"] == white.target) & (same["target_seed"] == white.target_seed)]
        row = same[(same["source"] == white.source) & (same["source_seed"] == white.source_seed)]
        net = f"{white.target} seed {white.target_seed}"
        smallest = bool(np.isnan(white.eps))
        for others, place, measure in ((column, "column", "error"), (row, "row", "error" if smallest else "excess")):
            if len(others):
                other = others.loc[others[measure].idxmax()]
                detail = f"strongest other entry: {other['source']} on {other['target']}"
                kind = "check" if place == "column" or smallest else "warning"
                subject = f"{white.attack} on {net} in {white.study}"
                difference = _independent_difference(other, white._asdict(), measure)
                check = _judged(
                    f"white box leads its {place}", subject, difference, int(white.n), "error", white.target, kind
                )
                checks.append({**check, "detail": f"{check['detail']}; not paired; {detail}"})
    return checks


def _targets_at_chance(transferred: pa.Table) -> list[tuple[str, int]]:
    answers = transferred.select(["target", "target_seed", "index", "label", "predicted_clean"]).to_pandas()
    return models_at_chance(answers.rename(columns={"target": "source", "target_seed": "source_seed"}))


def _independent_difference(a: Any, b: Any, measure: str) -> tuple[float, float, float]:
    """Difference of two shares as if of separate examples, with its score interval [newcombe1998interval]."""
    estimate = a[measure] - b[measure]
    (a_low, a_high), (b_low, b_high) = (wilson(round(x["error"] * x["n"]), x["n"], CONFIDENCE) for x in (a, b))
    below = np.hypot(a["error"] - a_low, b_high - b["error"])
    above = np.hypot(a_high - a["error"], b["error"] - b_low)
    return float(estimate), float(estimate - below), float(estimate + above)


def contextual_loss_is_better(inpainting: pa.Table) -> list[Check]:
    """Leaving missing pixels out of the loss restores better than counting them as black."""
    columns = ["inpainting", "generator", "seed", "mask", "method", "index", "mse_whole"]
    rows = inpainting.select(columns).to_pandas()
    checks = []
    for keys, group in rows.groupby(["inpainting", "generator", "seed", "mask"]):
        methods = {name: one.set_index("index")["mse_whole"] for name, one in group.groupby("method")}
        if {"full", "contextual"} <= set(methods):
            a, b = methods["contextual"], methods["full"].loc[methods["contextual"].index]
            subject = f"{keys[3]} with {keys[1]} seed {keys[2]} in {keys[0]}"
            checks.append(_paired("contextual loss is better", subject, a.to_numpy(float), b.to_numpy(float), "MSE"))
    return checks


ORDER = ("pepper", "square", "crosswalk")


def masks_in_order(inpainting: pa.Table) -> list[Check]:
    """The order of the report that started the generative lab, under its own loss: which masks cost more error.

    By the error per missing pixel: a mask that hides more would cost more of a whole image's error by that alone. A
    warning, since it is a finding of that report, not a law of nature. Masks are known by their names in the study.
    """
    columns = ["inpainting", "generator", "seed", "mask", "method", "index", "mse_missing"]
    rows = inpainting.select(columns).to_pandas()
    checks = []
    for keys, group in rows[rows["method"] == "full"].groupby(["inpainting", "generator", "seed"]):
        masks = {name: one.set_index("index")["mse_missing"] for name, one in group.groupby("mask")}
        for easy, hard in pairwise(ORDER):
            if {easy, hard} <= set(masks):
                a, b = masks[easy], masks[hard].loc[masks[easy].index]
                subject = f"{easy} against {hard} with {keys[1]} seed {keys[2]} in {keys[0]}"
                checks.append(_paired("the report's order of masks", subject, a, b, "MSE per missing pixel", "warning"))
    return checks


def judge_is_calibrated(calibration: pa.Table) -> list[Check]:
    """Real training images stand below every other level of the judge's calibration."""
    checks = []
    for dataset, levels in calibration.to_pandas().groupby("dataset"):
        frechet_distance = levels.set_index("level")["frechet_distance"]
        best = str(frechet_distance.idxmin())
        detail = (
            f"lowest level is {best!r} at {frechet_distance.min():.1f}, next {frechet_distance.drop(best).min():.1f}"
        )
        n = int(levels["n"].min())
        checks.append(statistical("real images are the lowest level", str(dataset), best == "real train", detail, n))
    return checks


STALLED = 0.5
"""Share of a training's steps from which on its gradient has vanished, or its discriminator overpowered, for good."""


def gans_have_learnt(quality: pa.Table) -> list[Check]:
    """Samples have not collapsed, and neither network kept the other from learning for most of the training.

    A warning, since to fail so may be what a study shows.
    """
    checks = []
    for one in quality.to_pylist():
        stalled, collapsed = max(one["vanishing"], one["overpowered"]), "collapsed, " if one["collapsed"] else ""
        detail = (
            f"{collapsed}{one['classes']} of {len(one['class_share'])} classes over 1 %; "
            f"{one['vanishing']:.1%} of the steps had a vanishing gradient, {one['overpowered']:.1%} an overpowering "
            "discriminator"
        )
        subject, holds = f"{one['gan']} seed {one['seed']}", not one["collapsed"] and stalled < STALLED
        checks.append(_check("the GAN has learnt", subject, holds, detail, one["n"], "warning", estimate=stalled))
    return checks


STATISTICAL: dict[tuple[str, ...], tuple[Test, ...]] = {
    ("examples",): (
        attacks_in_order,
        gradients_are_there,
        nets_have_learnt,
        nets_answer_alike,
        steps_reach_the_border,
        smallest_changes_are_found,
    ),
    ("transfer", "transferred"): (white_box_is_strongest,),
    ("inpainting",): (contextual_loss_is_better, masks_in_order),
    ("calibration",): (judge_is_calibrated,),
    ("gan_quality",): (gans_have_learnt,),
}
"""By the kinds of tables that they look at."""
INVARIANT: dict[tuple[str, ...], tuple[Test, ...]] = {
    ("examples",): (numbers_are_finite, attacks_meet_the_same_images),
    ("examples", "classifier_quality"): (clean_accuracy_is_as_tested,),
    ("certification", "examples"): (certified_radii_hold,),
    ("certification", "examples", "transferred"): (certified_radii_hold_for_others,),
}
