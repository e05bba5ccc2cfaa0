"""The numbers that figures work out for themselves: worst cases, pooled accuracies, spans, intervals over seeds."""

import math
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from matplotlib.text import Text
from scipy.stats import ttest_1samp
from tests.fake_tables import NAMES, fake_specs, fake_table, fake_tables

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
from advgen.experiments.autoencoders import reconstructions
from advgen.experiments.autoencoders.experiment import ReconstructionsFigure
from advgen.experiments.autoencoders.latent_distribution import select_epochs
from advgen.experiments.certifications import certified_accuracy
from advgen.experiments.certifications.experiment import CertifiedAccuracyFigure
from advgen.experiments.classifiers import test_errors
from advgen.experiments.classifiers.experiment import ClassifierErrorsFigure
from advgen.experiments.convergences.convergence import finding as converged
from advgen.experiments.convergences.convergence import measure_accuracy_after
from advgen.experiments.convergences.experiment import ConvergenceFigure
from advgen.experiments.gans import gan_comparison, gan_samples
from advgen.experiments.gans.experiment import GanComparisonFigure, GanSamplesFigure
from advgen.experiments.gans.gan_samples import _limit
from advgen.experiments.gans.loss_curves import _compute_scales, find_spans
from advgen.experiments.inpaintings.inpainting_gallery import MISSING, tint_missing
from advgen.experiments.inpaintings.methods import masks_by_size, present_methods
from advgen.experiments.interpolations import third_class
from advgen.experiments.interpolations.experiment import ThirdClassFigure
from advgen.experiments.inversions import inversion_gallery
from advgen.experiments.inversions.experiment import InversionGalleryFigure
from advgen.experiments.transfers.errors import exclude_chance_models, measure_error
from advgen.experiments.transfers.experiment import PublishedTransferFigure
from advgen.experiments.transfers.published_comparison import compare_with_published
from advgen.experiments.transfers.published_transfer import draw as draw_published
from advgen.experiments.transfers.published_transfer import finding
from advgen.experiments.truncations import truncation
from advgen.experiments.truncations.experiment import TruncationFigure
from advgen.figures.findings import Choice, Explorer, Strips, Tile, names_in
from advgen.figures.formatting import format_number, join_parts
from advgen.figures.statistics import mean_over_images, mean_over_seeds, share_over_images
from advgen.files.provenance import Stamp
from advgen.io.tables import read_images, read_table, write_table
from advgen.jobs.job import Job
from advgen.metrics.intervals import (
    bootstrap_mean,
    combine_intervals,
    interval_over_runs,
    interval_over_runs_and_images,
    rate_over_runs,
    wilson,
)
from advgen.metrics.lines import measure_linearity
from advgen.metrics.published import PUBLISHED, TEST_ERRORS, Published


def rows(**right: list[bool]) -> pd.DataFrame:
    """Examples of one net: whether each image is right under each attack."""
    parts = [
        pd.DataFrame({"source": "net", "source_seed": 0, "attack": name, "index": range(len(flags)), "robust": flags})
        for name, flags in right.items()
    ]
    facts = pd.concat(parts, ignore_index=True).assign(above_chance=True)
    return facts.assign(robust_rounded=True, robust_at_worst=facts["robust"], robust_rounded_at_worst=True)


def test_the_worst_case_counts_an_image_that_is_right_under_every_attack() -> None:
    facts = rows(a=[True, True, False, False], b=[True, False, True, False])
    worst = accuracies.measure(accuracies.combine(facts, ["a", "b"]))
    assert worst is not None
    assert worst.mean == 0.25
    assert (worst.low, worst.high) == wilson(1, 4)


def test_an_image_that_one_attack_was_not_tried_on_is_left_out() -> None:
    worst = accuracies.measure(accuracies.combine(rows(a=[True, True, True], b=[True, False]), ["a", "b"]))
    assert worst is not None
    assert (worst.mean, worst.n) == (0.5, 2)


def test_more_nets_do_not_make_the_interval_narrower() -> None:
    one = rows(a=[True, True, False, False])
    two = pd.concat([one, one.assign(source_seed=1), one.assign(source="other")])
    alone, pooled = accuracies.measure(one), accuracies.measure(two)
    assert alone is not None and pooled is not None
    assert (pooled.low, pooled.high, pooled.n) == (alone.low, alone.high, 4)
    assert pooled.per_model.tolist() == [0.5] * 3


def test_nets_that_differ_make_the_interval_wider() -> None:
    """As of a table's rows: Student's half width over nets, joined with Wilson's over images."""
    one = rows(a=[True, True, False, False])
    facts = pd.concat([one, one.assign(source_seed=1, robust=[True] * 3 + [False])])
    found = accuracies.measure(facts)
    assert found is not None
    low, high = np.mean([wilson(2, 4), wilson(3, 4)], axis=0)
    assert (found.mean, found.low, found.high) == interval_over_runs_and_images(
        [0.5, 0.75], (0.625 - low, high - 0.625), True
    )
    assert found.high - found.low > high - low


