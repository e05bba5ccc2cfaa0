"""Edges that only a fault of one character would move: limits, pairs of conditions, first and last."""

import contextlib
import copy
import datetime
import functools
import itertools
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from advgen.cv.bibtex import repair_bibtex
from advgen.cv.fields import Year
from advgen.cv.foreign import is_bamos_cv
from advgen.cv.inline import plain_text
from advgen.cv.profile import Metrics, profile_model
from advgen.cv.resume import _find_dates, render
from advgen.cv.tex import decode
from advgen.cv.validation import validate
from advgen.cv.yaml_files import Document

from .conftest import BIBLIOGRAPHY, METRICS, PROFILE, STAMP, THEME, Files, section, split_authors
from .test_diff import report, snapshot


@pytest.mark.parametrize(("updated", "warned"), [("2025-06-29", False), ("2025-06-30", True)])
def test_metrics_are_stale_after_180_days(files: Files, caplog: pytest.LogCaptureFixture, updated: str, warned: bool):
    files.write(PROFILE.replace("2025-03-04", updated), metrics=METRICS.replace("2025-03-01", "2024-12-31"))
    with caplog.at_level(logging.WARNING):
        assert files.build()["updated"] == updated
    assert any("days older than the CV" in one for one in caplog.messages) == warned


@pytest.mark.parametrize(
    ("without", "summary"),
    [
        ("citations: 7345\n", "[Index: an h-index of 12]"),
        ("h_index: 12\n", "[Index: 7.3k+ citations]"),
        ("citations: 7345\nh_index: 12\n", ""),
    ],
)
def test_citations_and_h_index_stand_alone_too(files: Files, without: str, summary: str):
    files.write(metrics=METRICS.replace(without, ""))
    assert plain_text(section(files.build(), "publications")["summary"]) == summary


@pytest.mark.parametrize("tex", ["a } { b", "} {", "{ } } {"])
def test_braces_that_close_before_they_open(tex: str):
    with pytest.raises(ValueError, match=r"; |balance|brace"):
        decode(tex)


@pytest.mark.parametrize("name", ["{}, Ádám", "Próba, {}", "Próba, Jr., Ádám, X", "Próba, Q, Ádám"])
def test_what_is_not_one_name(name: str):
    with pytest.raises(ValueError, match="is not one name"):
        split_authors(name)


def test_names_of_two_and_three_parts():
    assert split_authors("Próba, Ádám and Próba, Jr., Ádám and Ádám Próba*") == [
        ("Ádám Próba", ""), ("Ádám Próba Jr.", ""), ("Ádám Próba", "*"),
    ]  # fmt: skip


def test_a_value_in_braces_may_look_like_a_field(files: Files):
    text = files.bibliography.read_text(encoding="utf-8")
    files.write(bibliography=text.replace("{A Third Test}", "{A Test of x y = z}"))
    assert "A Test of x y = z" in json.dumps(files.build())


@pytest.mark.parametrize(
    ("data", "known"),
    [
        ({"name": {"first": "A"}, "order": ["talks"]}, True),
        ({"name": "A", "order": [["talks", "Talks"]]}, True),
        ({"name": "A", "order": [["talks", "Talks"], "skills"]}, False),
        ({"name": "A", "order": []}, False),
        ({"name": "A"}, False),
        ({"name": {"first": "A"}}, True),
        ([], False),
        (None, False),
    ],
)
def test_an_old_file_has_a_name_in_parts_or_pairs_in_its_order(data: object, known: bool):
    assert is_bamos_cv(data) is known


@pytest.mark.parametrize(
    ("text", "start", "end", "dates"),
    [
        ("2019", "2019", "2019", None),
        ("2014 – 2015", "2014", "2015", None),
        ("2019 – Present", "2019", None, None),
        ("2019 – present", "2019", None, None),
        ("Sep 2011 – May 2012", "2011", "2012", "Sep 2011 – May 2012"),
        ("S2017", "2017", "2017", "S2017"),
        ("", None, None, ""),
    ],
)
def test_years_of_a_resume(text: str, start: str | None, end: str | None, dates: str | None):
    assert _find_dates({"dates": text, "item": {}}) == {"startDate": start, "endDate": end, "dates": dates}


def test_a_resume_is_indented_by_one(files: Files):
    made = render(files.build(), THEME, {}, STAMP)
    text = made if isinstance(made, str) else made.decode()
    assert text.startswith('{\n "$schema": "https://')
    assert text.endswith("}\n")


def test_a_changed_paper_says_what_was_and_what_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    edits = {"publications.bib": [(r"_note = \{Oral\}", "_note = {Spotlight}"), (r"Ludwiczuk", "Ludwicuk")]}
    lines = report(snapshot(tmp_path, "old", {}), snapshot(tmp_path, "new", edits), capsys)
    assert any(re.search(r"note 'Oral' → 'Spotlight'", line) for line in lines)
    assert any(re.search(r"authors .*Ludwiczuk.* → .*Ludwicuk", line) for line in lines)


