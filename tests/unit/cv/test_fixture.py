"""A real CV of December 2023, rebuilt from its facts: sections, counts, order, formats, and nearly every word."""

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from advgen.cv.build import build
from advgen.cv.formats import FORMATS, render
from advgen.cv.inline import plain_text

from . import reading
from .conftest import NEEDS_LATEX, NEEDS_PDFTOTEXT, STAMP, publications, section
from .reading import list_printed, pdf_text

FIXTURE = Path(__file__).parent / "fixture"

# What the text extraction of the seed misread, word by word.
MISREAD = {
    "NeurlPS": "NeurIPS", "levgen": "Ievgen", "Qinging": "Qinqing", "locuslab/Iml": "locuslab/lml", "Al": "AI",
    "OpenAl": "OpenAI",
}  # fmt: skip
# The garbled heading 2016, years torn apart, and icons of the header.
GARBLED = Counter(["cap", "н", "١", "c", "U", "П", "Ц", "n", "20", "16", "20", "11", "p", "resent", "resent", "in"])


def made() -> dict[str, Any]:
    names = ("profile.yaml", "publications.bib", "metrics.yaml")
    profile, bibliography, metrics = (FIXTURE / name for name in names)

    def lookup(reference: object) -> object:
        raise AssertionError("no live values here")

    return build(profile, bibliography, metrics, lookup)


@pytest.fixture(scope="module")
def cv() -> dict[str, Any]:
    return made()


