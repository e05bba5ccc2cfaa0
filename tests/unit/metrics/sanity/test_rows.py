"""Each check's row as it stands in the table: subject, detail, numbers and limits, on tables of a few rows."""

import math

import numpy as np
import pandas as pd
import pytest

from advgen.core.catalog import TABLES
from advgen.core.schema import Image
from advgen.io.tables import arrow_table
from advgen.metrics.intervals import paired_difference, wilson
from advgen.metrics.sanity.classifiers import check_gradients
from advgen.metrics.sanity.generative import check_contextual_loss, check_mask_order
from advgen.metrics.sanity.integrity import check_pixels
from advgen.metrics.sanity.results import binary_difference, check_not_worse, independent_difference
from advgen.metrics.sanity.strength import (
    Comparison,
    compare_attacks,
    compare_budgets,
    compare_effort,
    list_comparisons,
)

N = 200


def examples(*attacks, n=N, images=None):
    """Rows of attacks on one net: each a dict of what is not as usual; `right` says how many stay right."""
    blank = {
        name: 0 if str(type_) != "string" else "none"
        for name, type_ in TABLES["examples"].columns.items()
        if not isinstance(type_, Image)
    }
    parts = []
    for one in attacks:
        facts = {**blank, "source": "net", "norm": "linf", "eps": 0.1, "kind": "pgd", "steps": 10, "restarts": 1}
        facts |= {"step_size": 0.025, "loss": "margin", "label": 0, "predicted_clean": 0, "zero_gradient": False}
        facts |= {"unstable": False, **one}
        right = facts.pop("right", n)
        frame = pd.DataFrame({**facts, "index": np.arange(n)}, index=range(n))
        frame["predicted"] = (np.arange(n) >= right).astype(int)
        parts.append(frame)
    whole = pd.concat(parts, ignore_index=True)
    image = np.full((len(whole), 1, 1, 2), 0.5, np.float32)
    adversarial = image.copy() if images is None else np.asarray(images, np.float32).reshape(image.shape)
    columns = {name: whole[name].tolist() for name in whole.columns}
    return arrow_table("examples", {**columns, "image": image, "adversarial": adversarial})


def named(found, check):
    return [one for one in found if one["check"] == check]


def test_ball_box_and_numbers_at_their_limits():
    """A change of (0.1, 0.2): 0.2 in L∞, √0.05 in L2, 0.3 in L1."""
    changed = [[0.6, 0.7], [0.5, 0.5]]
    for norm, size in (("linf", 0.2), ("l2", math.sqrt(0.05)), ("l1", 0.3)):
        for eps, holds in ((size + 1e-5, True), (size - 1e-5, False)):
            table = examples({"attack": "pgd", "norm": norm, "eps": eps}, n=2, images=changed)
            finite, box, ball = check_pixels(table)
            assert [one["check"] for one in (finite, box, ball)] == ["finite", "box", "ball"]
            assert (finite["holds"], box["holds"], ball["holds"]) == (True, True, holds)
            assert ball["detail"] == f"largest {norm} change is {size:.6f}, eps is {eps:g}"
            assert box["detail"] == "pixels leave [0, 1] by 0.0e+00"
            assert {one["subject"] for one in (finite, box, ball)} == {"pgd on net seed 0"}
            assert {one["source"] for one in (finite, box, ball)} == {"net"}
            assert {one["n"] for one in (finite, box, ball)} == {2}
    for norm, eps in (("none", 0.1), ("linf", None)):
        no_ball = check_pixels(examples({"attack": "a", "norm": norm, "eps": eps}, n=2, images=changed))
        assert [one["check"] for one in no_ball] == ["finite", "box"]


@pytest.mark.parametrize(("pixel", "by"), [(-0.25, "2.5e-01"), (1.5, "5.0e-01")])
def test_what_leaves_the_box_is_told(pixel, by):
    _, box, _ = check_pixels(examples({"attack": "pgd", "eps": 2}, n=2, images=[[0.5, pixel], [0.5, 0.5]]))
    assert (box["holds"], box["detail"]) == (False, f"pixels leave [0, 1] by {by}")
    for number in (math.nan, math.inf):
        finite, *others = check_pixels(examples({"attack": "pgd"}, n=2, images=[[0.5, number], [0.5, 0.5]]))
        assert not any(one["holds"] for one in others)
        assert (finite["holds"], finite["detail"]) == (False, "1 of 2 examples have pixels that are not finite")