def test_reconstructions_are_told_by_all_test_images_wherever_they_stand() -> None:
    """Not by the few that are kept to be shown: picture, sentence and table have one number, with its n."""
    tables = fake_tables()
    quality = tables["autoencoder_quality"].to_pandas()
    spec = ReconstructionsFigure(kind="reconstructions", autoencoders=("autoencoder-a", "autoencoder-b"))
    found = reconstructions.finding(tables, spec)
    expected = quality.groupby("autoencoder")[["mse", "mse_principal", "class_kept"]].mean()
    for row in found.rows:
        assert [row[name] for name in expected] == pytest.approx(list(expected.loc[row["autoencoder"]]))
        assert row["n"] == 200
    shown = {text.get_text() for text in reconstructions.draw(tables, spec).findobj(Text)}
    for error in expected["mse"]:
        assert any(f"MSE {format_number(error)}" in text for text in shown)


def test_classes_by_both_classifiers_stand_beside_those_of_the_judge() -> None:
    tables = fake_tables()
    spec = GanComparisonFigure(kind="gan_comparison", gans=("gan-a",), measures=("classes", "recall"))
    titles = {text.get_text() for text in gan_comparison.draw(tables, spec).findobj(Text)}
    assert {"classes covered", "classes, both classifiers", "recall"} <= titles
    (row,) = gan_comparison.finding(tables, spec).rows
    assert {"classes_both", "classes_both_low", "agreement"} <= set(row)


def test_no_rows_have_no_accuracy() -> None:
    assert accuracies.measure(rows(a=[True]).iloc[:0]) is None


NO_SIZES = {"linf": np.nan, "l2": np.nan, "l0": np.nan}


def answers(**predicted: list[int]) -> pa.Table:
    """What nets say of twelve clean images of three classes, which an attack leaves as they are."""
    label = [0, 1, 2] * 4
    facts = {"source_seed": 0, "attack": "a", "index": range(12), "label": label, "norm": "linf", "eps": 0.1}
    parts = [
        pd.DataFrame(
            {
                **facts,
                "source": net,
                "predicted_clean": told,
                "predicted": told,
                "predicted_rounded": told,
                "predicted_unaimed": told,
                "target_label": np.nan,
                "confidence": 0.9,
                **NO_SIZES,
            }
        )
        for net, told in predicted.items()
    ]
    return pa.Table.from_pandas(pd.concat(parts, ignore_index=True))


def test_a_net_at_chance_has_a_clean_accuracy_and_is_not_compared_under_attack() -> None:
    """A constant net is never fooled, so that it would stand above all others."""
    told = answers(learnt=[0, 1, 2] * 3 + [0, 1, 1], constant=[1] * 12)
    facts = accuracies.load_examples({"examples": told})
    of = {net: facts[facts["source"] == net] for net in ("learnt", "constant")}
    clean = {net: accuracies.measure(rows, "clean") for net, rows in of.items()}
    assert [round(12 * one.mean) for one in clean.values() if one] == [11, 4]
    assert accuracies.measure(of["constant"]) is None
    both = accuracies.measure(facts)
    assert both is not None and both.per_model.tolist() == [11 / 12]
    assert accuracies.describe_counts(facts).endswith(
        "test images; at chance, so not compared under attack: constant seed 0"
    )
    assert "at chance" not in accuracies.describe_counts(of["learnt"])


@pytest.mark.parametrize("module", [confidence, attack_gallery], ids=["confidence", "gallery"])
def test_a_net_at_chance_is_in_no_ranking(module: ModuleType) -> None:
    """A net that names one class alone is as sure of its mistakes as can be, and hard to fool."""
    table = answers(learnt=[0, 1, 2] * 3 + [0, 1, 1], constant=[1] * 12)
    kind = module.__name__.rpartition(".")[2]
    asked = {"kind": kind, "sources": ["learnt", "constant"], "attacks": ["a"]}
    found = module.finding({"examples": table}, registry.parse("figures", asked))
    assert [row["source"] for row in found.rows] == ["learnt"]
    ranking, _, left_out = found.sentence.partition("; at chance, so not compared under attack: ")
    assert "constant" not in ranking and left_out.startswith("constant seed 0")


SMALL, LARGE, FAR = ("linf", 0.1), ("linf", 0.25), ("l2", 2.0)


def under(**right: dict[tuple[str, tuple[str, float | None]], int]) -> pa.Table:
    """Examples of nets that have twelve clean images right, and so many under each attack of a norm and eps."""
    label = [0, 1, 2] * 4
    parts = []
    for net, attacks in right.items():
        for (attack, (norm, eps)), count in attacks.items():
            predicted = label[:count] + [(one + 1) % 3 for one in label[count:]]
            facts = {"source": net, "source_seed": 0, "tested_on": "digits", "attack": attack, "norm": norm, "eps": eps}
            told_ = {"predicted_clean": label, "predicted": predicted, "predicted_rounded": label}
            facts |= {"index": range(12), "label": label, "predicted_unaimed": label, "kind": attack, **told_}
            parts.append(pd.DataFrame({**facts, **NO_SIZES, "target_label": np.nan}))
    return pa.Table.from_pandas(pd.concat(parts, ignore_index=True))


