"""Numbers that the figures of the adversarial lab compute."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from matplotlib.text import Text
from tests.fake_tables import NAMES, fake_specs, fake_table, fake_tables, with_columns

from advgen import registry
from advgen.experiments.agreements.experiment import Agree
from advgen.experiments.agreements.run import run as agree
from advgen.experiments.attacks import (
    accuracies,
    accuracy_curves,
    attack_comparison,
    attack_gallery,
    confidence,
    defence_table,
    robustness,
)
from advgen.experiments.attacks.attack_comparison import measure_sizes, measure_success
from advgen.experiments.attacks.complexity_curves import abbreviate
from advgen.experiments.attacks.experiment import AccuracyCurvesFigure, AttackComparisonFigure
from advgen.experiments.certifications import certified_accuracy
from advgen.experiments.certifications.experiment import CertifiedAccuracyFigure
from advgen.experiments.classifiers import test_errors
from advgen.experiments.classifiers.experiment import ClassifierErrorsFigure
from advgen.experiments.convergences.convergence import finding as converged
from advgen.experiments.convergences.convergence import measure_accuracy_after
from advgen.experiments.convergences.experiment import ConvergenceFigure
from advgen.experiments.transfers.errors import exclude_chance_models, measure_error
from advgen.experiments.transfers.experiment import PublishedTransferFigure
from advgen.experiments.transfers.published_comparison import compare_with_published
from advgen.experiments.transfers.published_transfer import draw as draw_published
from advgen.experiments.transfers.published_transfer import finding
from advgen.figures.formatting import format_number
from advgen.files.provenance import Stamp
from advgen.io.tables import read_images, read_table, write_table
from advgen.jobs.job import Job
from advgen.metrics.intervals import (
    combine_intervals,
    interval_over_runs,
    interval_over_runs_and_images,
    rate_over_runs,
    wilson,
)
from advgen.metrics.published import PUBLISHED, TEST_ERRORS, Published


def make_rows(**robust: list[bool]) -> pd.DataFrame:
    """Examples of one model: whether each image is classified correctly under each attack."""
    parts = [
        pd.DataFrame({"source": "net", "source_seed": 0, "attack": name, "index": range(len(flags)), "robust": flags})
        for name, flags in robust.items()
    ]
    facts = pd.concat(parts, ignore_index=True).assign(above_chance=True)
    return facts.assign(robust_rounded=True, robust_at_worst=facts["robust"], robust_rounded_at_worst=True)


def measure(facts: pd.DataFrame, column: str = "robust") -> accuracies.Accuracy:
    accuracy = accuracies.measure(facts, column)
    assert accuracy is not None
    return accuracy


def test_a_worst_case_counts_images_that_are_correct_under_all_attacks_that_were_run_on_them() -> None:
    facts = make_rows(a=[True, True, False, False], b=[True, False, True, False])
    assert measure(accuracies.combine(facts, ["a", "b"]))[:4] == (0.25, *wilson(1, 4), 4)
    worst = measure(accuracies.combine(make_rows(a=[True, True, True], b=[True, False]), ["a", "b"]))
    assert (worst.mean, worst.n) == (0.5, 2)
    assert accuracies.measure(facts.iloc[:0]) is None


def test_more_models_on_the_same_images_do_not_narrow_the_interval_and_unlike_models_widen_it() -> None:
    facts = make_rows(a=[True, True, False, False])
    alike = pd.concat([facts, facts.assign(source_seed=1), facts.assign(source="other")])
    single, pooled = measure(facts), measure(alike)
    assert pooled[1:4] == (single.low, single.high, 4)
    assert pooled.per_model.tolist() == [0.5] * 3
    unlike = measure(pd.concat([facts, facts.assign(source_seed=1, robust=[True] * 3 + [False])]))
    low, high = np.mean([wilson(2, 4), wilson(3, 4)], axis=0)
    expected = interval_over_runs_and_images([0.5, 0.75], (0.625 - low, high - 0.625), True)
    assert unlike.interval == expected
    assert unlike.high - unlike.low > high - low


LABEL = [0, 1, 2] * 4
NO_SIZES = {"linf": np.nan, "l2": np.nan, "l0": np.nan}


def make_predictions(**predicted: list[int]) -> pa.Table:
    """Predictions of models for twelve images of three classes, which an attack does not change."""
    facts = {"source_seed": 0, "attack": "a", "index": range(12), "label": LABEL, "norm": "linf", "eps": 0.1}
    columns = ("predicted_clean", "predicted", "predicted_rounded", "predicted_unaimed")
    parts = [
        pd.DataFrame(
            {**facts, "source": name, "target_label": np.nan, "confidence": 0.9, **NO_SIZES}
            | dict.fromkeys(columns, values)
        )
        for name, values in predicted.items()
    ]
    return pa.Table.from_pandas(pd.concat(parts, ignore_index=True))


CONSTANT = make_predictions(trained=[0, 1, 2] * 3 + [0, 1, 1], constant=[1] * 12)
"""A constant model is never fooled, so it would look most robust."""


def test_a_model_at_chance_has_a_clean_accuracy_and_no_robust_accuracy() -> None:
    facts = accuracies.load_examples({"examples": CONSTANT})
    of = {name: facts[facts["source"] == name] for name in ("trained", "constant")}
    assert [round(12 * measure(rows, "clean").mean) for rows in of.values()] == [11, 4]
    assert accuracies.measure(of["constant"]) is None
    assert measure(facts).per_model.tolist() == [11 / 12]
    text = accuracies.describe_counts(facts)
    assert text.endswith("test images; at chance, so not compared under attack: constant seed 0")
    assert "at chance" not in accuracies.describe_counts(of["trained"])


@pytest.mark.parametrize("module", [confidence, attack_gallery], ids=["confidence", "gallery"])
def test_a_model_at_chance_is_in_no_ranking(module: ModuleType) -> None:
    kind = module.__name__.rpartition(".")[2]
    keys = {"kind": kind, "sources": ["trained", "constant"], "attacks": ["a"]}
    found = module.finding({"examples": CONSTANT}, registry.parse("figures", keys))
    assert [row["source"] for row in found.rows] == ["trained"]
    ranking, _, excluded = found.sentence.partition("; at chance, so not compared under attack: ")
    assert "constant" not in ranking and excluded.startswith("constant seed 0")


SMALL, LARGE, FAR = ("linf", 0.1), ("linf", 0.25), ("l2", 2.0)


def make_examples(**correct: dict[tuple[str, tuple[str, float | None]], int]) -> pa.Table:
    """Examples of models that are correct on twelve clean images, and on so many under each attack, norm and eps."""
    parts = []
    for source, attacks in correct.items():
        for (attack, (norm, eps)), count in attacks.items():
            predicted = LABEL[:count] + [(label + 1) % 3 for label in LABEL[count:]]
            facts = {"source": source, "source_seed": 0, "tested_on": "digits", "attack": attack, "kind": attack}
            facts |= {"norm": norm, "eps": eps, "index": range(12), "label": LABEL, "predicted": predicted}
            facts |= dict.fromkeys(("predicted_clean", "predicted_rounded", "predicted_unaimed"), LABEL)
            parts.append(pd.DataFrame({**facts, **NO_SIZES, "target_label": np.nan}))
    return pa.Table.from_pandas(pd.concat(parts, ignore_index=True))


def compare(table: pa.Table) -> list[str]:
    """The clauses of the sentence that compares the models, one for each condition."""
    facts = accuracies.load_examples({"examples": table})
    sentence, _ = accuracies.compare_with_clean(facts, ["a", "b"], sorted(set(facts["attack"])))
    return sentence.partition("; n\u00a0=")[0].split("; ")


FREE = {("noise", ("none", 0.2)): 0, ("deepfool", ("l2", None)): 0}
"""Noise and an attack without a budget, which leave less than any budget does."""


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (
            {("pgd", SMALL): 3, ("round", FAR): 9, **FREE},
            {("pgd", SMALL): 9, ("round", FAR): 3, **FREE},
            [("pgd", "a 25.0 %", "b 75.0 %"), ("round", "a 75.0 %", "b 25.0 %")],
        ),
        ({("pgd", SMALL): 6, ("wide", LARGE): 0}, {("pgd", SMALL): 9}, [("pgd", "a 50.0 %", "b 75.0 %")]),
        (
            {("glasses", ("region", None)): 6, ("turned", ("spatial", None)): 3},
            {("glasses", ("region", None)): 6, ("turned", ("spatial", None)): 3},
            [("glasses", "a 50.0 %", "b 50.0 %"), ("turned", "a 25.0 %", "b 25.0 %")],
        ),
    ],
    ids=["each norm", "an eps of one model only", "without a norm"],
)
def test_models_are_compared_under_shared_conditions(
    a: dict[Any, int], b: dict[Any, int], expected: list[tuple[str, str, str]]
) -> None:
    clauses = compare(make_examples(a=a, b=b))
    assert len(clauses) == len(expected)
    for clause, (condition, of_a, of_b) in zip(clauses, expected, strict=True):
        assert [clause.count(words) for words in (f"under {condition}", of_a, of_b)] == [2, 1, 1], clause


def test_models_are_compared_at_the_largest_eps_even_if_all_accuracies_are_zero() -> None:
    a, b = ({("pgd", SMALL): count, ("wide", LARGE): 0} for count in (0, 6))
    sentence = "; ".join(compare(make_examples(a=a, b=b)))
    assert sentence.count("under worst case, L∞ ≤ 0.25") == 2 and "under pgd" not in sentence


def make_transferred(
    robust: list[bool], eps: float = 0.1, amplified: bool = False, source: str = "a", target: str = "b"
) -> pa.Table:
    """Examples crafted on `source`, and whether `target` classifies them correctly."""
    predicted = [label if flag else (label + 1) % 3 for label, flag in zip(LABEL, robust, strict=True)]
    facts = {"study": "t", "source": source, "source_seed": 0, "target": target, "target_seed": 0}
    facts |= {"tested_on": "digits", "attack": "pgd", "norm": "linf", "eps": eps, "amplified": amplified}
    facts |= {"index": range(12), "label": LABEL, "predicted_clean": LABEL}
    return pa.Table.from_pandas(pd.DataFrame({**facts, "predicted": predicted, "predicted_rounded": predicted}))


def test_transferred_examples_only_count_in_worst_cases() -> None:
    """The attacks on b leave 9 correct at most; examples of another model, of the smaller eps, fool the first three."""
    attacks = {("pgd", SMALL): 12, ("wide", LARGE): 9}
    tables = {
        "examples": make_examples(a=attacks, b=attacks),
        "transferred": make_transferred([False] * 3 + [True] * 9),
    }
    facts = accuracies.load_examples(tables)
    rows = accuracies.build_rows(facts, ["a", "b"], ["pgd", "wide"])
    found = {(row["source"], row["under"]): row["accuracy"] for row in rows}
    assert found["b", "pgd"] == 1 and found["b", "wide"] == 0.75
    assert found["b", "worst case, L∞ ≤ 0.1"] == 0.75
    assert found["b", "worst case, L∞ ≤ 0.25"] == 0.5
    assert found["a", "worst case, L∞ ≤ 0.25"] == 0.75
    [worst] = [row for row in rows if (row["source"], row["under"]) == ("b", "worst case, L∞ ≤ 0.25")]
    assert worst["accuracy_rounded"] == 0.75
    assert accuracies.describe_other_attacks(facts).endswith("(sets in the ball: b 1)")
    spec = registry.parse("figures", {"kind": "robustness", "sources": ["a", "b"], "attacks": ["pgd", "wide"]})
    sentence = robustness.finding(tables, spec).sentence
    assert "b 50.0 %" in sentence and "(sets in the ball: b 1)" in sentence


@pytest.mark.parametrize(
    "keys",
    [{"eps": 0.3}, {"amplified": True}, {"source": "b"}],
    ids=["outside the ball", "amplified", "of the same model"],
)
def test_other_transferred_examples_do_not_count(keys: dict[str, Any]) -> None:
    tables = {
        "examples": make_examples(b={("pgd", SMALL): 12}),
        "transferred": make_transferred([False] * 12, **keys),
    }
    facts = accuracies.load_examples(tables)
    assert not facts["other_attacks"].any() and facts["robust_at_worst"].all()
    assert accuracies.describe_other_attacks(facts) == "" and accuracies.list_worst_cases(facts, ["pgd"]) == {}


def test_smallest_perturbations_count_in_the_balls_that_contain_them() -> None:
    """DeepFool fools all: four images within L∞ ≤ 0.1, four within 0.25, four farther away, or without any change."""
    table = make_examples(a={("pgd", SMALL): 12, ("wide", LARGE): 9, ("deepfool", ("l2", None)): 0})
    sizes = [np.nan] * 24 + [0.05] * 4 + [0.25 + 1e-7] * 4 + [0.3, 0.4, 0.0, np.nan]
    facts = accuracies.load_examples({"examples": with_columns(table, linf=np.array(sizes))})
    rows = accuracies.build_rows(facts, ["a"], ["pgd", "wide", "deepfool"])
    found = {row["under"]: row["accuracy"] for row in rows}
    assert (found["pgd"], found["worst case, L∞ ≤ 0.1"]) == (1, 8 / 12)
    assert (found["wide"], found["worst case, L∞ ≤ 0.25"]) == (9 / 12, 1 / 12)


def test_attacks_without_a_budget_are_not_bounded() -> None:
    facts = pd.DataFrame(
        {"attack": ["pgd", "deepfool", "spatial"], "norm": ["linf", "l2", "spatial"], "eps": [0.1, None, None]}
    )
    assert accuracies.select_bounded(facts, ["spatial", "deepfool", "pgd"]) == ["spatial", "pgd"]
    assert accuracies.select_bounded(facts.assign(norm="l1"), ["spatial", "deepfool", "pgd"]) == ["pgd"]


def test_a_transfer_matrix_excludes_models_at_chance_unless_no_other_is_left() -> None:
    models = {"a": LABEL, "b": LABEL, "flat": [2] * 12}
    predictions = make_predictions(**models).rename_columns({"source": "target", "source_seed": "target_seed"})
    sources, targets = zip(*product(models, models), strict=True)
    seeds = {"source_seed": [0] * 9, "target_seed": [0] * 9}
    transfer = pa.table({"source": sources, "target": targets, **seeds})
    kept, words = exclude_chance_models({"transfer": transfer, "transferred": predictions})
    assert set(zip(kept["source"], kept["target"], strict=True)) == set(product("ab", "ab"))
    assert words == "; excluded because at chance: flat seed 0"
    of_flat = [table.filter(pc.equal(table["target"], "flat")) for table in (transfer, predictions)]
    kept, words = exclude_chance_models(dict(zip(("transfer", "transferred"), of_flat, strict=True)))
    assert (len(kept), words) == (3, "")


def test_a_transfer_error_has_an_interval_over_the_seeds_of_both_models_and_images() -> None:
    pairs = pd.DataFrame({"source": "a", "target": "b", "source_seed": [0, 0, 1, 1], "target_seed": [0, 1, 0, 1]})
    pairs = pairs.assign(error=[0.2, 0.4, 0.3, 0.5]).eval("error_low = error - .05 \n error_high = error + .06")
    expected = combine_intervals(0.35, [[0.3, 0.4], [0.25, 0.45]], (0.05, 0.06), share=True)
    assert measure_error(pairs) == pytest.approx(expected)
    itself = pairs.assign(target="a")[[True, False, False, True]]
    assert measure_error(itself) == pytest.approx(combine_intervals(0.35, [[0.2, 0.5]], (0.05, 0.06), share=True))
    assert measure_error(pairs[:1]) == pytest.approx((0.2, 0.15, 0.26))


def test_accuracy_after_steps_is_the_worst_case_over_restarts() -> None:
    columns = {"seed": 0, "index": [0, 0, 1, 1, 2, 2], "restart": [0, 1] * 3}
    columns |= {"right_clean": [True] * 4 + [False] * 2, "fooled_step": [3, 1, None, None, None, None]}
    facts = pd.DataFrame(columns)
    assert measure_accuracy_after(facts, [0, 1, 3])[:, 0] == pytest.approx([2 / 3, 1 / 3, 1 / 3])
    assert measure_accuracy_after(facts, [1])[0, 1:] == pytest.approx(wilson(1, 3))
    first = facts[facts["restart"] == 0]
    assert measure_accuracy_after(first, [0, 2, 3])[:, 0] == pytest.approx([2 / 3, 2 / 3, 1 / 3])
    # The second model is never fooled, so models differ more than three images can show.
    both = pd.concat([facts, facts.assign(seed=1, fooled_step=None)])
    assert measure_accuracy_after(both, [1])[0] == pytest.approx(rate_over_runs([1 / 3, 2 / 3], 3))


def test_convergence_starts_with_the_accuracy_under_random_starts() -> None:
    """Two starts of three steps: of four images one is fooled by a start, one by a step, one is wrong when clean."""
    facts = {"convergence": "c", "source": "net", "seed": 0, "attack": "pgd", "eps": 0.1}
    columns = {"index": [0, 1, 2, 3] * 2, "restart": [0] * 4 + [1] * 4, "right_clean": [True, True, True, False] * 2}
    fooled = {"fooled_step": [None, 3, None, 0, 0, None, None, 0], "losses": [[0.0, 1.0, 2.0, 3.0]] * 8}
    table = pa.Table.from_pandas(pd.DataFrame({**facts, **columns, **fooled}))
    rows = converged({"convergence": table}, ConvergenceFigure(kind="convergence", convergence="c")).rows
    expected = {"no attack": (0, 0.75), "starts alone": (0, 0.5), "one start": (3, 0.5), "all starts": (3, 0.25)}
    assert {row["effort"]: (row["steps"], row["accuracy"]) for row in rows} == expected


def test_certified_accuracy_is_reported_with_the_majority_class_baseline() -> None:
    (_, spec), tables = next(fake_specs(CertifiedAccuracyFigure)), fake_tables()
    certified = tables["certification"].to_pandas()
    certified["label"] = np.where(certified["index"] % 4 == 0, 1, 7)
    assert certified.groupby(["certification", "source", "seed"])["index"].nunique().min() % 4 == 0
    found = certified_accuracy.finding({**tables, "certification": pa.Table.from_pandas(certified)}, spec)
    assert "the majority-class baseline has 75.0 % at every radius" in found.sentence
    assert {row["commonest"] for row in found.rows} == {0.75}


@pytest.mark.parametrize(("value", "text"), [(500, "500"), (60_000, "60k"), (3_274_634, "3.27M")])
def test_counts_are_abbreviated(value: float, text: str) -> None:
    assert abbreviate(value) == text


def test_a_finding_has_the_accuracy_of_its_examples_in_sentence_and_rows() -> None:
    table = fake_table("examples")
    table = table.filter(pc.equal(table["attack"], "pgd-2"))
    facts = table.drop_columns(["image", "adversarial"]).to_pandas()
    facts = facts[facts["source"] == "net-a"]
    correct = (facts["predicted_clean"] == facts["label"]) & (facts["predicted"] == facts["label"])
    spec = registry.parse("figures", {"kind": "robustness", "sources": ["net-a"], "attacks": ["pgd-2"]})
    found = robustness.finding({"examples": table}, spec)
    [row] = [row for row in found.rows if row["under"] == "pgd-2"]
    assert row["accuracy"] == pytest.approx(correct.groupby(facts["source_seed"]).mean().mean())
    low, high = wilson(round(20 * row["accuracy"]), 20)
    assert (row["accuracy_low"], row["accuracy_high"]) == (low, high)
    interval = f"{100 * row['accuracy']:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
    assert f"net-a {interval} under pgd-2" in found.sentence
    assert "n\u00a0=\u00a020 test images, 2 seeds" in found.sentence


[PUBLISHED_SPEC] = [spec for label, spec in fake_specs(PublishedTransferFigure) if label == "full"]


@pytest.mark.parametrize("verified", [False, True])
def test_only_verified_cells_count_in_statistics(verified: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another number in a recalled cell changes neither Kendall's tau nor the median difference."""
    tables, table = fake_tables(), PUBLISHED[PUBLISHED_SPEC.published]
    names = {name: PUBLISHED_SPEC.names[name] for name in ("FC100-100-10", "FC123-456-10")}
    spec = PUBLISHED_SPEC.model_copy(update={"names": names, "transfer": NAMES["transfers"][0]})

    def describe(changed: Published) -> tuple[str, list[str]]:
        monkeypatch.setitem(PUBLISHED, spec.published, changed)
        return finding(tables, spec).sentence, [
            f"{ours.tau} {ours.median_difference}" for ours in compare_with_published(tables, spec).ours
        ]

    row, column = ("FC100-100-10", "FC123-456-10") if verified else ("FC123-456-10", "FC100-100-10")
    assert ((row, column) in table.verified) == verified
    errors = {
        **table.errors,
        row: tuple(0.5 if target == column else table.error(row, target) for target in table.targets),
    }
    before, after = describe(table), describe(replace(table, errors=errors))
    assert (before[0] == after[0]) != verified
    assert before[1] == after[1] or verified


