"""Quoted numbers are those of the archived tables."""

from __future__ import annotations

import math
import re
from collections.abc import Container
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from advgen.commands.docs import TEMPLATE
from advgen.commands.quoted import QUOTED, STUDY, in_order, with_numbers
from advgen.core.catalog import TABLES
from advgen.core.provenance import Stamp
from advgen.driver.plan import build
from advgen.io.tables import arrow_table, write_table
from advgen.metrics.intervals import joined, wilson
from advgen.metrics.published import PUBLISHED, VALUES
from advgen.study.load import load_file

PAGE = "one\nIt is {{{{ {}('comparisons', '{}', arm='{}') | {} }}}}, [2014, 3 %].\n"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    blank = {name: "x" if kind == "string" else 0 for name, kind in TABLES["comparison"].columns.items()}
    told: dict[str, Any] = {
        "comparison": "one",
        "arm": ["a", "b", "c", "d"],
        "effect": [None, -0.125, -3.0, 2.0],
        "effect_low": [None, -0.25, -4.0, 1.0],
        "effect_high": [None, 0.03, -2.0, 3.0],
        "mean": [0.5, 1234.5, 0.0, 0.10000000149011612],
        "effects": [[], [0.0], [0.0], [0.0]],
    }
    write_table(tmp_path / "comparisons.parquet", arrow_table("comparison", {**blank, **told}), Stamp("x", {}, ""))
    names = {"inpainting": ["one", "two", "two"], "generator": "x", "seed": [0, 0, 1], "mask": "x", "method": "x"}
    told = {**names, "measure": "mse", "n": 9, "mean": [0.25, 1, 3], "low": [0.125, 0, 0], "high": [0.5, 9, 9]}
    rows = arrow_table("inpainting_summary", told)
    write_table(tmp_path / "inpaintings.parquet", rows, Stamp("x", {}, ""))
    return tmp_path / "page.md"


@pytest.mark.parametrize(
    ("what", "column", "arm", "shape", "shown"),
    [
        ("result", "effect", "b", "+.1%", "−12.5\u00a0%"),
        ("result", "mean", "b", ",.1f", "1,234.5"),
        ("result", "mean", "a", "+.2f", "+0.50"),
        ("interval", "effect", "b", "+.1%", "−12.5\u00a0% [−25.0, +3.0]"),
        ("interval", "effect", "b", ".2f", "−0.12 [−0.25, 0.03]"),
    ],
)
def test_a_number_is_that_of_its_table(what: str, column: str, arm: str, shape: str, shown: str, page: Path) -> None:
    text = with_numbers(PAGE.format(what, column, arm, shape), page)
    assert text == f"one\nIt is {shown}, [2014, 3 %].\n"


def test_a_table_may_have_one_interval(page: Path) -> None:
    told = with_numbers("{{ interval('inpaintings', 'mean', inpainting='one') | .2f }}", page)
    assert told == "0.25 [0.12, 0.50]"


def test_a_row_is_found_by_a_number_that_once_had_32_bits(page: Path) -> None:
    assert with_numbers("{{ result('comparisons', 'effect', mean=0.1) | .1f }}", page) == "2.0"


def test_seeds_are_averaged_with_an_interval_over_seeds_and_images(page: Path) -> None:
    """Of 1 and 3 the standard error is 1, and its quantile for two seeds 12.706; images reach 2 below and 7 above."""
    told = with_numbers("{{ seeds('inpaintings', 'mean', inpainting='two') | .1f }}", page)
    assert told == f"2.0 [−{math.hypot(12.706, 2) - 2:.1f}, {2 + math.hypot(12.706, 7):.1f}]"