def sentence(table: pa.Table, **more: pa.Table) -> str:
    facts = accuracies.load_examples({"examples": table, **more})
    return accuracies.compare_with_clean(facts, ["a", "b"], sorted(set(facts["attack"])))[0]


def test_a_tie_at_nothing_compares_no_nets_at_unequal_eps() -> None:
    a, b = ({("pgd", SMALL): count, ("wide", LARGE): 0} for count in (0, 6))
    found = sentence(under(a=a, b=b))
    assert found.count("under worst case, L∞ ≤ 0.25") == 2 and "under pgd" not in found


def test_nets_are_compared_norm_by_norm_and_neither_under_noise_nor_without_a_budget() -> None:
    """Each net falls to another norm; noise and an unbounded attack leave less than any budget does."""
    free = {("noise", ("none", 0.2)): 0, ("deepfool", ("l2", None)): 0}
    a = {("pgd", SMALL): 3, ("round", FAR): 9, **free}
    b = {("pgd", SMALL): 9, ("round", FAR): 3, **free}
    found = sentence(under(a=a, b=b))
    l_inf, l_2 = found.partition("; n\u00a0=")[0].split("; ")
    assert [l_inf.count(words) for words in ("under pgd", "a 25.0 %", "b 75.0 %")] == [2, 1, 1]
    assert [l_2.count(words) for words in ("under round", "a 75.0 %", "b 25.0 %")] == [2, 1, 1]


def test_an_eps_that_one_net_did_not_meet_compares_none() -> None:
    found = sentence(under(a={("pgd", SMALL): 6, ("wide", LARGE): 0}, b={("pgd", SMALL): 9}))
    assert found.count("under pgd") == 2 and "0.25" not in found


def test_changes_without_a_norm_are_compared_one_by_one() -> None:
    of = {("glasses", ("region", None)): 6, ("turned", ("spatial", None)): 3}
    found = sentence(under(a=of, b=of))
    assert found.count("under glasses") == found.count("under turned") == 2


def met(right: list[bool], eps: float = 0.1, amplified: bool = False, of: str = "a") -> pa.Table:
    """Examples of another net that `b` met, or of itself."""
    label = [0, 1, 2] * 4
    predicted = [one if kept else (one + 1) % 3 for one, kept in zip(label, right, strict=True)]
    facts = {"study": "t", "source": of, "source_seed": 0, "target": "b", "target_seed": 0, "tested_on": "digits"}
    facts |= {"attack": "pgd", "norm": "linf", "eps": eps, "amplified": amplified, "index": range(12), "label": label}
    told_ = {"predicted_clean": label, "predicted": predicted, "predicted_rounded": predicted}
    return pa.Table.from_pandas(pd.DataFrame({**facts, **told_}))


def test_what_other_nets_examples_fool_counts_in_a_worst_case_alone() -> None:
    """Own attacks leave 9 right at most; another net's examples of the smaller eps fool the first three."""
    of = {("pgd", SMALL): 12, ("wide", LARGE): 9}
    tables = {"examples": under(a=of, b=of), "transferred": met([False] * 3 + [True] * 9)}
    facts = accuracies.load_examples(tables)
    found = {(row["source"], row["under"]): row for row in accuracies.build_rows(facts, ["a", "b"], ["pgd", "wide"])}
    assert found["b", "pgd"]["accuracy"] == 1 and found["b", "wide"]["accuracy"] == 0.75
    assert found["b", "worst case, L∞ ≤ 0.1"]["accuracy"] == 0.75
    assert found["b", "worst case, L∞ ≤ 0.25"]["accuracy"] == 0.5
    assert found["b", "worst case, L∞ ≤ 0.25"]["accuracy_rounded"] == 0.75
    assert found["a", "worst case, L∞ ≤ 0.25"]["accuracy"] == 0.75
    assert accuracies.describe_other_attacks(facts).endswith("(sets in the ball: b 1)")
    spec = registry.parse("figures", {"kind": "robustness", "sources": ["a", "b"], "attacks": ["pgd", "wide"]})
    found_words = robustness.finding(tables, spec).sentence
    assert "b 50.0 %" in found_words and "(sets in the ball: b 1)" in found_words


def test_smallest_changes_count_where_they_lie_in_a_ball() -> None:
    """DeepFool fools all: four images within L∞ ≤ 0.1, four within 0.25, four farther away, or without any change."""
    of = {("pgd", SMALL): 12, ("wide", LARGE): 9, ("deepfool", ("l2", None)): 0}
    table = under(a=of)
    sizes = [np.nan] * 24 + [0.05] * 4 + [0.25 + 1e-7] * 4 + [0.3, 0.4, 0.0, np.nan]
    place = table.column_names.index("linf")
    facts = accuracies.load_examples({"examples": table.set_column(place, "linf", pa.array(sizes))})
    found = {row["under"]: row["accuracy"] for row in accuracies.build_rows(facts, ["a"], ["pgd", "wide", "deepfool"])}
    assert (found["pgd"], found["worst case, L∞ ≤ 0.1"]) == (1, 8 / 12)
    assert (found["wide"], found["worst case, L∞ ≤ 0.25"]) == (9 / 12, 1 / 12)