def test_the_table_of_agreement_has_the_numbers_of_the_figure_without_noise(tmp_path: Path) -> None:
    """Noise is crafted on no model: with or without its row, the cells are the same."""
    spec = PUBLISHED_SPEC.model_copy(update={"transfer": NAMES["transfers"][0], "published": "szegedy2014-table-2"})
    models = {"FC10(1e-4)": "net-a", "FC100-100-10": "net-b"}
    noise = {"Gaussian sd 0.1": "noise"}
    alone, with_noise = (spec.model_copy(update={"names": models | names}) for names in ({}, noise))
    tables, files = fake_tables(), []
    for kind in ("transfer", "transferred"):
        files.append(tmp_path / f"{kind}.parquet")
        write_table(files[-1], tables[kind], Stamp("made up", {}, ""))
    task = Agree(figures={"a": alone, "b": with_noise})
    agree(Job("agree", task, "", {"tables": files}, {"out": [tmp_path / "out.parquet"]}))
    found = read_table(tmp_path / "out.parquet", "published").to_pandas().set_index(["figure", "attack"])
    numbers = ["cells", "tau", "median_difference"]
    shared = sorted(set(found.loc["b"].index))
    assert "noise" not in shared and set(found["cells"]) == {2}
    assert found.loc["a"].loc[shared, numbers].equals(found.loc["b"].loc[shared, numbers])
    words = [text.get_text() for text in draw_published(tables, with_noise).texts]
    sentence = finding(tables, with_noise).sentence
    for attack, row in found.loc["b"].iterrows():
        agreed = f"{row['tau']:.2f} (n\u00a0=\u00a02)".replace("-", "−")
        assert any(f"with examples of another model: {agreed}" in text.replace("\n", " ") for text in words), attack
    for attack in (shared[0], shared[-1]):
        assert f"{attack} by {found.loc[('b', attack), 'median_difference']:.1f} points" in sentence


