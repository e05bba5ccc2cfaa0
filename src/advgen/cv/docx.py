"""The CV as .docx (ISO/IEC 29500), with real styles, links and right-to-left paragraphs.

The XML is written here: python-docx has no links, right-to-left runs, page fields or custom parts, so its users write
the same XML, and its default template adds 160 styles. Only Latin text has a font; programs choose those of others.
"""

import re
import struct
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from advgen.cv import themes
from advgen.cv.inline import Node, plain_text, safe_url
from advgen.cv.templating import UnprintableError, find_figure, format_stamp, split_legend
from advgen.io.archives import DOCX_STAMP, pack

_PAPER = {"a4": (11906, 16838), "us-letter": (12240, 15840)}  # in twentieths of a point
_MILLIMETRE = 1440 / 25.4
_EMU = 635  # English metric units in a twentieth of a point

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006"
_NAMESPACES = {
    "w": "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
    "r": OFFICE,
    "wp": f"{_DRAWING}/wordprocessingDrawing",
    "a": f"{_DRAWING}/main",
    "pic": f"{_DRAWING}/picture",
    "cp": f"{_PACKAGE}/metadata/core-properties",
    "dc": "http://purl.org/dc/elements/1.1/",
    "dcterms": "http://purl.org/dc/terms/",
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
}
_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml"
_CONTENT_TYPES = {
    "/word/document.xml": f"{_WORD}.document.main+xml",
    "/word/styles.xml": f"{_WORD}.styles+xml",
    "/word/settings.xml": f"{_WORD}.settings+xml",
    "/word/footer.xml": f"{_WORD}.footer+xml",
    "/docProps/core.xml": "application/vnd.openxmlformats-package.core-properties+xml",
}
_DEFAULT_TYPES = {
    "rels": "application/vnd.openxmlformats-package.relationships+xml",
    "xml": "application/xml",
    "png": "image/png",
    "jpg": "image/jpeg",
}
_NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_SETTINGS = (  # without it Word opens the file in the compatibility mode of 2007
    '<w:compat><w:compatSetting w:name="compatibilityMode" w:uri="http://schemas.microsoft.com/office/word"'
    ' w:val="15"/></w:compat>'
)
_LINE_BREAK = "<w:r><w:br/></w:r>"
_QUIET, _LINK = (f'<w:rStyle w:val="{name}"/>' for name in ("Quiet", "Hyperlink"))


def render(cv: dict[str, Any], folders: Sequence[Path], figures: dict[str, Path], stamp: str, **_: Any) -> bytes:
    """Return cv.docx, with the stamp in a part of its own. Raises UnprintableError for characters not in XML."""
    theme = themes.load_settings("docx", folders)
    document = _Document(cv, figures, round(theme["margin_x"] * _MILLIMETRE), theme["tint"])
    body = "".join(document.body())
    title = f"{cv['name']} – {cv['words']['cv']}"
    if characters := _NOT_IN_XML.findall(body + title):
        raise UnprintableError(cv, characters, "a .docx cannot contain it; remove it")
    core = f"<dc:title>{escape(title)}</dc:title><dc:creator>{escape(cv['name'])}</dc:creator>"
    core += f"<dc:language>{cv['language']}</dc:language>"
    for when in ("created", "modified"):
        core += f'<dcterms:{when} xsi:type="dcterms:W3CDTF">{cv["updated"]}T00:00:00Z</dcterms:{when}>'
    texts = {
        "[Content_Types].xml": _content_types(),
        "_rels/.rels": _relationships(
            ("main", f"{OFFICE}/officeDocument", "word/document.xml"),
            ("core", f"{_PACKAGE}/relationships/metadata/core-properties", "docProps/core.xml"),
        ),
        "docProps/core.xml": _part("cp:coreProperties", core, "cp dc dcterms xsi"),
        "word/document.xml": _part("w:document", f"<w:body>{body}{document.page()}</w:body>", "w r wp a pic"),
        "word/_rels/document.xml.rels": _relationships(
            *((name, f"{OFFICE}/{name}", f"{name}.xml") for name in ("styles", "settings", "footer")),
            ("stamp", f"{OFFICE}/customXml", f"../{DOCX_STAMP}"),
            *((f"image{index}", f"{OFFICE}/image", name) for index, name in enumerate(document.pictures)),
            *((f"link{index}", f"{OFFICE}/hyperlink", url) for index, url in enumerate(document.addresses)),
        ),
        "word/styles.xml": _part("w:styles", _styles(cv, folders, theme, document.width), "w"),
        "word/settings.xml": _part("w:settings", _SETTINGS, "w"),
        "word/footer.xml": _part("w:ftr", document.footer(), "w r"),
        DOCX_STAMP: f'{_HEAD}<stamp xmlns="urn:advgen">{format_stamp(stamp)}</stamp>',
    }
    parts = {name: text.encode() for name, text in texts.items()}
    return pack(parts | {f"word/{name}": path.read_bytes() for name, path in document.pictures.items()})


