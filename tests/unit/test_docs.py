"""Quoted numbers are those of the archived tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from advgen.commands.docs import QUOTED, RESULTS, with_numbers
from advgen.core.catalog import TABLES
from advgen.core.provenance import Stamp
from advgen.io.tables import arrow_table, write_table

PAGE = "one\nIt is {}<!-- result('comparisons', '{}', arm='{}') | {} -->, [2014, 3 %].\n"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    blank = {name: "x" if kind == "string" else 0 for name, kind in TABLES["comparison"].columns.items()}
    told = {
        "comparison": "one",
        "arm": ["a", "b"],
        "effect": [None, -0.125],
        "mean": [0.5, 1234.5],
        "effects": [[], [0.0]],
    }
    (tmp_path / "results").mkdir()
    write_table(
        tmp_path / "results/comparisons.parquet", arrow_table("comparison", {**blank, **told}), Stamp("x", {}, "")
    )
    return tmp_path / "results.md"


@pytest.mark.parametrize("old", ["0", "−12.5\u00a0%", "+1,000.25"])
@pytest.mark.parametrize(
    ("column", "arm", "shape", "shown"),
    [("effect", "b", "+.1%", "−12.5\u00a0%"), ("mean", "b", ",.1f", "1,234.5"), ("mean", "a", "+.2f", "+0.50")],
)
def test_a_number_is_taken_again(old: str, column: str, arm: str, shape: str, shown: str, page: Path) -> None:
    text = PAGE.format(old, column, arm, shape)
    assert with_numbers(text, page) == PAGE.format(shown, column, arm, shape)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("result('comparisons', 'effect', arm='a') | .1f", "holds no number"),
        ("result('comparisons', 'effect', arm='c') | .1f", "0 rows"),
        ("result('comparison', 'effect', arm='a') | .1f", "there is no"),
        ("effect of a", "is not a live value"),
    ],
)
def test_what_cannot_be_found_is_told_with_its_line(asked: str, words: str, page: Path) -> None:
    with pytest.raises(ValueError, match=f"results.md:3: .*{words}"):
        with_numbers(f"\n\n1<!-- {asked} -->", page)


def test_results_quote_numbers() -> None:
    assert len(QUOTED.findall(RESULTS.read_text(encoding="utf-8"))) >= 20