def test_a_share_without_an_interval_has_wilsons(page: Path) -> None:
    """50 of 100 are within [40.4, 59.6] %, and 40 of the 80 that are right when clean within [39.3, 60.7] %."""
    robustness(page, clean_accuracy=[0.8], success=[0.5])
    asked = "{{{{ interval('robustness', '{}') | .1% }}}}"
    assert with_numbers(asked.format("clean_accuracy"), page) == "80.0\u00a0% [71.1, 86.7]"
    assert with_numbers(asked.format("success"), page) == "50.0\u00a0% [39.3, 60.7]"
    robustness(page, clean_accuracy=[0.4, 0.6], success=[0.5, 0.5])
    told = with_numbers(asked.format("clean_accuracy").replace("interval", "seeds"), page)
    assert told == "50.0\u00a0% [0.0, 100.0]"  # two seeds tell little


def robustness(page: Path, **told: Any) -> None:
    columns: dict[str, Any] = {
        name: "x" if kind == "string" else 1 for name, kind in TABLES["robustness"].columns.items()
    }
    columns |= {"source_seed": list(range(len(told["success"]))), "n": 100, **told}
    write_table(page.parent / "robustness.parquet", arrow_table("robustness", columns), Stamp("x", {}, ""))


def test_a_portion_is_of_what_either_source_has(page: Path) -> None:
    """Shape .6 and texture .2 of 100 images: 60 of 80 decisions, [64.5, 83.2] %; seeds of .75 and .5 tell little."""
    robustness(page, source=["shape", "texture"], source_seed=[0, 0], clean_accuracy=[0.6, 0.2], success=[0, 0])
    asked = "{{ portion('robustness', 'clean_accuracy', source='shape', of='texture') | .1% }}"
    assert with_numbers(asked, page) == "75.0\u00a0% [64.5, 83.2]"
    seeds = {"source": ["shape", "shape", "texture", "texture"], "source_seed": [0, 1, 0, 1], "success": [0] * 4}
    robustness(page, **seeds, clean_accuracy=[0.6, 0.4, 0.2, 0.4])
    assert with_numbers(asked, page) == "62.5\u00a0% [0.0, 100.0]"
    with pytest.raises(ValueError, match="2 and 0 rows of 'robustness'; name two with the same seeds"):
        with_numbers(asked.replace("'texture'", "'textures'"), page)
    with pytest.raises(ValueError, match="a portion is of a sum of two; name the other with of="):
        with_numbers(asked.replace(", of='texture'", ""), page)
    robustness(page, **seeds, clean_accuracy=[0.6, 0, 0.2, 0])
    with pytest.raises(ValueError, match="nothing to share"):
        with_numbers(asked, page)


def test_pairs_of_seeds_vary_on_both_sides(page: Path) -> None:
    """Standard errors over source and target seeds are .001 and .0005, Student's quantile 12.706; images reach .05."""
    transfers(page, [(0, 0, 0.2985), (0, 1, 0.2995), (1, 0, 0.3005), (1, 1, 0.3015)])
    assert with_numbers("{{ size('between', 'error', source='one') }}", page) == "2 seeds"  # of each side
    told = with_numbers("{{ seeds('between', 'error', source='one') | .5f }}", page)
    half = math.sqrt((12.7062 * 0.001) ** 2 + (12.7062 * 0.0005) ** 2 + 0.05**2)
    assert told == f"0.30000 [{0.3 - half:.5f}, {0.3 + half:.5f}]"


def transfers(page: Path, pairs: list[tuple[int, int, float]], target: str = "two") -> None:
    columns: dict[str, Any] = {
        name: "x" if kind == "string" else 1 for name, kind in TABLES["transfer"].columns.items()
    }
    columns["amplified"] = False
    sources, targets, errors = ([pair[k] for pair in pairs] for k in range(3))
    columns |= {"source": "one", "source_seed": sources, "target": target, "target_seed": targets, "attack": "lbfgs"}
    columns |= {"error": errors, "error_low": [e - 0.05 for e in errors], "error_high": [e + 0.05 for e in errors]}
    write_table(page.parent / "between.parquet", arrow_table("transfer", columns), Stamp("x", {}, ""))