def test_accuracies_are_compared_with_their_interval():
    """PGD leaves 60 of 200 right, FGSM 100, so the difference is -0.2; the numbers stand in the row."""
    table = examples({"attack": "pgd", "right": 60}, {"attack": "fgsm", "kind": "fgsm", "right": 100})
    (one,) = named(compare_attacks(table), "PGD leaves no more right than FGSM")
    expected = binary_difference(np.arange(N) < 60.0, np.arange(N) < 100.0)
    assert (one["estimate"], one["low"], one["high"]) == expected
    assert expected[0] == -0.2
    assert -0.31 < expected[1] < -0.28 and -0.12 < expected[2] < -0.1
    assert one["detail"] == f"difference in accuracy -0.2000 [{expected[1]:+.4f}, {expected[2]:+.4f}], n = 200"
    assert (one["subject"], one["kind"], one["holds"]) == ("pgd against fgsm on net seed 0", "check", True)
    assert (one["source"], one["n"]) == ("net", 200)


def test_the_interval_of_a_difference_by_its_normal_limit():
    """40 ups and 20 downs of 400: mean 0.05, variance 60 / 400 - 0.0025; z = 3.29 for 99.9 %."""
    a, b = np.zeros(400), np.zeros(400)
    a[:40], b[40:60] = 1, 1
    estimate, low, high = binary_difference(a, b)
    half = 3.2905 * math.sqrt((0.15 - 0.0025) / 400)
    assert estimate == 0.05
    assert (low, high) == pytest.approx((0.05 - half, 0.05 + half), abs=0.004)
    assert binary_difference(a[:0], b[:0]) == (0, -1, 1)
    assert binary_difference(a, a) == (0, 0, 0)


@pytest.mark.parametrize(("left", "steps", "found"), [(0, 10, True), (1, 10, False)])
def test_nothing_is_left_at_eps_one(left, steps, found):
    table = examples({"attack": "pgd", "eps": 1.0, "right": left, "steps": steps}, {"attack": "small", "right": N})
    (one,) = named(compare_attacks(table), "eps = 1 leaves nothing right")
    assert (one["holds"], one["n"], one["source"]) == (found, 200, "net")
    assert (one["subject"], one["detail"]) == ("net seed 0", f"{left} of 200 are still classified correctly under pgd")
    below = examples({"attack": "pgd", "eps": 0.999, "right": 9})
    assert named(compare_attacks(below), "eps = 1 leaves nothing right") == []
    single = examples({"attack": "fgsm", "kind": "fgsm", "steps": 1, "eps": 1.0, "right": 9})
    assert named(compare_attacks(single), "eps = 1 leaves nothing right") == []


@pytest.mark.parametrize(("right", "holds"), [(100, True), (106, True), (107, False), (93, False)])
def test_losses_agree_up_to_three_points(right, holds):
    """6 of 200 are three points."""
    table = examples({"attack": "ce", "loss": "cross_entropy", "right": 100}, {"attack": "margin", "right": right})
    (one,) = named(compare_attacks(table), "losses agree within 3 points")
    assert (one["holds"], one["kind"], one["n"]) == (holds, "warning", 200)
    assert one["subject"] == "ce and margin on net seed 0"
    assert one["estimate"] == pytest.approx((100 - right) / 200)
    assert one["low"] <= one["estimate"] <= one["high"]
    assert one["detail"].startswith(f"difference in accuracy {(100 - right) / 200:+.4f} [")
    assert one["source"] == "net"


def test_single_steps_want_company_of_their_norm_and_eps():
    single = {"attack": "fgsm", "kind": "fgsm", "steps": 1}
    for other, holds in (
        ({}, True),
        ({"eps": 0.2}, False),
        ({"norm": "l2"}, False),
        ({"steps": 1}, False),
        ({"steps": 2}, True),
    ):
        found = compare_attacks(examples(single, {"attack": "pgd", **other}))
        (one,) = named(found, "several steps stand beside FGSM at its eps")
        assert (one["holds"], one["kind"], one["n"]) == (holds, "warning", 200)
        assert one["detail"] == f"multi-step attacks at eps 0.1: {'pgd' if holds else 'none'}"
        assert (one["subject"], one["source"]) == ("fgsm on net seed 0", "net")


def test_right_is_right_unattacked_and_attacked():
    """What is wrong clean but right under attack does not count as right."""
    table = examples({"attack": "pgd", "eps": 1.0, "predicted_clean": 1})
    (one,) = named(compare_attacks(table), "eps = 1 leaves nothing right")
    assert one["holds"]


def with_zero_gradients(zeros, n, *attacks):
    """Attacks whose gradients are zero on the first so many of n images each."""
    table = examples(*({"attack": f"attack {place}", **one} for place, one in enumerate(attacks)), n=n)
    gradients = [index < zero for zero in zeros for index in range(n)]
    return table.set_column(table.schema.get_field_index("zero_gradient"), "zero_gradient", [gradients])


