"""TeX of bibliographies as Unicode text, and back."""

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
# pylatexenc replaces these by a text of its own, or drops their content
_REFUSED = {
    "href", "url", "cite", "citet", "citep", "ref", "eqref", "pageref", "label", "input", "include",
    "includegraphics", "item", "begin", "end", "footnote", "thanks", "section", "subsection", "chapter",
    "paragraph", "part", "caption", "verb", "def", "newcommand", "renewcommand", "let", "title", "author", "date",
    "maketitle", "documentclass", "usepackage", "bibliography", "hspace", "vspace", "phantom", "color", "textcolor",
    "rule", "footnotemark", "footnotetext", "underset", "overset", "stackrel", "substack", "marginpar",
    "tableofcontents", "appendix", "write", "immediate", "openin", "openout", "read", "catcode", "csname", "directlua",
    "edef", "gdef", "xdef", "expandafter", "special", "lstinputlisting",
}  # fmt: skip

# Macros that pylatexenc does not know.
_SIGNS = {
    "varheart": "♥", "varheartsuit": "♥", "heartsuit": "♥", "spadesuit": "♠", "clubsuit": "♣", "diamondsuit": "♦",
    "S": "§", "P": "¶", "copyright": "©", "pounds": "£", "euro": "€", "SS": "ẞ", "slash": "/", "checkmark": "✓",
    "flqq": "«", "frqq": "»", "glqq": "„", "grqq": "“", "bigstar": "★", "faGithub": "", "xspace": "", "textcomma": ",",
    "textasciicircum": "^",
}  # fmt: skip
# Journal macros of the Astrophysics Data System.
_SIGNS |= {
    "aap": "A&A", "aj": "AJ", "apj": "ApJ", "apjl": "ApJ", "apjs": "ApJS", "araa": "ARA&A", "icarus": "Icarus",
    "jcap": "JCAP", "mnras": "MNRAS", "nat": "Nature", "pasj": "PASJ", "pasp": "PASP", "prd": "Phys. Rev. D",
    "prl": "Phys. Rev. Lett.", "solphys": "Sol. Phys.", "ssr": "Space Sci. Rev.",
}  # fmt: skip
# Accents that pylatexenc does not know, as combining marks.
_ACCENTS = {"textcommabelow": "\u0326", "textcedilla": "\u0327", "h": "\u0309", "textsubring": "\u0325", "t": "\u0361",
            "G": "\u030f", "U": "\u030e"}  # fmt: skip
_ACCENT = re.compile(rf"\\({'|'.join(_ACCENTS)})(?:\s*\{{\s*([^{{}}\\\s])([^{{}}\\]*)\}}|\s+([^\W\d_]))")
_ARGUMENT = r"\s*\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}"
_FRACTION = re.compile(rf"\\(?:[dt]?frac|nicefrac|sfrac)(?![A-Za-z])(?:{_ARGUMENT}{_ARGUMENT}|\s*(\d)\s*(\d))")
_ROOT = re.compile(rf"\\sqrt(?![A-Za-z]){_ARGUMENT}")
_BOTH = re.compile(rf"\\texorpdfstring{_ARGUMENT}{_ARGUMENT}")


def _context() -> Any:
    def unknown(node: Any, **_: Any) -> str:
        raise ValueError(f"\\{node.macroname} is unknown; write the character itself, in UTF-8")

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


def decode(text: str, on_unknown_macro: Callable[[str], None] | None = None) -> str:
    """Return a TeX title, name, venue or note as Unicode. Raises ValueError if TeX would remain or text be lost.

    Unknown macros are errors or, with `on_unknown_macro`, replaced by their argument or name and passed to it.
    """
    text = entities_to_tex(text)
    if _PLACEHOLDER in text:
        raise ValueError("the private character U+E000 is not text; remove it")
    text = _BOTH.sub(r"\1", text)
    text = _ACCENT.sub(lambda m: (m[2] or m[4]) + _ACCENTS[m[1]] + (m[3] or ""), text)
    if on_unknown_macro is not None:
        text = _remove_unknown_macros(text, on_unknown_macro)
    math: list[str] = []

    def keep(match: re.Match[str]) -> str:
        math.append(_decode_math(match[1] if match[1] is not None else match[2]))
        return _PLACEHOLDER

    text = re.sub(r"\\textsu(?:(per)|b)script\s*\{([^{}]*)\}", lambda m: f"${'^' if m[1] else '_'}{{{m[2]}}}$", text)
    text = _decode_plain(_MATH.sub(keep, re.sub(r"\\mbox(?![A-Za-z])", "", text)))
    if text.count(_PLACEHOLDER) != len(math):
        raise ValueError("TeX that would lose a formula; write it in UTF-8")
    formulas = iter(math)
    return " ".join(re.sub(_PLACEHOLDER, lambda match: next(formulas), text).split())