def test_a_test_error_is_shown_with_its_interval_and_the_published_error(monkeypatch: pytest.MonkeyPatch) -> None:
    table = fake_table("classifier_quality")
    table = table.filter(pc.or_(pc.equal(table["classifier"], "net-a"), pc.equal(table["seed"], 0)))
    table = with_columns(table, error=np.array([0.07, 0.08, 0.02]), n=np.full(3, 500))
    table = with_columns(table, error_low=np.array([0.05, 0.06, 0.01]), error_high=np.array([0.09, 0.1, 0.04]))
    published = {"net-a": "FC10(1e-4)", "net-b": "AE400-10"}
    spec = ClassifierErrorsFigure(kind="test_errors", classifiers=("net-b", "net-a"), published_nets=published)
    monkeypatch.setitem(TEST_ERRORS, "AE400-10", TEST_ERRORS["AE400-10"]._replace(verified=False))
    b, a = test_errors.finding({"classifier_quality": table}, spec).rows
    assert (b["classifier"], b["seeds"], a["seeds"]) == ("net-b", 1, 2)
    assert [b[name] for name in ("error", "error_low", "error_high")] == pytest.approx([0.02, 0.01, 0.04])
    mean, low, high = interval_over_runs([[0.07], [0.08]])
    low, high = max(0, mean - math.hypot(mean - low, 0.02)), mean + math.hypot(high - mean, 0.02)
    assert [a[name] for name in ("error", "error_low", "error_high")] == pytest.approx([mean, low, high])
    assert (a["published"], b["published"]) == pytest.approx((0.074, 0.019))
    assert (a["verified"], b["verified"]) == (True, False)
    figure = test_errors.draw({"classifier_quality": table}, spec)
    words = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert {"7.50", "7.4", "2.00", "~1.9"} <= set(words)
    hollow = [line.get_xdata() for line in figure.axes[0].lines if line.get_markerfacecolor() == "none"]
    assert np.ravel(hollow).tolist() == [1.9, 7.4]


