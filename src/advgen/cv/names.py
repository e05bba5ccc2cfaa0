"""Names of people in bibliographies: `First Last`, `von Last, Jr, First`, with marks such as `*`; organizations."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from advgen.cv.tex import decode

_MARKS = "*†‡§¶"
_MARK_COMMANDS = {"dag": "†", "dagger": "†", "textdagger": "†", "ddag": "‡", "ddagger": "‡", "textdaggerdbl": "‡"}
_MARK_COMMANDS |= {"ast": "*", "star": "*", "textasteriskcentered": "*"}
_SUFFIX = re.compile(r"(?:[JS]r|I{2,3}|IV)\.?", re.IGNORECASE)
_CJK = (
    r"[\u1100-\u11ff\u3005\u3007\u3040-\u30ff\u3130-\u318f\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f]"
)
_CJK_WORD = re.compile(f"{_CJK}+")
_NAMED_PART = re.compile(r"\s*(family|given|prefix|suffix|given-i|useprefix)\s*=\s*(.*)", re.DOTALL)
# BibTeX splits at "and" in any case between white space; in lower case it is a mistake at either end, too
_AND = re.compile(r"(?<!\S)and(?!\S)|(?<=\s)(?i:and)(?=\s)")
# DBLP numbers people with the same name
_DBLP_NUMBER = re.compile(r"\s+0\d{3}$")


@dataclass(frozen=True)
class Name:
    """A person's name in parts; an organization has only a family name. `family` includes particles such as "von"."""

    given: str
    family: str
    suffix: str = ""
    mark: str = ""

    @property
    def is_east_asian(self) -> bool:
        """Whether the name is written in Chinese, Japanese or Korean: family name first, without a space."""
        return all(_CJK_WORD.fullmatch(part) for part in (self.family, self.given))

    def __str__(self) -> str:
        if self.is_east_asian:
            return self.family + self.given
        return " ".join(part for part in (self.given, self.family, self.suffix) if part)


def person_key(name: str) -> str:
    """Return a key that two spellings of a name share if they differ in case and spacing alone."""
    spaced = " ".join(unicodedata.normalize("NFC", name).casefold().split())
    return re.sub(rf"(?<={_CJK}) (?={_CJK})", "", spaced)


def abbreviate(given: str) -> str:
    """Return "Jean-Luc Maria" as "J.-L. M."; a name in a script without capitals stays as it is."""
    words = given.split()
    if not all(word[0].upper() != word[0].lower() for word in words):
        return given
    return " ".join("-".join(f"{part[0].upper()}." for part in word.split("-") if part) for word in words)


def parse_names(text: str, on_unknown_macro: Callable[[str], None] | None = None) -> list[Name]:
    """Return the names of a BibTeX author list. Raises ValueError for anything else."""
    return [_parse_name(part, on_unknown_macro) for part in _split(text, _AND)]


def strip_others(text: str) -> tuple[str, bool]:
    """Return an author list without "and others" at its end, and whether it had it."""
    found = re.search(r"(?<!\S)and\s+others\s*$", text, re.IGNORECASE)
    return (text[: found.start()], True) if found else (text, False)


def _parse_name(text: str, on_unknown_macro: Callable[[str], None] | None) -> Name:
    if text.lower() == "others":
        raise ValueError("'others' is not a name; write it at the end of a list only")
    text, mark = _take_marks(text)
    parts = _split(text, re.compile(","))
    if len(parts) > 1 and all(_NAMED_PART.fullmatch(part) for part in parts):
        return _parse_named_parts(parts, mark, on_unknown_macro)
    is_whole = text.startswith("{") and text.endswith("}") and len(parts) == 1
    decoded = [decode(part, on_unknown_macro) for part in parts]
    decoded[0] = _DBLP_NUMBER.sub("", decoded[0])
    if not all(decoded) or len(parts) > 3 or (len(parts) == 3 and not _SUFFIX.fullmatch(decoded[1])):
        raise ValueError(f"{' '.join(text.split())!r} is not one name; separate authors by 'and', not by commas")
    if is_whole:
        return Name("", decoded[0], mark=mark)
    if len(decoded) == 1:
        return _parse_plain_name(decoded[0], mark)
    if len(decoded) == 2 and _SUFFIX.fullmatch(decoded[1]):
        bare = _parse_plain_name(decoded[0], mark)
        return Name(bare.given, bare.family, decoded[1], mark)
    family, *rest = decoded
    suffix = rest.pop(0) if len(rest) == 2 else ""
    return Name(_DBLP_NUMBER.sub("", rest[0]), family, suffix, mark)


