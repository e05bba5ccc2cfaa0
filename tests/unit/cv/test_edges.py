"""Edges that only a fault of one character would move: limits, pairs of conditions, first and last."""

import contextlib
import copy
import datetime
import functools
import itertools
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
from advgen.cv.resume import render
from advgen.cv.validation import validate
from advgen.cv.yaml_files import Document

from .conftest import BIBLIOGRAPHY, METRICS, PROFILE, STAMP, THEME, Files, section


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


def test_a_resume_is_indented_by_one(files: Files):
    made = render(files.build(), THEME, {}, STAMP)
    text = made if isinstance(made, str) else made.decode()
    assert text.startswith('{\n "$schema": "https://')
    assert text.endswith("}\n")


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
