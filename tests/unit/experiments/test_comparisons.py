"""Comparisons: refused unless the arms differ in what is named alone; effects by hand."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from matplotlib.figure import Figure
from matplotlib.text import Text
from pydantic import TypeAdapter
from tests.fake_tables import fake_table

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
GANS = {
    "kind": "gans",
    "asks": "?",
    "baseline": "a",
    "differs": ["training.loss"],
    "arms": {"a": ["gan"], "b": ["other"]},
}
DISCRIMINATOR = {
    **NETS,
    "arms": {"a": ["body"], "b": ["decides"]},
    "differs": ["of", "part"],
    "besides": ["images", "training.epochs", "training.beta1"],
}
ERRORS = {**{key: value for key, value in NETS.items() if key != "attack"}, "measure": "validation_accuracy"}
LINES = {**{key: value for key, value in NETS.items() if key != "attack"}, "kind": "linearities", "linearity": "lines"}
SEARCHES = {"kind": "inversions", "asks": "?", "baseline": "a", "arms": {"a": ["search"], "b": ["guessed"]}} | {
    "differs": ["encoder"]
}
THREE = {**NETS, "arms": {"a": ["third"], "b": ["third"]}, "differs": []}
FILL = {"kind": "inpaintings", "asks": "?", "baseline": "a", "arms": {"a": "full", "b": "contextual"}} | {
    "inpainting": "restore",
    "mask": "square",
}


def planned(comparison: dict[str, Any], folder: Path) -> Any:
    file = folder / "study.yaml"
    file.write_text(STUDY + yaml.safe_dump({"comparisons": {"one": comparison}}))
    return build(load_file(file))


@pytest.mark.parametrize(
    "comparison",
    [
        NETS,
        {**NETS, "arms": {"a": ["net"], "b": ["longer"]}, "differs": ["training.epochs"], "besides": ["steps"]},
        {**NETS, "arms": {"a": ["net"], "b": ["fewer"]}, "differs": ["images", "training.epochs"]},  # as many steps
        {**NETS, "arms": {"z": ["net"], "a": ["trained"]}, "baseline": "z"},
        {**NETS, "arms": {"a": ["net", "third"], "b": ["trained", "third"]}},
        {**NETS, "arms": {"a": ["net"], "b": ["on-both"]}, "differs": ["dataset"]},
        {**NETS, "arms": {"a": ["on-near"], "b": ["on-far"]}, "differs": ["dataset.adversarial_labels.eps"]},
        {
            **NETS,
            "arms": {"a": ["net"], "b": ["on-robust"], "c": ["on-not-robust"]},
            "differs": ["dataset"],  # the defence of the features' net, too: only one arm has one
        },
        {**NETS, "arms": {"a": ["trained"], "b": ["pgd-trained"]}, "differs": ["defence"], "besides": ["defence.eps"]},
        {**NETS, "arms": {"a": ["net"], "b": ["others"]}, "differs": [], "besides": ["seed"]},
        {**THREE, "costly": True},
        SEARCHES,
        GANS,
        {**GANS, "arms": {"a": ["gan"], "b": ["settled"]}, "differs": []},  # what the images settle is the same
        DISCRIMINATOR,
        {
            **NETS,
            "arms": {"a": ["head"], "b": ["head-of-body"], "c": ["head-at-random"]},
            "differs": ["of", "body"],
            "besides": ["of.training.epochs", "of.training.beta1", "of.images"],
        },
        {**NETS, "attack": "step", "measure": "clean_accuracy"},  # it chooses the images alone
        {**NETS, "arms": {"a": ["decides"], "b": ["decides-at-zero"]}, "differs": ["threshold"]},
        {**DISCRIMINATOR, "measure": "clean_accuracy"},
        ERRORS,
        LINES,
        FILL,
    ],
    ids=[
        "defence",
        "epochs",
        "images",
        "labels in another order than words",
        "pooled",
        "same test images",
        "a key of derived sets",
        "kinds of derived sets",
        "kinds of defences",
        "seeds that are named",
        "three costly runs",
        "inversions",
        "gans",
        "settled",
        "a discriminator's steps see twice its batch",
        "heads",
        "clean accuracy",
        "thresholds",
        "clean accuracy of a discriminator, whose fitted threshold is as a classifier's",
        "validation accuracy",
        "linearities",
        "inpaintings",
    ],
)
def test_arms_that_differ_in_what_is_named_are_compared(comparison: dict[str, Any], tmp_path: Path) -> None:
    [job] = [job for job in planned(comparison, tmp_path).jobs if job.rule == "compare"]
    assert len(job.inputs["tables"]) == len(comparison["arms"]) * job.task.runs
    told = type(job.task).model_validate_json(
        job.task.canonical()
    )  # as the command gets it: maps have lost their order
    of_last = job.inputs["tables"][-job.task.runs :]
    names = told.comparison.arms[told.arms[-1]]
    assert all(comparison["kind"] == "inpaintings" or re.search(f"/{names[-1]}(/|--)", file) for file in of_last[-1:])
    assert job.task.runs >= (3 if comparison.get("costly") else 5)


@pytest.mark.parametrize(
    ("change", "words"),
    {
        "confound": ({"arms": {"a": ["net"], "b": ["longer"]}}, ["one.arms", "epochs' (3.0 and 2.0)", "`besides`"]),
        "steps": (
            {"arms": {"a": ["net"], "b": ["longer"]}, "differs": ["training.epochs"]},
            ["also differ in 'steps' (1650 and 1100)"],
        ),
        "images": ({"arms": {"a": ["net"], "b": ["on-half"]}, "differs": ["dataset"]}, ["also differ in 'images'"]),
        "test images": (
            {"arms": {"a": ["net"], "b": ["on-shapes"]}, "differs": ["dataset"]},
            ["also differ in 'test images' (seen and mnist)"],
        ),
        "other test images": (
            {"arms": {"a": ["net"], "b": ["shown-shapes"]}, "differs": []},
            ["also differ in 'test images'"],
        ),
        "one seed": ({"arms": {"a": ["net"], "b": ["once"]}}, ["'b' has 1 runs", "needs 5", "seeds"]),
        "three seeds": (THREE, ["'a' has 3 runs", "needs 5, or 3 with `costly: true`", "seeds"]),
        "two costly runs": (
            {"arms": {"a": ["once", "once"], "b": ["net"]}, "costly": True},
            ["'a' has 2 runs", "needs 3: give"],
        ),
        "unequal runs": ({"arms": {"a": ["net", "once"], "b": ["trained"]}}, ["different numbers", "'a' 6, 'b' 5"]),
        "other seeds": (
            {"arms": {"a": ["net"], "b": ["others"]}, "differs": []},
            ["'b' and 'a' also differ in 'seed' (5 and 0)"],
        ),
        "an eps under `defence`": (
            {"arms": {"a": ["trained"], "b": ["pgd-trained"]}},
            ["also differ in 'defence.eps' (0.05 and 0.25)"],
        ),
        "a norm that only one of them names": (
            {"arms": {"a": ["trained"], "b": ["l2-trained"]}},
            ["also differ in 'defence.norm' (l2 and linf)"],
        ),
        "an eps of two arms that are no baseline": (
            {"arms": {"a": ["net"], "b": ["trained"], "c": ["pgd-trained"]}},
            ["'c' and 'b' also differ in 'defence.eps' (0.05 and 0.25)"],
        ),
        "latents under `generator`": (
            {**GANS, "arms": {"a": ["gan"], "b": ["small"]}, "differs": ["generator"]},
            ["also differ in 'generator.latent' (20 and 64)"],
        ),
        "epochs under `of`": (
            {"arms": {"a": ["head"], "b": ["head-of-longer"]}, "differs": ["of"]},
            ["also differ in 'of.training.epochs' (1.4 and 1.0)"],
        ),
        "epochs under `generators`": (
            {**SEARCHES, "arms": {"a": ["search"], "b": ["of-longer"]}, "differs": ["generators"]},
            ["also differ in 'generators.training.epochs' (1.4 and 1.0)"],
        ),
        "an eps under `dataset`": (
            {"arms": {"a": ["on-near"], "b": ["on-far"]}, "differs": ["dataset"]},
            ["also differ in 'dataset.adversarial_labels.eps' (3.0 and 1.0)"],
        ),
        "no such arm": ({"baseline": "c"}, ["one.baseline", "'c'", "a, b"]),
        "no such key": ({"differs": ["defence", "defense"]}, ["one.differs", "'defense'", "defence"]),
        "no such net": ({"arms": {"a": ["net"], "b": ["traind"]}}, ["did you mean 'trained'"]),
        "half of a discriminator's images": (
            {**DISCRIMINATOR, "arms": {"a": ["half-body"], "b": ["decides"]}},
            ["also differ in 'training.batch' (256 and 128)"],
        ),
        "a threshold that was not fitted": (
            {**DISCRIMINATOR, "arms": {"a": ["body"], "b": ["decides-at-zero"]}},
            ["also differ in 'threshold' (zero and fitted)"],
        ),
        "two thresholds": (
            {"arms": {"a": ["decides"], "b": ["decides-at-zero"]}, "differs": []},
            ["also differ in 'threshold' (zero and fitted)"],
        ),
        "an attack on all validation images": ({**ERRORS, "attack": "pgd"}, ["one.attack", "only if there is none"]),
        "no attack": ({**ERRORS, "measure": "clean_accuracy"}, ["one.attack", "only if it names the attack"]),
        "a single step": ({"attack": "step"}, ["one.attack = 'step'", "single-step", "use an ensemble"]),
        "not followed": ({**LINES, "arms": {"a": ["net"], "b": ["longer"]}}, ["'longer' is not part of 'lines'"]),
        "no such method": (
            {**FILL, "arms": {"a": "full", "b": "contextual_prior"}},
            ["'contextual_prior' is not part of"],
        ),
    }.values(),
    ids=lambda value: "" if isinstance(value, list) else None,
)
def test_others_are_refused_in_one_line(change: dict[str, Any], words: list[str], tmp_path: Path) -> None:
    comparison = change if "kind" in change else {**NETS, **change}
    with pytest.raises(ConfigError) as error:
        planned(comparison, tmp_path)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "study.yaml" in str(error.value)


def test_each_arm_tells_what_it_differs_in(tmp_path: Path) -> None:
    """From the baseline: what only one of them has is no confound if the point of the comparison stands for it."""
    asked = {
        **DISCRIMINATOR,
        "arms": {"a": ["body"], "b": ["decides"], "c": ["trained-body"]},
        "differs": ["of", "part", "defence"],
        "besides": ["images", "training.epochs", "training.beta1"],
    }
    [job] = [job for job in planned(asked, tmp_path).jobs if job.rule == "compare"]
    assert job.task.differs == {"a": (), "b": ("of", "part"), "c": ("defence",)}
    assert job.task.besides == {"a": (), "b": ("images", "training.epochs", "training.beta1"), "c": ()}
    asked = {
        **NETS,
        "arms": {"a": ["net"], "b": ["trained"], "c": ["pgd-trained"]},
        "besides": ["defence.eps"],
    }
    [job] = [job for job in planned(asked, tmp_path).jobs if job.rule == "compare"]
    assert job.task.besides == {"a": (), "b": (), "c": ()}
    heads = {"a": ["head-at-random"], "b": ["head"], "c": ["head-of-longer"]}
    asked = {**NETS, "arms": heads, "differs": ["of", "body", "of.training.epochs"], "besides": ["of.steps"]}
    [job] = [job for job in planned(asked, tmp_path).jobs if job.rule == "compare"]
    assert job.task.differs == {"a": (), "b": ("of", "body"), "c": ("of", "body")}
    assert job.task.besides == {"a": (), "b": (), "c": ()}
    [job] = [job for job in planned({**asked, "baseline": "b"}, tmp_path).jobs if job.rule == "compare"]
    assert (job.task.differs["c"], job.task.besides["c"]) == (("of.training.epochs",), ("of.steps",))


def test_effects_are_paired_by_run_and_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two arms of three runs on four images, by hand."""
    random = np.random.default_rng(0)
    right = random.integers(0, 2, (2, 3, 4))
    frames = iter(
        pd.DataFrame(
            {"index": [3, 5, 7, 9], "label": 1, "predicted_clean": 1, "predicted": one, "predicted_rounded": 1}
        )
        for one in right.reshape(6, 4)
    )
    written: dict[str, pd.DataFrame] = {}
    monkeypatch.setattr(run, "read_table", lambda *_, **__: SimpleNamespace(to_pandas=lambda: next(frames)))
    monkeypatch.setattr(run, "write_table", lambda _, table, __: written.update(table=table.to_pandas()))
    asked = {**NETS, "arms": {"z": ["net"], "a": ["trained"]}, "baseline": "z"}
    comparison = TypeAdapter(AnyComparison).validate_json(json.dumps(asked, sort_keys=True))
    differs, besides = {"z": (), "a": ("defence", "steps")}, {"z": (), "a": ()}
    spec = SimpleNamespace(name="one", comparison=comparison, arms=("z", "a"), differs=differs, besides=besides, runs=3)
    run.run(
        SimpleNamespace(spec=spec, inputs={"tables": [Path(str(i)) for i in range(6)]}, output=lambda: None, stamp=None)
    )  # type: ignore[arg-type]
    arm, base = (row for _, row in written["table"].iterrows())
    assert (base["arm"], base["mean"]) == ("z", right[0].mean())
    assert np.isnan(base["effect"])
    difference = right[1] - right[0]
    found = tuple(arm[f"effect{part}"] for part in ("", "_low", "_high"))
    assert found == pytest.approx(interval_over_runs(difference, rate=True))
    assert list(arm["effects"]) == list(difference.mean(1))
    assert (arm["at_chance"], arm["mean_rounded"]) == (0, 1.0)
    assert (base["differs"], arm["differs"], arm["besides"]) == ("", "defence, steps", "")


