"""Live numbers in pages of the documentation are those of the archived tables."""

import math
import re
from collections.abc import Container
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tools.docs import TEMPLATE
from tools.live_numbers import EXPRESSION, STUDY, insert_numbers, natural_order

from advgen.core.catalog import TABLES
from advgen.driver.plan import build
from advgen.files.provenance import Stamp
from advgen.io.tables import arrow_table, write_table
from advgen.metrics.intervals import combine_intervals, wilson
from advgen.metrics.published import VALUES
from advgen.study.load import load_file

ERRORS = [(0, 0, 0.0), (0, 1, 0.1), (1, 0, 0.2), (1, 1, 0.3)]
"""Source seed, target seed and error."""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page next to a table of comparisons and one of inpaintings."""
    effects = {"effect": [None, -0.125, -3.0, 2.0], "effects": [[], [0.0], [0.0], [0.0]]}
    effects |= {"effect_low": [None, -0.25, -4.0, 1.0], "effect_high": [None, 0.03, -2.0, 3.0]}
    arms = {"comparison": "one", "arm": ["a", "b", "c", "d"], "mean": [0.5, 1234.5, 0.0, 0.10000000149011612]}
    write(tmp_path / "page.md", "comparisons", "comparison", **arms, **effects)
    names = {"inpainting": ["one", "two", "two"], "seed": [0, 0, 1], "measure": "mse", "n": 9}
    means = {"mean": [0.25, 1, 3], "low": [0.125, 0, 0], "high": [0.5, 9, 9]}
    write(tmp_path / "page.md", "inpaintings", "inpainting_summary", **names, **means)
    return tmp_path / "page.md"


def write(page: Path, name: str, kind: str, **columns: Any) -> None:
    """Write a table next to a page; other columns hold x or 0."""
    blank = {name: "x" if type_ == "string" else 0 for name, type_ in TABLES[kind].columns.items()}
    write_table(page.parent / f"{name}.parquet", arrow_table(kind, {**blank, **columns}), Stamp("x", {}, ""))


def write_robustness(page: Path, **columns: Any) -> None:
    seeds = list(range(len(columns["success"])))
    write(page, "robustness", "robustness", **{"source_seed": seeds, "n": 100, **columns})


def write_transfers(page: Path, pairs: list[tuple[int, int, float]], target: str = "two") -> None:
    sources, targets, errors = map(list, zip(*pairs, strict=True))
    models = {"source": "one", "source_seed": sources, "target": target, "target_seed": targets, "attack": "lbfgs"}
    intervals = {"error_low": [e - 0.05 for e in errors], "error_high": [e + 0.05 for e in errors]}
    write(page, "between", "transfer", **models, error=errors, **intervals, n=1, clean_error=1, amplified=False)


def write_comparison(page: Path, baseline: int, arm: int) -> None:
    """Write a comparison with this many runs at chance in its baseline and its arm."""
    arms = {"comparison": "one", "arm": ["b", "a"], "baseline": "a", "at_chance": [arm, baseline], "n": 500, "seeds": 3}
    means = {"mean": [7.0, 5.0], "mean_low": [6.0, 4.0], "mean_high": [8.0, 6.0]}
    effects = {"effect": [2.0, None], "effect_low": [1.0, None], "effect_high": [3.0, None], "effects": [[1, 3], []]}
    write(page, "comparisons", "comparison", **arms, **means, **effects)


def insert(expression: str, page: Path, study: Path = STUDY) -> str:
    return insert_numbers(f"{{{{ {expression} }}}}", page, study)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("result('comparisons', 'effect', arm='b') | +.1%", "−12.5\u00a0%"),
        ("result('comparisons', 'mean', arm='b') | ,.1f", "1,234.5"),
        ("result('comparisons', 'mean', arm='a') | +.2f", "+0.50"),
        ("result('comparisons', 'effect', mean=0.1) | .1f", "2.0"),  # stored as a number of 32 bits
        ("interval('comparisons', 'effect', arm='b') | +.1%", "−12.5\u00a0% [−25.0, +3.0]"),
        ("interval('comparisons', 'effect', arm='b') | .2f", "−0.12 [−0.25, 0.03]"),
        ("interval('inpaintings', 'mean', inpainting='one') | .2f", "0.25 [0.12, 0.50]"),
        ("verdict('comparisons', 'effect', arm='b')", "not significantly different"),
        ("verdict('comparisons', 'effect', arm='c')", "lower"),
        ("verdict('comparisons', 'effect', arm='d')", "higher"),
        ("each('inpaintings', 'mean', inpainting='two') | .0%", "100, 300\u00a0%"),
        ("size('inpaintings', 'n', inpainting='two')", "n = 9, 2 seeds"),
        ("published('szegedy2014-table-2', 'error', row='FC10(1e-4)', column='FC100-100-10')", "2\u00a0%"),
    ],
)
def test_a_live_value_becomes_the_number_of_its_table(expression: str, text: str, page: Path) -> None:
    assert (
        insert_numbers(f"one\nIt is {{{{ {expression} }}}}, [2014, 3 %].\n", page)
        == f"one\nIt is {text}, [2014, 3 %].\n"
    )


def test_seeds_are_averaged_with_an_interval_over_seeds_and_images(page: Path) -> None:
    """Of 1 and 3 the standard error is 1, and its quantile for two seeds 12.706; images reach 2 below and 7 above."""
    text = insert("seeds('inpaintings', 'mean', inpainting='two') | .1f", page)
    assert text == f"2.0 [−{math.hypot(12.706, 2) - 2:.1f}, {2 + math.hypot(12.706, 7):.1f}]"


def test_a_share_without_an_interval_gets_wilsons(page: Path) -> None:
    """50 of 100 are within [40.4, 59.6] %, and 40 of the 80 correct ones within [39.3, 60.7] %."""
    write_robustness(page, clean_accuracy=[0.8], success=[0.5])
    assert insert("interval('robustness', 'clean_accuracy') | .1%", page) == "80.0\u00a0% [71.1, 86.7]"
    assert insert("interval('robustness', 'success') | .1%", page) == "50.0\u00a0% [39.3, 60.7]"
    write_robustness(page, clean_accuracy=[0.4, 0.6], success=[0.5, 0.5])
    assert insert("seeds('robustness', 'clean_accuracy') | .1%", page) == "50.0\u00a0% [0.0, 100.0]"  # only two seeds


def test_a_portion_is_a_share_of_the_sum_of_two(page: Path) -> None:
    """Shape .6 and texture .2 of 100 images: 60 of 80 decisions, [64.5, 83.2] %; seeds with .75 and .5 are too few."""
    write_robustness(page, source=["shape", "texture"], source_seed=[0, 0], clean_accuracy=[0.6, 0.2], success=[0, 0])
    expression = "portion('robustness', 'clean_accuracy', source='shape', of='texture') | .1%"
    assert insert(expression, page) == "75.0\u00a0% [64.5, 83.2]"
    seeds = {"source": ["shape", "shape", "texture", "texture"], "source_seed": [0, 1, 0, 1], "success": [0] * 4}
    write_robustness(page, **seeds, clean_accuracy=[0.6, 0.4, 0.2, 0.4])
    assert insert(expression, page) == "62.5\u00a0% [0.0, 100.0]"
    with pytest.raises(ValueError, match="2 and 0 rows of 'robustness'; name two with the same seeds"):
        insert(expression.replace("'texture'", "'textures'"), page)
    with pytest.raises(ValueError, match=r"portion\(…\) needs a second model; name it with of="):
        insert(expression.replace(", of='texture'", ""), page)
    write_robustness(page, **seeds, clean_accuracy=[0.6, 0, 0.2, 0])
    with pytest.raises(ValueError, match="both shares are 0 for one of the seeds"):
        insert(expression, page)


def test_pairs_of_seeds_vary_on_both_sides(page: Path) -> None:
    """Standard errors over source and target seeds are .001 and .0005, Student's quantile 12.706; images reach .05."""
    write_transfers(page, [(0, 0, 0.2985), (0, 1, 0.2995), (1, 0, 0.3005), (1, 1, 0.3015)])
    assert insert("size('between', 'error', source='one')", page) == "2 seeds"  # of each side
    half = math.sqrt((12.7062 * 0.001) ** 2 + (12.7062 * 0.0005) ** 2 + 0.05**2)
    text = insert("seeds('between', 'error', source='one') | .5f", page)
    assert text == f"0.30000 [{0.3 - half:.5f}, {0.3 + half:.5f}]"


