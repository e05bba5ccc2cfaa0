"""Inline markup of CV texts: ``*italic*``, ``**bold**`` and ``[text](address)``, parsed once to nodes.

A node is a string, ``{"em": nodes}``, ``{"strong": nodes}``, ``{"keep": nodes}`` (not broken across lines) or
``{"link": nodes, "url": address}``, so a list of nodes is JSON. Each target renders nodes with its own escaper; cv.typ
walks the same nodes itself, and there text is data that Typst never reads as markup. HTML entities (``&eacute;``) stand
for their characters. A backslash before ``*``, ``[``, ``]``, an entity or a backslash takes its meaning away.
"""

from __future__ import annotations

import html
import logging
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from markupsafe import Markup
from pylatexenc.latexencode import UnicodeToLatexEncoder

from advgen.cv.entities import ENTITY, decode_entity

# _latex_unknown answers for the characters it would warn about.
logging.getLogger("pylatexenc.latexencode").setLevel(logging.ERROR)

Node = str | dict[str, Any]

_BODY = r"(?:\\.|[^\\])"
_TOKEN = re.compile(
    rf"\\(?P<escaped>[\\*\[\]]|{ENTITY})"
    rf"|(?P<entity>{ENTITY})"
    rf"|(?<![\w*])\*\*(?=[^\s*])(?P<strong>{_BODY}+?)(?<!\s)\*\*(?![\w*])"
    rf"|(?<![\w*])\*(?=[^\s*])(?P<em>{_BODY}+?)(?<![\s*])\*(?![\w*])"
    rf"|\[(?P<text>(?:\\.|[^\\\[\]])+)\]\((?P<url>(?:[^()\s]|\([^()\s]*\))*)\)"
)
_ADDRESS = re.compile(r"(?:https?://[^\s/]|mailto:[^\s@]+@)[^\s\"<>\\^`{|}]*", re.IGNORECASE)


def safe_url(url: str) -> str:
    """``url`` itself if a reader may be sent there. Raises ValueError otherwise."""
    if not _ADDRESS.fullmatch(url) or not _splits(url):
        raise ValueError(f"{url!r} is not a web address; begin with https://, http:// or mailto:, without spaces")
    return url


def _splits(url: str) -> bool:
    try:
        return bool(urlsplit(url))
    except ValueError:  # brackets where only the number of a host may have them
        return False


def parse(text: str) -> list[Node]:
    """The nodes of one text. Raises ValueError for a link that is not a web or mail address."""
    return _parse(" ".join(text.split()))


def _parse(text: str) -> list[Node]:
    nodes: list[Node] = []
    end = 0
    for match in _TOKEN.finditer(text):
        nodes.append(text[end : match.start()])
        end = match.end()
        if match["escaped"]:
            nodes.append(match["escaped"])
        elif match["entity"]:
            in_address = re.search(r"://\S*$", text[: match.start()])
            nodes.append(match[0] if in_address else decode_entity(match[0]))
        elif match["strong"]:
            nodes.append({"strong": _parse(match["strong"])})
        elif match["em"]:
            nodes.append({"em": _parse(match["em"])})
        else:
            nodes.append({"link": _parse(match["text"]), "url": safe_url(match["url"])})
    nodes.append(text[end:])
    return join(nodes)


def join(nodes: Iterable[Node]) -> list[Node]:
    """The same nodes with neighbouring strings merged and empty ones dropped."""
    result: list[Node] = []
    for node in nodes:
        if isinstance(node, str) and result and isinstance(result[-1], str):
            result[-1] += node
        elif node:
            result.append(node)
    return result


def escape(text: str) -> str:
    """``text`` such that ``parse`` gives it back as plain text."""
    return re.sub(rf"([\\*\[\]]|{ENTITY})", r"\\\1", text)


def plain(nodes: Iterable[Node]) -> str:
    """The text of the nodes without markup."""
    return "".join(node if isinstance(node, str) else plain(next(iter(node.values()))) for node in nodes)


@dataclass(frozen=True)
class Renderer:
    """Turns nodes into one target's source text.

    ``text`` escapes plain text; ``em``, ``strong`` and ``keep`` hold ``{}`` where escaped content goes; ``link`` takes
    escaped content and an address.
    """

    text: Callable[[str], str]
    em: str
    strong: str
    link: Callable[[str, str], str]
    keep: str = "{}"

    def __call__(self, nodes: Iterable[Node]) -> Markup:
        """Source text of the nodes, marked as already escaped."""
        return Markup("").join(Markup(self._node(node)) for node in nodes)

    def _node(self, node: Node) -> str:
        if isinstance(node, str):
            return self.text(node)
        if "em" in node:
            return self.em.format(self(node["em"]))
        if "strong" in node:
            return self.strong.format(self(node["strong"]))
        if "keep" in node:
            return self.keep.format(self(node["keep"]))
        return self.link(self(node["link"]), safe_url(node["url"]))


