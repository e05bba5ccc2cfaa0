"""Traps of an evaluation, planted in tables of sound studies: each is told; the sound ones raise no alarm."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from advgen.metrics.sanity.classifiers import check_better_than_chance
from advgen.metrics.sanity.results import Check
from advgen.metrics.sanity.strength import check_unlimited_attacks, compare_attacks
from advgen.metrics.sanity.table import CHECKS, INVARIANT, STATISTICAL, run_checks

TESTED = 10_000
Row = dict[str, Any]


def pgd(name: str, eps: float = 0.1, **keys: Any) -> Row:
    """An attack, with how much of the distance to the boundary it goes for nothing (`weak`)."""
    steps = keys.get("steps", 20)
    shared = {"kind": "pgd", "norm": "linf", "restarts": 1, "loss": "cross_entropy", "target": "none", "weak": 1.0}
    return {**shared, "attack": name, "eps": eps, "steps": steps, "step_size": 2.5 * eps / steps, **keys}


def fgsm(name: str, eps: float = 0.1) -> Row:
    return {**pgd(name, eps), "kind": "fgsm", "steps": 1, "step_size": eps, "weak": 1.15}


def other(name: str, kind: str, eps: float | None, **keys: Any) -> Row:
    return {**pgd(name), "kind": kind, "eps": eps, "step_size": 0.0, "loss": "margin", **keys}


def ensemble(name: str, **keys: Any) -> Row:
    """A mix of losses, which has no step size of its own."""
    return other(name, "ensemble", 0.1, **{"loss": "quick", "weak": 0.98, **keys})


def apgd(name: str, **keys: Any) -> Row:
    return pgd(name, **{"kind": "apgd", "step_size": 0.2, "weak": 0.99, **keys})


NOISE = other("noise", "gaussian_noise", 0.1, norm="none", steps=0, loss="none", weak=2)
SQUARE = other("square", "square", 0.1, steps=1000, weak=1.2)
DEEPFOOL = other("deepfool", "deepfool", None, norm="l2", steps=50, loss="none")
BATTERY = (NOISE, fgsm("fgsm"), pgd("pgd"), SQUARE, DEEPFOOL)


def study(
    *attacks: Row,
    images: int = 1000,
    classes: int = 10,
    clean: float = 0.97,
    boundary: float = 0.1,
    nets: int = 1,
    seed: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Examples and test errors: a net is right on a share of all test images, each at its distance to the boundary."""
    random = np.random.default_rng(seed)
    labels = random.integers(classes, size=TESTED)
    index = np.sort(random.choice(TESTED, images, replace=False))
    parts, quality = [], []
    for net in range(nets):
        right = random.random(TESTED) < clean
        quality.append({"classifier": "net", "seed": net, "error": 1 - right.mean()})
        wrong = (labels + random.integers(1, classes, size=TESTED)) % classes
        distance = boundary * random.lognormal(0, 0.5, size=TESTED)
        for attack in attacks:
            facts = {key: value for key, value in attack.items() if key != "weak"}
            reach = np.inf if attack["eps"] is None else attack["eps"]
            fooled = reach >= distance * attack["weak"]
            rows = pd.DataFrame({"index": index, "label": labels[index]})
            rows["predicted_clean"] = np.where(right, labels, wrong)[index]
            rows["predicted"] = np.where(right & ~fooled, labels, wrong)[index]
            rows = rows.assign(
                source="net", source_seed=net, zero_gradient=False, unstable=False, found_by=None, **facts
            )
            parts.append(rows.assign(confidence=0.9, linf=0.1, l2=1.0, rms=0.05, gradient_calls=1.0, forward_calls=1.0))
    examples = pd.concat(parts, ignore_index=True).astype({"eps": float})
    return examples, pd.DataFrame(quality)


def checked(examples: pd.DataFrame, quality: pd.DataFrame) -> list[Check]:
    tables = {"examples": pa.Table.from_pandas(examples), "classifier_quality": pa.Table.from_pandas(quality)}
    found = run_checks(tables, STATISTICAL, INVARIANT)
    assert {check["check"] for check in found} <= {check.name for check in CHECKS}
    return found


def broken(found: list[Check]) -> dict[str, str]:
    return {check["check"]: check["kind"] for check in found if not check["holds"]}


