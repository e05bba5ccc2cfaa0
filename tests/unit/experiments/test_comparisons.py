"""Comparisons: the arms may only differ in what is named, and effects are those computed by hand."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
import yaml
from matplotlib.text import Text
from pydantic import TypeAdapter
from tests.fake_tables import fake_table, with_columns

from advgen.core.errors import ConfigError
from advgen.driver.plan import build
from advgen.experiments.comparisons import comparison, run
from advgen.experiments.comparisons.comparison import MEASURES
from advgen.experiments.comparisons.experiment import AnyComparison, ComparisonDefinition, ComparisonFigure
from advgen.experiments.comparisons.facts import flatten
from advgen.metrics.intervals import interval_over_runs
from advgen.study.load import load_file

STUDY = """
seeds: [0, 1, 2, 3, 4]
datasets:
  mnist: {kind: mnist}
  half: {kind: part, base: mnist, part: 0}
  seen: {kind: stimuli, base: mnist, stimulus: silhouette}
  fake: {kind: real_fake, base: mnist, gan: gan}
  near: &near {kind: adversarial_labels, base: mnist, classifier: net, eps: 1, steps: 10}
  far: {<<: *near, eps: 3}
  robust: &features {kind: robust_features, base: mnist, classifier: trained}
  not-robust: {<<: *features, classifier: net}
gans:
  gan: &gan {dataset: mnist, generator: dcgan-generator, discriminator: dcgan-discriminator, training: {epochs: 1}}
  other: {<<: *gan, training: {epochs: 1, loss: mse}}
  longer-gan: {<<: *gan, training: {epochs: 1.4}}
  small: {<<: *gan, generator: {preset: dcgan-generator, latent: 20}}
  settled: {<<: *gan, generator: {preset: dcgan-generator, start: [64, 7, 7], image_channels: 1}}
classifiers:
  net: &net {dataset: mnist, model: cnn, training: {epochs: 2}}
  trained: {<<: *net, defence: {kind: fgsm, eps: 0.25}}
  pgd-trained: {<<: *net, defence: {kind: pgd, eps: 0.05, steps: 3}}
  l2-trained: {<<: *net, defence: {kind: pgd, norm: l2, eps: 0.25, steps: 3}}
  longer: {<<: *net, training: {epochs: 3}}
  fewer: {<<: *net, images: 27500, training: {epochs: 4}}
  on-half: {<<: *net, dataset: half}
  on-shapes: {<<: *net, dataset: seen}
  shown-shapes: {<<: *net, tested_on: seen}
  on-both: {<<: *net, dataset: seen, tested_on: mnist}
  once: {<<: *net, seeds: [0]}
  third: {<<: *net, seeds: [0, 1, 2]}
  others: {<<: *net, seeds: [5, 6, 7, 8, 9]}
  on-near: {<<: *net, dataset: near}
  on-far: {<<: *net, dataset: far}
  on-robust: {<<: *net, dataset: robust}
  on-not-robust: {<<: *net, dataset: not-robust}
  body: &body
    dataset: fake
    model: dcgan-discriminator
    training: {epochs: 0.955, batch: 256, lr: 4e-4, decay: false}  # the discriminator's 430 steps
  trained-body: {<<: *body, defence: {kind: fgsm, eps: 0.1}}
  half-body: {<<: *body, training: {epochs: 0.4785, batch: 128, lr: 4e-4, decay: false}}
probes:
  decides: {of: gan, part: decision, dataset: fake}
  decides-at-zero: {of: gan, part: decision, threshold: zero, dataset: fake}
  head: {of: gan, part: features, dataset: mnist}
  head-of-longer: {of: longer-gan, part: features, dataset: mnist}
  head-of-body: {of: body, part: features, dataset: mnist}
  head-at-random: {of: gan, part: features, body: random, dataset: mnist}
encoders:
  guess: {generator: gan, model: {kind: conv, channels: [8]}}
inversions:
  search: {generators: [gan]}
  of-longer: {generators: [longer-gan]}
  guessed: {generators: [gan], encoder: guess}
linearities:
  lines: {sources: [net, trained]}