@pytest.mark.parametrize(("runs", "of_runs", "of_images"), [(3, 0.0, 1.0), (3, 0.5, 1.0), (3, 0.5, 0.0), (5, 0.2, 1.0)])
def test_intervals_over_seeds_and_images_hold_new_ones(runs: int, of_runs: float, of_images: float) -> None:
    """Models and images as crossed random effects on the log odds of 300 answers: 95 % or more contain the truth."""
    random = np.random.default_rng(runs)
    images, times, held = 300, 1000, 0
    draws = 1.0 + of_runs * random.standard_normal(10**6) + of_images * random.standard_normal(10**6)
    truth = float((1 / (1 + np.exp(-draws))).mean())
    for _ in range(times):
        odds_RN = 1.0 + of_runs * random.standard_normal((runs, 1)) + of_images * random.standard_normal((1, images))
        shares_R = (random.random((runs, images)) < 1 / (1 + np.exp(-odds_RN))).mean(1)
        mean = float(shares_R.mean())
        low, high = wilson(round(mean * images), images)
        _, low, high = combine_intervals(mean, [shares_R], (mean - low, high - mean), True)
        held += low <= truth <= high
    assert held / times >= 0.95


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
    write_comparison(page, baseline, arm)
    is_chance = "chance" in words
    assert insert("effect('comparisons', 'effect', arm='b') | +.1f", page) == words
    verdict = insert("verdict('comparisons', 'effect', arm='b')", page)
    assert verdict == ("at chance, not compared" if is_chance else "higher")
    answer = insert("answer('comparisons', 'effect', arm='b') | +.1f", page)
    assert answer == (f"{words} (n = 500, 3 seeds)" if is_chance else "higher (+2.0 [+1.0, +3.0]; n = 500, 3 seeds)")
    arms = insert("arms('comparisons', 'effect', comparison='one') | +.1f", page)
    assert arms == f"a 5.0 [4.0, 6.0]<br>b 7.0, {words}<br>n = 500, 3 seeds"
    assert insert("each('comparisons', 'effects', arm='b') | +.0f", page) == "+1, +3"