SOUND: dict[str, tuple[pd.DataFrame, pd.DataFrame]] = {
    "a battery": study(*BATTERY),
    "few images": study(*BATTERY, images=40, seed=1),
    "all test images": study(*BATTERY, images=TESTED, seed=2),
    "two classes": study(*BATTERY, classes=2, clean=0.9, seed=3),
    "a weak net": study(*BATTERY, clean=0.35, seed=4),
    "a perfect net": study(*BATTERY, clean=1.0, seed=5),
    "a robust net": study(*BATTERY, boundary=0.5, seed=6),
    "three seeds": study(*BATTERY, nets=3, images=500, seed=7),
    "balls of growing size": study(
        *(make(f"{make.__name__}-{eps}", eps) for make in (fgsm, pgd) for eps in (0.05, 0.1, 0.2, 1.0)), seed=8
    ),
    "another loss with more steps": study(
        pgd("short"), pgd("long", steps=40, loss="margin", weak=1.02), images=3000, seed=9
    ),
    "restarts": study(
        pgd("once"), pgd("five times", restarts=5, weak=0.99), pgd("long", steps=100, weak=0.98), seed=10
    ),
    "balls in L2": study(pgd("l2", 1.5, norm="l2"), pgd("l2-large", 3, norm="l2"), DEEPFOOL, boundary=2, seed=11),
    "smallest changes": study(
        pgd("pgd"), DEEPFOOL, other("lbfgs", "lbfgs", None, norm="l2", target="nearest"), seed=12
    ),
    "ensembles": study(*BATTERY, apgd("apgd"), apgd("targeted", loss="targeted dlr"), ensemble("quick"), seed=14),
    "a targeted loss that is weaker than one step": study(
        fgsm("fgsm"), apgd("targeted", loss="targeted dlr", weak=1.15), seed=15
    ),
    "balls in L1": study(
        *(apgd(f"apgd-{eps}", eps=eps, norm="l1", step_size=eps) for eps in (0.1, 0.2)),
        other("fmn", "fmn", None, norm="l1"),
        seed=16,
    ),
    "a sparse attack within its share": study(pgd("pgd"), other("jsma", "jsma", None, norm="l0", target="2"), seed=13),
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_study_raises_no_alarm(name: str) -> None:
    found = checked(*SOUND[name])
    assert found
    assert broken(found) == {}


def plant(rows: Callable[[pd.DataFrame], Any], **values: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """A fault in some rows: values, or what becomes of the column."""

    def change(examples: pd.DataFrame) -> pd.DataFrame:
        where = rows(examples)
        for column, value in values.items():
            before = examples.loc[where, column]
            examples.loc[where, column] = value(before) if callable(value) else value
        return examples

    return change


def of(attack: str, share: float = 1.0) -> Callable[[pd.DataFrame], Any]:
    """The rows of an attack, or those of a share of its images."""
    return lambda examples: (examples["attack"] == attack) & (examples["index"] < share * TESTED)


def everywhere(examples: pd.DataFrame) -> Any:
    return examples.index >= 0


def shuffle(labels: pd.Series) -> Any:
    return np.random.default_rng(0).permutation(labels)


def spare(attack: str, share: float) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """An attack that leaves a share of the images as they are."""

    def change(examples: pd.DataFrame) -> pd.DataFrame:
        where = of(attack, share)(examples)
        examples.loc[where, "predicted"] = examples.loc[where, "predicted_clean"]
        return examples

    return change


def memorised(examples: pd.DataFrame) -> pd.DataFrame:
    return examples.assign(predicted_clean=examples["label"])


TRAPS: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], dict[str, str]]] = {
    "outputs that are no numbers": (plant(of("pgd", 0.01), confidence=np.nan), {"facts are numbers": "check"}),
    "an infinite change": (plant(of("pgd", 0.01), l2=np.inf), {"facts are numbers": "check"}),
    "one class for all": (
        plant(everywhere, predicted_clean=3, predicted=3),
        {"the net is better than chance": "warning", "clean accuracy is the test accuracy": "check"},
    ),
    "shuffled labels": (
        plant(everywhere, label=shuffle),
        {"the net is better than chance": "warning", "clean accuracy is the test accuracy": "check"},
    ),
    "training images": (memorised, {"clean accuracy is the test accuracy": "check"}),
    "other images under one attack": (
        plant(of("pgd"), index=lambda index: index + TESTED),
        {"attacks meet the same images": "check"},
    ),
    "an image less under one attack": (
        lambda examples: examples[~((examples["attack"] == "pgd") & (examples["index"] == examples["index"].min()))],
        {"attacks meet the same images": "check"},
    ),
    "another net under one attack": (
        plant(of("deepfool", 0.05), predicted_clean=lambda labels: (labels + 1) % 10),
        {"attacks meet the same net": "check"},
    ),
    "steps too short": (plant(of("pgd"), step_size=0.004), {"the steps reach the ball's border": "warning"}),
    "a blind search for the smallest change": (
        spare("deepfool", 0.05),
        {"an attack without a budget leaves nothing right": "warning"},
    ),
    "fitted to single steps": (
        lambda examples: plant(of("pgd"), predicted=-1)(
            plant(of("square"), predicted=-1)(spare("fgsm", 0.9)(examples))
        ),
        {"an attack leaves no more right than noise": "warning"},
    ),
    "a stochastic net": (plant(everywhere, unstable=True), {"two passes give the same logits": "check"}),
    "a stochastic net, averaged over by one attack": (
        lambda examples: plant(of("pgd"), loss="expected cross_entropy")(plant(everywhere, unstable=True)(examples)),
        {"two passes give the same logits": "check"},
    ),
    "no gradients": (
        plant(lambda examples: examples["index"] < 0.3 * TESTED, zero_gradient=True),
        {"input gradients are not zero": "check"},
    ),
    "steps that lead nowhere": (
        spare("pgd", 1.0),
        {"PGD leaves no more right than FGSM": "check", "an attack leaves no more right than noise": "warning"},
    ),
    "attacks that lead nowhere": (
        lambda examples: spare("square", 1.0)(spare("fgsm", 1.0)(spare("pgd", 1.0)(examples))),
        {"an attack leaves no more right than noise": "check"},
    ),
    "masked gradients": (
        lambda examples: spare("fgsm", 1.0)(spare("pgd", 1.0)(examples)),
        {"a gradient attack leaves no more right than Square": "check"},
    ),
}


