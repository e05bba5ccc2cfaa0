"""Reads the entry lists back from the files of a CV, to compare them with cv.json."""

import html.parser
import io
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from advgen.cv.formats import render
from advgen.cv.inline import plain_text
from advgen.cv.tex import decode

from .conftest import STAMP

Cv = dict[str, Any]
_VOID = ("br", "img")


def list_printed(cv: Cv) -> dict[str, list[str]]:
    """What a reader sees of every section, in order: one text per entry, without white space."""
    return {section["id"]: [bare(text) for text in list_texts(section)] for section in cv["sections"]}


def list_texts(section: dict[str, Any]) -> list[str]:
    """What a reader sees of a section, one text per entry."""
    match section["kind"]:
        case "publications":
            entries = [entry for group in section["groups"] for entry in group["entries"]]
            return [publication(entry) for entry in entries]
        case "rows":
            return [row(item) for item in section["rows"]]
        case "list":
            return [plain_text(item) for item in section["items"]]
        case "pairs":
            return [f"{plain_text(pair['name'])} {plain_text(pair['items'])}" for pair in section["pairs"]]
        case "table":
            return [" ".join(plain_text(cell) for cell in cells) for cells in section["cells"]]
        case _:
            return [plain_text(paragraph) for paragraph in section["paragraphs"]]


def publication(entry: dict[str, Any]) -> str:
    links = " ".join(f"[{link['label']}]" for link in entry["links"])
    note = f"({entry['note']})" if entry["note"] else ""
    place = f"{entry['venue']}{entry['details']} {entry['year']}"
    return f"{entry['number']}. {entry['title']} {links} {plain_text(entry['byline'])} {place} {note}"


def row(item: dict[str, Any]) -> str:
    number = f"{item['number']}." if "number" in item else ""
    # on paper the dates stand in a column of their own
    return f"{number} {plain_text(item['text'])} {' '.join(plain_text(line) for line in item['lines'])} {item['dates']}"


def bare(text: str) -> str:
    return re.sub(r"\s", "", text)


def pdf_text(path: Path, form: str = "-raw") -> str:
    """The text of a PDF in reading order."""
    return subprocess.run(["pdftotext", form, path, "-"], capture_output=True, text=True, check=True).stdout


def printed_text(cv: Cv, folder: Path, form: str = "-raw") -> str:
    """The text of the PDF of a CV without figures."""
    (folder / "cv.pdf").write_bytes(render("pdf", cv, {}, STAMP))
    return pdf_text(folder / "cv.pdf", form)


def from_pdf(cv: Cv, path: Path, footer: str) -> dict[str, list[str]]:
    """The entries of every section; headings of cv.json say where one ends, lengths of entries how they part."""
    text = re.sub(rf"(?m)^{footer}\s*\f", "", pdf_text(path) + "\f").replace("\f", "\n")
    text = re.sub(r"(?<=\w)[-\u00ad]\n(?=\w)", "-", text)
    found: dict[str, list[str]] = {}
    titles = [section["title"] for section in cv["sections"]]
    starts = [_heading(text, title) for title in titles]
    assert starts == sorted(starts), "sections in another order"
    for section, start, end in zip(cv["sections"], starts, [*starts[1:], len(text)], strict=True):
        part = text[start:end].split("\n", 1)[1]
        found[section["id"]] = _parts(section, part)
    return found


def _heading(text: str, title: str) -> int:
    match = re.search(rf"(?m)^{re.escape(title)}$", text)
    assert match, f"no heading {title}"
    return match.start()


def _parts(section: dict[str, Any], text: str) -> list[str]:
    """Cut the text of a section where the entries of cv.json end; what is left over is one more."""
    headings = [plain_text(section["summary"]), plain_text(section["note"]), "Selected publications are highlighted."]
    for known in filter(None, headings):
        text = re.sub(r"\s*".join(map(re.escape, bare(known))), "", text, count=1)
    for group in section.get("groups", ()):
        text, count = re.subn(rf"(?m)^{re.escape(group['title'])}\n", "", text, count=1)
        assert count == 1, group["title"]
    rest, found = bare(text), []
    for item in map(bare, list_texts(section)):
        found.append(rest[: len(item)])
        rest = rest[len(item) :]
    return [*found, rest] if rest else found


