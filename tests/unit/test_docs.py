"""Quoted numbers are those of the archived tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from advgen.commands.docs import QUOTED, QUOTING, TEMPLATE, with_numbers
from advgen.core.catalog import TABLES
from advgen.core.provenance import Stamp
from advgen.io.tables import arrow_table, write_table

PAGE = "one\nIt is {{{{ {}('comparisons', '{}', arm='{}') | {} }}}}, [2014, 3 %].\n"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    blank = {name: "x" if kind == "string" else 0 for name, kind in TABLES["comparison"].columns.items()}
    told = {
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
    assert text == f"{QUOTING}one\nIt is {shown}, [2014, 3 %].\n"


def test_a_table_may_have_one_interval(page: Path) -> None:
    told = with_numbers("{{ interval('inpaintings', 'mean', inpainting='one') | .2f }}", page)
    assert told.endswith("\n0.25 [0.12, 0.50]")


def test_a_row_is_found_by_a_number_that_once_had_32_bits(page: Path) -> None:
    assert with_numbers("{{ result('comparisons', 'effect', mean=0.1) | .1f }}", page) == f"{QUOTING}2.0"


def test_seeds_are_averaged_with_students_interval(page: Path) -> None:
    """Of 1 and 3 the standard error is 1, and its quantile for two seeds 12.7."""
    told = with_numbers("{{ seeds('inpaintings', 'mean', inpainting='two') | .1f }}", page)
    assert told.endswith("\n2.0 [−10.7, 14.7]")


@pytest.mark.parametrize(("arm", "words"), [("b", "not told apart"), ("c", "lower"), ("d", "higher")])
def test_what_an_interval_shows_is_said(arm: str, words: str, page: Path) -> None:
    told = with_numbers(f"{{{{ verdict('comparisons', 'effect', arm='{arm}') }}}}", page)
    assert told == QUOTING + words


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("result('comparisons', 'effect', arm='a') | .1f", "holds no number"),
        ("result('comparisons', 'effect', arm='e') | .1f", "0 rows"),
        ("verdict('comparisons', 'effect', arm='a')", "a baseline's"),
        ("result('comparison', 'effect', arm='a') | .1f", "there is no"),
        ("result(effect of a)", "is not a live value"),
        ("interval('comparisons', 'arm', arm='a')", "has no column 'low'"),
        ("seeds('inpaintings', 'mean', inpainting='one') | .1f", "1 rows of .* several seeds"),
        ("seeds('inpaintings', 'mean', mask='x') | .1f", "3 rows of .* several seeds"),
    ],
)
def test_what_cannot_be_found_is_told_with_its_line(asked: str, words: str, page: Path) -> None:
    with pytest.raises(ValueError, match=f"page.md:3: .*{words}"):
        with_numbers(f"\n\n{{{{ {asked} }}}}", page)


def test_results_quote_numbers() -> None:
    assert len(QUOTED.findall(TEMPLATE.read_text(encoding="utf-8"))) >= 20
