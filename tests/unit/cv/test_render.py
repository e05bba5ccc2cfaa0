import html
import re
from pathlib import Path
from typing import Any

import pytest

from advgen.cv import docx, latex, markdown, typst
from advgen.cv import html as html_target
from advgen.cv.build import build

from . import reading
from .conftest import NEEDS_PDFTOTEXT, ROOT, STAMP, THEME, Files, section
from .reading import list_printed

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
    assert reading.Tags(page).active == []
    assert not re.search(r"<link|@import|url\(|src=\"(?!data:image/png;base64,)", page)
    assert page.count("<h1>") == 1
    assert page.count('src="data:image/png;base64,') == 1
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


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


@NEEDS_PDFTOTEXT
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