def make_deepfool_tables(sizes: list[float], robust: list[bool]) -> dict[str, pa.Table]:
    """Examples of DeepFool on one model with these L2 sizes, and whether each image is still classified correctly."""
    table = fake_table("examples")
    mask = pc.and_(pc.equal(table["source"], "net-a"), pc.equal(table["attack"], "deepfool"))
    table = table.filter(pc.and_(mask, pc.equal(table["source_seed"], 0))).slice(0, len(sizes))
    label = table["label"].to_numpy()
    predicted = np.where(robust, label, (label + 1) % 10)
    return {"examples": with_columns(table, l2=np.array(sizes), predicted_clean=label, predicted=predicted)}


def test_target_rates_of_an_attack_and_of_its_control_are_both_reported() -> None:
    table = fake_table("examples")
    for column, value in (("source", "net-a"), ("attack", "pgd-2"), ("source_seed", 0)):
        table = table.filter(pc.equal(table[column], value))
    label, place = table["label"].to_numpy(), np.arange(20)
    target, other = (label + 1) % 10, (label + 2) % 10
    predicted, controls = np.where(place < 12, target, other), np.where(place < 5, target, other)
    table = with_columns(
        table, target_label=target, predicted_clean=label, predicted=predicted, predicted_unaimed=controls
    )
    spec = AttackComparisonFigure(kind="attack_comparison", sources=("net-a",), attacks=("pgd-2",))
    [row] = attack_comparison.finding({"examples": table}, spec).rows
    assert (row["success"], row["success_unaimed"]) == (1, 1)
    assert (row["success_target"], row["success_target_unaimed"]) == pytest.approx((0.6, 0.25))
    words = [text.get_text() for text in attack_comparison.draw({"examples": table}, spec).texts]
    assert {"target reached", "target, control"} <= set(words)