@pytest.mark.parametrize(
    ("zero", "n", "holds"),
    [(2, 200, True), (3, 200, False), (10, 1000, True), (11, 1000, False), (3, 8, False), (2, 8, True), (1, 1, False)],
)
def test_a_few_zero_gradients_are_allowed_and_more_fail_at_any_n(zero, n, holds):
    used = {"gradient_calls": 10}
    (one,) = check_gradients(with_zero_gradients((zero, zero), n, used, used))
    assert (one["holds"], one["kind"], one["n"]) == (holds, "check", n)  # each image once, whatever the attacks
    assert (one["estimate"], one["low"], one["high"]) == (zero / n, *wilson(zero, n, 0.999))
    assert one["detail"] == f"{zero} of {n} images have a zero gradient under all gradient attacks of a budget"
    assert (one["subject"], one["source"]) == ("net seed 0", "net")


def test_one_attack_with_gradients_is_enough_for_its_budget():
    """A cross-entropy may saturate beside a margin; noise, and an attack of another budget, are no help."""
    used = {"gradient_calls": 10}
    for other, holds in (
        ({"gradient_calls": 10}, True),
        ({"gradient_calls": 0}, False),
        ({"gradient_calls": 10, "eps": 0.2}, False),
        ({"gradient_calls": 10, "norm": "l2"}, False),
    ):
        (one,) = check_gradients(with_zero_gradients((N, 0), N, used, other))
        assert one["holds"] == holds, other


def attack_table(*attacks):
    """Attacks by name: each a dict of what is not as usual."""
    usual = {"norm": "linf", "eps": 0.1, "kind": "pgd", "loss": "m", "steps": 10, "restarts": 1, "step_size": 1}
    return pd.DataFrame([{**usual, **one} for one in attacks]).set_index("attack")


def test_noise_is_compared_up_to_the_budget_of_an_attack():
    noise = {"kind": "gaussian_noise", "norm": "none", "loss": "none", "steps": 1, "step_size": 0}
    facts = attack_table(
        {"attack": "pgd"}, *({**noise, "attack": f"noise {eps}", "eps": eps} for eps in (0.05, 0.1, 0.2))
    )
    (one,) = list_comparisons(facts)
    check = "an attack leaves no more right than noise"
    assert one == Comparison(check, ["pgd"], ["noise 0.1"], attacks=["pgd"])
    in_l2 = facts.assign(norm=facts["norm"].replace("linf", "l2"))
    assert list(list_comparisons(in_l2)) == []


def test_square_is_compared_with_all_gradient_attacks_of_its_budget():
    facts = attack_table(*({"attack": kind, "kind": kind} for kind in ("pgd", "fgsm", "square")))
    found = {one.check: (one.strong, one.weak, one.kind) for one in list_comparisons(facts)}
    assert found == {
        "PGD leaves no more right than FGSM": (["pgd"], ["fgsm"], "check"),
        "a gradient attack leaves no more right than Square": (["pgd", "fgsm"], ["square"], "check"),
    }
    alone = {one.check: one.strong for one in list_comparisons(facts.drop("fgsm"))}
    assert alone == {"a gradient attack leaves no more right than Square": ["pgd"]}


def test_each_budget_is_compared_with_the_next_smaller_one_of_the_same_effort():
    rows = [{"attack": f"pgd {eps}", "eps": eps} for eps in (0.1, 0.2, 0.4)]
    rows += [{"attack": "long", "eps": 0.3, "steps": 20}]
    found = [(one.strong, one.weak, one.kind) for one in compare_budgets(attack_table(*rows))]
    assert sorted(found) == [(["pgd 0.2"], ["pgd 0.1"], "check"), (["pgd 0.4"], ["pgd 0.2"], "check")]
    for changed, kind in (
        ({"kind": "fgsm", "steps": 1}, "warning"),
        ({"step_size": 0.02}, "check"),  # ten steps of 0.02 reach 0.2
        ({"step_size": 0.0199}, "warning"),
    ):
        assert [one.kind for one in compare_budgets(attack_table(*rows[:2]).assign(**changed))] == [kind]


def test_more_effort_is_more_of_one_and_less_of_none_on_the_same_loss():
    effort = {"a": (10, 1), "b": (20, 1), "c": (10, 3), "d": (10, 1), "e": (5, 5)}
    rows = [{"attack": name, "steps": steps, "restarts": n} for name, (steps, n) in effort.items()]
    rows += [{"attack": "f", "steps": 40, "restarts": 9, "loss": "another"}]
    found = {(one.strong[0], one.weak[0]) for one in compare_effort(attack_table(*rows))}
    assert found == {("b", "a"), ("b", "d"), ("c", "a"), ("c", "d")}


def inpaintings(errors, measure, n=N):
    """Rows from {(mask, method): errors of the images}."""
    rows = [
        {"inpainting": "i", "generator": "g", "seed": 3, "mask": mask, "method": method, "index": index, measure: error}
        for (mask, method), values in errors.items()
        for index, error in enumerate(values)
    ]
    frame = pd.DataFrame(rows)

    class Table:
        def select(self, columns):
            return self

        def to_pandas(self):
            return frame.sample(frac=1, random_state=0)  # rows are matched by their index, not by their place

    return Table()