@pytest.fixture(scope="module")
def files(cv: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CV in every format that this machine can make."""
    folder = tmp_path_factory.mktemp("seed")
    for format_ in FORMATS:
        if format_ != "latex.pdf" or shutil.which("latexmk"):
            (folder / f"cv.{format_}").write_bytes(render(format_, cv, {}, STAMP))
    return folder


def test_header(cv: dict[str, Any]):
    assert (cv["name"], cv["email"], cv["site"]) == ("Brandon Amos", "name@example.org", "https://bamos.github.io")
    assert [link["label"] for link in cv["links"]] == ["bdamos", "brandondamos", "bamos"]
    assert cv["updated_text"] == "December 5, 2023"


def test_sections_and_counts(cv: dict[str, Any]):
    counts = [
        (item["title"], len(item.get("rows") or item.get("items") or item.get("pairs") or publications(cv)))
        for item in cv["sections"]
    ]
    assert counts == [
        ("Current Position", 1), ("Education", 2), ("Previous Positions", 12), ("Honors & Awards", 5),
        ("Publications", 61), ("Open Source Repositories", 33), ("Invited Talks", 38), ("Interns and Students", 12),
        ("Professional Activities", 8), ("Reviewing", 22), ("Teaching", 3), ("Skills", 3),
    ]  # fmt: skip


ROWS = {
    ("position", 0): "Research Scientist, Meta AI, Fundamental AI Research (FAIR), New York City | 2019 – Present",
    ("education", 0): "Ph.D. in Computer Science, Carnegie Mellon University (0.00/0.00) | 2014 – 2019",
    ("education", 1): "B.S. in Computer Science, Virginia Tech (3.99/4.00) | 2011 – 2014",
    ("positions", 10): "Software Intern, Phoenix Integration, Virginia (C++, C#, and Java development) | 2012",
    ("honors", 3): "NSF Graduate Research Fellowship | 2016 – 2019",
    ("honors", 4): "Nine undergraduate scholarships | 2011 – 2014",
    ("repositories", 22): "cmusatyalab/openface — ★14.9k — Face recognition with deep neural networks | 2015",
    (
        "talks",
        23,
    ): "Differentiable optimization-based modeling for machine learning, Caltech CS 159 (Guest Lecture) | 2020",
    ("teaching", 0): "Graduate AI (CMU 15-780), TA | S2017",
}


def test_row_formats(cv: dict[str, Any]):
    rows = {place: section(cv, place[0])["rows"][place[1]] for place in ROWS}
    assert {place: f"{plain_text(row['text'])} | {row['dates']}" for place, row in rows.items()} == ROWS
    assert [plain_text(line) for line in rows["education", 0]["lines"]] == [
        "Thesis: Differentiable Optimization-Based Modeling for Machine Learning",
        "Advisor: J. Zico Kolter",
    ]
    (line,) = rows["honors", 4]["lines"]
    assert plain_text(line).startswith("Roanoke County Public Schools Engineering, ")
    stars, citations = (plain_text(section(cv, name)["summary"]) for name in ("repositories", "publications"))
    assert stars == "28.3k+ GitHub stars across all repositories."
    assert citations == "[Google Scholar: 7.3k+ citations and an h-index of 34]"
    note = section(cv, "talks")["note"]
    assert note[1] == {"link": ["bamos/presentations"], "url": "https://github.com/bamos/presentations"}


def test_publications(cv: dict[str, Any]):
    entries = publications(cv)
    groups = Counter(entry["group"] for entry in entries)
    assert list(groups.items()) == [
        ("2023", 11), ("2022", 5), ("2021", 13), ("2020", 5), ("2019", 4), ("2018", 4), ("2017", 7), ("2016", 4),
        ("2015 and earlier", 8),
    ]  # fmt: skip
    assert [entry["number"] for entry in entries] == list(range(1, 62))
    labels = Counter(link["label"] for entry in entries for link in entry["links"])
    assert labels == {"code": 29, "slides": 6}
    assert sum(entry["selected"] for entry in entries) == 16
    assert [entry["note"] for entry in entries if entry["note"]] == ["Oral", "Best Paper"]
    assert entries[16]["title"].startswith("On the model-based stochastic value gradient")
    assert entries[12]["authors"].startswith("Heli Ben-Hamu*, Samuel Cohen*, Joey Bose, Brandon Amos, ")
    assert "Michal Rolínek, Vít Musil" in entries[18]["authors"]
    assert "et al" not in json.dumps(cv)


def test_the_owner_is_bold_in_every_entry_with_the_mark(cv: dict[str, Any]):
    for entry in publications(cv):
        kept = [node["keep"] for node in entry["byline"] if isinstance(node, dict) and "keep" in node]
        bold = [plain_text(node["strong"]) for nodes in kept for node in nodes if "strong" in node]
        assert bold == [f"Brandon Amos{'*' if 'Amos*' in entry['authors'] else ''}"]
    assert sum("Amos*" in entry["authors"] for entry in publications(cv)) == 3


def words(text: str) -> list[str]:
    """The words of a text: without markup of the extraction, white space, dashes and punctuation around them."""
    text = re.sub(r"\\star\s*", "★", re.sub(r"</?i>|\*\*|(?<!\w)\*(?=\w)|(?<=\w)\*(?=,? ?\()", "", text))
    text = re.sub(r"[–—\t]", " ", text)
    found = (re.sub(r"^[^\w★♥({\[]+|[^\w★♥)}\]+*#]+$", "", word) for word in text.split())
    return [word.strip("()[]{}.,:?") for word in found if re.search(r"[\w★♥]", word)]


def shown(cv: dict[str, Any]) -> str:
    """Everything that stands in the CV."""
    parts = [cv["name"], cv["email"], cv["site"].split("//")[1], *(link["label"] for link in cv["links"])]
    parts += ["Last updated on", cv["updated_text"], "Selected publications are highlighted."]
    for item in cv["sections"]:
        parts += [item["title"], plain_text(item["summary"]), plain_text(item["note"])]
        parts += [group["title"] for group in item.get("groups", ())] + reading.list_texts(item)
    return "\n".join(parts)


def test_the_words_of_the_seed_are_explained(cv: dict[str, Any]):
    seed = [MISREAD.get(word, word) for word in words((FIXTURE / "seed.txt").read_text(encoding="utf-8"))]
    ours = Counter(words(shown(cv)))
    unexplained = Counter(seed) - ours - GARBLED
    assert len(seed) > 2000
    assert not unexplained
    # nothing is shown that the seed does not hold, but for lost numbers, headings and dates
    invented = ours - Counter(seed)
    assert all(re.fullmatch(r"\d{1,2}|20\d\d|present", word) for word in invented), invented


def test_the_numbers_of_the_seed(cv: dict[str, Any]):
    """Every entry whose number the extraction kept has that number here."""
    ours = [(entry["number"], entry["title"]) for entry in publications(cv)]
    ours += [
        (row["number"], plain_text(row["text"]))
        for name in ("repositories", "talks")
        for row in section(cv, name)["rows"]
    ]
    begins = {(number, *words(text)[:3]) for number, text in ours}
    seed = (FIXTURE / "seed.txt").read_text(encoding="utf-8")
    kept = re.findall(r"(?m)^(?:- )?(?:\*\*)?(\d+)\.(?:\*\*)?\s+(\S.*)$", seed)
    assert len(kept) >= 110
    found = [(int(number), *(MISREAD.get(word, word) for word in words(text)[:3])) for number, text in kept]
    assert [entry for entry in found if entry not in begins] == []


@pytest.mark.parametrize("format_", reading.PRINTED)
def test_every_list_reads_back(cv: dict[str, Any], tmp_path: Path, format_: str):
    assert reading.read_back(cv, format_, {}, STAMP, tmp_path) == list_printed(cv)
    if format_.endswith("pdf"):
        assert "Rolínek" in pdf_text(tmp_path / "cv.pdf")


@NEEDS_PDFTOTEXT
@pytest.mark.parametrize("name", ["cv.pdf", pytest.param("cv.latex.pdf", marks=NEEDS_LATEX)])
def test_no_heading_stands_alone_at_the_foot_of_a_page(cv: dict[str, Any], files: Path, name: str):
    heads = {item["title"] for item in cv["sections"]} | {entry["group"] for entry in publications(cv)}
    heads |= {plain_text(text) for item in cv["sections"] for text in (item["summary"], item["note"])}
    heads = {re.sub(r"\s", "", text) for text in heads | {"Selected publications are highlighted."}}
    pages = [re.sub(r"[ \t]", "", page).strip().split("\n") for page in pdf_text(files / name).split("\f")]
    assert [lines[-2] for lines in pages if len(lines) > 1 and lines[-2] in heads] == []


def test_every_format_is_the_same_twice(cv: dict[str, Any], files: Path):
    again = made()
    assert again == cv
    for format_ in FORMATS:
        if format_ != "latex.pdf":
            assert render(format_, again, {}, STAMP) == (files / f"cv.{format_}").read_bytes(), format_