@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_is_told(name: str) -> None:
    change, expected = TRAPS[name]
    examples, quality = study(*BATTERY)
    assert broken(checked(change(examples), quality)).items() >= expected.items()


@pytest.mark.parametrize(
    ("blind", "name"), [(ensemble("blind"), "an ensemble"), (apgd("blind"), "APGD"), (pgd("blind"), "PGD")]
)
def test_an_attack_of_several_steps_that_leaves_everything_right_is_told(blind: Row, name: str) -> None:
    """Beside FGSM and Square, of which each tells it; a warning where an attack of its budget does as it should."""
    sound = apgd("sound") if name == "PGD" else pgd("sound")
    for weaker, check in (
        (fgsm("fgsm"), f"{name} leaves no more right than FGSM"),
        (SQUARE, "a gradient attack leaves no more right than Square"),
    ):
        for beside, kind in (([sound], "warning"), ([], "check")):
            examples, quality = study(*beside, blind, weaker)
            found = [one for one in checked(spare("blind", 1.0)(examples), quality) if one["check"] == check]
            outcome = [(one["kind"], one["holds"]) for one in found if one["subject"].startswith("blind ")]
            assert outcome == [(kind, False)]


LARGER, EFFORT = "a larger eps leaves no more right", "more steps or restarts leave no more right"
WEAK: dict[str, tuple[tuple[Row, ...], tuple[str, float], dict[str, str]]] = {
    "more steps that leave more": ((pgd("a"), pgd("b", steps=40, weak=1.2)), ("", 0), {EFFORT: "check"}),
    "more restarts that leave more": ((pgd("a"), pgd("b", restarts=3, weak=1.2)), ("", 0), {EFFORT: "check"}),
    "a larger ball that leaves more": ((pgd("small"), pgd("large", 0.2, weak=3)), ("", 0), {LARGER: "check"}),
    "a larger ball in L1 that leaves more": (
        tuple(apgd(f"{eps}", eps=eps, norm="l1", step_size=eps, weak=30 * eps - 2) for eps in (0.1, 0.2)),
        ("", 0),
        {LARGER: "check"},
    ),
    "a ball as large as the box that leaves any": (
        (pgd("all", 1.0, kind="apgd", weak=5),),
        ("", 0),
        {"eps = 1 leaves nothing right": "check"},
    ),
    "a search in L1 that leaves half": (
        (pgd("pgd"), other("fmn", "fmn", None, norm="l1")),
        ("fmn", 0.5),
        {"an attack without a budget leaves nothing right": "warning"},
    ),
    "a search in L1 that leaves few": ((pgd("pgd"), other("fmn", "fmn", None, norm="l1")), ("fmn", 0.005), {}),
    "a targeted loss, which need not beat one step": (
        (fgsm("fgsm"), apgd("targeted", loss="targeted dlr")),
        ("targeted", 1.0),
        {"APGD leaves no more right than FGSM": "warning"},
    ),
}


