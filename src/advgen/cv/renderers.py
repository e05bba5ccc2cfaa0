"""Inline nodes as HTML, Markdown and LaTeX, with every text escaped."""

import html
import logging
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import quote

from markupsafe import Markup
from pylatexenc.latexencode import UnicodeToLatexEncoder

from advgen.cv.inline import Node, safe_url

# _encode_unknown handles the characters that pylatexenc would warn about
logging.getLogger("pylatexenc.latexencode").setLevel(logging.ERROR)


@dataclass(frozen=True)
class Renderer:
    """Turns nodes into the source text of one format.

    `text` escapes plain text; `em`, `strong` and `keep` have `{}` where escaped content goes; `link` takes escaped
    content and an address.
    """

    text: Callable[[str], str]
    em: str
    strong: str
    link: Callable[[str, str], str]
    keep: str = "{}"

    def __call__(self, nodes: Iterable[Node]) -> Markup:
        """Return the source text of the nodes, marked as escaped."""
        return Markup("").join(Markup(self._render(node)) for node in nodes)

    def _render(self, node: Node) -> str:
        if isinstance(node, str):
            return self.text(node)
        for kind in ("em", "strong", "keep"):
            if kind in node:
                return str(getattr(self, kind)).format(self(node[kind]))
        return self.link(self(node["link"]), safe_url(node["url"]))


def _link_html(content: str, url: str) -> str:
    return f'<a href="{html.escape(url)}">{content}</a>'


def _escape_markdown(text: str) -> str:
    text = re.sub(r"([\\`*_\[\]<>|~$])", r"\\\1", text)
    text = re.sub(r"&(?=#|\w+;)", r"\\&", text)
    # any value may be at the start of a line
    text = re.sub(r"^([-+#=])", r"\\\1", text)
    return re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", text)


def _link_markdown(content: str, url: str) -> str:
    return f"[{content}](<{url}>)" if "(" in url or ")" in url else f"[{content}]({url})"


_LATEX_SIGNS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "`": r"\textasciigrave{}", "'": r"\textquotesingle{}",
    "[": "{[}", "]": "{]}", "\u00a0": "~", "\u2011": r"\mbox{-}", "★": r"$\star$", "♥": r"$\heartsuit$",
}  # fmt: skip
# pylatexenc's TeX for packages that cv.tex does not load, and what the article class has instead
_LATEX_SUBSTITUTES = (
    (re.compile(r"\\mathscr\{([A-Z])\}"), r"\\mathcal{\1}"),
    (re.compile(r"\\boldsymbol\{\\mathit\{(\w)\}\}"), r"\\mathbf{\1}"),
    (re.compile(r"\\textfrac\{(\d)\}\{(\d)\}"), r"\\ensuremath{\\frac{\1}{\2}}"),
    (re.compile(r"\\forcesextra"), r"\\models"),
    (re.compile(r"^\{(\\(?:varepsilon|Upsilon|acute|flat|natural|sharp)\b.*)\}$"), r"\\ensuremath{\1}"),
)
_LATEX_NOT_LOADED = re.compile(r"\\(?:CYR|cyr|mathscr)")
_LATEX_MISSING = "ŉƕƞəɸʔʞ↜↝⇅⇵∟∬∭∯∰∱∻∾≆≋≌≙≛≸≹⊧⊫⊶⊷⊹⊾⋘⋙⋨⋰⌆⌕♩⨏⨖"
_COMBINING_MARKS = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0323\u0327\u0328\u0331"
_LATEX_ACCENTS = dict(zip(_COMBINING_MARKS, "`'^~=u.\"rHvdckb", strict=True))


def _encode_unknown(character: str) -> str:
    """Encode superscripts and stacked accents; any other character stays, for an engine that supports Unicode."""
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


_encode_unicode = UnicodeToLatexEncoder(
    non_ascii_only=True, replacement_latex_protection="braces-all", unknown_char_policy=_encode_unknown
).unicode_to_latex


def _encode_latex(character: str) -> str:
    """Encode one character; a sign that T1 fonts lack is composed, with the character itself for searching."""
    encoded = _LATEX_SIGNS.get(character) or (character if character.isascii() else _encode_unicode(character))
    for pattern, substitute in _LATEX_SUBSTITUTES:
        encoded = pattern.sub(substitute, encoded)
    if character in _LATEX_MISSING or _LATEX_NOT_LOADED.search(encoded):
        return character
    # T1 fonts print Đ as Ð, which is another letter
    is_in_font = (ord(character) <= 0x17F and character != "Đ") or 0x2010 <= ord(character) <= 0x2030
    if is_in_font or (encoded == character and not unicodedata.decomposition(character)):
        return encoded
    return rf"\cvsign{{{character.encode('utf-16-be').hex().upper()}}}{{{encoded}}}"


def _escape_latex(text: str) -> str:
    """Escape text for T1 fonts; dashes and commas that they would join into other signs stay apart."""
    text = unicodedata.normalize("NFC", text)
    encoded = "".join(_encode_latex(character) for character in text)
    return re.sub(r"([-,!?])(?=[-,])", r"\1{}", encoded)


def _link_latex(content: str, url: str) -> str:
    address = re.sub(r"([%#&_])", r"\\\1", quote(url, safe="%/:?#[]@!$&'()*+,;=~"))
    return rf"\href{{{address}}}{{{content}}}"


HTML = Renderer(html.escape, "<em>{}</em>", "<strong>{}</strong>", _link_html, '<span class="name">{}</span>')
MARKDOWN = Renderer(_escape_markdown, "*{}*", "**{}**", _link_markdown)
LATEX = Renderer(_escape_latex, r"\emph{{{}}}", r"\textbf{{{}}}", _link_latex, r"\mbox{{{}}}")