def test_an_arm_knows_its_runs_at_chance_and_what_rounding_leaves() -> None:
    """One of two runs names the commonest class alone; half of the other's images are wrong as they are and rounded."""
    told = {"index": range(4), "label": [0, 0, 1, 2], "predicted": 0}
    flat = pd.DataFrame({**told, "predicted_clean": 0, "predicted_rounded": 0})
    net = pd.DataFrame({**told, "predicted_clean": [0, 0, 1, 2], "predicted_rounded": [0, 1, 1, 0]})
    assert run._describe_runs([flat, net], "robust_accuracy") == {"at_chance": 1, "mean_rounded": 0.5}
    assert run._describe_runs([flat, net], "clean_accuracy") == {"at_chance": 1, "mean_rounded": None}


@pytest.mark.parametrize(
    ("chance", "words"),
    [
        ([0, 0, 5], "another one against plain (also differs in steps): at chance, not compared"),
        ([0, 0, 2], "another one against plain (also differs in steps): 2 of 5 runs at chance, not compared"),
        ([5, 0, 0], "trained on what fools it against plain: the baseline is at chance, not compared"),
    ],
    ids=["all runs of an arm", "some of them", "the baseline"],
)
def test_an_arm_at_chance_stays_and_is_not_compared(chance: list[int], words: str) -> None:
    table = fake_table("comparison")
    place = table.column_names.index("at_chance")
    told = {"plain": chance[0], "trained on what fools it": chance[1], "another one": chance[2]}
    runs = pa.array([told[arm] for arm in table["arm"].to_pylist()], table.schema.field(place).type)
    tables = {"comparison": table.set_column(place, table.schema.field(place), runs)}
    spec = ComparisonFigure(kind="comparison", comparisons=("comparison-a",))
    found = comparison.finding(tables, spec)
    assert words in found.sentence
    assert {row["arm"]: row["at_chance"] for row in found.rows} == {arm: told[arm] for arm in list(told)[1:]}
    figure = comparison.draw(tables, spec)
    means, effects = (
        len({line.get_ydata()[0] for line in axes.lines if line.get_marker() == "o"}) for axes in marks(figure)
    )
    assert (means, effects) == (3, 0 if chance[0] else 1)
    assert any("at chance, not" in text.get_text().replace("\n", " ") for text in texts(figure))