@pytest.mark.parametrize(("runs", "of_runs", "of_images"), [(3, 0.0, 1.0), (3, 0.5, 1.0), (3, 0.5, 0.0), (5, 0.2, 1.0)])
def test_intervals_over_seeds_and_images_hold_new_ones(runs: int, of_runs: float, of_images: float) -> None:
    """Nets and images as crossed random effects on the log odds of 300 answers: 95 % at least hold the truth."""
    random = np.random.default_rng(runs)
    images, times, held = 300, 1000, 0
    draws = 1.0 + of_runs * random.standard_normal(10**6) + of_images * random.standard_normal(10**6)
    truth = float((1 / (1 + np.exp(-draws))).mean())
    for _ in range(times):
        odds_RN = 1.0 + of_runs * random.standard_normal((runs, 1)) + of_images * random.standard_normal((1, images))
        shares_R = (random.random((runs, images)) < 1 / (1 + np.exp(-odds_RN))).mean(1)
        mean = float(shares_R.mean())
        low, high = wilson(round(mean * images), images)
        _, low, high = joined(mean, [shares_R], (mean - low, high - mean), True)
        held += low <= truth <= high
    assert held / times >= 0.95


@pytest.mark.parametrize(("arm", "words"), [("b", "not told apart"), ("c", "lower"), ("d", "higher")])
def test_what_an_interval_shows_is_said(arm: str, words: str, page: Path) -> None:
    told = with_numbers(f"{{{{ verdict('comparisons', 'effect', arm='{arm}') }}}}", page)
    assert told == words


@pytest.mark.parametrize(
    ("baseline", "arm", "words"),
    [
        (0, 0, "+2.0 [+1.0, +3.0]: higher"),
        (0, 2, "2 of 3 runs at chance, not compared"),
        (0, 3, "at chance, not compared"),
        (1, 0, "the baseline is at chance, not compared"),
    ],
)
def test_arms_at_chance_are_not_compared(baseline: int, arm: int, words: str, page: Path) -> None:
    comparison(page, baseline, arm)
    assert with_numbers("{{ effect('comparisons', 'effect', arm='b') | +.1f }}", page) == words
    told = with_numbers("{{ verdict('comparisons', 'effect', arm='b') }}", page)
    assert told == ("at chance, not compared" if "chance" in words else "higher")
    told = with_numbers("{{ answer('comparisons', 'effect', arm='b') | +.1f }}", page)
    said = words if "chance" in words else "higher"
    assert told == f"{said} ({'' if 'chance' in words else '+2.0 [+1.0, +3.0]; '}n = 500, 3 seeds)"
    told = with_numbers("{{ arms('comparisons', 'effect', comparison='one') | +.1f }}", page)
    assert told == f"a 5.0 [4.0, 6.0]<br>b 7.0, {words}<br>n = 500, 3 seeds"


def comparison(page: Path, baseline: int, arm: int) -> None:
    columns: dict[str, Any] = {
        name: "x" if kind == "string" else 0 for name, kind in TABLES["comparison"].columns.items()
    }
    columns |= {"comparison": "one", "arm": ["b", "a"], "baseline": "a", "at_chance": [arm, baseline], "n": 500}
    columns |= {"mean": [7.0, 5.0], "mean_low": [6.0, 4.0], "mean_high": [8.0, 6.0], "seeds": 3}
    columns |= {"effect": [2.0, None], "effect_low": [1.0, None], "effect_high": [3.0, None], "effects": [[1, 3], []]}
    write_table(page.parent / "comparisons.parquet", arrow_table("comparison", columns), Stamp("x", {}, ""))


def test_sentences_have_effect_interval_n_and_seeds(page: Path) -> None:
    comparison(page, 0, 0)
    asked = "{{ answer('comparisons', 'effect', arm='b') | +.1f }}"
    assert with_numbers(asked, page) == "higher (+2.0 [+1.0, +3.0]; n = 500, 3 seeds)"