def test_the_masked_loss_is_judged_image_by_image():
    random = np.random.default_rng(0)
    full = random.random(N)
    masked = full - 0.01 * random.random(N)
    (one,) = check_contextual_loss(
        inpaintings({("square", "full"): full, ("square", "contextual"): masked}, "mse_whole")
    )
    assert (one["estimate"], one["low"], one["high"]) == pytest.approx(paired_difference(masked, full, 0), abs=1e-3)
    assert one["estimate"] == pytest.approx((masked - full).mean())
    assert (one["subject"], one["kind"], one["holds"], one["n"]) == ("square with g seed 3 in i", "check", True, N)
    assert one["detail"].startswith("difference in MSE -0.00")
    assert one["source"] is None
    worse = {("square", "full"): masked, ("square", "contextual"): full, ("pepper", "full"): full}
    (one,) = check_contextual_loss(inpaintings(worse, "mse_whole"))
    assert not one["holds"]


def test_the_order_of_masks_is_told_pair_by_pair():
    random = np.random.default_rng(0)
    base = random.random(N)
    errors = {("pepper", "full"): base, ("square", "full"): base + 0.1, ("crosswalk", "full"): base + 0.3}
    first, second = check_mask_order(inpaintings({**errors, ("pepper", "contextual"): base + 9}, "mse_missing"))
    assert first["subject"] == "pepper against square with g seed 3 in i"
    assert second["subject"] == "square against crosswalk with g seed 3 in i"
    assert (first["estimate"], second["estimate"]) == pytest.approx((-0.1, -0.2))
    assert first["detail"].startswith("difference in MSE per missing pixel -0.1000 [")
    assert (first["kind"], first["holds"], second["holds"]) == ("warning", True, True)
    swapped = {**errors, ("pepper", "full"): errors["square", "full"], ("square", "full"): base}
    assert [one["holds"] for one in check_mask_order(inpaintings(swapped, "mse_missing"))] == [False, True]


@pytest.mark.parametrize(("n", "kind"), [(29, "warning"), (30, "check"), (200, "check")])
def test_the_interval_decides_from_thirty_examples_on(n, kind):
    found = check_not_worse("check", "subject", (0.01, -0.02, 0.04), n, "unit", "net")
    assert (found["kind"], found["holds"]) == (kind, True)
    assert found["detail"].endswith("; inconclusive: the 99.9 % interval includes 0") == (n >= 30)
    assert check_not_worse("check", "subject", (0.0, 0.0, 0.1), n, "unit", "net")["holds"]
    worse = check_not_worse("check", "subject", (0.1, 1e-9, 0.2), n, "unit", "net")
    assert (worse["kind"], worse["holds"]) == (kind, False)
    words = "; the 99.9 % interval excludes 0" if n >= 30 else "; inconclusive with fewer than 30 examples"
    assert worse["detail"].endswith(words)


def test_a_weak_attack_is_a_warning_where_the_worst_case_of_its_budget_is_strong():
    """Of 200 images noise leaves 100 right and FGSM 150; PGD of the same budget leaves 10."""
    noise = {"attack": "noise", "kind": "gaussian_noise", "norm": "none", "right": 100}
    weak = {"attack": "fgsm", "kind": "fgsm", "steps": 1, "right": 150}
    for strong, kind in (({"right": 10}, "warning"), ({"right": 140}, "check"), ({"right": 10, "eps": 0.2}, "check")):
        table = examples(noise, weak, {"attack": "pgd", **strong})
        found = named(compare_attacks(table), "an attack leaves no more right than noise")
        one = next(one for one in found if one["subject"].startswith("fgsm"))
        assert (one["kind"], one["holds"]) == (kind, False)
        assert one["detail"].endswith("; the worst case with pgd passes") == (kind == "warning")


def test_an_ensemble_is_compared_with_square_without_its_own_square():
    square = {"attack": "square", "kind": "square", "right": 100}
    ensemble = {"attack": "ensemble", "kind": "ensemble", "right": 50}
    for member, holds in (("APGD-CE", True), ("Square", False)):
        found = compare_attacks(examples(square, {**ensemble, "found_by": member}))
        (one,) = named(found, "a gradient attack leaves no more right than Square")
        assert (one["kind"], one["holds"]) == ("check", holds)


def test_the_score_interval_of_two_shares():
    """[newcombe1998interval], method 10: 56 of 70 against 48 of 80 at 95 % give 0.0524 to 0.3339."""
    a, b = {"error": 56 / 70, "n": 70}, {"error": 48 / 80, "n": 80}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("advgen.metrics.sanity.results.CONFIDENCE", 0.95)
        found = independent_difference(a, b, "error")
    assert found == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
