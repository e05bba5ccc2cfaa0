"""More CVs from one source, and how they are numbered, shortened and laid out."""

import logging
import re
import shutil
import subprocess
import urllib.parse
from pathlib import Path
from typing import Any

import pytest

from advgen.cv.build import build
from advgen.cv.byline import format_byline
from advgen.cv.formats import render
from advgen.cv.inline import plain_text
from advgen.cv.sections.base import Filter

from .conftest import BIBLIOGRAPHY, PROFILE, STAMP, Files, publications, section

TAGGED = PROFILE.replace("event: Nowhere, date: 2024", "event: Nowhere, date: 2024, tags: [vision]").replace(
    "event: Somewhere, date: S2017", "event: Somewhere, date: S2017, tags: [speech, text]"
)
KEYWORDS = BIBLIOGRAPHY.replace("_venue = {JoT}", "_venue = {JoT},\n  keywords = {vision, journal}")


def chosen(files: Files, **choice: Any) -> dict[str, Any]:
    files.write(profile=TAGGED, bibliography=KEYWORDS)
    return build(files.profile, files.bibliography, files.metrics, lambda reference: 0.5, chosen=Filter(**choice))


def talks(cv: dict[str, Any]) -> list[str]:
    return [row["item"]["title"] for row in section(cv, "talks")["rows"]]


def test_the_short_cv(files: Files):
    cv = chosen(files, selected=True)
    assert [(p["number"], p["title"]) for p in publications(cv)] == [(1, "Tests_with #signs")]
    assert talks(cv) == ["Why not?", "Because"]


def test_a_cv_for_a_tag(files: Files):
    cv = chosen(files, tags=["vision"])
    assert [p["title"] for p in publications(cv)] == ["A Third Test"]
    assert talks(cv) == ["Why not?"]
    assert len(section(cv, "position")["rows"]) == 1
    speech = chosen(files, tags=["speech"])
    assert "publications" not in [item["id"] for item in speech["sections"]]
    assert talks(speech) == ["Because"]


def test_chosen_sections(files: Files):
    cv = chosen(files, sections=["talks", "position"])
    assert [item["id"] for item in cv["sections"]] == ["position", "talks"]


@pytest.mark.parametrize(
    ("choice", "what"),
    [
        ({"tags": ["visoin"]}, r"the tag 'visoin' is chosen but nothing has it; known tags: journal, speech, text"),
        ({"sections": ["teaching"]}, r"profile\.yaml:\d+: the section 'teaching' is chosen but not in order; add it"),
    ],
)
def test_a_choice_of_nothing(files: Files, choice: dict[str, Any], what: str):
    with pytest.raises(ValueError, match=what):
        chosen(files, **choice)


def test_numbering_downwards(files: Files, figures: dict[str, Path]):
    files.write(profile=PROFILE + "numbering: down\n")
    cv = files.build()
    assert [p["number"] for p in publications(cv)] == [4, 3, 2, 1]
    assert [row["number"] for row in section(cv, "talks")["rows"]] == [2, 1]
    page = render("html", cv, figures, STAMP).decode()
    assert re.findall(r'<li value="(\d)"', page) == ["4", "3", "2", "1", "2", "1", "2", "1"]
    assert "- **4.** ★ [Tests" in render("md", cv, figures, STAMP).decode()
    assert r"\cvpublication{tint}{4}" in render("tex", cv, figures, STAMP).decode()
    assert render("pdf", cv, figures, STAMP).startswith(b"%PDF")


def people(text: str) -> list[dict[str, Any]]:
    return [{"name": name, "mark": "", "owner": name == "O", "url": None} for name in text]


@pytest.mark.parametrize(
    ("names", "limit", "shown"),
    [
        ("OAB", 3, "O, A, and B"),
        ("OABC", 3, "O, A, B, and 1 other"),
        ("ABCDO", 3, "A, B, …, O, and 2 others"),
        ("ABCO", 1, "…, O, and 3 others"),
        ("OA", 1, "O and 1 other"),
        ("ABO", None, "A, B, and O"),
        # the owner is the first whose name the limit cuts off
        ("ABCOE", 3, "A, B, …, O, and 2 others"),
        ("AOCDE", 1, "…, O, and 4 others"),
        ("ABCDO", 4, "A, B, C, …, O, and 1 other"),
        ("ABOCD", 3, "A, B, O, and 2 others"),
        # nobody is cut off
        ("ABCDO", 5, "A, B, C, D, and O"),
        ("OABCD", 6, "O, A, B, C, and D"),
    ],
)
def test_at_most_so_many_authors_and_always_the_owner(names: str, limit: int | None, shown: str):
    nodes = format_byline(people(names), limit)
    assert plain_text(nodes) == shown
    assert {"strong": ["O"]} in nodes


@pytest.mark.parametrize(("paper", "points"), [("a4", (595, 842)), ("us-letter", (612, 792))])
def test_paper(files: Files, figures: dict[str, Path], tmp_path: Path, paper: str, points: tuple[int, int]):
    files.write(profile=PROFILE.replace("earlier: 2001", f"earlier: 2001\npaper: {paper}"))
    assert ("letterpaper" in render("tex", files.build(), figures, STAMP).decode()) == (paper == "us-letter")
    if not shutil.which("pdfinfo"):
        pytest.skip("needs pdfinfo (poppler-utils)")
    (tmp_path / "cv.pdf").write_bytes(render("pdf", files.build(), figures, STAMP))
    info = subprocess.run(["pdfinfo", tmp_path / "cv.pdf"], capture_output=True, text=True, check=True).stdout
    size = re.search(r"Page size: +([\d.]+) x ([\d.]+)", info)
    assert size
    assert (round(float(size[1])), round(float(size[2]))) == points


def test_the_pdf_is_accessible(files: Files, figures: dict[str, Path], caplog: pytest.LogCaptureFixture):
    """Typst refuses to call a file PDF/UA-1 that is not; the file says what it is."""
    with caplog.at_level(logging.WARNING):
        pdf = render("pdf", files.build(), figures, STAMP)
    assert b"<pdfuaid:part>1</pdfuaid:part>" in pdf
    assert "not PDF/UA-1" not in caplog.text


def test_bibtex_beside_each_entry(files: Files, figures: dict[str, Path]):
    page = render("html", files.build(), figures, STAMP).decode()
    found = re.findall(
        r'<a class="bib" download="([^"]+)" href="data:application/x-bibtex;charset=utf-8,([^"]+)"', page
    )
    assert [name for name, _ in found] == ["second.bib", "third.bib", "fourth.bib", "first.bib"]
    text = urllib.parse.unquote(found[0][1])
    assert text.startswith("@inproceedings{second,\n  title = {Tests_with #signs},\n  author = {{\\'A}d{\\'a}m ")
    assert "booktitle = {Proc. of Tests}" in text
    for own in ("codeurl", "_note", "selected"):
        assert own not in text
    # what a reader downloads can be read again
    files.write(bibliography="\n".join(urllib.parse.unquote(entry) for _, entry in found))
    again = publications(files.build())
    assert [p["title"] for p in again] == ["Tests_with #signs", "A Third Test", "Older Still", "Old Tests, 100% & more"]
