"""The CV for office programs: a .docx (ISO/IEC 29500) with real styles, links and right-to-left paragraphs.

It names fonts for Latin letters alone; those of other scripts are the reader's program's to choose.
"""

from __future__ import annotations

import re
import struct
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from advgen.cv.inline import Node, plain, safe_url
from advgen.cv.target import Unprintable, figure, keyword
from advgen.io.archives import DOCX_STAMP, pack

# lengths are in twentieths of a point
_PAPER = {"a4": (11906, 16838), "us-letter": (12240, 15840)}
_THEMES: dict[str, dict[str, Any]] = {
    "classic": {"accent": "0B4A5C", "tint": "E9F2F3", "font": "Cambria", "size": 21, "margin": 1304},
    "academic": {"accent": "1D1D1D", "tint": "EFECE4", "font": "Times New Roman", "size": 21, "margin": 1531},
    "compact": {"accent": "7A1F3D", "tint": "F7ECEF", "font": "Calibri", "size": 19, "margin": 964},
}
_NUMBER = 520  # room for "123."
_EMU = 635  # the unit of pictures

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006"
_NAMES = {
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
_KINDS = {
    "/word/document.xml": f"{_WORD}.document.main+xml",
    "/word/styles.xml": f"{_WORD}.styles+xml",
    "/word/settings.xml": f"{_WORD}.settings+xml",
    "/word/footer.xml": f"{_WORD}.footer+xml",
    "/docProps/core.xml": "application/vnd.openxmlformats-package.core-properties+xml",
}
_ENDINGS = {
    "rels": "application/vnd.openxmlformats-package.relationships+xml",
    "xml": "application/xml",
    "png": "image/png",
    "jpg": "image/jpeg",
}
_NO_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(cv: dict[str, Any], templates: list[Path], figures: dict[str, Path], stamp: str, **_: Any) -> bytes:
    """cv.docx, with the stamp in a part of its own. Raises Unprintable for a character that XML cannot hold."""
    document = _Document(cv, figures)
    body = "".join(document.body())
    title = f"{cv['name']} – {cv['words']['cv']}"
    if bad := _NO_XML.findall(body + title):
        raise Unprintable(cv, bad, "a .docx cannot hold it; remove it")
    core = f"<dc:title>{escape(title)}</dc:title><dc:creator>{escape(cv['name'])}</dc:creator>"
    core += f"<dc:language>{cv['language']}</dc:language>"
    for when in ("created", "modified"):
        core += f'<dcterms:{when} xsi:type="dcterms:W3CDTF">{cv["updated"]}T00:00:00Z</dcterms:{when}>'
    texts = {
        "[Content_Types].xml": _types(),
        "_rels/.rels": _relations(
            ("main", f"{OFFICE}/officeDocument", "word/document.xml"),
            ("core", f"{_PACKAGE}/relationships/metadata/core-properties", "docProps/core.xml"),
        ),
        "docProps/core.xml": _part("cp:coreProperties", core, "cp dc dcterms xsi"),
        "word/document.xml": _part("w:document", f"<w:body>{body}{document.page()}</w:body>", "w r wp a pic"),
        "word/_rels/document.xml.rels": _relations(
            *((name, f"{OFFICE}/{name}", f"{name}.xml") for name in ("styles", "settings", "footer")),
            ("stamp", f"{OFFICE}/customXml", f"../{DOCX_STAMP}"),
            *((f"image{index}", f"{OFFICE}/image", name) for index, name in enumerate(document.pictures)),
            *((f"link{index}", f"{OFFICE}/hyperlink", url) for index, url in enumerate(document.addresses)),
        ),
        "word/styles.xml": _part("w:styles", "".join(_styles(cv)), "w"),
        "word/settings.xml": _part("w:settings", _SETTINGS, "w"),
        "word/footer.xml": _part("w:ftr", document.footer(), "w r"),
        DOCX_STAMP: f'{_HEAD}<stamp xmlns="urn:advgen">{keyword(stamp)}</stamp>',
    }
    parts = {name: text.encode() for name, text in texts.items()}
    return pack(parts | {f"word/{name}": path.read_bytes() for name, path in document.pictures.items()})


_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_SETTINGS = (  # else Word takes the file for one of 2007
    '<w:compat><w:compatSetting w:name="compatibilityMode" w:uri="http://schemas.microsoft.com/office/word"'
    ' w:val="15"/></w:compat>'
)


def _part(root: str, content: str, spaces: str) -> str:
    declared = "".join(f' xmlns:{name}="{_NAMES[name]}"' for name in spaces.split())
    return f"{_HEAD}<{root}{declared}>{content}</{root}>"


def _types() -> str:
    kinds = "".join(f'<Default Extension="{ending}" ContentType="{kind}"/>' for ending, kind in _ENDINGS.items())
    kinds += "".join(f'<Override PartName="{name}" ContentType="{kind}"/>' for name, kind in _KINDS.items())
    return f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types">{kinds}</Types>'


def _relations(*relations: tuple[str, str, str]) -> str:
    lines = []
    for name, kind, target in relations:
        mode = ' TargetMode="External"' if kind.endswith("/hyperlink") else ""
        lines.append(f'<Relationship Id="{name}" Type="{kind}" Target={quoteattr(target)}{mode}/>')
    return f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">{"".join(lines)}</Relationships>'


class _Document:
    """The paragraphs of a CV, with the addresses and pictures that they refer to."""

    def __init__(self, cv: dict[str, Any], figures: dict[str, Path]) -> None:
        self.cv = cv
        self.figures = figures
        self.theme = _THEMES[cv["theme"]]
        self.width = _PAPER[cv["paper"]][0] - 2 * self.theme["margin"]
        self.addresses: dict[str, str] = {}
        self.pictures: dict[str, Path] = {}

    def body(self) -> Iterator[str]:
        cv = self.cv
        yield self.paragraph("Title", [cv["name"]])
        if cv["headline"]:
            yield self.paragraph("Subtitle", cv["headline"])
        contact: list[list[Node]] = []
        if cv["email"]:
            contact.append([{"link": [cv["email"]], "url": f"mailto:{cv['email']}"}])
        if cv["site"]:
            contact.append([{"link": [cv["site"].split("//", 1)[-1].rstrip("/")], "url": cv["site"]}])
        contact += [[{"link": [link["label"]], "url": link["url"]}] for link in cv["links"]]
        if contact:
            yield self.paragraph("Contact", [node for item in contact for node in (" · ", *item)][1:])
        yield self.paragraph("Date", [cv["words"]["updated"].replace("{date}", cv["updated_text"])])
        followed = cv["sections"][-2] if len(cv["sections"]) > 1 and _short(cv["sections"][-1]) else None
        for section in cv["sections"]:
            yield self.paragraph("Heading2" if section["level"] == 3 else "Heading1", [section["title"]])
            for text in (section["summary"], section["note"]):
                if text:
                    yield self.paragraph("Note", text, keep=True)
            parts = [*getattr(self, section["kind"])(section)]
            if section is followed:
                parts[-1] = parts[-1].replace("/>", "/><w:keepNext/>", 1)  # behind the style
            yield from parts

    def rows(self, section: dict[str, Any]) -> Iterator[str]:
        style = "ListNumber" if section["numbered"] else "List"
        for row, keep in _together(section["rows"]):
            number = [f"{row['number']}.\t"] if section["numbered"] else []
            lines = [_LINE + self.runs(line, _QUIET) for line in row["lines"]]
            dates = _unbroken(self.runs([f"\t{row['dates']}"], _QUIET)) if row["dates"] else ""
            text = self.runs(number, _QUIET) + self.runs(row["text"]) + dates + "".join(lines)
            yield self.paragraph(style, text, keep, row["text"])

    def publications(self, section: dict[str, Any]) -> Iterator[str]:
        if section["highlighted"]:
            before, marked, after = (self.cv["words"]["highlighted"].replace("]", "[") + "[[").split("[")[:3]
            tint = f'<w:shd w:val="clear" w:color="auto" w:fill="{self.theme["tint"]}"/>'
            yield self.paragraph("Note", self.runs([before]) + self.runs([marked], tint) + self.runs([after]), True)
        numbered = self.cv["numbering"] != "none"
        for group in section["groups"]:
            if group["title"]:
                yield self.paragraph("Heading2", [group["title"]])
            for entry, keep in _together(group["entries"]):
                title: Node = {"link": [entry["title"]], "url": entry["url"]} if entry["url"] else entry["title"]
                text = self.runs([f"{entry['number']}.\t"] if numbered else [], _QUIET)
                text += self.runs([{"strong": [title]}])
                for link in entry["links"]:
                    text += self.runs([" [", {"link": [link["label"]], "url": link["url"]}, "]"], _QUIET)
                place: list[Node] = [{"em": [entry["venue"]]}, f"{entry['details']} "] if entry["venue"] else []
                text += _LINE + self.runs(entry["byline"])
                text += _LINE + self.runs([*place, str(entry["year"])], _QUIET)
                if entry["note"]:
                    text += self.runs([" ", {"strong": [f"({entry['note']})"]}])
                style = "Selected" if entry["selected"] else "Bibliography"
                yield self.paragraph(style, text, keep, [entry["title"]])

    def list(self, section: dict[str, Any]) -> Iterator[str]:
        for item, keep in _together(section["items"]):
            yield self.paragraph("List", item, keep)

    def pairs(self, section: dict[str, Any]) -> Iterator[str]:
        for pair, keep in _together(section["pairs"]):
            yield self.paragraph("List", [{"strong": pair["name"]}, "\u2002", *pair["items"]], keep)

    def table(self, section: dict[str, Any]) -> Iterator[str]:
        columns = len(section["cells"][0])
        yield '<w:tbl><w:tblPr><w:tblStyle w:val="TableGrid"/><w:tblW w:w="5000" w:type="pct"/></w:tblPr><w:tblGrid>'
        yield f'<w:gridCol w:w="{self.width // columns}"/>' * columns + "</w:tblGrid>"
        heading = [[[{"strong": cell}] for cell in section["columns"]]] if section["columns"] else []
        for index, cells in enumerate([*heading, *section["cells"]]):
            repeated = "<w:trPr><w:tblHeader/></w:trPr>" if heading and index == 0 else ""
            yield f"<w:tr>{repeated}"
            for cell in cells:
                yield f'<w:tc><w:tcPr><w:tcW w:w="{self.width // columns}" w:type="dxa"/></w:tcPr>'
                yield self.paragraph("List", cell) + "</w:tc>"
            yield "</w:tr>"
        yield "</w:tbl>" + self.paragraph("List", "")  # Word wants a paragraph behind a table

    def prose(self, section: dict[str, Any]) -> Iterator[str]:
        for text in section["paragraphs"]:
            yield self.paragraph("BodyText", text)
        for shown in section["figures"]:
            yield self.paragraph("Figure", self.picture(shown["name"], plain(shown["caption"])), keep=True)
            yield self.paragraph("Caption", shown["caption"])

    def page(self) -> str:
        """The paper, its margins and the footer."""
        width, height = _PAPER[self.cv["paper"]]
        margin = self.theme["margin"]
        sides = "".join(f' w:{side}="{margin}"' for side in ("top", "right", "bottom", "left"))
        return (
            '<w:sectPr><w:footerReference w:type="default" r:id="footer"/>'
            f'<w:pgSz w:w="{width}" w:h="{height}"/><w:pgMar{sides} w:header="567" w:footer="567" w:gutter="0"/>'
            "</w:sectPr>"
        )

    def footer(self) -> str:
        page, pages = (f'<w:fldSimple w:instr="{field}"/>' for field in ("PAGE", "NUMPAGES"))
        text = self.runs([f"{self.cv['name']} · "]) + page + self.runs([" / "]) + pages
        return self.paragraph("Footer", text)

    def paragraph(
        self, style: str, content: str | Sequence[Node], keep: bool = False, script: Sequence[Node] = ()
    ) -> str:
        """A paragraph of nodes, or of runs in the script of other nodes; ``keep`` holds it on the page of the next."""
        nodes = script if isinstance(content, str) else content
        runs = content if isinstance(content, str) else self.runs(content)
        how = ("<w:keepNext/>" if keep else "") + ("<w:bidi/>" if _leftwards(plain(nodes)) else "")
        return f'<w:p><w:pPr><w:pStyle w:val="{style}"/>{how}</w:pPr>{runs}</w:p>'

    def runs(self, nodes: Sequence[Node], looks: str = "") -> str:
        """The runs of nodes, all with the same properties."""
        return "".join(self.run(node, looks) for node in nodes)

    def run(self, node: Node, looks: str) -> str:
        if isinstance(node, str):
            return "".join(_run(text, looks) for text in _stretches(node))
        if "em" in node:
            return self.runs(node["em"], f"{looks}<w:i/><w:iCs/>")
        if "strong" in node:
            return self.runs(node["strong"], f"{looks}<w:b/><w:bCs/>")
        if "keep" in node:
            return _unbroken(self.runs(node["keep"], looks))
        address = quote(safe_url(node["url"]), safe="%/:?#@!$&'()*+,;=~")
        name = self.addresses.setdefault(address, f"link{len(self.addresses)}")
        linked = self.runs(node["link"], _LINK + looks.replace(_QUIET, ""))
        return f'<w:hyperlink r:id="{name}" w:history="1">{linked}</w:hyperlink>'

    def picture(self, name: str, told: str) -> str:
        """The run of a figure, two thirds of the text wide."""
        path = figure(name, self.figures, (".png", ".jpg"))
        index = len(self.pictures)
        self.pictures[f"media/figure{index}{path.suffix.lower()}"] = path
        width, height = _size(path)
        scale = 0.68 * self.width * _EMU / max(width, height)
        size = f'cx="{round(width * scale)}" cy="{round(height * scale)}"'
        named = f'id="{index + 1}" name={quoteattr(name)}'
        return (
            f"<w:r><w:drawing><wp:inline><wp:extent {size}/><wp:docPr {named} descr={quoteattr(told)}/>"
            f'<a:graphic><a:graphicData uri="{_NAMES["pic"]}"><pic:pic><pic:nvPicPr><pic:cNvPr {named}/><pic:cNvPicPr/>'
            f'</pic:nvPicPr><pic:blipFill><a:blip r:embed="image{index}"/><a:stretch><a:fillRect/></a:stretch>'
            f'</pic:blipFill><pic:spPr><a:xfrm><a:off x="0" y="0"/><a:ext {size}/></a:xfrm><a:prstGeom prst="rect">'
            "<a:avLst/></a:prstGeom></pic:spPr></pic:pic></a:graphicData></a:graphic></wp:inline></w:drawing></w:r>"
        )


_LINE = "<w:r><w:br/></w:r>"
_QUIET, _LINK = (f'<w:rStyle w:val="{name}"/>' for name in ("Quiet", "Hyperlink"))


def _together(items: Sequence[Any]) -> Iterator[tuple[Any, bool]]:
    """Each item, and whether it stays on the page of the next: the first does, and the two before the last."""
    last = len(items) - 1
    return ((item, index < last and (index == 0 or index >= last - 2)) for index, item in enumerate(items))


def _short(section: dict[str, Any]) -> bool:
    """Whether a section at the end would stand on a page of its own with next to nothing: what is above it stays."""
    return 0 < len(section.get("rows") or section.get("items") or section.get("pairs") or ()) <= 4


def _run(text: str, looks: str) -> str:
    looks += "<w:rtl/>" if _leftwards(text) else ""
    shown = escape(text).replace("\t", '</w:t><w:tab/><w:t xml:space="preserve">')
    return f'<w:r>{f"<w:rPr>{looks}</w:rPr>" if looks else ""}<w:t xml:space="preserve">{shown}</w:t></w:r>'


def _unbroken(runs: str) -> str:
    """The same runs without a place where a line could end."""
    return re.sub(r"[^<>]+(?=</w:t>)", lambda text: text[0].replace(" ", "\u00a0"), runs)


def _directions(text: str) -> str:
    """For each character L, R (right to left), or n for neither."""
    kinds = {"L": "L", "R": "R", "AL": "R"}
    return "".join(kinds.get(unicodedata.bidirectional(character), "n") for character in text)


def _leftwards(text: str) -> bool:
    """Whether a text is read from right to left: its first letter tells, as in Unicode's rules P2 and P3."""
    return _directions(text).lstrip("n").startswith("R")


def _stretches(text: str) -> list[str]:
    """The text cut where its direction changes."""
    return [text[part.start() : part.end()] for part in re.finditer("R(?:n*R)*|[^R]+", _directions(text))]


def _size(path: Path) -> tuple[int, int]:
    """Width and height of a PNG or JPEG in pixels."""
    content = path.read_bytes()
    try:
        if path.suffix.lower() == ".png":
            width, height = struct.unpack_from(">II", content, 16)
        else:
            at = 2
            # the frame of a JPEG begins with one of these marks, whatever stands before it
            while content[at + 1] not in (0xC0, 0xC1, 0xC2):
                at += 2 + struct.unpack_from(">H", content, at + 2)[0]
            height, width = struct.unpack_from(">HH", content, at + 5)
    except (struct.error, IndexError):
        width = height = 0
    if not (width and height):
        raise ValueError(f"{path}: is no picture; mend this file")
    return width, height


def _styles(cv: dict[str, Any]) -> Iterator[str]:
    """Word's own styles, by their names there, and four of ours."""
    theme = _THEMES[cv["theme"]]
    accent, tint, size = (theme[key] for key in ("accent", "tint", "size"))
    academic, compact = cv["theme"] == "academic", cv["theme"] == "compact"
    centred = '<w:jc w:val="center"/>'
    head = centred if academic else ""
    width = _PAPER[cv["paper"]][0] - 2 * theme["margin"]
    language = {"en": "en-US"}.get(cv["language"], f"{cv['language']}-{cv['language'].upper()}")
    tight = "<w:keepLines/>"
    dates = f'<w:tab w:val="right" w:pos="{width}"/>'
    hanging = f'<w:ind w:left="{_NUMBER}" w:hanging="{_NUMBER}"/>'
    numbered = f'<w:tabs><w:tab w:val="left" w:pos="{_NUMBER}"/>{dates}</w:tabs>'
    above = f'<w:ind w:left="{_NUMBER if cv["numbering"] != "none" else 0}"'
    entry = above + (f' w:hanging="{_NUMBER}"/>' if cv["numbering"] != "none" else "/>")
    bar = f'<w:pBdr><w:left w:val="single" w:sz="12" w:space="4" w:color="{accent}"/></w:pBdr>'
    line = f'<w:pBdr><w:bottom w:val="single" w:sz="6" w:space="1" w:color="{accent}"/></w:pBdr>'
    ground = f'<w:shd w:val="clear" w:color="auto" w:fill="{accent}"/>'
    colour = f'<w:color w:val="{accent}"/>'

    def points(scale: float) -> str:
        return f'<w:sz w:val="{round(size * scale)}"/><w:szCs w:val="{round(size * scale)}"/>'

    def gap(before: int, after: int) -> str:
        return f'<w:spacing w:before="{before}" w:after="{after}"/>'

    bold, grey = "<w:b/><w:bCs/>", '<w:color w:val="525252"/>'
    yield (
        f'<w:docDefaults><w:rPrDefault><w:rPr><w:rFonts w:ascii="{theme["font"]}" w:hAnsi="{theme["font"]}"/>'
        f'{points(1)}<w:lang w:val="{language}"/></w:rPr></w:rPrDefault></w:docDefaults>'
        '<w:style w:type="paragraph" w:default="1" w:styleId="Normal"><w:name w:val="Normal"/><w:qFormat/></w:style>'
    )
    paragraphs = {
        "Title": ("Title", gap(0, 60) + head, points(2.1) + (bold + colour if compact else "")),
        "Subtitle": ("Subtitle", gap(0, 100) + head, f"<w:i/><w:iCs/>{grey}"),
        "Contact": ("Contact", gap(0, 60) + head, ""),
        "Date": ("Date", gap(0, 60) + head, grey + points(0.9)),
        "Heading1": (
            "heading 1",
            "<w:keepNext/><w:keepLines/>" + (ground if compact else line) + gap(260, 100) + '<w:outlineLvl w:val="0"/>',
            bold
            + ("<w:smallCaps/>" if academic else "")
            + ('<w:color w:val="FFFFFF"/>' if compact else colour)
            + points(1.2),
        ),
        "Heading2": (
            "heading 2",
            "<w:keepNext/><w:keepLines/>" + gap(180, 80) + '<w:outlineLvl w:val="1"/>',
            bold + grey,
        ),
        "Note": ("Note", "<w:keepNext/>" + gap(0, 80), grey + points(0.9)),
        "BodyText": ("Body Text", gap(0, 100) + '<w:jc w:val="both"/>', ""),
        "List": ("List", f"{tight}<w:tabs>{dates}</w:tabs>" + gap(0, 80), ""),
        "ListNumber": ("List Number", tight + numbered + gap(0, 80) + hanging, ""),
        "Bibliography": ("Bibliography", tight + numbered + gap(0, 100) + entry, ""),
        "Selected": (
            "Selected",
            tight + bar + f'<w:shd w:val="clear" w:color="auto" w:fill="{tint}"/>' + numbered + gap(0, 100) + entry,
            "",
        ),
        "Figure": ("Figure", "<w:keepNext/>" + gap(100, 60) + centred, ""),
        "Caption": ("caption", gap(0, 160) + centred, grey + points(0.9)),
        "Footer": ("footer", centred, grey + points(0.82)),
    }
    for name, (shown, how, looks) in paragraphs.items():
        yield (
            f'<w:style w:type="paragraph" w:styleId="{name}"><w:name w:val="{shown}"/><w:basedOn w:val="Normal"/>'
            f"<w:qFormat/><w:pPr>{how}</w:pPr><w:rPr>{looks}</w:rPr></w:style>"
        )
    for name, looks in (("Hyperlink", colour), ("Quiet", grey)):
        yield f'<w:style w:type="character" w:styleId="{name}"><w:name w:val="{name}"/><w:rPr>{looks}</w:rPr></w:style>'
    edges = "".join(
        f'<w:{edge} w:val="single" w:sz="4" w:space="0" w:color="BFBFBF"/>' for edge in ("top", "bottom", "insideH")
    )
    yield (
        '<w:style w:type="table" w:styleId="TableGrid"><w:name w:val="Table Grid"/>'
        f"<w:tblPr><w:tblBorders>{edges}</w:tblBorders></w:tblPr></w:style>"
    )