def _part(root: str, content: str, namespaces: str) -> str:
    declared = "".join(f' xmlns:{name}="{_NAMESPACES[name]}"' for name in namespaces.split())
    return f"{_HEAD}<{root}{declared}>{content}</{root}>"


def _content_types() -> str:
    types = "".join(f'<Default Extension="{ending}" ContentType="{kind}"/>' for ending, kind in _DEFAULT_TYPES.items())
    types += "".join(f'<Override PartName="{name}" ContentType="{kind}"/>' for name, kind in _CONTENT_TYPES.items())
    return f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types">{types}</Types>'


def _relationships(*relations: tuple[str, str, str]) -> str:
    lines = []
    for name, kind, target in relations:
        mode = ' TargetMode="External"' if kind.endswith("/hyperlink") else ""
        lines.append(f'<Relationship Id="{name}" Type="{kind}" Target={quoteattr(target)}{mode}/>')
    return f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">{"".join(lines)}</Relationships>'


def _styles(cv: dict[str, Any], folders: Sequence[Path], theme: dict[str, Any], width: int) -> str:
    """Return the styles of the theme; `width` is that of the text, in twentieths of a point."""
    language = {"en": "en-US"}.get(cv["language"], f"{cv['language']}-{cv['language'].upper()}")
    environment = Environment(loader=FileSystemLoader(folders), undefined=StrictUndefined)
    template = environment.get_template("styles.xml.j2")
    return re.sub(r"\s+(?=<)", "", template.render(cv=cv, theme=theme, language=language, width=width)).strip()