@pytest.mark.parametrize(("n", "over"), [(40, "over runs and images"), (1, "over runs")])
def test_intervals_are_over_images_only_where_there_are_some(n: int, over: str) -> None:
    table = fake_table("comparison")
    place = table.column_names.index("n")
    tables = {"comparison": table.set_column(place, table.schema.field(place), pa.array([n] * len(table), pa.int32()))}
    spec = ComparisonFigure(kind="comparison", comparisons=("comparison-a",))
    found = comparison.finding(tables, spec)
    assert f"95 % intervals {over})" in found.sentence
    assert any(f"95 % intervals {over};" in text.get_text() for text in texts(comparison.draw(tables, spec)))


def marks(figure: Figure) -> list[Any]:
    """The two panels, of means and of effects."""
    return [axes for axes in figure.axes if axes.lines]


def texts(figure: Figure) -> list[Text]:
    return figure.findobj(Text)


def test_the_last_accuracy_on_validation_images_counts() -> None:
    rows = pd.DataFrame({"accuracy": [None, 0.5, None, 0.75, None], "loss": 1.0})
    comparison = TypeAdapter(AnyComparison).validate_python(ERRORS)
    assert run.READERS["accuracy"](rows, comparison, "a").to_dict() == {0: 0.75}


def test_every_measure_has_a_name() -> None:
    for one in ComparisonDefinition.__subclasses__():
        measure = one.model_fields["measure"].annotation if "measure" in one.model_fields else None
        assert {*(get_args(measure) or (one.measure,))} <= MEASURES.keys()


def test_nested_keys_are_dotted() -> None:
    assert flatten({"a": {"b": 1, "c": {"d": 0, "f": None}}, "e": []}) == {"a.b": 1, "a.c.d": 0, "e": []}