class Tags(html.parser.HTMLParser):
    """All elements of a page, what in it is active, its addresses, and its text without linked data."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.active: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.data = False
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        self.tags.append(tag)
        self.data = tag == "script" and dict(attrs).get("type") == "application/ld+json"
        if not self.data and tag in ("script", "svg", "iframe", "object", "embed", "form", "base", "link"):
            self.active.append(tag)
        self.active += [name for name in names if name.startswith("on")]
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.text += data if not self.data else ""


class _Entries(html.parser.HTMLParser):
    """Number, text, dates, group and links of every list item (or pair) of a page, by section."""

    def __init__(self, page: str, titles: dict[str, str]) -> None:
        super().__init__(convert_charrefs=True)
        self.titles = titles
        self.found: dict[str, list[dict[str, str]]] = {}
        self.name = self.group = ""
        self.number = 0
        self.open: list[tuple[str, dict[str, str] | None, str]] = [("", None, "")]
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        above, entry, part = self.open[-1]
        if tag == "br" and entry is not None:
            entry[part] += "\n"
        if tag in _VOID:
            return
        if tag == "section":
            self.name = given["id"]
        elif tag in ("ol", "ul", "dl"):
            self.number = int(given.get("start", 1)) if tag == "ol" else 0
        elif tag in ("h2", "h3"):
            entry, part = {"heading": ""}, "heading"
        elif tag == "li" or (tag == "div" and above == "dl"):
            self.number = int(given.get("value", self.number))
            entry, part = dict.fromkeys(("number", "text", "dates", "bib", "links"), ""), "text"
            entry |= {"group": self.group, "class": given.get("class", "")}
            entry["number"] = f"{self.number}." if self.number else ""
            self.found.setdefault(self.name, []).append(entry)
            self.number += bool(self.number)
        if given.get("class") in ("dates", "bib"):
            part = given["class"]
        elif tag == "a" and entry is not None and "links" in entry:
            entry["links"] += f"{given['href']} "
        self.open.append((tag, entry, part))

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        _, entry, part = self.open.pop()
        if tag in ("h2", "h3") and entry is not None:
            self.group = entry[part]
            self.name = self.titles.get(entry[part], self.name)

    def handle_data(self, data: str) -> None:
        _, entry, part = self.open[-1]
        if entry is not None:
            entry[part] += data


def list_links(cv: Cv) -> list[tuple[str, bool, list[str]]]:
    """Of every publication its group, whether it is marked, and where its links lead."""
    listed = []
    for group in [group for section in cv["sections"] for group in section.get("groups", ())]:
        for entry in group["entries"]:
            urls = [linked["url"] for linked in [entry, *entry["links"], *entry["authors"]]]
            listed.append((group["title"], entry["selected"], [url for url in urls if url]))
    return listed


def links_of(cv: Cv, page: str) -> list[tuple[str, bool, list[str]]]:
    """The same from cv.html, or from the page that a Markdown processor has made of cv.md."""
    found = _Entries(page, {section["title"]: section["id"] for section in cv["sections"]}).found
    return [
        (entry["group"], entry["class"] == "selected" or entry["text"].startswith("★ "), entry["links"].split())
        for section in cv["sections"]
        if section["kind"] == "publications"
        for entry in found[section["id"]]
    ]


def from_html(cv: Cv, page: str) -> dict[str, list[str]]:
    """The entries of every section of cv.html."""
    found = _Entries(page[page.index("<main>") : page.index("</main>")], {}).found
    return {
        section["id"]: [bare(e["number"] + e["text"] + e["dates"]) for e in found.get(section["id"], ())]
        for section in cv["sections"]
    }


def from_markdown(cv: Cv, page: str) -> dict[str, list[str]]:
    """The entries of every section of cv.md, of which a Markdown processor has made a page."""
    found = _Entries(page, {section["title"]: section["id"] for section in cv["sections"]}).found
    entries: dict[str, list[str]] = {}
    for section in cv["sections"]:
        entries[section["id"]] = []
        for entry in found.get(section["id"], ()):
            first, *lines = entry["text"].strip().split("\n")
            if section["kind"] == "rows" and " · " in first:
                first, _, dates = first.rpartition(" · ")
                lines.append(dates)
            elif section["kind"] == "pairs":
                first = first.replace(":", "", 1)
            entries[section["id"]].append(bare(" ".join([entry["number"], first.removeprefix("★ "), *lines])))
    return entries


W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_SIGNS = {f"{W}tab": "\t", f"{W}br": "\n"}


def from_docx(cv: Cv, content: bytes) -> dict[str, list[str]]:
    """The entries of every section by the styles of the paragraphs of cv.docx."""
    body = docx_part(content, "word/document.xml")[0]
    ids = {bare(section["title"]): section["id"] for section in cv["sections"]}
    found: dict[str, list[str]] = {section["id"]: [] for section in cv["sections"]}
    name = ""
    for part in body:
        style = part.find(f"{W}pPr/{W}pStyle")
        text = _shown(part)
        match "" if style is None else style.get(f"{W}val"):
            case "Heading1":
                name = ids[bare(text)]
            case "Heading2":
                name = ids.get(bare(text), name)
            case "List" | "ListNumber" | "Bibliography" | "Selected" | "BodyText" if text:
                found[name].append(bare(text))
        found[name or cv["sections"][0]["id"]] += [
            bare(_shown(row)) for row in part.iter(f"{W}tr") if row.find(f"{W}trPr/{W}tblHeader") is None
        ]
    return found


def docx_part(content: bytes, name: str) -> ElementTree.Element:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return ElementTree.fromstring(archive.read(name))


def _shown(part: ElementTree.Element) -> str:
    """The text of a paragraph, its dates behind its other lines as on paper."""
    text = "".join(item.text or _SIGNS.get(item.tag, "") for item in part.iter())
    return re.sub(r"^((?:\d+\.\t)?+[^\t\n]*)(\t[^\n]*)((?:\n.*)*)$", r"\1\3\2", text)


def from_latex(source: str) -> dict[str, list[str]]:
    """The entries of every section from the commands of cv.tex."""
    found: dict[str, list[str]] = {}
    body = source[source.index(r"\begin{document}") :]
    parts = re.split(r"\\cv(?:section\{(\w+)\}\{.*\}|subsection\{(.*)\})\n", body)
    name = ""
    for section, group, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        if section:
            name = section
        elif group == "Reviewing":
            name = "reviewing"
        found.setdefault(name, [])
        for command in re.finditer(r"\\cv(publication|numbered|plain)(?=\{)", text):
            given = _arguments(text, command.end(), 2 if command[1] == "plain" else 3)
            if command[1] == "publication":
                found[name].append(bare(f"{given[1]}.{_tex(given[2])}"))
            else:
                number = "" if command[1] == "plain" else f"{given[0]}."
                found[name].append(bare(f"{number}{_tex(given[-2])}{_tex(given[-1])}"))
        for line in re.findall(r"^\\vspace\{0.35ex\}(.*)\\par$", text, re.MULTILINE):
            found[name].append(bare(_tex(line)))
        if name == "experiments":
            found[name] += [bare(_tex(line)) for line in re.findall(r"^([^\\{].*)\\par$", text, re.MULTILINE)]
    return found


def _arguments(text: str, start: int, count: int) -> list[str]:
    found = []
    for _ in range(count):
        assert text[start] == "{"
        depth, end = 0, start
        while True:
            if text[end] == "\\":
                end += 1
            elif text[end] in "{}":
                depth += 1 if text[end] == "{" else -1
            end += 1
            if depth == 0:
                break
        found.append(text[start + 1 : end - 1])
        start = end
    return found


def _tex(text: str) -> str:
    """The letters of LaTeX that our template writes."""
    text = re.sub(r"\\href\{(?:[^{}\\]|\\.)*\}", "", text)
    text = re.sub(r"\\(?:newline|enspace|small)(?![A-Za-z])|\\color\{\w+\}|\\cvline", " ", text)
    while sign := re.search(r"\\cvsign\{([0-9A-F]+)\}", text):
        (shown,) = _arguments(text, sign.end(), 1)
        character = bytes.fromhex(sign[1]).decode("utf-16-be")
        text = text[: sign.start()] + character + text[sign.end() + len(shown) + 2 :]
    text = re.sub(r"(?<!\\)~", " ", text).replace(r"\textquotedbl{}", '"')
    return decode(text.replace(r"\textasciigrave{}", "`").replace(r"\textquotesingle{}", "\ue001")).replace(
        "\ue001", "'"
    )


def read_back(cv: Cv, format_: str, figures: dict[str, Path], stamp: str, folder: Path) -> dict[str, list[str]]:
    """The entries of every section of a CV that is rendered; without a program that this needs, the test is skipped."""
    if format_ == "latex.pdf" and not shutil.which("latexmk"):
        pytest.skip("needs latexmk, texlive-latex-recommended and lmodern")
    if format_.endswith("pdf") and not shutil.which("pdftotext"):
        pytest.skip("needs pdftotext (poppler-utils)")
    content = render(format_, cv, figures, stamp)  # type: ignore[arg-type]
    match format_:
        case "html":
            assert links_of(cv, content.decode()) == list_links(cv)
            return from_html(cv, content.decode())
        case "md":
            page = pytest.importorskip("markdown_it").MarkdownIt("commonmark").render(content.decode())
            assert links_of(cv, page) == list_links(cv)
            return from_markdown(cv, page)
        case "tex":
            return from_latex(content.decode())
        case "docx":
            return from_docx(cv, content)
    (folder / "cv.pdf").write_bytes(content)
    return from_pdf(cv, folder / "cv.pdf", rf"{re.escape(cv['name'])} · \d+ / \d+" if format_ == "pdf" else r"\d+")


PRINTED = ("html", "md", "tex", "docx", "pdf", "latex.pdf")
"""Formats that `read_back` reads."""
