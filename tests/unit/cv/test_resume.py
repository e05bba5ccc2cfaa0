"""JSON Resume: every entry of the CV, in the sections and forms that its schema 1.0.0 allows."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from advgen.cv.build import build
from advgen.cv.formats import render
from advgen.cv.inline import plain_text

from . import test_own
from .conftest import PROFILE, ROOT, STAMP, Files, section

TEXT = {"type": "string"}
TEXTS = {"type": "array", "items": TEXT}
ADDRESS = {"type": "string", "pattern": "^(https?|mailto):"}
DATE = {
    "type": "string",
    "pattern": "^([1-2][0-9]{3}-[0-1][0-9]-[0-3][0-9]|[1-2][0-9]{3}-[0-1][0-9]|[1-2][0-9]{3})$",
}
FORMS = {"url": ADDRESS, "canonical": ADDRESS, "email": {"type": "string", "format": "email"}}
FORMS |= dict.fromkeys(("date", "startDate", "endDate", "releaseDate"), DATE)
FORMS |= dict.fromkeys(("highlights", "courses", "keywords", "roles"), TEXTS)


def form(names: str, **others: Any) -> dict[str, Any]:
    """A map; the schema checks the keys that it knows and allows others beside them."""
    return {"type": "object", "properties": {name: FORMS.get(name, TEXT) for name in names.split()} | others}


def items(names: str) -> dict[str, Any]:
    """A list of maps."""
    return {"type": "array", "items": form(names)}


# What the published schema 1.0.0 checks. It allows no other key at the top.
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "$schema": ADDRESS,
        "basics": form(
            "name label image email phone url summary",
            location={"type": "object"},
            profiles=items("network username url"),
        ),
        "work": items("name location description position url startDate endDate summary highlights"),
        "volunteer": items("organization position url startDate endDate summary highlights"),
        "education": items("institution url area studyType startDate endDate score courses"),
        "awards": items("title date awarder summary"),
        "certificates": items("name date url issuer"),
        "publications": items("name publisher releaseDate url summary"),
        "skills": items("name level keywords"),
        "languages": items("language fluency"),
        "interests": items("name keywords"),
        "references": items("name reference"),
        "projects": items("name description highlights keywords startDate endDate url roles entity type"),
        "meta": form("canonical version lastModified"),
    },
}
FOLDERS = {"seed": Path(__file__).parent / "fixture", "example": ROOT / "config/cv"}


def resume(cv: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(render("resume.json", cv, {}, STAMP))
    checker = jsonschema.Draft7Validator.FORMAT_CHECKER
    jsonschema.Draft7Validator(SCHEMA, format_checker=checker).validate(made)
    return made


@pytest.mark.parametrize("name", FOLDERS)
def test_the_schema_allows_it_and_no_entry_is_missing(name: str):
    files = [FOLDERS[name] / file for file in ("profile.yaml", "publications.bib", "metrics.yaml")]
    cv = build(files[0], files[1], files[2], lambda reference: 0.4137)
    made = resume(cv)
    shown = json.dumps(made, ensure_ascii=False)
    for item in cv["sections"]:
        for row in item.get("rows", ()):
            named = next(row["item"][key] for key in ("organization", "title", "name") if key in row["item"])
            assert json.dumps(named, ensure_ascii=False) in shown
        for text in [*item.get("items", ()), *item.get("paragraphs", ())]:
            assert json.dumps(plain_text(text), ensure_ascii=False) in shown
    papers = [entry["title"] for group in section(cv, "publications")["groups"] for entry in group["entries"]]
    assert [paper["name"] for paper in made["publications"]] == papers
    counts = {item["id"]: len(item.get("rows") or item.get("items") or ()) for item in cv["sections"]}
    assert len(made["work"]) == counts["position"] + counts["positions"]
    assert len(made["volunteer"]) == counts["service"] + counts["reviewing"]
    kinds = [project["type"] for project in made["projects"]]
    assert (kinds.count("talk"), kinds.count("mentoring")) == (counts["talks"], counts["students"])


@pytest.mark.parametrize(
    ("dates", "shown"),
    [
        ("date: 2013", {"startDate": "2013", "endDate": "2013"}),
        ("start: 2013, end: 2015", {"startDate": "2013", "endDate": "2015"}),
        ("start: 2013, end: Present", {"startDate": "2013"}),
        ("date: 2013 – 2015", {"startDate": "2013", "endDate": "2015"}),
        ("date: 2013 – Present", {"startDate": "2013"}),
        ("start: 2013, end: present", {"startDate": "2013"}),
        ("date: S2017", {"startDate": "2017", "endDate": "2017", "dates": "S2017"}),
        ("date: Sep 2011 – May 2012", {"startDate": "2011", "endDate": "2012", "dates": "Sep 2011 – May 2012"}),
        ("date: forthcoming", {"dates": "forthcoming"}),
    ],
)
def test_dates_are_years(files: Files, dates: str, shown: dict[str, str]):
    files.write(profile=PROFILE.replace("start: 2014, end: 2015", dates))
    assert resume(files.build())["volunteer"][0] == {"position": "Chair", **shown}


def test_every_section(files: Files):
    made = resume(files.build())
    assert made["basics"] == {
        "name": "Ádám Próba",
        "label": "Tests & nothing else",
        "email": "adam@example.org",
        "url": "https://proba.example.org/",
        "profiles": [{"network": "@proba", "url": "https://social.example.org/@proba"}],
    }
    assert made["work"] == [{"name": "Works & Co_", "position": "Tester", "location": "100% City", "startDate": "2019"}]
    assert made["publications"][0] == {
        "name": "Tests_with #signs",
        "publisher": "Proc. of Tests",
        "releaseDate": "2024",
        "url": "https://papers.example.org/a_(b)?x=1&y=2",
        "summary": "Ádám Próba*, Bea Minta*, The Group, Inc. (Oral)",
    }
    assert made["projects"][1] == {
        "name": "proba/big_one",
        "description": "Large, #1",
        "url": "https://github.com/proba/big_one",
        "keywords": ["★1549"],
        "startDate": "2020",
        "type": "application",
    }
    assert made["projects"][0]["description"].startswith("Error of 41.4%, that is all.")
    assert made["projects"][4] == {
        "name": "Because",
        "entity": "Somewhere",
        "roles": ["Speaker"],
        "startDate": "2017",
        "endDate": "2017",
        "dates": "S2017",
        "type": "talk",
    }
    assert made["volunteer"][1] == {"position": "Member", "summary": "of A & B"}
    assert made["volunteer"][2] == {"organization": "Journal of Tests", "position": "Reviewer"}
    assert made["skills"] == [{"name": "Programming", "keywords": ["C", "C++", "C#"]}]
    assert made["meta"]["lastModified"] == "2025-03-04T00:00:00"


def test_custom_sections(tmp_path: Path):
    bib = test_own.BIB.replace("year={2004}", "year={in press}")
    made = resume(test_own.made(tmp_path, f"{test_own.PROFILE}language: de\n", bib))
    assert made["basics"]["summary"] == "I test. Twice."
    assert made["interests"] == [
        {"name": "Exhibitions", "keywords": ["Gallery of Tests", "Museum, 100%"]},
        {"name": "Languages", "keywords": ["Magyar – native", "English – good & quick"]},
    ]
    grants = [item for item in made["projects"] if item["type"] == "Grants & Funds"]
    assert grants[0] == {
        "name": "A Grant", "highlights": ["10,000 €", "with Bea"], "entity": "Fund & Co.", "startDate": "2019-09",
        "type": "Grants & Funds",
    }  # fmt: skip
    assert [(item.get("startDate"), item.get("endDate")) for item in grants[1:]] == [
        ("2011", "2012-03"), (None, "2010"), ("2024", "2024"),
    ]  # fmt: skip
    assert [item["name"] for item in made["publications"]][-1] == "A Machine"
    assert {item["name"]: item.get("releaseDate") for item in made["publications"]}["New Journal"] is None