def test_checks_of_the_nets_that_others_were_attacked_on_do_not_concern_a_figure() -> None:
    examples, shown = (fake_table(kind) for kind in ("examples", "transferred"))
    mine = examples.filter(pc.equal(examples["source"], "net-b"))
    found = names_in({"examples": mine, "transferred": shown.filter(pc.equal(shown["target"], "net-b"))})
    assert {"net-b", "pgd-2"} <= set(found) and "net-a" not in found


@pytest.mark.parametrize(
    "shown",
    [{"eps": 0.3}, {"amplified": True}, {"of": "b"}],
    ids=["beyond the ball", "amplified", "its own"],
)
def test_other_examples_do_not(shown: dict[str, Any]) -> None:
    facts = accuracies.load_examples(
        {"examples": under(b={("pgd", SMALL): 12}), "transferred": met([False] * 12, **shown)}
    )
    assert not facts["other_attacks"].any() and facts["robust_at_worst"].all()
    assert accuracies.describe_other_attacks(facts) == "" and accuracies.list_worst_cases(facts, ["pgd"]) == {}


def test_a_transfer_matrix_leaves_nets_at_chance_out() -> None:
    nets = {"a": [0, 1, 2] * 4, "b": [0, 1, 2] * 4, "flat": [2] * 12}
    shown = answers(**nets).rename_columns({"source": "target", "source_seed": "target_seed"})
    pairs = [(source, target) for source in nets for target in nets]
    sources, targets = ([pair[side] for pair in pairs] for side in (0, 1))
    seeds = {"source_seed": [0] * 9, "target_seed": [0] * 9}
    transfer = pa.table({"source": sources, "target": targets, **seeds})
    kept, words = exclude_chance_models({"transfer": transfer, "transferred": shown})
    assert set(zip(kept["source"], kept["target"], strict=True)) == {(s, t) for s in "ab" for t in "ab"}
    assert words == "; excluded because at chance: flat seed 0"
    everywhere = shown.filter(pc.equal(shown["target"], "flat"))
    alone = transfer.filter(pc.equal(transfer["target"], "flat"))
    kept, words = exclude_chance_models({"transfer": alone, "transferred": everywhere})
    assert (len(kept), words) == (3, "")


def test_attacks_that_go_as_far_as_they_like_have_no_part_in_a_worst_case() -> None:
    facts = pd.DataFrame(
        {"attack": ["pgd", "deepfool", "spatial"], "norm": ["linf", "l2", "spatial"], "eps": [0.1, None, None]}
    )
    assert accuracies.select_bounded(facts, ["spatial", "deepfool", "pgd"]) == ["spatial", "pgd"]
    assert accuracies.select_bounded(facts.assign(norm="l1"), ["spatial", "deepfool", "pgd"]) == ["pgd"]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [([], []), ([0, 0], []), ([1, 1, 0, 1], [(0, 1), (3, 3)]), ([0, 1, 1, 0], [(1, 2)]), ([1], [(0, 0)])],
)
def test_spans(flags: list[int], expected: list[tuple[int, int]]) -> None:
    assert find_spans(np.array(flags, dtype=bool)) == expected


def test_the_interval_over_seeds_is_students() -> None:
    values = np.array([3.0, 4.0, 8.0])
    mean, low, high = mean_over_seeds(values)
    expected = ttest_1samp(values, 0).confidence_interval(0.95)
    assert (mean, low, high) == pytest.approx((5.0, expected.low, expected.high))
    assert mean_over_seeds(np.array([2.0])) == (2.0, 2.0, 2.0)


def test_an_image_counts_once_however_many_seeds_it_has() -> None:
    one = pd.DataFrame({"seed": 0, "index": range(5), "mse": [1.0, 3.0, 5.0, 8.0, math.nan]})
    alone = mean_over_images(one, "mse")
    assert alone == pytest.approx(bootstrap_mean([1.0, 3.0, 5.0, 8.0], 0))
    assert mean_over_images(pd.concat([one, one.assign(seed=1)]), "mse") == pytest.approx(alone)
    other = one.assign(seed=1, mse=one["mse"] + 1)
    reach = (alone[0] - alone[1], alone[2] - alone[0])
    mean, low, high = interval_over_runs_and_images([4.25, 5.25], reach)
    both = pd.concat([one, other])
    assert low < 0 and mean_over_images(both, "mse") == pytest.approx((mean, 0, high))
    lower = mean_over_images(both.assign(mse=both["mse"] - 2), "mse")
    assert lower == pytest.approx((mean - 2, low - 2, high - 2))
    assert np.isnan(mean_over_images(one[4:], "mse")).all()


def test_a_share_of_images_that_seeds_share_has_an_interval_over_both() -> None:
    one = pd.DataFrame({"seed": 0, "pair": range(8)})
    held = pd.Series([True] * 6 + [False] * 2)
    assert share_over_images(one, held, "pair") == pytest.approx((0.75, *wilson(6, 8)))
    both, alike = pd.concat([one, one.assign(seed=1)], ignore_index=True), pd.concat([held, held], ignore_index=True)
    assert share_over_images(both, alike, "pair") == pytest.approx((0.75, *wilson(6, 8)))
    mean, low, high = share_over_images(both, alike & (both.index < 10), "pair")
    assert mean == 0.5 and (low, high) == (0.0, 1.0)


