"""Unicode text for the TeX that stands in bibliographies."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache
from typing import Any

from pylatexenc import latex2text

from advgen.cv.entities import TEX_SIGNS, entities_to_tex

_SUBSCRIPTS = str.maketrans("0123456789+-=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")
_SUPERSCRIPTS = str.maketrans("0123456789+-=()abcdefghijklmnoprstuvwxyz", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ")
_MATH = re.compile(r"(?<!\\)\$((?:\\.|[^$\\])*)\$|\\ensuremath\s*\{((?:[^{}]|\{[^{}]*\})*)\}", re.DOTALL)
_SCRIPT = re.compile(r"([_^])\s*(?:\{([^{}]*)\}|(\\[A-Za-z]+|[^\s{}\\]))")
_PLACEHOLDER = "\ue000"
# pylatexenc gives these an invented text, or drops what they hold.
_REFUSED = {
    "href", "url", "cite", "citet", "citep", "ref", "eqref", "pageref", "label", "input", "include",
    "includegraphics", "item", "begin", "end", "footnote", "thanks", "section", "subsection", "chapter",
    "paragraph", "part", "caption", "verb", "def", "newcommand", "renewcommand", "let", "title", "author", "date",
    "maketitle", "documentclass", "usepackage", "bibliography", "hspace", "vspace", "phantom", "color", "textcolor",
    "rule", "footnotemark", "footnotetext", "underset", "overset", "stackrel", "substack", "marginpar",
    "tableofcontents", "appendix", "write", "immediate", "openin", "openout", "read", "catcode", "csname", "directlua",
    "edef", "gdef", "xdef", "expandafter", "special", "lstinputlisting",
}  # fmt: skip


# What pylatexenc does not know.
_SIGNS = {
    "varheart": "♥", "varheartsuit": "♥", "heartsuit": "♥", "spadesuit": "♠", "clubsuit": "♣", "diamondsuit": "♦",
    "S": "§", "P": "¶", "copyright": "©", "pounds": "£", "euro": "€", "SS": "ẞ", "slash": "/", "checkmark": "✓",
    "flqq": "«", "frqq": "»", "glqq": "„", "grqq": "“", "bigstar": "★", "faGithub": "", "xspace": "", "textcomma": ",",
    "textasciicircum": "^",
}  # fmt: skip
# Journals as the Astrophysics Data System writes them.
_SIGNS |= {
    "aap": "A&A", "aj": "AJ", "apj": "ApJ", "apjl": "ApJ", "apjs": "ApJS", "araa": "ARA&A", "icarus": "Icarus",
    "jcap": "JCAP", "mnras": "MNRAS", "nat": "Nature", "pasj": "PASJ", "pasp": "PASP", "prd": "Phys. Rev. D",
    "prl": "Phys. Rev. Lett.", "solphys": "Sol. Phys.", "ssr": "Space Sci. Rev.",
}  # fmt: skip
# Accents that it does not know, as the mark that follows the letter.
_ACCENTS = {"textcommabelow": "\u0326", "textcedilla": "\u0327", "h": "\u0309", "textsubring": "\u0325", "t": "\u0361",
            "G": "\u030f", "U": "\u030e"}  # fmt: skip
_ACCENT = re.compile(rf"\\({'|'.join(_ACCENTS)})(?:\s*\{{\s*([^{{}}\\\s])([^{{}}\\]*)\}}|\s+([^\W\d_]))")
_ARGUMENT = r"\s*\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}"
_FRACTION = re.compile(rf"\\(?:[dt]?frac|nicefrac|sfrac)(?![A-Za-z])(?:{_ARGUMENT}{_ARGUMENT}|\s*(\d)\s*(\d))")
_ROOT = re.compile(rf"\\sqrt(?![A-Za-z]){_ARGUMENT}")
_BOTH = re.compile(rf"\\texorpdfstring{_ARGUMENT}{_ARGUMENT}")


def _context() -> Any:
    def unknown(node: Any, **_: Any) -> str:
        raise ValueError(f"\\{node.macroname} is not known here; write the character itself, in UTF-8")

    context = latex2text.get_default_latex_context_db()
    context.set_unknown_macro_spec(latex2text.MacroTextSpec("", simplify_repl=unknown))
    plain = {"LaTeX": "LaTeX", "TeX": "TeX", "BibTeX": "BibTeX", "textasteriskcentered": "*"}
    plain |= dict.fromkeys(["em", "it", "bf", "sl", "sc", "sf", "tt", "rm", "relax", "protect", "-", "/", "@"], "")
    plain |= _SIGNS
    specs = [latex2text.MacroTextSpec(name, simplify_repl=text) for name, text in plain.items()]
    context.add_context_category("names-and-titles", prepend=True, macros=specs)
    return context


_text_decoder = latex2text.LatexNodes2Text(
    latex_context=_context(), math_mode="text", keep_comments=False, strict_latex_spaces=True
)


def decode(text: str, unknown: Callable[[str], None] | None = None) -> str:
    """Unicode for a TeX title, name, venue or note. Raises ValueError where TeX would be left or text lost.

    ``unknown`` is told each macro that is not known here, of which the argument is kept, or else the name; without
    ``unknown`` such a macro is an error too.
    """
    text = entities_to_tex(text)
    if _PLACEHOLDER in text:
        raise ValueError("the private character U+E000 is not text; remove it")
    text = _BOTH.sub(r"\1", text)
    text = _ACCENT.sub(lambda m: (m[2] or m[4]) + _ACCENTS[m[1]] + (m[3] or ""), text)
    if unknown is not None:
        text = _without_unknown(text, unknown)
    math: list[str] = []

    def keep(match: re.Match[str]) -> str:
        math.append(_decode_math(match[1] if match[1] is not None else match[2]))
        return _PLACEHOLDER

    text = re.sub(r"\\textsu(?:(per)|b)script\s*\{([^{}]*)\}", lambda m: f"${'^' if m[1] else '_'}{{{m[2]}}}$", text)
    text = _plain(_MATH.sub(keep, re.sub(r"\\mbox(?![A-Za-z])", "", text)))
    if text.count(_PLACEHOLDER) != len(math):
        raise ValueError("TeX that would lose a formula; write it in UTF-8")
    formulas = iter(math)
    return " ".join(re.sub(_PLACEHOLDER, lambda match: next(formulas), text).split())


def encode(text: str) -> str:
    """TeX, in UTF-8, for a plain text."""
    return "".join(TEX_SIGNS.get(sign, sign) for sign in text)


def _without_unknown(text: str, unknown: Callable[[str], None]) -> str:
    def named(match: re.Match[str]) -> str:
        if match[1] in _REFUSED or _known(match[1]):
            return match[0]
        unknown(f"\\{match[1]}")
        return "" if text[match.end() :].lstrip().startswith("{") else match[1] + match[2]

    return re.sub(r"(?<!\\)\\([A-Za-z]+)(\s*)", named, text)


def _known(name: str) -> bool:
    if name in ("frac", "dfrac", "tfrac", "nicefrac", "sfrac", "sqrt", "mbox", "textsuperscript", "textsubscript"):
        return True
    context = _text_decoder.latex_context
    return context.get_macro_spec(name) is not context.unknown_macro_spec


def _decode_math(text: str) -> str:
    text = _FRACTION.sub(lambda m: f"{_part(m[1] or m[3])}/{_part(m[2] or m[4])}", text)
    text = _ROOT.sub(lambda m: f"\\surd {_part(m[1])}", text)

    def script(match: re.Match[str]) -> str:
        inner = _plain(match[2] if match[2] is not None else match[3])
        raised = inner.translate(_SUPERSCRIPTS if match[1] == "^" else _SUBSCRIPTS)
        if inner in ("∞", "*", "†", "‡", "'", "′"):
            return inner
        if any(a == b for a, b in zip(inner, raised, strict=True)):
            raise ValueError(f"${text}$ has no Unicode form; write the title without it")
        return raised

    # TeX sets log n apart; the decoder drops the space that ends the command.
    text = re.sub(r"\\(arg|cos|det|exp|inf|lim|ln|log|max|min|sin|sup|tan)\s+(?=[\w\\])", r"\\\1{} ", text)
    formula = _plain(_SCRIPT.sub(script, text))
    if re.search(r"[_^]", formula):
        raise ValueError(f"${text}$ has no Unicode form; write the title without it")
    return formula


def _part(text: str) -> str:
    """A part of a fraction or root, in brackets where it is a sum."""
    return f"({text})" if re.search(r"[-+]|\\[A-Za-z]+\s+\S", text) else text


@cache  # names stand in many entries, and in each build of --watch
def _plain(text: str) -> str:
    for match in re.finditer(r"\\([A-Za-z]+)", text):
        if match[1] in _REFUSED:
            raise ValueError(f"{match[0]} cannot stand here; write plain text (addresses have fields of their own)")
    bare = re.sub(r"\\.", "", text, flags=re.DOTALL)
    if bare.endswith("\\") or bare.count("$") % 2:
        raise ValueError("a lone \\ or $; write \\textbackslash{} or \\$ for the sign itself")
    if not balanced(bare):
        raise ValueError("braces that do not match; add or remove one")
    text = re.sub(r"(?<!\\)((?:\\\\)*)([%&])", r"\1\\\2", text)
    try:
        result = str(_text_decoder.latex_to_text(text))
    except ValueError:
        raise
    except Exception as error:  # pylatexenc raises IndexError, AttributeError and more on damaged TeX
        raise ValueError(f"TeX that cannot be read ({type(error).__name__}); write it in UTF-8") from error
    result = re.sub(r"`([^`']*)'", "‘\\1’", unicodedata.normalize("NFC", result))
    if not _holds(result, re.sub(r"\\(?:[A-Za-z]+|.)", "", text, flags=re.DOTALL)):
        raise ValueError("TeX that would lose text; write it in UTF-8")
    if re.search(r"(?:^|\s)[\u0300-\u036f]", result):
        raise ValueError("an accent without a letter; write the letter in UTF-8")
    return result


def _holds(result: str, source: str) -> bool:
    """Whether the letters and digits of ``source`` all stand in ``result``, in order."""
    letters = iter(unicodedata.normalize("NFKD", result))
    return all(character in letters for character in unicodedata.normalize("NFKD", source) if character.isalnum())


def balanced(text: str) -> bool:
    """Whether every brace has its partner."""
    depth = 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    return depth == 0