def test_two_columns_are_compared_in_pairs(page: Path) -> None:
    """Differences of −1 and −3: the standard error is 1, and its quantile for two seeds 12.706."""
    robustness(page, success=[0.0, 0.0], clean_accuracy=[1.0, 2.0], accuracy=[2.0, 5.0])
    asked = "{{ difference('robustness', 'clean_accuracy', minus='accuracy') | +.1f }}"
    assert with_numbers(asked, page) == "not told apart (−2.0 [−14.7, +10.7]; n = 100, 2 seeds)"
    with pytest.raises(ValueError, match="no column 'none'"):
        with_numbers(asked.replace("'accuracy'", "'none'"), page)
    names = {"source": ["one", "one", "two", "two"], "source_seed": [0, 1, 1, 0], "success": [0] * 4, "attack": "x"}
    robustness(page, **names, clean_accuracy=[1.0, 2.0, 9.0, 9.0], accuracy=[9.0, 9.0, 5.0, 2.0])
    asked = asked.replace("minus='accuracy'", "attack='x', minus='accuracy', of='two', source='one'")
    assert with_numbers(asked, page) == "not told apart (−2.0 [−14.7, +10.7]; n = 100, 2 seeds)"
    with pytest.raises(ValueError, match="2 and 0 rows of 'robustness'; name two with the same seeds"):
        with_numbers(asked.replace("'two'", "'three'"), page)


def test_a_net_is_not_another_one(page: Path) -> None:
    """Of examples shown to nets of the same name, those on the net itself are left out."""
    transfers(page, [(0, 0, 1.0), (0, 1, 0.3), (1, 0, 0.3), (1, 1, 1.0)], target="one")
    told = with_numbers("{{ seeds('between', 'error', source='one') | .2f }}", page)
    assert told == "0.30 [0.25, 0.35]"


def test_pairs_of_nets_are_not_as_many_runs(page: Path) -> None:
    """Differences of 0, 1, 2 and 3 of two sources and two targets: the seeds of both count, two and two."""
    errors = [(0, 0, 0.0), (0, 1, 0.1), (1, 0, 0.2), (1, 1, 0.3)]
    transfers(page, errors)
    asked = "{{ difference('between', 'error', minus='clean_error', source='one') | +.3f }}"
    mean, low, high = joined(-0.85, [[-0.95, -0.75], [-0.9, -0.8]], (0.0, 0.0))
    told = f"({mean:+.3f} [{low:+.3f}, {high:+.3f}]; 2 seeds)".replace("-", "−")
    assert with_numbers(asked, page) == f"not told apart {told}"
    transfers(page, errors, target="one")  # its own examples are not shown to it
    with pytest.raises(ValueError, match="0 and 0 rows of 'between'; name two"):
        with_numbers(asked.replace("source='one'", "source='one', source_seed=0, target_seed=0"), page)


def test_samples_are_not_told_as_images(page: Path) -> None:
    table = pa.table({"seed": [0, 1], "n": [10_000] * 2, "mse": [0.1] * 2, "frechet_distance_decoded": [9.0] * 2})
    write_table(page.parent / "coders.parquet", table, Stamp("x", {}, ""))
    assert with_numbers("{{ size('coders', 'mse') }}", page) == "n = 10,000, 2 seeds"
    assert with_numbers("{{ size('coders', 'frechet_distance_decoded') }}", page) == "2 seeds"


def test_names_are_in_the_order_of_their_numbers() -> None:
    names = ["15000 images", "500 images", "none", "1500 images"]
    assert sorted(names, key=in_order) == ["500 images", "1500 images", "15000 images", "none"]


def test_all_numbers_of_some_rows_are_told(page: Path) -> None:
    assert with_numbers("{{ each('inpaintings', 'mean', inpainting='two') | .0% }}", page) == "100, 300\u00a0%"
    assert with_numbers("{{ size('inpaintings', 'n', inpainting='two') }}", page) == "n = 9, 2 seeds"
    comparison(page, 0, 0)
    assert with_numbers("{{ each('comparisons', 'effects', arm='b') | +.0f }}", page) == "+1, +3"