DOUBLED = "@article{{k, title = {{T}},{}\n  year = {{2020}}\n}}\n"


def test_a_doubled_field_on_the_first_lines_is_taken_out_or_reported(tmp_path: Path):
    path = tmp_path / "x.bib"
    path.write_text(DOUBLED.format("\n  title = {T},"))
    text, said = repair_bibtex(path.read_text(), path)
    assert text == DOUBLED.format("\n")
    assert said == [f"{path}:2: the field title appears twice with the same value; kept once"]
    path.write_text(DOUBLED.format(" title = {T},"))
    with pytest.raises(ValueError, match=r"x\.bib:1: the field title appears twice in one entry; remove one"):
        repair_bibtex(path.read_text(), path)


@pytest.mark.parametrize(
    ("count", "names"), [(3, "A A, B B, C C;"), (4, "A A, B B, C C and 1 more;"), (5, "A A, B B, C C and 2 more;")]
)
def test_three_unknown_authors_are_named(files: Files, caplog: pytest.LogCaptureFixture, count: int, names: str):
    others = " and ".join(f"{letter} {letter}" for letter in "ABCDE"[:count])
    text = BIBLIOGRAPHY.replace("B. Minta and A.", f"{others} and A.").replace(" and {The Group, Inc.}", "")
    files.write(bibliography=text)
    with caplog.at_level(logging.WARNING):
        files.build()
    assert any(f"without an address: {names}" in one for one in caplog.messages), caplog.messages


def test_a_wrong_value_is_reported_in_one_sentence(files: Files):
    files.write(PROFILE.replace("earlier: 2001", "earlier: soon"))
    assert files.errors() == ["profile.yaml:9: earlier is 'soon'; write an integer without quotes"]


WRONG = [
    None, 0, -1, 10**30, 1.5, True, "", [], {}, "soon", [1], [{}], {"a": 1}, {"A b": {"type": "list"}}, "a b/c",
    "x" * 300, datetime.date(2020, 1, 1),
]  # fmt: skip
# every kind of value that a profile has
EVERY = {
    "style": {"given": "full"}, "max_authors": 3, "fonts": ["X"], "labels": {"publications": "P"},
    "students": [{"name": "x", "date": 2020, "id": "a", "tags": ["b"]}],
    "sections": {
        "grants": {"type": "entries", "numbered": True, "items": [{"title": "T", "start": 2019, "details": ["x"]}]},
        "skilled": {"type": "table", "columns": ["a"], "rows": [["b"]]},
        "shows": {"type": "list", "items": ["x"]},
        "about": {"type": "text", "text": ["x"]},
        "patents": {"type": "bibliography", "types": ["patent"], "selected": True, "file": "x.bib"},
    },
}  # fmt: skip


def places(data: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    for key, value in data.items() if isinstance(data, dict) else enumerate(data):
        yield (*at, key)
        if isinstance(value, dict | list):
            yield from places(value, (*at, key))


# words of the library that checks
THEIRS = re.compile(
    r"\b(input|should|valid|string|integer|boolean|dictionary|object|validation|pattern|None|True|datetime|\[|\{)"
)


@pytest.mark.parametrize(
    ("model", "source"), [(profile_model(), yaml.safe_load(PROFILE) | EVERY), (Metrics, yaml.safe_load(METRICS))]
)
def test_every_wrong_value_is_reported_in_the_words_of_who_wrote_it(model: type[BaseModel], source: dict[str, Any]):
    lines = []
    for at, value in itertools.product(places(source), WRONG):
        data = copy.deepcopy(source)
        functools.reduce(lambda found, key: found[key], at[:-1], data)[at[-1]] = value
        document = Document(Path("x.yaml"), data, dict.fromkeys([(), *places(data)], 7), {})
        with contextlib.suppress(ValueError):
            validate(model, document)
            continue
        with pytest.raises(ValueError, match=r"\A(x\.yaml:7: .+\S(\n|\Z))+\Z") as caught:
            validate(model, document)
        lines += str(caught.value).split("\n")
    assert len(lines) > 100
    texts = [re.sub(r"'[^']*'|write an integer", "", line) for line in lines]
    assert [line for line in texts if THEIRS.search(line)] == []


def test_years_are_of_two_centuries():
    years = TypeAdapter(Year)
    for year in (1900, 2100):
        assert years.validate_python(year) == year
    assert years.validate_python("2000") == 2000  # in quotes
    for year in (1899, 2101, "1899", "20 00", "02000", 2000.5):
        with pytest.raises(ValidationError):
            years.validate_python(year)