def test_bars_of_third_classes_end_where_the_axis_does() -> None:
    (_, spec), table = next(fake_specs(ThirdClassFigure)), fake_tables()["interpolation"]
    none = with_columns(table, **{name: table["label_from"].to_numpy() for name in ("judged", "judged_blend")})
    axes = third_class.draw({"interpolation": none}, spec).axes[0]
    ends = [x for line in axes.lines for x in np.ravel(line.get_xdata())]
    assert len(ends) > 4 and max(ends) <= axes.get_xlim()[1] and min(ends) >= 0


def test_a_transferred_error_has_an_interval_over_the_seeds_of_both_nets_and_images() -> None:
    pairs = pd.DataFrame({"source": "a", "target": "b", "source_seed": [0, 0, 1, 1], "target_seed": [0, 1, 0, 1]})
    pairs = pairs.assign(error=[0.2, 0.4, 0.3, 0.5]).eval("error_low = error - .05 \n error_high = error + .06")
    expected = combine_intervals(0.35, [[0.3, 0.4], [0.25, 0.45]], (0.05, 0.06), share=True)
    assert measure_error(pairs) == pytest.approx(expected)
    own = pairs.assign(target="a")[[True, False, False, True]]
    assert measure_error(own) == pytest.approx(combine_intervals(0.35, [[0.2, 0.5]], (0.05, 0.06), share=True))
    assert measure_error(pairs[:1]) == pytest.approx((0.2, 0.15, 0.26))


def test_accuracy_after_steps() -> None:
    facts = pd.DataFrame(
        {
            "seed": 0,
            "index": [0, 0, 1, 1, 2, 2],
            "restart": [0, 1] * 3,
            "right_clean": [True, True, True, True, False, False],
            "fooled_step": [3, 1, None, None, None, None],
        }
    )
    assert measure_accuracy_after(facts, [0, 1, 3])[:, 0] == pytest.approx([2 / 3, 1 / 3, 1 / 3])
    assert measure_accuracy_after(facts, [1])[0, 1:] == pytest.approx(wilson(1, 3))
    first = facts[facts["restart"] == 0]
    assert measure_accuracy_after(first, [0, 2, 3])[:, 0] == pytest.approx([2 / 3, 2 / 3, 1 / 3])
    # another net, which no image fools: nets differ more than three images can tell
    both = pd.concat([facts, facts.assign(seed=1, fooled_step=None)])
    assert measure_accuracy_after(both, [1])[0] == pytest.approx(rate_over_runs([1 / 3, 2 / 3], 3))


def test_steps_are_counted_from_the_random_starts_which_are_the_baseline() -> None:
    """Two starts of three steps: of four images one is fooled by a start, one by a step, one is wrong before."""
    facts = {"convergence": "c", "source": "net", "seed": 0, "attack": "pgd", "eps": 0.1}
    columns = {"index": [0, 1, 2, 3] * 2, "restart": [0] * 4 + [1] * 4, "right_clean": [True, True, True, False] * 2}
    fooled = {"fooled_step": [None, 3, None, 0, 0, None, None, 0], "losses": [[0.0, 1.0, 2.0, 3.0]] * 8}
    table = pa.Table.from_pandas(pd.DataFrame({**facts, **columns, **fooled}))
    found = converged({"convergence": table}, ConvergenceFigure(kind="convergence", convergence="c")).rows
    told_ = {row["effort"]: (row["steps"], row["accuracy"]) for row in found}
    assert told_ == {
        "no attack": (0, 0.75),
        "starts alone": (0, 0.5),
        "one start": (3, 0.5),
        "all starts": (3, 0.25),
    }


def test_what_is_proven_stands_beside_a_constant_answer() -> None:
    (_, spec), tables = next(fake_specs(CertifiedAccuracyFigure)), fake_tables()
    certified = tables["certification"].to_pandas()
    certified["label"] = np.where(certified["index"] % 4 == 0, 1, 7)
    assert certified.groupby(["certification", "source", "seed"])["index"].nunique().min() % 4 == 0
    found = certified_accuracy.finding({**tables, "certification": pa.Table.from_pandas(certified)}, spec)
    assert "the majority-class baseline has 75.0 % at every radius" in found.sentence
    assert {row["commonest"] for row in found.rows} == {0.75}


def test_straightness_is_one_on_a_line_and_nothing_on_a_constant() -> None:
    eps = [-0.5, 0.0, 0.5]
    lines = {0: [[x, 0.0] for x in eps], 1: [[2.0, x] for x in eps], 2: [[abs(x), 0.0] for x in eps]}
    facts = pd.DataFrame(
        [
            {"seed": 0, "index": index, "label": 0, "eps": x, "logits": logits, "logits_unaimed": [x, 9.0]}
            for index, line in lines.items()
            for x, logits in zip(eps, line, strict=True)
        ]
    )
    assert measure_linearity(facts)["r_squared"].to_numpy() == pytest.approx([1.0, 0.0, 0.0])
    assert measure_linearity(facts)["range"].tolist() == [1.0, 0.0, 0.5]
    assert measure_linearity(facts)[["r_squared_unaimed", "range_unaimed"]].to_numpy() == pytest.approx(np.ones((3, 2)))