def test_intervals_of_attacks_widen_if_models_differ_and_do_not_narrow_with_more_models() -> None:
    tables = make_deepfool_tables([0.5, 1.0, 1.5, 2.5, 9.0, 3.0], [False, False, False, False, True, False])
    first = tables["examples"]
    second = with_columns(first, source_seed=np.ones(len(first), int))
    larger = with_columns(second, l2=second["l2"].to_numpy() * 1.2, rms=second["rms"].to_numpy() * 1.2)

    def measure_all(table: pa.Table) -> dict[str, tuple[float, float, float]]:
        selection = accuracies.Selection(accuracies.load_examples({"examples": table}), ["net-a"], ["deepfool"])
        measures = {"l2": measure_sizes, "rms": measure_sizes, "robust": measure_success}
        found = {name: function(selection, name)[0] for name, function in measures.items()}
        return {name: (mark.value, mark.low, mark.high) for name, mark in found.items()}

    alone, alike, unlike = (
        measure_all(pa.concat_tables(parts)) for parts in ([first], [first, second], [first, larger])
    )
    for name, (value, low, high) in alone.items():
        assert low < value < high and alike[name] == pytest.approx((value, low, high))
    for name in ("l2", "rms"):
        value, low, high = alone[name]
        assert unlike[name][0] == pytest.approx(1.1 * value)
        assert unlike[name][1] == 0 and unlike[name][2] - unlike[name][0] > 1.5 * (high - value)