def test_failing_checks_are_counted(page: Path) -> None:
    columns: dict[str, Any] = {
        name: "x" if kind == "string" else 0 for name, kind in TABLES["sanity_checks"].columns.items()
    }
    columns |= {"check": "learnt", "subject": ["ce seed 0", "ce seed 1", "ns seed 0"], "holds": [False, True, False]}
    write_table(page.parent / "sanity_checks.parquet", arrow_table("sanity_checks", columns), Stamp("x", {}, ""))
    asked = "{{ failing('sanity_checks', 'subject', check='learnt', subject='ce *') }}"
    assert with_numbers(asked, page) == "1 of 2"
    with pytest.raises(ValueError, match="0 rows"):
        with_numbers(asked.replace("ce ", "mse "), page)


def test_published_numbers_are_those_of_their_table(page: Path) -> None:
    table, (row, column) = PUBLISHED["szegedy2014-table-2"], ("FC10(1e-4)", "FC100-100-10")
    asked = f"{{{{ published('szegedy2014-table-2', 'error', row='{row}', column='{column}') }}}}"
    assert with_numbers(asked, page) == f"{table.error(row, column):g}\u00a0%"
    one = next(one for one in VALUES if not one.verified)
    assert with_numbers(f"{{{{ published('values', 'value', what='{one.what}') }}}}", page).startswith("~")
    for wrong in (
        asked.replace(column, "FC1"),
        asked.replace("table-2", "table-9"),
        "{{ published('values', 'value') }}",
    ):
        with pytest.raises(ValueError, match=r"page\.md:1: "):
            with_numbers(wrong, page)


def test_ours_stand_beside_published_ones(page: Path) -> None:
    transfers(page, [(0, 0, 0.02), (1, 0, 0.02)])
    study = page.parent / "study.yaml"
    names = "{FC10(1e-4): one, FC100-100-10: two}"
    figure = f"{{kind: published_transfer, published: szegedy2014-table-2, names: {names}}}"
    study.write_text(f"figures: {{ours: {figure}}}\ngans: {{one: {{training: {{epochs: 1.5}}}}}}\n", encoding="utf-8")
    asked = "{{ beside('between', 'error', figure='ours', attack='lbfgs') | .1% }}"
    heads, _, row, *_ = (line.split(" | ") for line in with_numbers(asked, page, study).splitlines())
    told = dict(zip(heads, row, strict=True))
    assert (told["FC10(1e-4)"], told["FC100-100-10"]) == ("", "2.0 [0.0, 7.0] (2)")
    assert told["AE400-10 |"].startswith("– (")  # ours has none
    transfers(page, [(0, 0, 0.42), (1, 0, 0.42)])
    assert "| **42.0 [37.0, 47.0] (2)** |" in with_numbers(asked, page, study)
    assert with_numbers("{{ setting('gans.one.training.epochs') }}", page, study) == "1.5"
    with pytest.raises(ValueError, match=r"page\.md:1: .*has no number"):
        with_numbers("{{ setting('gans.one.training') }}", page, study)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("result('comparisons', 'effect', arm='a') | .1f", "has no number"),
        ("result('comparisons', 'effect', arm='e') | .1f", "0 rows"),
        ("verdict('comparisons', 'effect', arm='a')", "a baseline's"),
        ("result('comparison', 'effect', arm='a') | .1f", "there is no"),
        ("result(effect of a)", "is not a live value"),
        ("results('comparisons', 'effect', arm='a')", "no live value is called 'results'"),
        ("interval('comparisons', 'arm', arm='a')", "has no column 'low'"),
        ("seeds('inpaintings', 'mean', inpainting='one') | .1f", "1 rows of .* several seeds"),
        ("seeds('inpaintings', 'mean', mask='x') | .1f", "3 rows of .* several seeds"),
    ],
)
def test_what_cannot_be_found_is_told_with_its_line(asked: str, words: str, page: Path) -> None:
    with pytest.raises(ValueError, match=f"page.md:3: .*{words}"):
        with_numbers(f"\n\n{{{{ {asked} }}}}", page)