class _Document:
    """The paragraphs of a CV, with the addresses and pictures that they refer to."""

    def __init__(self, cv: dict[str, Any], figures: dict[str, Path], margin: int, tint: str) -> None:
        self.cv = cv
        self.figures = figures
        self.margin = margin
        self.tint = tint
        self.width = _PAPER[cv["paper"]][0] - 2 * margin
        self.addresses: dict[str, str] = {}
        self.pictures: dict[str, Path] = {}

    def body(self) -> Iterator[str]:
        """Yield the paragraphs and tables."""
        cv = self.cv
        yield self.paragraph("Title", [cv["name"]])
        if cv["headline"]:
            yield self.paragraph("Subtitle", cv["headline"])
        contact = [(cv["email"], f"mailto:{cv['email']}")] if cv["email"] else []
        contact += [(cv["site"].split("//", 1)[-1].rstrip("/"), cv["site"])] if cv["site"] else []
        contact += [(link["label"], link["url"]) for link in cv["links"]]
        if contact:
            links = [node for label, url in contact for node in (" · ", {"link": [label], "url": url})]
            yield self.paragraph("Contact", links[1:])
        yield self.paragraph("Date", [cv["words"]["updated"].replace("{date}", cv["updated_text"])])
        before_short = cv["sections"][-2] if len(cv["sections"]) > 1 and _is_short(cv["sections"][-1]) else None
        for section in cv["sections"]:
            yield self.paragraph("Heading2" if section["level"] == 3 else "Heading1", [section["title"]])
            for text in (section["summary"], section["note"]):
                if text:
                    yield self.paragraph("Note", text, keep=True)
            parts = [*getattr(self, section["kind"])(section)]
            if section is before_short:
                parts[-1] = parts[-1].replace("/>", "/><w:keepNext/>", 1)  # behind the style
            yield from parts

    def rows(self, section: dict[str, Any]) -> Iterator[str]:
        style = "ListNumber" if section["numbered"] else "List"
        for row, keep in _with_keep(section["rows"]):
            number = [f"{row['number']}.\t"] if section["numbered"] else []
            lines = [_LINE_BREAK + self.runs(line, _QUIET) for line in row["lines"]]
            dates = _unbroken(self.runs([f"\t{row['dates']}"], _QUIET)) if row["dates"] else ""
            text = self.runs(number, _QUIET) + self.runs(row["text"]) + dates + "".join(lines)
            yield self.paragraph(style, text, keep, row["text"])

    def publications(self, section: dict[str, Any]) -> Iterator[str]:
        if section["highlighted"]:
            before, marked, after = split_legend(self.cv["words"]["highlighted"])
            tint = f'<w:shd w:val="clear" w:color="auto" w:fill="{self.tint}"/>'
            yield self.paragraph("Note", self.runs([before]) + self.runs([marked], tint) + self.runs([after]), True)
        numbered = self.cv["numbering"] != "none"
        for group in section["groups"]:
            if group["title"]:
                yield self.paragraph("Heading2", [group["title"]])
            for entry, keep in _with_keep(group["entries"]):
                title: Node = {"link": [entry["title"]], "url": entry["url"]} if entry["url"] else entry["title"]
                text = self.runs([f"{entry['number']}.\t"] if numbered else [], _QUIET)
                text += self.runs([{"strong": [title]}])
                for link in entry["links"]:
                    text += self.runs([" [", {"link": [link["label"]], "url": link["url"]}, "]"], _QUIET)
                venue: list[Node] = [{"em": [entry["venue"]]}, f"{entry['details']} "] if entry["venue"] else []
                text += _LINE_BREAK + self.runs(entry["byline"])
                text += _LINE_BREAK + self.runs([*venue, str(entry["year"])], _QUIET)
                if entry["note"]:
                    text += self.runs([" ", {"strong": [f"({entry['note']})"]}])
                yield self.paragraph("Selected" if entry["selected"] else "Bibliography", text, keep, [entry["title"]])

    def list(self, section: dict[str, Any]) -> Iterator[str]:
        for item, keep in _with_keep(section["items"]):
            yield self.paragraph("List", item, keep)

    def pairs(self, section: dict[str, Any]) -> Iterator[str]:
        for pair, keep in _with_keep(section["pairs"]):
            yield self.paragraph("List", [{"strong": pair["name"]}, "\u2002", *pair["items"]], keep)

    def table(self, section: dict[str, Any]) -> Iterator[str]:
        columns = len(section["cells"][0])
        yield '<w:tbl><w:tblPr><w:tblStyle w:val="TableGrid"/><w:tblW w:w="5000" w:type="pct"/></w:tblPr><w:tblGrid>'
        yield f'<w:gridCol w:w="{self.width // columns}"/>' * columns + "</w:tblGrid>"
        heading = [[[{"strong": cell}] for cell in section["columns"]]] if section["columns"] else []
        for index, cells in enumerate([*heading, *section["cells"]]):
            is_heading = heading and index == 0
            yield f"<w:tr>{'<w:trPr><w:tblHeader/></w:trPr>' if is_heading else ''}"
            for cell in cells:
                yield f'<w:tc><w:tcPr><w:tcW w:w="{self.width // columns}" w:type="dxa"/></w:tcPr>'
                yield self.paragraph("List", cell) + "</w:tc>"
            yield "</w:tr>"
        yield "</w:tbl>" + self.paragraph("List", "")  # Word requires a paragraph after a table

    def prose(self, section: dict[str, Any]) -> Iterator[str]:
        for text in section["paragraphs"]:
            yield self.paragraph("BodyText", text)
        for figure in section["figures"]:
            picture = self.picture(figure["name"], plain_text(figure["caption"]))
            yield self.paragraph("Figure", picture, keep=True)
            yield self.paragraph("Caption", figure["caption"])

    def page(self) -> str:
        """Return the paper, its margins and the footer."""
        width, height = _PAPER[self.cv["paper"]]
        sides = "".join(f' w:{side}="{self.margin}"' for side in ("top", "right", "bottom", "left"))
        return (
            '<w:sectPr><w:footerReference w:type="default" r:id="footer"/>'
            f'<w:pgSz w:w="{width}" w:h="{height}"/><w:pgMar{sides} w:header="567" w:footer="567" w:gutter="0"/>'
            "</w:sectPr>"
        )

    def footer(self) -> str:
        """Return "Name · page / pages"."""
        page, pages = (f'<w:fldSimple w:instr="{field}"/>' for field in ("PAGE", "NUMPAGES"))
        return self.paragraph("Footer", self.runs([f"{self.cv['name']} · "]) + page + self.runs([" / "]) + pages)

    def paragraph(
        self, style: str, content: str | Sequence[Node], keep: bool = False, script: Sequence[Node] = ()
    ) -> str:
        """Return a paragraph of nodes, or of finished runs with the direction of the nodes `script`.

        `keep` keeps it on the page of the next paragraph.
        """
        nodes = script if isinstance(content, str) else content
        runs = content if isinstance(content, str) else self.runs(content)
        layout = ("<w:keepNext/>" if keep else "") + ("<w:bidi/>" if _is_right_to_left(plain_text(nodes)) else "")
        return f'<w:p><w:pPr><w:pStyle w:val="{style}"/>{layout}</w:pPr>{runs}</w:p>'

    def runs(self, nodes: Sequence[Node], look: str = "") -> str:
        """Return the runs of nodes, all with the same properties."""
        return "".join(self.run(node, look) for node in nodes)

    def run(self, node: Node, look: str) -> str:
        if isinstance(node, str):
            return "".join(_text_run(text, look) for text in _split_directions(node))
        if "em" in node:
            return self.runs(node["em"], f"{look}<w:i/><w:iCs/>")
        if "strong" in node:
            return self.runs(node["strong"], f"{look}<w:b/><w:bCs/>")
        if "keep" in node:
            return _unbroken(self.runs(node["keep"], look))
        address = quote(safe_url(node["url"]), safe="%/:?#@!$&'()*+,;=~")
        name = self.addresses.setdefault(address, f"link{len(self.addresses)}")
        runs = self.runs(node["link"], _LINK + look.replace(_QUIET, ""))
        return f'<w:hyperlink r:id="{name}" w:history="1">{runs}</w:hyperlink>'

    def picture(self, name: str, alternative_text: str) -> str:
        """Return the run of a figure; its longer side is two thirds of the width of the text."""
        path = find_figure(name, self.figures, (".png", ".jpg"))
        index = len(self.pictures)
        self.pictures[f"media/figure{index}{path.suffix.lower()}"] = path
        width, height = _read_size(path)
        scale = 0.68 * self.width * _EMU / max(width, height)
        size = f'cx="{round(width * scale)}" cy="{round(height * scale)}"'
        named = f'id="{index + 1}" name={quoteattr(name)}'
        description = quoteattr(alternative_text)
        return (
            f"<w:r><w:drawing><wp:inline><wp:extent {size}/><wp:docPr {named} descr={description}/>"
            f'<a:graphic><a:graphicData uri="{_NAMESPACES["pic"]}"><pic:pic><pic:nvPicPr><pic:cNvPr {named}/>'
            f'<pic:cNvPicPr/></pic:nvPicPr><pic:blipFill><a:blip r:embed="image{index}"/><a:stretch><a:fillRect/>'
            f'</a:stretch></pic:blipFill><pic:spPr><a:xfrm><a:off x="0" y="0"/><a:ext {size}/></a:xfrm>'
            '<a:prstGeom prst="rect"><a:avLst/></a:prstGeom></pic:spPr></pic:pic></a:graphicData></a:graphic>'
            "</wp:inline></w:drawing></w:r>"
        )