attacks:
  pgd: {kind: pgd, eps: 0.1}
  step: {kind: fgsm, eps: 0.1}
masks:
  square: {kind: square}
inpaintings:
  restore: {generators: [gan], masks: [square]}
"""
NETS = {
    "kind": "accuracy",
    "asks": "Does it help?",
    "baseline": "a",
    "attack": "pgd",
    "differs": ["defence"],
    "arms": {"a": ["net"], "b": ["trained"]},
}


def compare_nets(*names: str, differs: tuple[str, ...] = (), besides: tuple[str, ...] = (), **keys: Any) -> Any:
    """A comparison of these classifiers, with the arms a, b, …; the first is the baseline."""
    arms = {arm: [name] for arm, name in zip("abc", names, strict=False)}
    return {**NETS, "arms": arms, "differs": [*differs], "besides": [*besides], **keys}


GANS = {"kind": "gans", "asks": "?", "baseline": "a", "differs": ["training.loss"]} | {
    "arms": {"a": ["gan"], "b": ["other"]}
}
DISCRIMINATOR = compare_nets(
    "body", "decides", differs=("of", "part"), besides=("images", "training.epochs", "training.beta1")
)
WITHOUT_ATTACK = {key: value for key, value in NETS.items() if key != "attack"}
ERRORS = {**WITHOUT_ATTACK, "measure": "validation_accuracy"}
LINES = {**WITHOUT_ATTACK, "kind": "linearities", "linearity": "lines"}
SEARCHES = {"kind": "inversions", "asks": "?", "baseline": "a", "arms": {"a": ["search"], "b": ["guessed"]}} | {
    "differs": ["encoder"]
}
THREE_RUNS = compare_nets("third", "third")
FILL = {"kind": "inpaintings", "asks": "?", "baseline": "a", "arms": {"a": "full", "b": "contextual"}} | {
    "inpainting": "restore",
    "mask": "square",
}


def plan_comparison(comparison: dict[str, Any], folder: Path) -> Any:
    """The planned job of a comparison."""
    file = folder / "study.yaml"
    file.write_text(STUDY + yaml.safe_dump({"comparisons": {"one": comparison}}))
    [job] = [job for job in build(load_file(file)).jobs if job.rule == "compare"]
    return job


VALID = {
    "defence": NETS,
    "epochs": compare_nets("net", "longer", differs=("training.epochs",), besides=("steps",)),
    "images, with the same steps": compare_nets("net", "fewer", differs=("images", "training.epochs")),
    "labels in another order than words": {**NETS, "arms": {"z": ["net"], "a": ["trained"]}, "baseline": "z"},
    "pooled": {**NETS, "arms": {"a": ["net", "third"], "b": ["trained", "third"]}},
    "same test images": compare_nets("net", "on-both", differs=("dataset",)),
    "a key of derived sets": compare_nets("on-near", "on-far", differs=("dataset.adversarial_labels.eps",)),
    # Only one arm has the defence of the classifier behind its features.
    "kinds of derived sets": compare_nets("net", "on-robust", "on-not-robust", differs=("dataset",)),
    "kinds of defences": compare_nets("trained", "pgd-trained", differs=("defence",), besides=("defence.eps",)),
    "seeds that are named": compare_nets("net", "others", besides=("seed",)),
    "three costly runs": {**THREE_RUNS, "costly": True},
    "inversions": SEARCHES,
    "gans": GANS,
    "equal values by default": {**GANS, "arms": {"a": ["gan"], "b": ["settled"]}, "differs": []},
    "a discriminator's steps see twice its batch": DISCRIMINATOR,
    "heads": compare_nets(
        *("head", "head-of-body", "head-at-random"),
        differs=("of", "body"),
        besides=("of.training.epochs", "of.training.beta1", "of.images"),
    ),
    "clean accuracy on the images of FGSM": {**NETS, "attack": "step", "measure": "clean_accuracy"},
    "thresholds": compare_nets("decides", "decides-at-zero", differs=("threshold",)),
    "clean accuracy of a discriminator": {**DISCRIMINATOR, "measure": "clean_accuracy"},
    "validation accuracy": ERRORS,
    "linearities": LINES,
    "inpaintings": FILL,
}


@pytest.mark.parametrize("comparison", VALID.values(), ids=VALID)
def test_arms_that_differ_in_what_is_named_are_compared(comparison: dict[str, Any], tmp_path: Path) -> None:
    job = plan_comparison(comparison, tmp_path)
    tables, runs = job.inputs["tables"], job.task.runs
    assert len(tables) == len(comparison["arms"]) * runs
    # The command reads JSON, which does not keep the order of maps.
    task = type(job.task).model_validate_json(job.task.canonical())
    names = task.comparison.arms[task.arms[-1]]
    assert comparison["kind"] == "inpaintings" or re.search(f"/{names[-1]}(/|--)", tables[-1])
    assert runs >= (3 if comparison.get("costly") else 5)


INVALID = {
    "confound": (compare_nets("net", "longer"), "one.arms", "epochs' (3.0 and 2.0)", "`besides`"),
    "steps": (compare_nets("net", "longer", differs=("training.epochs",)), "also differ in 'steps' (1650 and 1100)"),
    "images": (compare_nets("net", "on-half", differs=("dataset",)), "also differ in 'images'"),
    "test images": (
        compare_nets("net", "on-shapes", differs=("dataset",)),
        "also differ in 'test images' (seen and mnist)",
    ),
    "other test images": (compare_nets("net", "shown-shapes"), "also differ in 'test images'"),
    "one seed": (compare_nets("net", "once"), "'b' has 1 runs", "needs 5", "seeds"),
    "three seeds": (THREE_RUNS, "'a' has 3 runs", "needs 5, or 3 with `costly: true`", "seeds"),
    "two costly runs": (
        {**NETS, "arms": {"a": ["once", "once"], "b": ["net"]}, "costly": True},
        "'a' has 2 runs",
        "needs 3: give",
    ),
    "unequal runs": (
        {**NETS, "arms": {"a": ["net", "once"], "b": ["trained"]}},
        "different numbers",
        "'a' 6, 'b' 5",
    ),
    "other seeds": (compare_nets("net", "others"), "'b' and 'a' also differ in 'seed' (5 and 0)"),
    "an eps under `defence`": (
        compare_nets("trained", "pgd-trained", differs=("defence",)),
        "also differ in 'defence.eps' (0.05 and 0.25)",
    ),
    "a norm that only one of them names": (
        compare_nets("trained", "l2-trained", differs=("defence",)),
        "also differ in 'defence.norm' (l2 and linf)",
    ),
    "an eps of two arms that are no baseline": (
        compare_nets("net", "trained", "pgd-trained", differs=("defence",)),
        "'c' and 'b' also differ in 'defence.eps' (0.05 and 0.25)",
    ),
    "latents under `generator`": (
        {**GANS, "arms": {"a": ["gan"], "b": ["small"]}, "differs": ["generator"]},
        "also differ in 'generator.latent' (20 and 64)",
    ),
    "epochs under `of`": (
        compare_nets("head", "head-of-longer", differs=("of",)),
        "also differ in 'of.training.epochs' (1.4 and 1.0)",
    ),
    "epochs under `generators`": (
        {**SEARCHES, "arms": {"a": ["search"], "b": ["of-longer"]}, "differs": ["generators"]},
        "also differ in 'generators.training.epochs' (1.4 and 1.0)",
    ),
    "an eps under `dataset`": (
        compare_nets("on-near", "on-far", differs=("dataset",)),
        "also differ in 'dataset.adversarial_labels.eps' (3.0 and 1.0)",
    ),
    "no such arm": ({**NETS, "baseline": "c"}, "one.baseline", "'c'", "a, b"),
    "no such key": ({**NETS, "differs": ["defence", "defense"]}, "one.differs", "'defense'", "defence"),
    "no such model": (compare_nets("net", "traind"), "did you mean 'trained'"),
    "half of a discriminator's images": (
        {**DISCRIMINATOR, "arms": {"a": ["half-body"], "b": ["decides"]}},
        "also differ in 'training.batch' (256 and 128)",
    ),
    "a threshold that was not fitted": (
        {**DISCRIMINATOR, "arms": {"a": ["body"], "b": ["decides-at-zero"]}},
        "also differ in 'threshold' (zero and fitted)",
    ),
    "two thresholds": (compare_nets("decides", "decides-at-zero"), "also differ in 'threshold' (zero and fitted)"),
    "an attack on all validation images": ({**ERRORS, "attack": "pgd"}, "one.attack", "only if there is none"),
    "no attack": ({**ERRORS, "measure": "clean_accuracy"}, "one.attack", "only if it names the attack"),
    "a single step": ({**NETS, "attack": "step"}, "one.attack = 'step'", "single-step", "use an ensemble"),
    "not in the linearity study": (
        {**LINES, "arms": {"a": ["net"], "b": ["longer"]}},
        "'longer' is not part of 'lines'",
    ),
    "no such method": (
        {**FILL, "arms": {"a": "full", "b": "contextual_prior"}},
        "'contextual_prior' is not part of",
    ),
}


@pytest.mark.parametrize("case", INVALID.values(), ids=INVALID)
def test_an_invalid_comparison_is_an_error(case: tuple[Any, ...], tmp_path: Path) -> None:
    comparison, *words = case
    with pytest.raises(ConfigError) as error:
        plan_comparison(comparison, tmp_path)
    assert all(word in str(error.value) for word in ["study.yaml", *words]), str(error.value)


def test_each_arm_lists_its_differences_from_the_baseline(tmp_path: Path) -> None:
    """A key that only one arm has is no confound if `differs` covers it."""

    def list_differences(comparison: dict[str, Any]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
        task = plan_comparison(comparison, tmp_path).task
        return [(task.differs[arm], task.besides[arm]) for arm in "abc"]

    confounds = ("images", "training.epochs", "training.beta1")
    discriminators = compare_nets(
        *("body", "decides", "trained-body"), differs=("of", "part", "defence"), besides=confounds
    )
    assert list_differences(discriminators) == [((), ()), (("of", "part"), confounds), (("defence",), ())]
    defences = compare_nets("net", "trained", "pgd-trained", differs=("defence",), besides=("defence.eps",))
    assert [besides for _, besides in list_differences(defences)] == [(), (), ()]
    heads = compare_nets(
        *("head-at-random", "head", "head-of-longer"),
        differs=("of", "body", "of.training.epochs"),
        besides=("of.steps",),
    )
    assert list_differences(heads) == [((), ()), (("of", "body"), ()), (("of", "body"), ())]
    assert list_differences({**heads, "baseline": "b"})[2] == (("of.training.epochs",), ("of.steps",))


def test_effects_are_paired_by_run_and_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two arms of three runs on four images, by hand."""
    random = np.random.default_rng(0)
    correct = random.integers(0, 2, (2, 3, 4))
    frames = iter(
        pd.DataFrame(
            {"index": [3, 5, 7, 9], "label": 1, "predicted_clean": 1, "predicted": predicted, "predicted_rounded": 1}
        )
        for predicted in correct.reshape(6, 4)
    )
    written: dict[str, pd.DataFrame] = {}
    monkeypatch.setattr(run, "read_table", lambda *_, **__: SimpleNamespace(to_pandas=lambda: next(frames)))
    monkeypatch.setattr(run, "write_table", lambda _, table, __: written.update(table=table.to_pandas()))
    definition = {**NETS, "arms": {"z": ["net"], "a": ["trained"]}, "baseline": "z"}
    comparison = TypeAdapter(AnyComparison).validate_json(json.dumps(definition, sort_keys=True))
    differs, besides = {"z": (), "a": ("defence", "steps")}, {"z": (), "a": ()}
    spec = SimpleNamespace(name="one", comparison=comparison, arms=("z", "a"), differs=differs, besides=besides, runs=3)
    run.run(
        SimpleNamespace(spec=spec, inputs={"tables": [Path(str(i)) for i in range(6)]}, output=lambda: None, stamp=None)
    )  # type: ignore[arg-type]
    arm, base = (row for _, row in written["table"].iterrows())
    assert (base["arm"], base["mean"]) == ("z", correct[0].mean())
    assert np.isnan(base["effect"])
    difference = correct[1] - correct[0]
    found = tuple(arm[f"effect{part}"] for part in ("", "_low", "_high"))
    assert found == pytest.approx(interval_over_runs(difference, rate=True))
    assert list(arm["effects"]) == list(difference.mean(1))
    assert (arm["at_chance"], arm["mean_rounded"]) == (0, 1.0)
    assert (base["differs"], arm["differs"], arm["besides"]) == ("", "defence, steps", "")