def _html_link(inner: str, url: str) -> str:
    return f'<a href="{html.escape(url)}">{inner}</a>'


def _markdown_text(text: str) -> str:
    text = re.sub(r"([\\`*_\[\]<>|~$])", r"\\\1", text)
    text = re.sub(r"&(?=#|\w+;)", r"\\&", text)
    # The template may begin a line with any value.
    text = re.sub(r"^([-+#=])", r"\\\1", text)
    return re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", text)


def _markdown_link(inner: str, url: str) -> str:
    return f"[{inner}](<{url}>)" if "(" in url or ")" in url else f"[{inner}]({url})"


_LATEX_ASCII = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
    "[": "{[}",
    "]": "{]}",
    "\u00a0": "~",
    "\u2011": r"\mbox{-}",
    "★": r"$\star$",
    "♥": r"$\heartsuit$",
}
# pylatexenc's TeX for packages that cv.tex does not load, and what article has for it
_LATEX_INSTEAD = (
    (re.compile(r"\\mathscr\{([A-Z])\}"), r"\\mathcal{\1}"),
    (re.compile(r"\\boldsymbol\{\\mathit\{(\w)\}\}"), r"\\mathbf{\1}"),
    (re.compile(r"\\textfrac\{(\d)\}\{(\d)\}"), r"\\ensuremath{\\frac{\1}{\2}}"),
    (re.compile(r"\\forcesextra"), r"\\models"),
    (re.compile(r"^\{(\\(?:varepsilon|Upsilon|acute|flat|natural|sharp)\b.*)\}$"), r"\\ensuremath{\1}"),
)
_LATEX_UNLOADED = re.compile(r"\\(?:CYR|cyr|mathscr)")
_LATEX_WITHOUT = "ŉƕƞəɸʔʞ↜↝⇅⇵∟∬∭∯∰∱∻∾≆≋≌≙≛≸≹⊧⊫⊶⊷⊹⊾⋘⋙⋨⋰⌆⌕♩⨏⨖"
_LATEX_MARKS = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0323\u0327\u0328\u0331"
_LATEX_ACCENTS = dict(zip(_LATEX_MARKS, "`'^~=u.\"rHvdckb", strict=True))


def _latex_unknown(character: str) -> str:
    """Raised letters and stacked accents; any other character is left for an engine that knows Unicode."""
    how, _, code = unicodedata.decomposition(character).partition(" ")
    if how in ("<super>", "<sub>") and len(code) == 4 and ord(letter := chr(int(code, 16))) < 0x80:
        return f"{{\\text{how[1:-1]}script{{{letter}}}}}"
    decomposed = unicodedata.normalize("NFD", character)
    base, marks = decomposed[0], decomposed[1:]
    if not marks or not all(mark in _LATEX_ACCENTS for mark in marks):
        return character
    for mark in marks:
        base = f"\\{_LATEX_ACCENTS[mark]}{{{base}}}"
    return f"{{{base}}}"


_latex_unicode = UnicodeToLatexEncoder(
    non_ascii_only=True, replacement_latex_protection="braces-all", unknown_char_policy=_latex_unknown
).unicode_to_latex


def _latex_character(character: str) -> str:
    """One character; signs that T1 fonts lack are put together, with the character itself for searching and copying."""
    shown = _LATEX_ASCII.get(character) or (character if character.isascii() else _latex_unicode(character))
    for pattern, instead in _LATEX_INSTEAD:
        shown = pattern.sub(instead, shown)
    if character in _LATEX_WITHOUT or _LATEX_UNLOADED.search(shown):
        return character
    # a font's Đ is its Ð
    in_font = (ord(character) <= 0x17F and character != "Đ") or 0x2010 <= ord(character) <= 0x2030
    if in_font or (shown == character and not unicodedata.decomposition(character)):
        return shown
    return rf"\cvsign{{{character.encode('utf-16-be').hex().upper()}}}{{{shown}}}"


def _latex_text(text: str) -> str:
    """Text for T1 fonts, with the dashes and commas that they would join into other signs kept apart."""
    text = unicodedata.normalize("NFC", text)
    escaped = "".join(_latex_character(character) for character in text)
    return re.sub(r"([-,!?])(?=[-,])", r"\1{}", escaped)


def _latex_link(inner: str, url: str) -> str:
    address = re.sub(r"([%#&_])", r"\\\1", quote(url, safe="%/:?#[]@!$&'()*+,;=~"))
    return rf"\href{{{address}}}{{{inner}}}"


HTML = Renderer(html.escape, "<em>{}</em>", "<strong>{}</strong>", _html_link, '<span class="name">{}</span>')
MARKDOWN = Renderer(_markdown_text, "*{}*", "**{}**", _markdown_link)
LATEX = Renderer(_latex_text, r"\emph{{{}}}", r"\textbf{{{}}}", _latex_link, r"\mbox{{{}}}")
