"""Hostile text in the source files stays text in every format: nothing is run, read, linked or loaded."""

import html.parser
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from advgen import cli
from advgen.cv.formats import render

from .conftest import BIBLIOGRAPHY, PROFILE, STAMP, Files
from .reading import docx_part, pdf_text

TEXTS = {
    "shell": r"\write18{touch OWNED} \immediate\write18{touch OWNED}",
    "input": r"\input{/etc/passwd} \openin1=/etc/passwd \lstinputlisting{/etc/passwd}",
    "lua": r"\directlua{os.execute('touch OWNED')} ^^5cinput{/etc/passwd}",
    "typst": '#read("/etc/passwd") #include "x.typ" #eval("1") $x$ @key <label> = Heading',
    "script": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "attribute": '" onmouseover="alert(1)" x=\'y\' --></style></title><svg/onload=alert(1)>',
    "template": "{{ '{{' }} {% include '/etc/passwd' %} <% x %> << x >> {# x #}",
    "markdown": "![x](https://evil.example.org/x.png) <https://evil.example.org> [x]: https://evil.example.org",
    "tex": r"% cut \end{document} \catcode`\@=11 $$ \\ & # ~ ^ _ { }",
}
TEMPLATES_OPEN = "{{"


def escaped(text: str) -> str:
    """As a text of the profile: our own markup taken away, live values not begun."""
    return re.sub(r"([\\*\[\]])", r"\\\1", text).replace(TEMPLATES_OPEN, "{ {")


@pytest.fixture(params=TEXTS)
def text(request: pytest.FixtureRequest) -> str:
    return TEXTS[request.param].replace(TEMPLATES_OPEN, "{ {")


@pytest.fixture
def cv(files: Files, text: str) -> dict[str, Any]:
    """A CV whose YAML holds the text wherever a person may write."""
    quoted = json.dumps(escaped(text), ensure_ascii=False)
    profile = PROFILE.replace("  - experiments\n", "")
    for old in ("Tests & *nothing* else", "Tester", "Works & Co_", "100% City", '"Why not?"', '"Large, #1"', "Nowhere"):
        assert old in profile
        profile = profile.replace(f" {old}", f" {quoted}")
    profile = profile.replace("- Journal of Tests", f"- {quoted}").replace('"C, C++, C#"', quoted)
    files.write(profile=profile)
    return files.build()


class Tags(html.parser.HTMLParser):
    """Everything active on a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.active: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.data = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        self.data = tag == "script" and dict(attrs).get("type") == "application/ld+json"
        if not self.data and tag in ("script", "img", "svg", "iframe", "object", "embed", "form", "base", "link"):
            self.active.append(tag)
        self.active += [name for name in names if name.startswith("on")]
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data if not self.data else ""


def test_html(cv: dict[str, Any], text: str):
    page = Tags(render("html", cv, {}, STAMP).decode())
    assert page.active == []
    allowed = ("https://", "http://", "mailto:", "#", "data:application/x-bibtex")
    assert all(address.startswith(allowed) for address in page.addresses)
    assert not any("evil" in address for address in page.addresses)
    assert page.text.count(" ".join(text.split())) >= 8


def test_markdown(cv: dict[str, Any], text: str):
    markdown = pytest.importorskip("markdown_it").MarkdownIt("commonmark")
    page = Tags(markdown.render(render("md", cv, {}, STAMP).decode().rsplit("<!--", 1)[0]))
    assert page.active == []
    assert not any("evil" in address for address in page.addresses)
    assert page.text.count(" ".join(text.split())) >= 8


def test_typst_pdf(cv: dict[str, Any], text: str, tmp_path: Path):
    (tmp_path / "cv.pdf").write_bytes(render("pdf", cv, {}, STAMP))
    if not shutil.which("pdftotext"):
        pytest.skip("needs pdftotext (poppler-utils)")
    shown = re.sub(r"\s", "", pdf_text(tmp_path / "cv.pdf"))
    assert shown.count(re.sub(r"\s", "", text)) >= 8
    assert "root:x" not in shown


@pytest.mark.skipif(
    not (shutil.which("latexmk") and shutil.which("pdftotext")),
    reason="needs latexmk, texlive-latex-recommended, lmodern and pdftotext (poppler-utils)",
)
def test_latex_pdf(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    everything = json.dumps(" ".join(escaped(text) for text in TEXTS.values()), ensure_ascii=False)
    files.write(
        profile=PROFILE.replace("  - experiments\n", "").replace(" Tester", f" {everything}"),
        bibliography=BIBLIOGRAPHY.replace("{Older Still}", r"{\textbackslash write18\{touch OWNED\} \#read \& \%}"),
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cv.pdf").write_bytes(render("latex.pdf", files.build(), {}, STAMP))
    shown = re.sub(r"\s", "", pdf_text(tmp_path / "cv.pdf"))
    for text in TEXTS.values():
        assert re.sub(r"\s", "", text.replace(TEMPLATES_OPEN, "{ {")) in shown
    assert "root:x" not in shown
    assert not list(tmp_path.rglob("OWNED"))


def test_docx(cv: dict[str, Any], text: str):
    body = docx_part(render("docx", cv, {}, STAMP), "word/document.xml")
    shown = "".join(body.itertext())
    assert shown.replace("\u00a0", " ").count(" ".join(text.split())) >= 8
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
        cli.main(
            ["cv", "--profile", str(files.profile), "--bibliography", str(files.bibliography), "--metrics",
             str(files.metrics), "--figures", str(tmp_path), "--out", str(tmp_path / "out")]
        )  # fmt: skip


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system ['true']", "!!python/name:os.system x", "!x y", "!!set {a}"]
)
def test_yaml_tags(files: Files, tag: str):
    files.write(profile=PROFILE.replace("headline: Tests & *nothing* else", f"headline: {tag}"))
    (error, *_) = files.errors()
    assert re.match(r"profile\.yaml:3: ", error), error


def test_the_latex_run_cannot_reach_a_shell(tmp_path: Path):
    """What -no-shell-escape is for: a template that tried it would get nowhere."""
    if not shutil.which("latexmk"):
        pytest.skip("needs latexmk, texlive-latex-recommended and lmodern")
    (tmp_path / "x.tex").write_text(
        r"\documentclass{article}\begin{document}\immediate\write18{touch OWNED}x\end{document}"
    )
    command = ["latexmk", "-pdf", "-norc", "-no-shell-escape", "-interaction=nonstopmode", "x.tex"]
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert not (tmp_path / "OWNED").exists()