CURVES = AccuracyCurvesFigure(kind="accuracy_curves", sources=("net-a",), attacks=("deepfool",))


def test_the_median_size_of_successful_perturbations_is_reported() -> None:
    tables = make_deepfool_tables([0.5, 1.0, 1.5, 9.0], [False, False, False, True])
    found = accuracy_curves.finding(tables, CURVES)
    assert "deepfool fools net-a on 75.0 % of its correct images, half within L2 1.00 [0.500, 1.50]" in found.sentence
    [row] = [row for row in found.rows if row["under"] == "deepfool"]
    assert (row["half_within"], row["accuracy"]) == (1.0, 0.25)


def test_sizes_in_l1_are_computed_from_the_images() -> None:
    tables = make_deepfool_tables([0.5, 1.0, 1.5, 9.0], [False, False, False, True])
    tables["examples"] = with_columns(tables["examples"], norm=np.full(4, "l1"))
    images, adversarial = (read_images(tables["examples"], name) for name in ("image", "adversarial"))
    sizes = np.abs(adversarial - images).sum((1, 2, 3))
    found = accuracy_curves.finding(tables, CURVES)
    [row] = [row for row in found.rows if row["under"] == "deepfool"]
    assert row["half_within"] == pytest.approx(np.median(sizes[:3]))
    assert "within L1 " in found.sentence
    axes = accuracy_curves.draw(tables, CURVES).axes[0]
    assert axes.get_xlabel() == "L1 radius" and axes.get_xlim()[1] > sizes[:3].max()
    spec = registry.parse("figures", {"kind": "defence_table", "sources": ["net-a"], "attacks": ["deepfool"]})
    texts = {text.get_text() for text in defence_table.draw(tables, spec).findobj(Text)}
    assert format_number(np.median(sizes[:3])) in texts


def test_each_stop_of_the_slider_frames_the_images_that_are_fooled_within_its_size() -> None:
    tables = make_deepfool_tables([0.5, 1.0, 1.5, 9.0], [False, False, False, True])
    explorer = accuracy_curves.explorer(tables, CURVES)
    stops = explorer.choices[1].stops
    # The stops are quantiles of the sizes of the three fooled images.
    assert [sum(tile.framed for tile in explorer.strips[0, k]) for k in range(len(stops))] == [0, 1, 1, 2, 2, 2, 3]
    assert stops[-1].endswith(": L2 up to 1.50")