def test_two_columns_are_compared_in_pairs(page: Path) -> None:
    """Differences of −1 and −3: the standard error is 1, and its quantile for two seeds 12.706."""
    text = "not significantly different (−2.0 [−14.7, +10.7]; n = 100, 2 seeds)"
    write_robustness(page, success=[0.0, 0.0], clean_accuracy=[1.0, 2.0], accuracy=[2.0, 5.0])
    expression = "difference('robustness', 'clean_accuracy', minus='accuracy') | +.1f"
    assert insert(expression, page) == text
    with pytest.raises(ValueError, match="no column 'none'"):
        insert(expression.replace("'accuracy'", "'none'"), page)
    names = {"source": ["one", "one", "two", "two"], "source_seed": [0, 1, 1, 0], "success": [0] * 4, "attack": "x"}
    write_robustness(page, **names, clean_accuracy=[1.0, 2.0, 9.0, 9.0], accuracy=[9.0, 9.0, 5.0, 2.0])
    expression = expression.replace("minus='accuracy'", "attack='x', minus='accuracy', of='two', source='one'")
    assert insert(expression, page) == text
    with pytest.raises(ValueError, match="2 and 0 rows of 'robustness'; name two with the same seeds"):
        insert(expression.replace("'two'", "'three'"), page)


