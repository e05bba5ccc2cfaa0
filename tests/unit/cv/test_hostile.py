"""Hostile text in the source files stays text in every format: nothing is run, read, linked or loaded."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from advgen import cli
from advgen.cv.formats import render
from advgen.cv.inline import escape

from .conftest import BIBLIOGRAPHY, NEEDS_LATEX, NEEDS_PDFTOTEXT, PROFILE, STAMP, Files, section
from .reading import Tags, docx_part, pdf_text
from .test_command import NO_EXPERIMENTS, arguments
from .test_inline import HOSTILE

TEXTS = [
    r"\write18{touch OWNED} \immediate\write18{touch OWNED}",
    r"\input{/etc/passwd} \openin1=/etc/passwd \lstinputlisting{/etc/passwd}",
    r"\directlua{os.execute('touch OWNED')} ^^5cinput{/etc/passwd}",
    '#read("/etc/passwd") #include "x.typ" #eval("1") $x$ @key <label> = Heading',
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)" x=\'y\' --></style></title><svg/onload=alert(1)>',
    "{ { '{ {' }} {% include '/etc/passwd' %} <% x %> << x >> {# x #}",
    "![x](https://evil.example.org/x.png) <https://evil.example.org> [x]: https://evil.example.org",
    r"% cut \end{document} \catcode`\@=11 $$ \\ & # ~ ^ _ { }",
]


def quoted(text: str) -> str:
    """As a text of the profile, in quotes."""
    return json.dumps(escape(text), ensure_ascii=False)


@pytest.fixture(params=TEXTS + HOSTILE)
def text(request: pytest.FixtureRequest) -> str:
    return str(request.param).replace("{{", "{ {")


@pytest.fixture
def cv(files: Files, text: str) -> dict[str, Any]:
    """A CV that holds the text wherever a person may write."""
    profile = PROFILE
    for old in ("Tests & *nothing* else", "Tester", "Works & Co_", "100% City", '"Why not?"', '"Large, #1"', "Nowhere",
                "Journal of Tests", '"C, C++, C#"', "A *figure* of 100%", "Because"):  # fmt: skip
        assert f" {old}" in profile
        profile = profile.replace(f" {old}", f" {quoted(text)}")
    files.write(profile=profile)
    cv = files.build()
    for group in section(cv, "publications")["groups"]:
        for entry in group["entries"]:
            entry["title"] = entry["venue"] = entry["note"] = text
    return cv


COUNT = 11 + 3 * 4
"""How often the text stands in the CV."""


def test_html(cv: dict[str, Any], figures: dict[str, Path], text: str):
    page = Tags(render("html", cv, figures, STAMP).decode())
    assert page.active == []
    assert page.tags.count("img") == 1
    allowed = ("https://", "http://", "mailto:", "#", "data:application/x-bibtex", "data:image/png;base64,")
    assert all(address.startswith(allowed) for address in page.addresses)
    assert not any("evil" in address for address in page.addresses)
    assert page.text.count(" ".join(text.split())) >= COUNT


def test_markdown(cv: dict[str, Any], figures: dict[str, Path], text: str):
    markdown = pytest.importorskip("markdown_it").MarkdownIt("commonmark")
    page = Tags(markdown.render(render("md", cv, figures, STAMP).decode().rsplit("<!--", 1)[0]))
    assert page.active == []
    assert page.tags.count("img") == 1
    assert not any("evil" in address for address in page.addresses)
    assert page.text.count(" ".join(text.split())) >= COUNT


def test_typst_pdf(cv: dict[str, Any], figures: dict[str, Path], text: str, tmp_path: Path):
    (tmp_path / "cv.pdf").write_bytes(render("pdf", cv, figures, STAMP))
    if not shutil.which("pdftotext"):
        pytest.skip("needs pdftotext (poppler-utils)")
    shown = re.sub(r"\s", "", pdf_text(tmp_path / "cv.pdf"))
    assert shown.count(re.sub(r"\s", "", text)) >= COUNT
    assert "root:x" not in shown


@NEEDS_LATEX
@NEEDS_PDFTOTEXT
def test_latex_pdf(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    files.write(
        profile=NO_EXPERIMENTS.replace(" Tester", f" {quoted(' '.join(TEXTS))}"),
        bibliography=BIBLIOGRAPHY.replace("{Older Still}", r"{\textbackslash write18\{touch OWNED\} \#read \& \%}"),
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cv.pdf").write_bytes(render("latex.pdf", files.build(), {}, STAMP))
    shown = re.sub(r"\s", "", pdf_text(tmp_path / "cv.pdf"))
    for text in TEXTS:
        assert re.sub(r"\s", "", text) in shown
    assert "root:x" not in shown
    assert not list(tmp_path.rglob("OWNED"))


def test_latex(cv: dict[str, Any], figures: dict[str, Path]):
    source = render("tex", cv, figures, STAMP).decode()
    assert not re.search(r"\\(write18|input\{/etc|openin1|directlua|catcode`|lstinputlisting)", source)


def test_docx(cv: dict[str, Any], figures: dict[str, Path], text: str):
    body = docx_part(render("docx", cv, figures, STAMP), "word/document.xml")
    shown = "".join(body.itertext())
    assert shown.replace("\u00a0", " ").count(" ".join(text.split())) >= COUNT
    assert not [item for item in body.iter() if item.tag.endswith(("instrText", "fldSimple", "object"))]


def test_json_resume(cv: dict[str, Any], text: str):
    resume = json.loads(render("resume.json", cv, {}, STAMP))
    assert resume["work"][0]["position"] == " ".join(text.split())


@pytest.mark.parametrize("tex", [r"\write18{x}", r"\input{/etc/passwd}", r"\immediate\write18{x}", r"\def\x{y}"])
@pytest.mark.parametrize("field", ["title", "author", "_venue", "_note"])
def test_latex_commands_in_bibtex_are_refused(files: Files, tex: str, field: str):
    lines = {"title": "{A Third Test}", "author": "{B. Minta", "_venue": "{JoT}", "_note": "{(Oral)}"}
    files.write(bibliography=BIBLIOGRAPHY.replace(lines[field], lines[field][:1] + tex + " " + lines[field][1:]))
    (error, *_) = files.errors()
    assert re.match(rf"publications\.bib:\d+: {field}: ", error), error


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("https://social.example.org/@proba", "javascript:alert(1)"),
        ("https://minta.example.org/~bea", "data:text/html,<script>alert(1)</script>"),
        ("https://proba.example.org/", "file:///etc/passwd"),
        ("https://talks.example.org/1.pdf", "vbscript:x"),
        ("https://social.example.org/@proba", "https://[x.example.org/"),
        ("https://code.example.org/small", 'https://e.org/\\" onclick=alert(1)'),
    ],
)
def test_links_that_are_no_web_addresses(files: Files, old: str, new: str):
    files.write(profile=PROFILE.replace(old, new))
    (error, *_) = files.errors()
    assert "is not a web address; begin with https://" in error


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a/b", "..", "a.png", "~root", "a b", "A", "a\\b"])
def test_figures_outside_their_folder(files: Files, tmp_path: Path, name: str):
    files.write(profile=PROFILE.replace("name: transfer", f"name: {json.dumps(name)}"))
    with pytest.raises(
        SystemExit, match=r"profile\.yaml:35: a figure needs a name; write it with a–z, 0–9 and hyphens"
    ):
        cli.main(arguments(files, tmp_path / "out", "--figures", str(tmp_path)))


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system ['true']", "!!python/name:os.system x", "!x y", "!!set {a}"]
)
def test_yaml_tags(files: Files, tag: str):
    files.write(profile=PROFILE.replace("headline: Tests & *nothing* else", f"headline: {tag}"))
    (error, *_) = files.errors()
    assert re.match(r"profile\.yaml:3: ", error), error


@NEEDS_LATEX
def test_the_latex_run_cannot_reach_a_shell(tmp_path: Path):
    """What -no-shell-escape is for: a template that tried it would get nowhere."""
    (tmp_path / "x.tex").write_text(
        r"\documentclass{article}\begin{document}\immediate\write18{touch OWNED}x\end{document}"
    )
    command = ["latexmk", "-pdf", "-norc", "-no-shell-escape", "-interaction=nonstopmode", "x.tex"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert not (tmp_path / "OWNED").exists()