def test_snapshots_shown_begin_and_end_with_the_training() -> None:
    assert select_epochs([1, 2, 3]) == [1, 2, 3]
    shown = select_epochs(list(range(1, 51)))
    assert (shown[0], shown[-1], len(shown)) == (1, 50, 5)
    assert shown == sorted(set(shown))


@pytest.mark.parametrize(("value", "text"), [(500, "500"), (60_000, "60k"), (3_274_634, "3.27M")])
def test_counts_in_few_characters(value: float, text: str) -> None:
    assert abbreviate(value) == text


def test_masks_are_ordered_by_what_is_lost_and_methods_by_what_they_know() -> None:
    facts = pd.DataFrame(
        {"mask": ["b", "a", "c"], "missing": [10, 30, 20], "method": ["contextual_prior", "full", "contextual"]}
    )
    assert masks_by_size(facts) == ["b", "c", "a"]
    assert present_methods(facts) == ["full", "contextual", "contextual_prior"]


def test_a_finding_tells_the_numbers_of_the_examples() -> None:
    table = fake_table("examples")
    table = table.filter(pc.equal(table["attack"], "pgd-2"))  # what the figure needs
    facts = table.drop_columns(["image", "adversarial"]).to_pandas()
    mine = facts[(facts["source"] == "net-a") & (facts["attack"] == "pgd-2")]
    right = (mine["predicted_clean"] == mine["label"]) & (mine["predicted"] == mine["label"])
    spec = registry.parse("figures", {"kind": "robustness", "sources": ["net-a"], "attacks": ["pgd-2"]})
    finding = robustness.finding({"examples": table}, spec)
    [row] = [row for row in finding.rows if row["under"] == "pgd-2"]
    assert row["accuracy"] == pytest.approx(right.groupby(mine["source_seed"]).mean().mean())
    assert (row["accuracy_low"], row["accuracy_high"]) == wilson(round(20 * row["accuracy"]), 20)
    low, high = (f"{100 * row[f'accuracy_{end}']:.1f}" for end in ("low", "high"))
    assert f"net-a {100 * row['accuracy']:.1f} % [{low}, {high}] under pgd-2" in finding.sentence
    assert "n\u00a0=\u00a020 test images, 2 seeds" in finding.sentence


def test_missing_pixels_are_tinted() -> None:
    table = fake_table("inpainting")
    known = read_images(table, "known").astype(bool)
    assert 0.1 < 1 - known.mean() < 0.3
    colours = np.moveaxis(tint_missing(table), 1, -1)
    assert np.allclose(colours[~known[:, 0]], MISSING)
    assert np.allclose(colours[known[:, 0]], read_images(table, "masked")[known][:, None])


def test_equal_images_stand_once_in_a_sheet() -> None:
    one, other = np.zeros((1, 2, 3), np.float32), np.ones((1, 2, 3), np.float32)
    strips: Strips = {
        (0,): [Tile(one, "a"), Tile(other, "b", True)],
        (1,): [Tile(one, "c")] * 2,
    }
    packed = Explorer("about", [Choice("which", ("first", "second"))], strips).to_json()
    assert packed["strips"] == {"0": [[0, "a", 0], [1, "b", 1]], "1": [[0, "c", 0], [0, "c", 0]]}
    assert (packed["across"], packed["down"], packed["size"]) == (2, 1, [2, 3])


def test_many_parts_are_told_by_their_ends() -> None:
    assert join_parts(["a 1"]) == "a 1"
    assert join_parts(["a 1", "b [1, 2]", "c 3"]) == "a 1, b [1, 2] and c 3"
    assert join_parts(["a, 1", "b"]) == "a, 1; b"
    assert join_parts(list("abcde")) == "a, … and e (5 compared)"