def _parse_named_parts(parts: list[str], mark: str, on_unknown_macro: Callable[[str], None] | None) -> Name:
    """Parse biblatex's long form: `family=Last, given=First, prefix=von`."""
    named = {}
    for part in parts:
        found = _NAMED_PART.fullmatch(part)
        assert found
        named[found[1]] = decode(found[2], on_unknown_macro)
    family = " ".join(filter(None, (named.get("prefix"), named.get("family"))))
    return Name(named.get("given", ""), family, named.get("suffix", ""), mark)


def _parse_plain_name(text: str, mark: str) -> Name:
    """Parse "First von Last": the family name is the last word, or begins with the first particle."""
    words = text.split()
    if len(words) == 2 and all(map(_CJK_WORD.fullmatch, words)):
        return Name(words[1], words[0], mark=mark)
    suffix = words.pop() if len(words) > 2 and _SUFFIX.fullmatch(words[-1]) else ""
    last = len(words) - 1
    # in a name in lower case, such as "e. e. cummings", initials are no particles
    is_lower = text.islower()
    particles = (at for at in range(1, last) if words[at].islower() and not (is_lower and words[at].endswith(".")))
    start = next(particles, last)
    return Name(" ".join(words[:start]), " ".join(words[start:]).removesuffix(","), suffix, mark)


def _take_marks(text: str) -> tuple[str, str]:
    """Return a name without its marks, and the marks."""
    commands = "|".join(sorted(_MARK_COMMANDS, key=len, reverse=True))
    text = re.sub(rf"\\({commands})(?![A-Za-z])(?:\{{\}}|\s+)?", lambda match: _MARK_COMMANDS[match[1]], text)
    text = re.sub(rf"\$\s*\^?\s*\{{?([{_MARKS},\s]*)\}}?\s*\$", r"\1", text)
    text = re.sub(rf"\\textsuperscript\s*\{{([{_MARKS},\s]*)\}}", r"\1", text)
    mark = "".join(re.findall(f"[{_MARKS}]", text))
    text = re.sub(rf"\s*\{{?,?[{_MARKS}](?:,?[{_MARKS}])*\}}?", lambda match: _unpaired_brace(match[0]), text)
    return text.strip(), mark


def _unpaired_brace(text: str) -> str:
    """Return the brace without a partner: `{*}` is removed as a whole, `Lee*}` keeps its brace."""
    opened, closed = text.count("{"), text.count("}")
    return "{" * (opened > closed) + "}" * (closed > opened)


def _split(text: str, separator: re.Pattern[str]) -> list[str]:
    """Split a text at separators outside braces."""
    parts, depth, start, index = [], 0, 0, 0
    while index < len(text):
        found = separator.match(text, index) if depth == 0 else None
        if found:
            parts.append(text[start:index])
            start = index = found.end()
            continue
        if text[index] == "\\":
            index += 1
        elif text[index] in "{}":
            depth += 1 if text[index] == "{" else -1
        index += 1
    parts = [part.strip() for part in (*parts, text[start:])]
    if not all(parts):
        what = "there is an empty name between two separators"
        raise ValueError(f"{what}; remove one, or put a name such as And in braces")
    return parts