ROW = re.compile(r"A([1-9]|[12]\d|3[01])|G([1-9]|1\d|2[0-4])|quality")
IN_BRACKETS = re.compile(r"\[[−+]?[\d.]")
WITHOUT_INTERVAL = {
    ("A1", "AE400-10"): "a mean over images of one net, of which the table has no interval",
    ("A13", "median"): "medians; the figure has their intervals",
    ("A22", "and gradients"): "what an attack costs is counted",
    ("A7", "mean confidence"): "a mean over mistakes, of which the table has no interval",
    ("A19", "concentric"): "simulated once",
    ("G18", "sharpness"): "a mean over samples of one GAN, of which the table has no interval",
    ("G9", "cross-entropy, each seed"): "the runs themselves",
    ("G9", "its classes"): "counts of each run",
}


def complaints(page: str, figures: Container[str], targets: Container[str]) -> list[str]:
    """What is wrong with the rows of a page that name a question, an answer, a figure and a target."""
    found = []
    unused = dict(WITHOUT_INTERVAL)
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not line.startswith("| ") or len(cells) != 5 or not cells[4].endswith(".parquet`"):
            continue
        row, question, answer, figure, target = cells
        name = f"{row}, {question[:30]}"
        found += [f"{name}: no such row"] if not ROW.fullmatch(row) else []
        found += [f"{name}: no figure {one}" for one in re.findall("`(.*?)`", figure) if one not in figures]
        found += [f"{name}: no figure"] if "`" not in figure else []
        found += [f"{name}: no target {target}"] if f"results/{target.strip('`')}" not in targets else []
        excused = [(a, start) for a, start in WITHOUT_INTERVAL if a == row and question.startswith(start)]
        if not IN_BRACKETS.search(answer) and not excused:
            found.append(f"{name}: no interval")
        for one in excused:
            unused.pop(one, None)
    return found + [f"{row}, {start}: excused, but not there" for row, start in unused]


@pytest.fixture(scope="module")
def evening() -> tuple[set[str], set[str]]:
    """The figures of the evening study, and all files that its plan makes."""
    loaded = load_file(STUDY)
    return set(loaded.study.figures), {path for job in build(loaded).jobs for path in job.outputs.values()}


@pytest.fixture(scope="module")
def results() -> str:
    return with_numbers(TEMPLATE.read_text(encoding="utf-8"), TEMPLATE)


def test_rows_name_figures_and_targets_and_have_intervals(results: str, evening: tuple[set[str], set[str]]) -> None:
    assert complaints(results, *evening) == []
    rows = set(re.findall(r"^\| ([AG]\d+) \|", results, flags=re.MULTILINE))
    assert rows == {*(f"A{n}" for n in range(1, 32)), *(f"G{n}" for n in range(1, 25))}


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ("`budgets`", "`budget`", "no figure budget"),
        ("`spatial`", "–", "no figure"),
        ("`tables/linearity.parquet`", "`tables/linear.parquet`", "no target"),
        (r"\| A14 \|", "| A32 |", "no such row"),
        (r"(\| A14 \|.*?) \[.*?\]", r"\1", "no interval"),
        (r"\| A19 \| concentric", "| A19 | some", "excused, but not there"),
    ],
)
def test_a_wrong_row_is_told(
    right: str, wrong: str, words: str, results: str, evening: tuple[set[str], set[str]]
) -> None:
    page, count = re.subn(right, wrong, results)
    assert count and any(words in one for one in complaints(page, *evening))


def test_files_that_the_page_names_are_there() -> None:
    named = re.findall(r"`((?:tests|docs|benchmarks|config)/[\w./-]+)`", TEMPLATE.read_text(encoding="utf-8"))
    assert len(named) >= 20
    assert [one for one in named if not Path(one).exists()] == []


def test_results_quote_numbers() -> None:
    assert len(QUOTED.findall(TEMPLATE.read_text(encoding="utf-8"))) >= 20
