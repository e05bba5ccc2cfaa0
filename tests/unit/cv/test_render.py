import html
import html.parser
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from advgen.cv import docx, latex, markdown, typst
from advgen.cv import html as html_target
from advgen.cv.build import build

from . import reading
from .conftest import ROOT, STAMP, THEME, Files, publications, section
from .reading import list_printed
from .test_inline import HOSTILE

TARGETS = {"md": markdown, "html": html_target, "tex": latex, "docx": docx, "pdf": typst}
CONFIG = ROOT / "config/cv"


@pytest.fixture(params=["fixture", "example"])
def cv(request: pytest.FixtureRequest, files: Files) -> dict[str, Any]:
    if request.param == "fixture":
        return files.build()
    return build(
        CONFIG / "profile.yaml", CONFIG / "publications.bib", CONFIG / "metrics.yaml", lambda reference: 0.4137
    )


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_is_the_same_twice_and_holds_the_stamp(
    cv: dict[str, Any], figures: dict[str, Path], target: str, caplog: pytest.LogCaptureFixture
):
    first, second = (TARGETS[target].render(cv, THEME, figures, STAMP) for _ in range(2))
    assert first == second
    data = first if isinstance(first, bytes) else first.encode()
    assert set(re.findall(rb"advgen:([A-Za-z0-9_=-]+)", data)) == {STAMP.encode()}
    assert "not PDF/UA-1" not in caplog.text
    text = "" if isinstance(first, bytes) else first
    if target == "md":
        assert text.endswith(f"\n<!-- advgen:{STAMP} -->\n")
    elif target == "html":
        assert f'<meta name="advgen" content="advgen:{STAMP}">' in text
    elif target == "tex":
        assert f"/Keywords (advgen:{STAMP})" in text
    elif target == "docx":
        assert reading.docx_part(data, "customXml/item1.xml").text == f"advgen:{STAMP}"
    else:
        assert data.startswith(b"%PDF-")
        assert data.rstrip().endswith(b"%%EOF")
        assert b"/MarkInfo" in data


def unescaped(text: str) -> str:
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text)


def unlinked(text: str) -> tuple[str, str | None]:
    """Text and address of a Markdown link, or the text alone."""
    found = re.fullmatch(r"\[((?:\\.|[^\\\]])*)\]\((?:<([^>]*)>|([^)]*))\)", text)
    return (unescaped(found[1]), found[2] or found[3]) if found else (unescaped(text), None)


