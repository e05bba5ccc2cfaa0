"""Damaged files: a clear error or every entry present, never another exception and never a lost paper."""

import re
import shutil
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from advgen.cv import docx, html, latex, markdown, resume, typst
from advgen.cv.build import build
from advgen.cv.inline import plain_text
from advgen.cv.scan import scan_profile
from advgen.cv.templating import UnprintableError

from . import reading
from .conftest import BIBLIOGRAPHY, METRICS, PROFILE, STAMP, THEME, Cv, Files, png, publications, section
from .reading import bare, list_printed, pdf_text

COMMONMARK = pytest.importorskip("markdown_it").MarkdownIt("commonmark")
ROWS = ("position", "publications", "repositories", "talks", "service")

PIECES = [
    *"{}@\"',=\\$%&#*:-[]!|>\n\t ~^_?", "@article{", "@@", "\n\n", "  ", "{{", "}}", " and ", "\\'", "{\\'e}", "null",
    "9" * 401, "1e999", "0x", "2025-02-30",
    "é", "\u0301", "\u2028", "\x00", "\ud7ff", "\ue000", "<<: ", "&a ", "*a", "!!", "---\n", "2024", "$x$", "](",
]  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, text: str) -> str:
    """Some characters deleted, doubled, replaced, or followed by something else."""
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        kept = draw(st.sampled_from(["", text[start:end]]))
        text = text[:start] + kept + draw(st.sampled_from(["", text[start:end], *PIECES])) + text[end:]
    return text


# one in ten that can be read is printed, too: Typst takes longer than everything else together
PRINTED = st.sampled_from([False] * 9 + [True])