def test_a_models_own_examples_are_left_out(page: Path) -> None:
    write_transfers(page, [(0, 0, 1.0), (0, 1, 0.3), (1, 0, 0.3), (1, 1, 1.0)], target="one")
    assert insert("seeds('between', 'error', source='one') | .2f", page) == "0.30 [0.25, 0.35]"
    with pytest.raises(ValueError, match="0 and 0 rows of 'between'; name two"):
        insert("difference('between', 'error', minus='clean_error', source='one', source_seed=0, target_seed=0)", page)


def test_pairs_of_models_do_not_count_as_independent_runs(page: Path) -> None:
    """Differences of 0, 1, 2 and 3 of two sources and two targets: the seeds of both count, two and two."""
    write_transfers(page, ERRORS)
    mean, low, high = combine_intervals(-0.85, [[-0.95, -0.75], [-0.9, -0.8]], (0.0, 0.0))
    text = insert("difference('between', 'error', minus='clean_error', source='one') | +.3f", page)
    numbers = f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]".replace("-", "−")
    assert text == f"not significantly different ({numbers}; 2 seeds)"


def test_the_number_of_samples_of_a_distance_is_left_out(page: Path) -> None:
    table = pa.table({"seed": [0, 1], "n": [10_000] * 2, "mse": [0.1] * 2, "frechet_distance_decoded": [9.0] * 2})
    write_table(page.parent / "coders.parquet", table, Stamp("x", {}, ""))
    assert insert("size('coders', 'mse')", page) == "n = 10,000, 2 seeds"
    assert insert("size('coders', 'frechet_distance_decoded')", page) == "2 seeds"


def test_names_are_sorted_by_the_numbers_in_them() -> None:
    names = ["15000 images", "500 images", "none", "1500 images"]
    assert sorted(names, key=natural_order) == ["500 images", "1500 images", "15000 images", "none"]


def test_failing_checks_are_counted(page: Path) -> None:
    subjects = {"check": "learnt", "subject": ["ce seed 0", "ce seed 1", "ns seed 0"], "holds": [False, True, False]}
    write(page, "sanity_checks", "sanity_checks", **subjects)
    expression = "failing('sanity_checks', 'subject', check='learnt', subject='ce *')"
    assert insert(expression, page) == "1 of 2"
    with pytest.raises(ValueError, match="0 rows"):
        insert(expression.replace("ce ", "mse "), page)


def test_published_numbers_that_were_not_verified_are_marked(page: Path) -> None:
    unverified = next(value for value in VALUES if not value.verified)
    assert insert(f"published('values', 'value', what='{unverified.what}')", page).startswith("~")