@pytest.mark.parametrize("verified", [False, True])
def test_what_was_only_recalled_is_in_no_statistic(verified: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in Kendall's tau nor in the median difference: another number there changes neither."""
    [spec] = [spec for label, spec in fake_specs(PublishedTransferFigure) if label == "full"]
    tables, table = fake_tables(), PUBLISHED[spec.published]
    names = {name: spec.names[name] for name in ("FC100-100-10", "FC123-456-10")}
    spec = spec.model_copy(update={"names": names, "transfer": NAMES["transfers"][0]})

    def told_of(changed: Published) -> tuple[str, list[str]]:
        monkeypatch.setitem(PUBLISHED, spec.published, changed)
        return finding(tables, spec).sentence, [
            f"{one.tau} {one.median_difference}" for one in compare_with_published(tables, spec).ours
        ]

    row, column = ("FC100-100-10", "FC123-456-10") if verified else ("FC123-456-10", "FC100-100-10")
    assert ((row, column) in table.verified) == verified
    errors = {**table.errors, row: tuple(0.5 if one == column else table.error(row, one) for one in table.targets)}
    before, after = told_of(table), told_of(replace(table, errors=errors))
    assert (before[0] == after[0]) != verified
    assert before[1] == after[1] or verified


def test_the_table_of_agreement_has_the_numbers_of_the_figure_and_no_noise_in_them(tmp_path: Path) -> None:
    """Noise is made for no net: with or without its row, the cells are the same."""
    [spec] = [spec for label, spec in fake_specs(PublishedTransferFigure) if label == "full"]
    spec = spec.model_copy(update={"transfer": NAMES["transfers"][0], "published": "szegedy2014-table-2"})
    nets = {"FC10(1e-4)": "net-a", "FC100-100-10": "net-b"}
    alone, with_noise = (spec.model_copy(update={"names": nets | more}) for more in ({}, {"Gaussian sd 0.1": "noise"}))
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
    told_ = finding(tables, with_noise).sentence
    for attack, row in found.loc["b"].iterrows():
        agreed = f"{row['tau']:.2f} (n\u00a0=\u00a02)".replace("-", "−")
        assert any(f"with examples of another model: {agreed}" in one.replace("\n", " ") for one in words), attack
    first, last = shared[0], shared[-1]
    for attack in (first, last):
        assert f"{attack} by {found.loc[('b', attack), 'median_difference']:.1f} points" in told_


def test_a_test_error_has_an_interval_over_seeds_and_stands_beside_the_published_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = fake_table("classifier_quality")
    table = table.filter(pc.or_(pc.equal(table["classifier"], "net-a"), pc.equal(table["seed"], 0)))
    table = with_columns(table, error=np.array([0.07, 0.08, 0.02]), n=np.full(3, 500))
    table = with_columns(table, error_low=np.array([0.05, 0.06, 0.01]), error_high=np.array([0.09, 0.1, 0.04]))
    nets = {"net-a": "FC10(1e-4)", "net-b": "AE400-10"}
    spec = ClassifierErrorsFigure(kind="test_errors", classifiers=("net-b", "net-a"), published_nets=nets)
    recalled = TEST_ERRORS["AE400-10"]._replace(verified=False)
    monkeypatch.setitem(TEST_ERRORS, "AE400-10", recalled)
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


def smallest_changes(lengths: list[float], right: list[bool]) -> dict[str, pa.Table]:
    """Examples of an attack on one net that seeks the smallest change in L2; images not right under it are fooled."""
    table = fake_table("examples")
    mask = pc.and_(pc.equal(table["source"], "net-a"), pc.equal(table["attack"], "deepfool"))
    table = table.filter(pc.and_(mask, pc.equal(table["source_seed"], 0))).slice(0, len(lengths))
    label = table["label"].to_numpy()
    predicted = np.where(right, label, (label + 1) % 10)
    return {"examples": with_columns(table, l2=np.array(lengths), predicted_clean=label, predicted=predicted)}


def with_columns(table: pa.Table, **columns: np.ndarray) -> pa.Table:
    """A table with other values in some columns."""
    for name, values in columns.items():
        place = table.column_names.index(name)
        table = table.set_column(place, table.field(place), pa.array(values).cast(table.field(place).type))
    return table


def test_a_target_that_controls_reach_stands_beside_what_the_attack_reaches() -> None:
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


def test_more_nets_on_the_same_images_do_not_make_intervals_of_attacks_narrower() -> None:
    tables = smallest_changes([0.5, 1.0, 1.5, 2.5, 9.0, 3.0], [False, False, False, False, True, False])
    one = tables["examples"]
    again = with_columns(one, source_seed=np.ones(len(one), int))
    longer = with_columns(again, l2=again["l2"].to_numpy() * 1.2, rms=again["rms"].to_numpy() * 1.2)

    def marks(table: pa.Table) -> dict[str, tuple[float, float, float]]:
        selection = accuracies.Selection(accuracies.load_examples({"examples": table}), ["net-a"], ["deepfool"])
        measures = {"l2": measure_sizes, "rms": measure_sizes, "robust": measure_success}
        found = {name: measure(selection, name)[0] for name, measure in measures.items()}
        return {name: (mark.value, mark.low, mark.high) for name, mark in found.items()}

    alone, alike, unlike = (marks(pa.concat_tables(tables)) for tables in ([one], [one, again], [one, longer]))
    for name, (value, low, high) in alone.items():
        assert low < value < high and alike[name] == pytest.approx((value, low, high))
    for name in ("l2", "rms"):
        value, low, high = alone[name]
        assert unlike[name][0] == pytest.approx(1.1 * value)
        assert unlike[name][1] == 0 and unlike[name][2] - unlike[name][0] > 1.5 * (high - value)


def curves(tables: dict[str, pa.Table]) -> AccuracyCurvesFigure:
    return AccuracyCurvesFigure(kind="accuracy_curves", sources=("net-a",), attacks=("deepfool",))


def test_smallest_changes_are_told_by_the_middle_one_of_the_fooled() -> None:
    tables = smallest_changes([0.5, 1.0, 1.5, 9.0], [False, False, False, True])
    found = accuracy_curves.finding(tables, curves(tables))
    assert "deepfool fools net-a on 75.0 % of its correct images, half within L2 1.00 [0.500, 1.50]" in found.sentence
    [row] = [row for row in found.rows if row["under"] == "deepfool"]
    assert (row["half_within"], row["accuracy"]) == (1.0, 0.25)


def test_smallest_changes_in_l1_are_told_in_l1() -> None:
    """No column holds their sizes: they are those of the images."""
    tables = smallest_changes([0.5, 1.0, 1.5, 9.0], [False, False, False, True])
    table = tables["examples"]
    place = table.column_names.index("norm")
    tables["examples"] = table.set_column(place, table.field(place), pa.array(["l1"] * 4, table.field(place).type))
    images, adversarial = (read_images(tables["examples"], name) for name in ("image", "adversarial"))
    sizes = np.abs(adversarial - images).sum((1, 2, 3))
    found = accuracy_curves.finding(tables, curves(tables))
    [row] = [row for row in found.rows if row["under"] == "deepfool"]
    assert row["half_within"] == pytest.approx(np.median(sizes[:3]))
    assert "within L1 " in found.sentence
    axes = accuracy_curves.draw(tables, curves(tables)).axes[0]
    assert axes.get_xlabel() == "L1 radius" and axes.get_xlim()[1] > sizes[:3].max()
    spec = registry.parse("figures", {"kind": "defence_table", "sources": ["net-a"], "attacks": ["deepfool"]})
    shown = {text.get_text() for text in defence_table.draw(tables, spec).findobj(Text)}
    assert format_number(np.median(sizes[:3])) in shown


def test_a_slider_over_budgets_shows_what_is_fooled_within_each() -> None:
    tables = smallest_changes([0.5, 1.0, 1.5, 9.0], [False, False, False, True])
    looked = accuracy_curves.explorer(tables, curves(tables))
    framed = [sum(tile.framed for tile in looked.strips[0, stop]) for stop in range(len(looked.choices[1].stops))]
    # radii at quantiles of the three that are fooled
    assert framed == [0, 1, 1, 2, 2, 2, 3]
    assert looked.choices[1].stops[-1].endswith(": L2 up to 1.50")


def test_samples_are_slid_along_from_the_untrained_generator_to_the_trained_one() -> None:
    tables = {"gan_snapshots": fake_table("gan_snapshots")}
    looked = gan_samples.explorer(tables, GanSamplesFigure(kind="gan_samples", gans=("gan-a",)))
    stops = looked.choices[1].stops
    assert stops == ["before training", "1/4 of the steps", "1/2 of the steps", "all steps"]
    assert [looked.strips[0, stop][0].caption for stop in range(4)] == ["step 0", "step 1", "step 2", "step 4"]


def test_a_search_is_slid_along_over_steps_and_restarts() -> None:
    tables = {kind: fake_table(kind) for kind in ("inversion", "inversion_steps")}
    spec = InversionGalleryFigure(kind="inversion_gallery", inversion="inversion", images=4)
    looked = inversion_gallery.explorer(tables, spec)
    _, restarts, steps = looked.choices
    assert list(restarts.stops) == ["start 1 of 3", "start 2 of 3", "start 3 of 3"]
    assert list(steps.stops) == ["target", "after 0 steps", "after 3 steps", "after 6 steps", "after 9 steps"]
    assert all(len(strip) == 4 for strip in looked.strips.values())
    framed = {start: [tile.framed for tile in looked.strips[0, start, 4]] for start in range(3)}
    assert framed == {0: [False] * 4, 1: [True] * 4, 2: [False] * 4}
    assert looked.strips[0, 0, 0] == looked.strips[0, 2, 0]  # targets


def test_losses_of_one_objective_share_an_axis_with_a_logarithm_where_some_would_be_flat() -> None:
    calm = pd.DataFrame({"step": range(1, 101), "logit_real": 0.0, "logit_fake": 0.0})
    calm = calm.assign(loss_generator=math.log(2), loss_discriminator=2 * math.log(2))
    wild = calm.assign(loss_generator=[math.log(2)] + [12.0] * 99)
    flat = _compute_scales([calm, calm], 5)["non-saturating"]
    assert (flat.low, flat.high, flat.log) == pytest.approx((math.log(2), 2 * math.log(2), False))
    both = _compute_scales([calm, wild], 5)["non-saturating"]
    assert (both.high, both.log) == (12.0, True)


def test_few_bars_are_cut_so_that_class_shares_can_be_compared() -> None:
    even, collapsed = np.full((1, 10), 0.1), np.eye(10)[:1]
    assert _limit(even) == pytest.approx(18)
    assert _limit(np.concatenate([even, collapsed])) == pytest.approx(35)


def test_truncated_latent_vectors_stand_beside_all_of_them() -> None:
    tables = {kind: fake_table(kind) for kind in ("truncation", "gan_quality")}
    found = truncation.finding(tables, TruncationFigure(kind="truncation", truncation="truncation"))
    quality = tables["gan_quality"].to_pandas()
    for gan, one in quality.groupby("gan"):
        [row] = [row for row in found.rows if row["generator"] == gan and row["threshold"] == math.inf]
        assert row["precision"] == pytest.approx(one["precision"].mean())
    assert "without truncation" in found.sentence