@pytest.mark.parametrize("name", WEAK)
def test_a_weak_attack_is_reported(name: str) -> None:
    attacks, spared, expected = WEAK[name]
    examples, quality = study(*attacks)
    assert broken(checked(spare(*spared)(examples), quality)) == expected


@pytest.mark.parametrize("strong", [ensemble("strong"), apgd("strong"), pgd("strong")], ids=lambda one: one["kind"])
def test_a_single_step_may_be_weak_beside_several(strong: Row) -> None:
    """As on an undefended model: FGSM leaves half of the images right, the strong attack almost none."""
    examples, quality = study(fgsm("fgsm"), strong, boundary=0.02)
    assert broken(checked(spare("fgsm", 0.5)(examples), quality)) == {}


def test_a_stochastic_net_is_a_warning_where_every_attack_averages_over_its_passes() -> None:
    """Its predictions differ, too; what all of them must do stands in the message."""
    examples, quality = study(NOISE, pgd("pgd", loss="expected cross_entropy"), apgd("apgd", loss="expected margin"))
    where = (examples["attack"] == "pgd") & (examples["index"] < 0.05 * TESTED)
    examples = examples.assign(unstable=True)
    examples.loc[where, "predicted_clean"] = (examples.loc[where, "label"] + 1) % 10
    found = checked(examples, quality)
    assert broken(found) == {"two passes give the same logits": "warning", "attacks meet the same net": "warning"}
    (outcome,) = (one["detail"] for one in found if one["check"] == "two passes give the same logits")
    assert outcome.endswith("; average each attack over several passes of the model: set its key expectation")
    steady = checked(examples.assign(unstable=False), quality)
    assert broken(steady) == {"attacks meet the same net": "check"}


def test_a_net_that_has_learnt_nothing_is_not_compared() -> None:
    """A constant one is never fooled: without more ado it would leave images right at eps = 1."""
    examples, _ = study(*BATTERY, pgd("all", 1.0))
    constant = pa.Table.from_pandas(examples.assign(predicted_clean=3, predicted=3))
    assert list(compare_attacks(constant)) == []
    assert list(check_unlimited_attacks(constant)) == []
    (outcome,) = check_better_than_chance(constant)
    assert (outcome["subject"], outcome["source"], outcome["n"]) == ("net seed 0", "net", 1000)
    assert outcome["detail"].endswith("; 1 of 10 classes predicted")


@pytest.mark.parametrize(("right", "holds"), [(60, False), (80, True)])
@pytest.mark.parametrize("images", [400, 100])
def test_chance_is_the_commonest_class(right: int, images: int, holds: bool) -> None:
    """Six of ten images are of one class: to be right on so many is nothing, if the others are named at all."""
    label = np.arange(images) % 10 < 6
    rows = pd.DataFrame({"index": range(images), "label": label.astype(int), "source": "net", "source_seed": 0})
    wrong = np.arange(images) >= right * images // 100
    rows["predicted_clean"] = np.where(wrong, 1 - rows["label"], rows["label"])
    (outcome,) = check_better_than_chance(pa.Table.from_pandas(rows))
    assert (outcome["holds"], outcome["estimate"], outcome["kind"]) == (holds, right / 100, "warning")
    assert f"majority-class baseline {60:.1f}%" in outcome["detail"]


def test_nothing_is_said_of_images_of_one_class() -> None:
    rows = pd.DataFrame({"index": range(9), "label": 4, "source": "net", "source_seed": 0, "predicted_clean": 4})
    (outcome,) = check_better_than_chance(pa.Table.from_pandas(rows))
    assert outcome["holds"]


@pytest.mark.parametrize(("error", "holds"), [(0.02, True), (0.05, True), (0.09, False), (0.005, False)])
def test_the_clean_accuracy_has_an_interval(error: float, holds: bool) -> None:
    """30 of 1,000 are wrong: 99.9 % of such samples come from nets that err on 1.7 to 5.3 %."""
    examples, _ = study(pgd("pgd"))
    examples["predicted_clean"] = examples["label"].where(np.arange(1000) >= 30, -1)
    quality = pd.DataFrame([{"classifier": "net", "seed": 0, "error": error}])
    [outcome] = [one for one in checked(examples, quality) if one["check"] == "clean accuracy is the test accuracy"]
    assert (outcome["holds"], outcome["kind"]) == (holds, "check")
    assert outcome["detail"] == f"accuracy 97.0% on 1000 attacked images when clean, {1 - error:.1%} on all test images"
    elsewhere = quality.assign(classifier="another")
    assert "clean accuracy is the test accuracy" not in {one["check"] for one in checked(examples, elsewhere)}