def from_markdown(text: str) -> list[dict[str, Any]]:
    found = []
    part = re.search(r"^## Publications\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert part
    for block in re.finditer(r"^### (.*)\n|^(\d+)\. (★ )?(.*)\\\n {4}(.*)\\\n {4}(.*)$", part[1], re.MULTILINE):
        if block[1]:
            year = block[1]
            continue
        links = re.findall(r" \[(\[\w+\]\((?:<[^>]*>|[^)]*)\))\]", block[4])
        title, url = unlinked(block[4][: len(block[4]) - sum(len(link) + 3 for link in links)])
        bold_free = re.sub(r"(?<!\\)\*\*", "", block[5])
        authors = re.sub(r"\[((?:\\.|[^\\\]])*)\]\((?:<[^>]*>|[^)]*)\)", r"\1", bold_free)
        place = re.fullmatch(r"\*((?:\\.|[^\\*])*)\* (\d{4})(?: \((.*)\))?", block[6])
        assert place
        found.append(
            {
                "group": year,
                "number": int(block[2]),
                "title": title,
                "url": url,
                "links": [unlinked(link) for link in links],
                "authors": unescaped(authors),
                "venue": unescaped(place[1]),
                "year": int(place[2]),
                "note": unescaped(place[3] or ""),
                "selected": bool(block[3]),
            }
        )
    return found


class Page(html.parser.HTMLParser):
    """Publications of the page by the classes of its elements."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[dict[str, Any]] = []
        self.group = ""
        self.heading = False
        self.listed = False
        self.stack: list[str] = []
        self.scripts = 0
        self.feed(source)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        # linked data are no program
        program = tag == "script" and given.get("type") != "application/ld+json"
        self.scripts += program or any(name.startswith("on") for name in given)
        if tag == "ol":
            self.listed = "publications" in given.get("class", "")
        if tag == "h3":
            self.heading, self.group = True, ""
        elif tag == "li" and self.listed:
            entry = dict.fromkeys(("title", "authors", "venue", "year", "award", "extra"), "")
            number = int(given["value"])
            self.found.append(
                {**entry, "group": self.group, "number": number, "url": None, "links": [], "selected": "class" in given}
            )
            self.stack = []
        elif tag in ("span", "em") or given.get("class") == "bib":
            inner = given.get("class") == "name"
            self.stack.append(self.stack[-1] if inner and self.stack else given.get("class", ""))
        elif tag == "a" and self.stack and self.found:
            if self.stack[-1] == "title":
                self.found[-1]["url"] = given["href"]
            elif self.stack[-1] == "extra":
                self.found[-1]["links"].append(given["href"])

    def handle_endtag(self, tag: str) -> None:
        if (tag in ("span", "em") or self.stack[-1:] == ["bib"]) and self.stack:
            self.stack.pop()
        self.listed = self.listed and tag != "ol"
        self.heading = self.heading and tag != "h3"

    def handle_data(self, data: str) -> None:
        if self.heading:
            self.group += data
        elif self.stack and self.found and self.stack[-1] in self.found[-1]:
            self.found[-1][self.stack[-1]] += data


def from_html(text: str) -> list[dict[str, Any]]:
    return [
        {
            "group": entry["group"],
            "number": entry["number"],
            "title": entry["title"],
            "url": entry["url"],
            "links": list(zip(re.findall(r"\[(\w+)\]", entry["extra"]), entry["links"], strict=True)),
            "authors": entry["authors"],
            "venue": entry["venue"],
            "year": int(entry["year"]),
            "note": entry["award"][1:-1],
            "selected": entry["selected"],
        }
        for entry in Page(text).found
    ]


def test_publications_read_back_from_markdown(cv: dict[str, Any], figures: dict[str, Path]):
    assert from_markdown(markdown.render(cv, THEME, figures, STAMP)) == publications(cv)


def test_publications_read_back_from_html(cv: dict[str, Any], figures: dict[str, Path]):
    assert from_html(html_target.render(cv, THEME, figures, STAMP)) == publications(cv)


def without_experiments(entries: dict[str, list[str]]) -> dict[str, list[str]]:
    """Paragraphs and captions are no lists."""
    return {name: listed for name, listed in entries.items() if name != "experiments"}


@pytest.mark.parametrize("format_", reading.PRINTED)
def test_every_list_reads_back(cv: dict[str, Any], figures: dict[str, Path], tmp_path: Path, format_: str):
    found = reading.read_back(cv, format_, figures, STAMP, tmp_path)
    assert without_experiments(found) == without_experiments(list_printed(cv))


def test_links_of_docx_are_those_of_html(cv: dict[str, Any], figures: dict[str, Path]):
    made = docx.render(cv, THEME, figures, STAMP)
    assert addresses(made) == {
        address
        for address in re.findall(r' href="([^"#]*)"', html.unescape(html_target.render(cv, THEME, figures, STAMP)))
        if not address.startswith("data:")
    }


def addresses(made: bytes) -> set[str]:
    """Where the links of a .docx lead that are in use."""
    used = {
        item.get(f"{{{docx.OFFICE}}}id")
        for item in reading.docx_part(made, "word/document.xml").iter(f"{reading.W}hyperlink")
    }
    links = reading.docx_part(made, "word/_rels/document.xml.rels")
    return {item.attrib["Target"] for item in links if item.attrib["Id"] in used}


def test_the_page_needs_no_other_file(cv: dict[str, Any], figures: dict[str, Path]):
    page = html_target.render(cv, THEME, figures, STAMP)
    assert Page(page).scripts == 0
    assert not re.search(r"<link|@import|url\(|src=\"(?!data:image/png;base64,)", page)
    assert page.count("<h1>") == 1
    assert page.count('src="data:image/png;base64,') == 1
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def hostile(cv: dict[str, Any], text: str) -> dict[str, Any]:
    """The CV with every string that a person wrote replaced by ``text``."""

    def replaced(value: Any, key: str = "") -> Any:
        if key == "words":
            return value
        if isinstance(value, dict):
            return {name: replaced(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [replaced(item, key) for item in value]
        keep = ("id", "kind", "url", "updated", "paper", "site", "email", "key", "type", "mark", "label", "details")
        keep += ("theme", "language", "numbering")
        return text if isinstance(value, str) and key not in keep else value

    result: dict[str, Any] = replaced(cv)
    for was, now in zip(cv["sections"], result["sections"], strict=True):
        now["title"] = was["title"]
    section(result, "experiments")["figures"][0]["name"] = "transfer"
    return result


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_in_every_target(files: Files, figures: dict[str, Path], text: str):
    cv = hostile(files.build(), text)
    page = html_target.render(cv, THEME, figures, STAMP)
    assert Page(page).scripts == 0
    for entries in (from_html(page), from_markdown(markdown.render(cv, THEME, figures, STAMP))):
        assert len(entries) == 4
        for entry in entries:
            assert {entry["title"], entry["venue"], entry["note"]} == {text}
    assert "\\input{/etc" not in latex.render(cv, THEME, figures, STAMP)


def test_hostile_text_is_printed_as_it_is(files: Files, figures: dict[str, Path], tmp_path: Path):
    pdf = typst.render(hostile(files.build(), " ".join(HOSTILE)), THEME, figures, STAMP)
    assert pdf.startswith(b"%PDF-")
    if shutil.which("pdftotext"):
        (tmp_path / "cv.pdf").write_bytes(pdf)
        done = subprocess.run(
            ["pdftotext", "-raw", tmp_path / "cv.pdf", "-"], capture_output=True, text=True, check=True
        )
        shown = re.sub(r"\s", "", done.stdout)
        for text in HOSTILE:
            assert re.sub(r"\s", "", text) in shown


@pytest.mark.skipif(not shutil.which("latexmk"), reason="needs latexmk, texlive-latex-recommended and lmodern")
def test_latex_compiles(files: Files, figures: dict[str, Path], tmp_path: Path):
    folder = tmp_path / "cv"
    folder.mkdir()
    (tmp_path / "figures").mkdir()
    shutil.copy(figures["transfer"], tmp_path / "figures")
    cv = hostile(files.build(), " ".join(HOSTILE))
    cv["sections"].append(section(files.build(), "publications"))
    (folder / "cv.tex").write_text(latex.render(cv, THEME, figures, STAMP), encoding="utf-8")
    command = ["latexmk", "-pdf", "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "cv.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize("target", TARGETS)
def test_a_figure_without_a_file(files: Files, target: str):
    with pytest.raises(ValueError, match="the figure 'transfer' has no file"):
        TARGETS[target].render(files.build(), THEME, {}, STAMP)


@pytest.mark.parametrize("target", TARGETS)
def test_a_stamp_must_be_base64url(files: Files, figures: dict[str, Path], target: str):
    with pytest.raises(ValueError, match="is not base64url"):
        TARGETS[target].render(files.build(), THEME, figures, "a --> b")


def long(folder: Path, rows: int) -> dict[str, Any]:
    """A CV of a list and two skills behind it."""
    items = "".join(f"  - {{title: Test {number}, date: 2020}}\n" for number in range(rows))
    skills = "skills: [{name: Aaa, items: b}, {name: Ccc, items: d}]\n"
    path = folder / "profile.yaml"
    path.write_text(
        f"name: A\nupdated: 2025-03-04\norder: [honors, skills]\nhonors:\n{items}{skills}", encoding="utf-8"
    )
    return build(path, None, None, lambda value: 1)


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="needs pdftotext (poppler-utils)")
def test_a_short_last_section_never_has_a_page_of_its_own(tmp_path: Path):
    pages = set()
    for rows in range(30, 62):
        (tmp_path / "cv.pdf").write_bytes(typst.render(long(tmp_path, rows), THEME, {}, STAMP))
        texts = reading.pdf_text(tmp_path / "cv.pdf").strip("\f").split("\f")
        assert "Skills" in texts[-1] and texts[-1].count("Test ") >= 3, rows
        assert texts[-1].count("Aaa b") == texts[-1].count("Ccc d") == 1
        pages.add(len(texts))
    assert pages == {1, 2}


def test_what_latex_and_word_keep_on_the_page_of_the_next(tmp_path: Path):
    source = latex.render(long(tmp_path, 7), THEME, {}, STAMP)
    kept = re.findall(r"(\\cvkeep\n)?\\cvplain\{Test (\d)", source)
    assert [number for keep, number in kept if keep] == ["0", "4", "5", "6"]
    body = reading.docx_part(docx.render(long(tmp_path, 7), THEME, {}, STAMP), "word/document.xml")[0]
    texts = {"".join(part.itertext()): part.find(f"{reading.W}pPr/{reading.W}keepNext") is not None for part in body}
    assert [text[5] for text, keep in texts.items() if keep and text.startswith("Test")] == ["0", "4", "5", "6"]


def test_groups_of_one_entry_may_part(files: Files, figures: dict[str, Path]):
    cv = files.build()
    assert [len(group["entries"]) for group in section(cv, "publications")["groups"]] == [2, 2]
    del section(cv, "publications")["groups"][0]["entries"][0]
    source = latex.render(cv, THEME, figures, STAMP)
    assert re.findall(r"(?m)(\\cvkeep\n)?^\\cvpublication", source) == ["", "\\cvkeep\n", ""]
    body = reading.docx_part(docx.render(cv, THEME, figures, STAMP), "word/document.xml")[0]
    styled = [(part.find(f"{reading.W}pPr/{reading.W}pStyle"), part) for part in body]
    kept = [
        part.find(f"{reading.W}pPr/{reading.W}keepNext") is not None
        for style, part in styled
        if style is not None and style.get(f"{reading.W}val") in ("Bibliography", "Selected")
    ]
    assert kept == [False, True, False]