def test_runs_at_chance_and_accuracy_after_rounding_are_counted() -> None:
    """One of two runs predicts a single class; the other is wrong on half of the images, before and after rounding."""
    columns = {"index": range(4), "label": [0, 0, 1, 2], "predicted": 0}
    constant = pd.DataFrame({**columns, "predicted_clean": 0, "predicted_rounded": 0})
    trained = pd.DataFrame({**columns, "predicted_clean": [0, 0, 1, 2], "predicted_rounded": [0, 1, 1, 0]})
    assert run._describe_runs([constant, trained], "robust_accuracy") == {"at_chance": 1, "mean_rounded": 0.5}
    assert run._describe_runs([constant, trained], "clean_accuracy") == {"at_chance": 1, "mean_rounded": None}


@pytest.mark.parametrize(
    ("chance", "words"),
    [
        ([0, 0, 5], "another one against plain (also differs in steps): at chance, not compared"),
        ([0, 0, 2], "another one against plain (also differs in steps): 2 of 5 runs at chance, not compared"),
        ([5, 0, 0], "trained on what fools it against plain: the baseline is at chance, not compared"),
    ],
    ids=["all runs of an arm", "some of them", "the baseline"],
)
def test_an_arm_at_chance_is_shown_and_not_compared(chance: list[int], words: str) -> None:
    table = fake_table("comparison")
    counts = dict(zip(("plain", "trained on what fools it", "another one"), chance, strict=True))
    runs = np.array([counts[arm] for arm in table["arm"].to_pylist()])
    tables = {"comparison": with_columns(table, at_chance=runs)}
    spec = ComparisonFigure(kind="comparison", comparisons=("comparison-a",))
    found = comparison.finding(tables, spec)
    assert words in found.sentence
    assert {row["arm"]: row["at_chance"] for row in found.rows} == {arm: counts[arm] for arm in list(counts)[1:]}
    figure = comparison.draw(tables, spec)
    means, effects = (
        len({line.get_ydata()[0] for line in axes.lines if line.get_marker() == "o"})
        for axes in figure.axes
        if axes.lines
    )
    assert (means, effects) == (3, 0 if chance[0] else 1)
    assert any("at chance, not" in text.get_text().replace("\n", " ") for text in figure.findobj(Text))