def test_our_numbers_next_to_published_ones(page: Path) -> None:
    write_transfers(page, [(0, 0, 0.02), (1, 0, 0.02)])
    study = page.parent / "study.yaml"
    names = "{FC10(1e-4): one, FC100-100-10: two}"
    figure = f"{{kind: published_transfer, published: szegedy2014-table-2, names: {names}}}"
    study.write_text(f"figures: {{ours: {figure}}}\ngans: {{one: {{training: {{epochs: 1.5}}}}}}\n", encoding="utf-8")
    expression = "with_published('between', 'error', figure='ours', attack='lbfgs') | .1%"
    heads, _, row, *_ = (line.split(" | ") for line in insert(expression, page, study).splitlines())
    cells = dict(zip(heads, row, strict=True))
    assert (cells["FC10(1e-4)"], cells["FC100-100-10"]) == ("", "2.0 [0.0, 7.0] (2)")
    assert cells["AE400-10 |"].startswith("– (")  # not in our table
    write_transfers(page, [(0, 0, 0.42), (1, 0, 0.42)])
    assert "| **42.0 [37.0, 47.0] (2)** |" in insert(expression, page, study)
    assert insert("setting('gans.one.training.epochs')", page, study) == "1.5"
    with pytest.raises(ValueError, match=r"page\.md:1: .*has no number"):
        insert("setting('gans.one.training')", page, study)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("result('comparisons', 'effect', arm='a') | .1f", "has no number"),
        ("result('comparisons', 'effect', arm='e') | .1f", "0 rows"),
        ("verdict('comparisons', 'effect', arm='a')", "a baseline's row has no effect"),
        ("result('comparison', 'effect', arm='a') | .1f", "does not exist; copy it"),
        ("result(effect of a)", "is not a live value"),
        ("results('comparisons', 'effect', arm='a')", "unknown function 'results'; a page can use result, interval"),
        ("interval('comparisons', 'arm', arm='a')", "has no column 'low'"),
        ("seeds('inpaintings', 'mean', inpainting='one') | .1f", "1 rows of .* several seeds"),
        ("seeds('inpaintings', 'mean', mask='x') | .1f", "3 rows of .* several seeds"),
        ("published('szegedy2014-table-2', 'error', row='FC10(1e-4)', column='FC1')", "has no error of 'FC1'"),
        ("published('szegedy2014-table-9', 'error', row='x', column='x')", "no published table is called"),
        ("published('values', 'value')", "0 published values are called None"),
    ],
)
def test_errors_name_the_page_and_the_line(expression: str, words: str, page: Path) -> None:
    with pytest.raises(ValueError, match=f"page.md:3: .*{words}"):
        insert_numbers(f"\n\n{{{{ {expression} }}}}", page)


ROW = re.compile(r"A([1-9]|[12]\d|3[01])|G([1-9]|1\d|2[0-4])|quality")
IN_BRACKETS = re.compile(r"\[[−+]?[\d.]")
WITHOUT_INTERVAL = {
    ("A1", "AE400-10"): "a mean over images of one model, for which the table has no interval",
    ("A13", "median"): "medians; the figure has their intervals",
    ("A22", "and gradients"): "the cost of an attack is a count",
    ("A7", "mean confidence"): "a mean over errors, for which the table has no interval",
    ("A19", "concentric"): "one simulation",
    ("G18", "sharpness"): "a mean over samples of one GAN, for which the table has no interval",
    ("G9", "cross-entropy, each seed"): "the individual runs",
    ("G9", "its classes"): "counts for each run",
}


def check_rows(page: str, figures: Container[str], targets: Container[str]) -> list[str]:
    """Return what is wrong with the rows of a page that have a question, an answer, a figure and a target."""
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
    return found + [f"{row}, {start}: excused, but absent" for row, start in unused]


@pytest.fixture(scope="module")
def evening() -> tuple[set[str], set[str]]:
    """The figures of the evening study, and all outputs of its plan."""
    loaded = load_file(STUDY)
    return set(loaded.study.figures), {path for job in build(loaded).jobs for path in job.outputs.values()}


@pytest.fixture(scope="module")
def results() -> str:
    return insert_numbers(TEMPLATE.read_text(encoding="utf-8"), TEMPLATE)


def test_rows_name_figures_and_targets_and_have_intervals(results: str, evening: tuple[set[str], set[str]]) -> None:
    assert check_rows(results, *evening) == []
    rows = set(re.findall(r"^\| ([AG]\d+) \|", results, flags=re.MULTILINE))
    assert rows == {*(f"A{n}" for n in range(1, 32)), *(f"G{n}" for n in range(1, 25))}


def test_the_page_quotes_numbers_and_files_that_exist() -> None:
    text = TEMPLATE.read_text(encoding="utf-8")
    files = re.findall(r"`((?:tests|docs|benchmarks|config)/[\w./-]+)`", text)
    assert len(files) >= 20
    assert [path for path in files if not Path(path).exists()] == []
    assert len(EXPRESSION.findall(text)) >= 20