def encode(text: str) -> str:
    """Return a plain text as TeX in UTF-8."""
    return "".join(TEX_SIGNS.get(sign, sign) for sign in text)


def _remove_unknown_macros(text: str, on_unknown_macro: Callable[[str], None]) -> str:
    def replace(match: re.Match[str]) -> str:
        if match[1] in _REFUSED or _is_known(match[1]):
            return match[0]
        on_unknown_macro(f"\\{match[1]}")
        return "" if text[match.end() :].lstrip().startswith("{") else match[1] + match[2]

    return re.sub(r"(?<!\\)\\([A-Za-z]+)(\s*)", replace, text)


def _is_known(name: str) -> bool:
    if name in ("frac", "dfrac", "tfrac", "nicefrac", "sfrac", "sqrt", "mbox", "textsuperscript", "textsubscript"):
        return True
    context = _text_decoder.latex_context
    return context.get_macro_spec(name) is not context.unknown_macro_spec


def _decode_math(text: str) -> str:
    text = _FRACTION.sub(lambda m: f"{_bracket_sum(m[1] or m[3])}/{_bracket_sum(m[2] or m[4])}", text)
    text = _ROOT.sub(lambda m: f"\\surd {_bracket_sum(m[1])}", text)

    def script(match: re.Match[str]) -> str:
        inner = _decode_plain(match[2] if match[2] is not None else match[3])
        script_form = inner.translate(_SUPERSCRIPTS if match[1] == "^" else _SUBSCRIPTS)
        if inner in ("∞", "*", "†", "‡", "'", "′"):
            return inner
        if any(a == b for a, b in zip(inner, script_form, strict=True)):
            raise ValueError(f"${text}$ has no Unicode form; write the title without it")
        return script_form

    # TeX prints a space between log and n; the decoder drops the one that ends the command
    text = re.sub(r"\\(arg|cos|det|exp|inf|lim|ln|log|max|min|sin|sup|tan)\s+(?=[\w\\])", r"\\\1{} ", text)
    formula = _decode_plain(_SCRIPT.sub(script, text))
    if re.search(r"[_^]", formula):
        raise ValueError(f"${text}$ has no Unicode form; write the title without it")
    return formula


def _bracket_sum(text: str) -> str:
    """Return a part of a fraction or root, in brackets if it is a sum."""
    return f"({text})" if re.search(r"[-+]|\\[A-Za-z]+\s+\S", text) else text


@cache  # names appear in many entries, and in each build of --watch
def _decode_plain(text: str) -> str:
    for match in re.finditer(r"\\([A-Za-z]+)", text):
        if match[1] in _REFUSED:
            raise ValueError(f"{match[0]} is not supported here; write plain text (addresses have fields of their own)")
    bare = re.sub(r"\\.", "", text, flags=re.DOTALL)
    if bare.endswith("\\") or bare.count("$") % 2:
        raise ValueError("a lone \\ or $; write \\textbackslash{} or \\$ for the sign itself")
    if not has_balanced_braces(bare):
        raise ValueError("braces that do not match; add or remove one")
    text = re.sub(r"(?<!\\)((?:\\\\)*)([%&])", r"\1\\\2", text)
    try:
        result = str(_text_decoder.latex_to_text(text))
    except ValueError:
        raise
    except Exception as error:  # pylatexenc raises IndexError, AttributeError and more on damaged TeX
        raise ValueError(f"TeX that cannot be read ({type(error).__name__}); write it in UTF-8") from error
    result = re.sub(r"`([^`']*)'", "‘\\1’", unicodedata.normalize("NFC", result))
    if not _contains(result, re.sub(r"\\(?:[A-Za-z]+|.)", "", text, flags=re.DOTALL)):
        raise ValueError("TeX that would lose text; write it in UTF-8")
    if re.search(r"(?:^|\s)[\u0300-\u036f]", result):
        raise ValueError("an accent without a letter; write the letter in UTF-8")
    return result


def _contains(result: str, source: str) -> bool:
    """Whether `result` has all letters and digits of `source`, in order."""
    letters = iter(unicodedata.normalize("NFKD", result))
    return all(character in letters for character in unicodedata.normalize("NFKD", source) if character.isalnum())


def has_balanced_braces(text: str) -> bool:
    """Whether every brace is closed, in order."""
    depth = 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    return depth == 0