def check(profile: str, bibliography: str, printed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = Files(Path(folder))
        files.write(profile=profile, bibliography=bibliography)
        try:
            scan_profile(files.profile)
            cv = files.build()
        except ValueError as error:
            return report_lines(error, files.folder)
        (Path(folder) / "x.png").write_bytes(png())
        figures = {"transfer": Path(folder) / "x.png"}
        for item in cv["sections"]:
            for figure in item.get("figures", ()):
                figures[figure["name"]] = Path(folder) / "x.png"
        page, text, source = (target.render(cv, THEME, figures, STAMP) for target in (html, markdown, latex))
        written = (page, text, source, resume.render(cv, THEME, figures, STAMP))
        assert all(STAMP in made for made in written)
        entries = {name: listed for name, listed in list_printed(cv).items() if name != "experiments"}
        for found in (reading.from_html(cv, page), reading.from_markdown(cv, COMMONMARK.render(text))):
            assert {name: found[name] for name in entries} == entries
        assert reading.from_docx(cv, docx.render(cv, THEME, figures, STAMP)) == list_printed(cv)
        commands = re.findall(r"^\\cv(?:publication|numbered|plain)\{", source, re.MULTILINE)
        assert len(commands) == sum(len(entries.get(name, ())) for name in ROWS)
        if printed:
            check_pdf(cv, figures, Path(folder) / "cv.pdf")
    data = yaml.load(profile, yaml.CSafeLoader)
    ordered = [item if isinstance(item, str) else item["section"] for item in data["order"]]
    assert [item["id"] for item in cv["sections"]] == ordered
    for name in (row for row in ROWS if row != "publications"):
        if name in ordered:
            assert len(section(cv, name)["rows"]) == len(data[name])
    if "publications" in ordered:
        # an entry that appears twice is an error, so every one is shown
        keys = re.findall(
            r"^[ \t]*@(?!string|comment|preamble)\w*[ \t]*[{(]", bibliography, re.MULTILINE | re.IGNORECASE
        )
        assert len(publications(cv)) == len(keys)


def report_lines(error: ValueError, folder: Path, remedy: str = "") -> None:
    """Every line of an error names a file of the user's and perhaps its line."""
    for line in str(error).split("\n"):
        assert re.match(rf"{re.escape(str(folder))}/[a-z]+\.(yaml|bib)(:\d+)?: .{remedy}", line), line


def check_pdf(cv: Cv, figures: dict[str, Path], path: Path) -> None:
    try:
        path.write_bytes(typst.render(cv, THEME, figures, STAMP))
    except UnprintableError as error:  # reported, and no box is printed
        assert all(re.search(r"'.+' \(U\+[0-9A-F]+\) cannot be printed", line) for line in str(error).split("\n"))
        return
    texts = [plain_text(row["text"]) for item in cv["sections"] for row in item.get("rows", ())]
    texts += [entry["title"] for item in cv["sections"] for g in item.get("groups", ()) for entry in g["entries"]]
    if shutil.which("pdftotext"):
        shown = bare(pdf_text(path))
        assert [text for text in texts if bare(text) not in shown] == []


@st.composite
def rearranged(draw: st.DrawFn, text: str) -> str:
    """Whole lines deleted, doubled or moved."""
    lines = text.split("\n")
    for _ in range(draw(st.integers(1, 3))):
        line = lines.pop(draw(st.integers(0, len(lines) - 1)))
        for _ in range(draw(st.integers(0, 2))):
            lines.insert(draw(st.integers(0, len(lines))), line)
    return "\n".join(lines)


@settings(max_examples=500, deadline=None)
@given(damaged(BIBLIOGRAPHY) | rearranged(BIBLIOGRAPHY), PRINTED)
def test_damaged_bibliographies(text: str, printed: bool):
    check(PROFILE, text, printed)


@settings(max_examples=500, deadline=None)
@given(damaged(PROFILE) | rearranged(PROFILE), PRINTED)
def test_damaged_profiles(text: str, printed: bool):
    check(text, BIBLIOGRAPHY, printed)


@settings(max_examples=500, deadline=None)
@given(damaged(METRICS))
def test_damaged_metrics(text: str):
    with tempfile.TemporaryDirectory() as folder:
        files = Files(Path(folder))
        files.write(metrics=text)
        try:
            build(files.profile, None, files.metrics, lambda value: 0.4)
        except ValueError as error:
            report_lines(error, files.folder)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-32", "cp1250", "utf-8-sig", "shift_jis"])
@pytest.mark.parametrize("name", ["profile", "bibliography", "metrics"])
def test_wrong_encodings(files: Files, name: str, encoding: str):
    path: Path = getattr(files, name)
    path.write_bytes(
        (path.read_text(encoding="utf-8") + "# é\n" * (name != "bibliography")).encode(encoding, "replace")
    )
    if encoding == "utf-8-sig":
        assert len(publications(files.build())) == 4
        return
    try:
        cv = files.build()
    except ValueError as error:
        report_lines(error, files.folder, "+; .")
    else:
        assert len(publications(cv)) == 4


@pytest.mark.parametrize(("name", "field"), [("bibliography", "  abstract = {{{}}},"), ("profile", "# {}")])
def test_ten_megabytes_are_refused_at_once(files: Files, name: str, field: str):
    path: Path = getattr(files, name)
    text = path.read_text(encoding="utf-8")
    first, _, rest = text.partition("  year" if name == "bibliography" else "headline")
    start = "  year" if name == "bibliography" else "headline"
    path.write_text(f"{first}{field.format('x{y} ' * 2_000_000)}\n{start}{rest}", encoding="utf-8")
    assert path.stat().st_size > 10_000_000
    (error,) = files.errors()
    assert "10 MB are too much for a CV; remove what does not belong" in error


@pytest.mark.parametrize("name", ["bibliography", "profile"])
def test_the_longest_fields_that_are_read(files: Files, name: str):
    path: Path = getattr(files, name)
    text = path.read_text(encoding="utf-8")
    if name == "bibliography":
        path.write_text(text.replace("title = {A Third", "title = {" + "x{y} " * 10_000 + "A Third"), encoding="utf-8")
    else:
        path.write_text(text.replace("event: Nowhere", "event: y" + " *x*" * 10_000), encoding="utf-8")
    assert len(publications(files.build())) == 4


def test_aliases_that_grow(files: Files):
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40))
    files.write(profile=PROFILE + bomb)
    assert any("an alias (*) repeats a list or map; write it out" in error for error in files.errors())


def test_an_alias_of_a_text_is_the_text(files: Files):
    files.write(profile=PROFILE.replace("title: Tester", "title: &t Tester").replace("event: Nowhere", "event: *t"))
    (row, _) = section(files.build(), "talks")["rows"]
    assert row["item"]["event"] == "Tester"