def certificates(examples: pd.DataFrame, **changes: Any) -> pa.Table:
    """Of the net without an attack, each image's radius just below the smallest change that any attack found."""
    fooled = examples[examples["predicted"] != examples["predicted_clean"]]
    smallest = fooled.groupby("index")["linf"].min()
    net = examples.drop_duplicates("index").set_index("index")
    radius = smallest.reindex(net.index).fillna(1.0)
    facts = {"certification": "proven", "source": "net", "seed": 0, "norm": "linf", "smoothed": False, **changes}
    rows = {**facts, "index": net.index, "predicted": net["predicted_clean"], "radius": radius}
    return pa.Table.from_pandas(pd.DataFrame(rows), preserve_index=False)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, {}),
        ({"radius": 0.11}, {"certified radii hold": "check"}),
        ({"radius": 0.11, "smoothed": True}, {}),
        ({"radius": 0.11, "norm": "l2"}, {}),
        ({"radius": 1.01, "norm": "l2"}, {"certified radii hold": "check"}),
    ],
    ids=["sound", "too large a radius", "of another, smoothed net", "of another norm", "too large in L2"],
)
def test_an_example_inside_its_certified_radius_is_told(changes: Row, kind: dict[str, str]) -> None:
    """All changes of the study are of L∞ size .1 and L2 size 1."""
    examples, _ = study(*BATTERY)
    tables = {"certification": certificates(examples), "examples": pa.Table.from_pandas(examples)}
    certification = tables["certification"].to_pandas().assign(**changes)
    tables["certification"] = pa.Table.from_pandas(certification)
    found = [one for one in run_checks(tables, INVARIANT) if one["check"] == "certified radii hold"]
    assert broken(found) == kind
    names = ["proven of net seed 0"] if not changes.get("smoothed") else []
    assert [one["subject"] for one in found] == names
    if kind:
        assert "get another label (deepfool, fgsm, noise, pgd, square)" in found[0]["detail"]


def transferred(examples: pd.DataFrame, **changes: Any) -> pa.Table:
    """PGD's examples as if they had been crafted on another net and shown to this one."""
    rows = examples[examples["attack"] == "pgd"].drop(columns=["source", "source_seed"])
    same = {
        "study": "study",
        "source": "other",
        "source_seed": 3,
        "target": "net",
        "target_seed": 0,
        "amplified": False,
    }
    return pa.Table.from_pandas(rows.assign(**{**same, **changes}), preserve_index=False)


@pytest.mark.parametrize(
    ("changes", "strange"),
    [
        ({}, 1),
        ({"linf": 0.2}, 0),
        ({"amplified": True}, None),
        ({"tested_on": "another"}, None),
        ({"target": "another"}, None),
        ({"source": "net", "source_seed": 0}, None),
    ],
    ids=["inside", "outside", "amplified", "another data set", "another target", "its own"],
)
def test_an_example_of_another_net_inside_a_certified_radius_is_told(changes: Row, strange: int | None) -> None:
    examples, _ = study(pgd("pgd"))
    examples["tested_on"] = "digits"
    smooth = examples.assign(predicted=examples["predicted_clean"])
    certification = certificates(examples).to_pandas().assign(radius=0.11)
    tables = {
        "certification": pa.Table.from_pandas(certification),
        "examples": pa.Table.from_pandas(smooth),
        "transferred": transferred(examples, **changes),
    }
    found = [one for one in run_checks(tables, INVARIANT) if one["check"] == "certified radii hold"]
    assert [one["holds"] for one in found] == [True, *([] if strange is None else [not strange])]
    if strange is not None:
        assert found[1]["subject"] == "proven of net seed 0, examples of other nets"
    if strange:
        assert found[1]["detail"].endswith("get another label (pgd from other seed 3)")
        again = {**tables, "transferred": pa.concat_tables([tables["transferred"]] * 2)}
        assert run_checks(again, INVARIANT) == run_checks(tables, INVARIANT)


def test_devices_may_round_one_answer_differently() -> None:
    examples, quality = study(*BATTERY, images=50)
    first = (examples["attack"] == "pgd") & (examples["index"] == examples["index"].min())
    examples.loc[first, ["predicted_clean", "predicted"]] = -1
    assert "attacks meet the same net" not in broken(checked(examples, quality))