@pytest.mark.parametrize(("n", "over"), [(40, "over runs and images"), (1, "over runs")])
def test_intervals_are_over_images_only_where_there_are_some(n: int, over: str) -> None:
    table = fake_table("comparison")
    tables = {"comparison": with_columns(table, n=np.full(len(table), n))}
    spec = ComparisonFigure(kind="comparison", comparisons=("comparison-a",))
    found = comparison.finding(tables, spec)
    assert f"95 % intervals {over})" in found.sentence
    assert any(f"95 % intervals {over};" in text.get_text() for text in comparison.draw(tables, spec).findobj(Text))


def test_the_last_validation_accuracy_is_compared() -> None:
    rows = pd.DataFrame({"accuracy": [None, 0.5, None, 0.75, None], "loss": 1.0})
    comparison = TypeAdapter(AnyComparison).validate_python(ERRORS)
    assert run.READERS["accuracy"](rows, comparison, "a").to_dict() == {0: 0.75}


def test_every_measure_has_a_name() -> None:
    for cls in ComparisonDefinition.__subclasses__():
        measure = cls.model_fields["measure"].annotation if "measure" in cls.model_fields else None
        assert {*(get_args(measure) or (cls.measure,))} <= MEASURES.keys()


def test_nested_keys_are_dotted() -> None:
    assert flatten({"a": {"b": 1, "c": {"d": 0, "f": None}}, "e": []}) == {"a.b": 1, "a.c.d": 0, "e": []}
