"""The published tables are whole, and agreement with them is measured rightly."""

import math
import re
from itertools import combinations

import numpy as np
import pytest
from tests.project import ROOT
from tools.docs import published_page

from advgen.metrics.agreement import kendall
from advgen.metrics.published import MINIMUM_DISTORTION, PUBLISHED, VALUES


@pytest.mark.parametrize("name", PUBLISHED)
def test_tables_are_whole(name: str) -> None:
    table = PUBLISHED[name]
    assert set(table.distortion) == set(table.errors)
    assert {len(row) for row in table.errors.values()} == {len(table.targets)}
    assert all(0 <= error <= 100 for row in table.errors.values() for error in row)
    assert all(table.error(net, net) == 100 for net in table.targets)
    assert {row for row, _ in table.verified} <= set(table.errors)
    assert {column for _, column in table.verified} <= set(table.targets)
    # The diagonal follows from the definition: it is neither verified nor counted.
    assert all(row != column for row, column in table.verified | table.unverified)
    assert len(table.verified | table.unverified) == len(table.errors) * len(table.targets) - len(table.targets)
    assert not table.verified & table.unverified


def test_cells_and_marks_are_where_the_paper_has_them() -> None:
    table = PUBLISHED["szegedy2014-table-2"]
    assert table.error("FC100-100-10", "FC10(1e-4)") == 28.9
    assert table.error("Gaussian sd 0.3", "AE400-10") == 3.1
    assert ("FC10(1)", "FC200-200-10") in table.unverified
    assert table.counts("FC10(1)", "FC100-100-10")
    assert not table.counts("AE400-10", "FC100-100-10")
    assert not table.counts("FC10(1)", "FC10(1)")
    assert MINIMUM_DISTORTION["AE400-10"] == (1.9, table.distortion["AE400-10"])
    amplified, plain = PUBLISHED["szegedy2014-table-4-amplified"], PUBLISHED["szegedy2014-table-4"]
    assert plain.error("FC100-100-10", "FC123-456-10") == 26.2
    assert amplified.error("FC100-100-10", "FC100-100-10'") == 43
    assert amplified.counts("FC100-100-10", "FC100-100-10'")
    assert plain.verified == amplified.verified == {("FC100-100-10", net) for net in plain.targets[1:]}


def test_each_value_has_a_source_that_exists_and_a_place() -> None:
    keys = set(re.findall(r"^@\w+{(\w+),", (ROOT / "docs/references.bib").read_text(encoding="utf-8"), re.MULTILINE))
    assert {one.source for one in (*VALUES, *PUBLISHED.values())} <= keys
    assert all(one.place for one in (*VALUES, *PUBLISHED.values()))
    assert len({(one.what, one.place, one.value) for one in VALUES}) == len(VALUES)
    assert all(0 < one.value < 100 and one.unit in ("", "%") for one in VALUES)


def test_the_page_marks_what_was_only_recalled() -> None:
    page = published_page()
    assert "| FC10(1e-4), test error | 7.4 % | szegedy2014intriguing | table 1, row FC10(1e-4) |" in page
    assert page.count("~") - 1 == sum(not one.verified for one in VALUES) + sum(
        len(table.unverified) for table in PUBLISHED.values()
    )
    assert "| FC100-100-10 | 28.9 | ~13.7 | ~21.1 | 100 | ~6.6 | 2 |" in page


def test_kendall_is_the_textbook_count() -> None:
    rng = np.random.default_rng(0)
    ours, published = rng.random(9), rng.random(9)
    signs = [np.sign((ours[i] - ours[j]) * (published[i] - published[j])) for i, j in combinations(range(9), 2)]
    tau, count = kendall(ours, published)
    assert tau == pytest.approx(np.mean(signs))
    assert count == 9


def test_kendall_leaves_out_cells_that_one_side_lacks() -> None:
    ours, published = np.array([[1.0, 2.0], [np.nan, 3.0]]), np.array([[10.0, 30.0], [0.0, 20.0]])
    assert kendall(ours, published) == (pytest.approx(1 / 3), 3)


@pytest.mark.parametrize("ours", [[1.0, np.nan, np.nan], [2.0, 2.0, 2.0]])
def test_kendall_is_not_defined_without_an_order(ours: list[float]) -> None:
    assert math.isnan(kendall(ours, [1.0, 2.0, 3.0])[0])


SUMS = {
    "szegedy2014-table-2": (
        [143, 295.3, 377.6, 172.3, 199, 180.2, 34.2, 62],
        [370.1, 253, 268.6, 220.7, 195.7, 155.5],
        [0.062, 0.1, 0.14, 0.058, 0.065, 0.086, 0.1, 0.3],
    ),
    "szegedy2014-table-4": ([132.1, 111.35, 116.4, 7.2], [116.65, 137, 113.4], [0.062, 0.059, 0.058, 0.06]),
    "szegedy2014-table-4-amplified": ([241, 218, 177, 8.1], [225.6, 250.8, 167.7], [0.1, 0.1, 0.1, 0.1]),
}
"""Sums of rows and of columns, and the distortions: a cell that changes by mistake changes two sums."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_no_number_has_changed(name: str) -> None:
    table = PUBLISHED[name]
    rows, columns, distortions = SUMS[name]
    assert [sum(row) for row in table.errors.values()] == pytest.approx(rows)
    assert [sum(column) for column in zip(*table.errors.values(), strict=True)] == pytest.approx(columns)
    assert list(table.distortion.values()) == distortions
    assert [error for error, _ in MINIMUM_DISTORTION.values()] == [7.4, 9.4, 20, 1.64, 1.54, 1.9]


def test_two_cells_are_enough_for_an_order() -> None:
    assert kendall([1, 2], [3, 4]) == (1, 2)
    assert kendall([1, 2], [4, 3]) == (-1, 2)
    tau, count = kendall([1], [3])
    assert math.isnan(tau)
    assert count == 1