def _with_keep(items: Sequence[Any]) -> Iterator[tuple[Any, bool]]:
    """Yield each item, and whether it stays on the page of the next: the first does, and the two before the last."""
    last = len(items) - 1
    return ((item, index < last and (index == 0 or index >= last - 2)) for index, item in enumerate(items))


def _is_short(section: dict[str, Any]) -> bool:
    """Whether a last section is too short for a page of its own."""
    return 0 < len(section.get("rows") or section.get("items") or section.get("pairs") or ()) <= 4


def _text_run(text: str, look: str) -> str:
    look += "<w:rtl/>" if _is_right_to_left(text) else ""
    escaped = escape(text).replace("\t", '</w:t><w:tab/><w:t xml:space="preserve">')
    return f'<w:r>{f"<w:rPr>{look}</w:rPr>" if look else ""}<w:t xml:space="preserve">{escaped}</w:t></w:r>'


def _unbroken(runs: str) -> str:
    """Return the same runs with no-break spaces."""
    return re.sub(r"[^<>]+(?=</w:t>)", lambda text: text[0].replace(" ", "\u00a0"), runs)


def _directions(text: str) -> str:
    """Return L, R (right to left) or n (neither) for each character."""
    kinds = {"L": "L", "R": "R", "AL": "R"}
    return "".join(kinds.get(unicodedata.bidirectional(character), "n") for character in text)


def _is_right_to_left(text: str) -> bool:
    """Whether the first letter of a text is right-to-left, as in Unicode's rules P2 and P3."""
    return _directions(text).lstrip("n").startswith("R")


def _split_directions(text: str) -> list[str]:
    """Split a text where its direction changes."""
    return [text[part.start() : part.end()] for part in re.finditer("R(?:n*R)*|[^R]+", _directions(text))]


def _read_size(path: Path) -> tuple[int, int]:
    """Return width and height of a PNG or JPEG, in pixels."""
    content = path.read_bytes()
    try:
        if path.suffix.lower() == ".png":
            width, height = struct.unpack_from(">II", content, 16)
        else:
            at = 2
            # the frame of a JPEG begins with one of these markers
            while content[at + 1] not in (0xC0, 0xC1, 0xC2):
                at += 2 + struct.unpack_from(">H", content, at + 2)[0]
            height, width = struct.unpack_from(">HH", content, at + 5)
    except (struct.error, IndexError):
        width = height = 0
    if not (width and height):
        raise ValueError(f"{path}: not a picture; replace this file")
    return width, height
