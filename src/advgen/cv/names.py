"""Names of people as bibliographies write them: ``First Last``, ``von Last, Jr, First``, marks, organisations."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from advgen.cv.tex import decode

_MARKS = "*†‡§¶"
_MARK_COMMANDS = {"dag": "†", "dagger": "†", "textdagger": "†", "ddag": "‡", "ddagger": "‡", "textdaggerdbl": "‡"}
_MARK_COMMANDS |= {"ast": "*", "star": "*", "textasteriskcentered": "*"}
_JUNIOR = re.compile(r"(?:[JS]r|I{2,3}|IV)\.?", re.IGNORECASE)
_EAST = (
    r"[\u1100-\u11ff\u3005\u3007\u3040-\u30ff\u3130-\u318f\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003134f]"
)
_EASTERN = re.compile(f"{_EAST}+")
_KEYED = re.compile(r"\s*(family|given|prefix|suffix|given-i|useprefix)\s*=\s*(.*)", re.DOTALL)
# BibTeX splits at "and" in any case between white space; one at either end can only be a slip if it is in small letters
_AND = re.compile(r"(?<!\S)and(?!\S)|(?<=\s)(?i:and)(?=\s)")
# DBLP numbers people of one name
_NUMBERED = re.compile(r"\s+0\d{3}$")


@dataclass(frozen=True)
class Name:
    """A person's name in its parts; an organisation has a family name alone. ``family`` begins with particles."""

    given: str
    family: str
    suffix: str = ""
    mark: str = ""

    @property
    def eastern(self) -> bool:
        """Whether it is written in Chinese, Japanese or Korean: family name first, without a space."""
        return all(_EASTERN.fullmatch(part) for part in (self.family, self.given))

    def __str__(self) -> str:
        if self.eastern:
            return self.family + self.given
        return " ".join(part for part in (self.given, self.family, self.suffix) if part)


def person_key(name: str) -> str:
    """What two spellings of one person have in common: everything but case and spacing."""
    spaced = " ".join(unicodedata.normalize("NFC", name).casefold().split())
    return re.sub(rf"(?<={_EAST}) (?={_EAST})", "", spaced)


def initials(given: str) -> str:
    """ "Jean-Luc Maria" as "J.-L. M."; a name in a script without capitals stays as it is."""
    words = given.split()
    if not all(word[0].upper() != word[0].lower() for word in words):
        return given
    return " ".join("-".join(f"{part[0].upper()}." for part in word.split("-") if part) for word in words)


def split_authors(text: str, unknown: Callable[[str], None] | None = None) -> list[tuple[str, str]]:
    """Names as "First Last" with their marks (``*``, ``†``) apart, from a BibTeX author list."""
    return [(str(name), name.mark) for name in parse(text, unknown)]


def parse(text: str, unknown: Callable[[str], None] | None = None) -> list[Name]:
    """The names of a BibTeX author list. Raises ValueError for what is no list of names."""
    return [_author(part, unknown) for part in _split(text, _AND)]


def without_others(text: str) -> tuple[str, bool]:
    """An author list without the "and others" that ends it, and whether it stood there."""
    found = re.search(r"(?<!\S)and\s+others\s*$", text, re.IGNORECASE)
    return (text[: found.start()], True) if found else (text, False)


def _author(text: str, unknown: Callable[[str], None] | None) -> Name:
    if text.lower() == "others":
        raise ValueError("'others' is no name; it may only end a list of names")
    text, mark = _take_marks(text)
    parts = _split(text, re.compile(","))
    if len(parts) > 1 and all(_KEYED.fullmatch(part) for part in parts):
        return _keyed(parts, mark, unknown)
    whole = text.startswith("{") and text.endswith("}") and len(parts) == 1
    decoded = [decode(part, unknown) for part in parts]
    decoded[0] = _NUMBERED.sub("", decoded[0])
    if not all(decoded) or len(parts) > 3 or (len(parts) == 3 and not _JUNIOR.fullmatch(decoded[1])):
        raise ValueError(f"{' '.join(text.split())!r} is not one name; separate authors by 'and', not by commas")
    if whole:
        return Name("", decoded[0], mark=mark)
    if len(decoded) == 1:
        return _plain(decoded[0], mark)
    if len(decoded) == 2 and _JUNIOR.fullmatch(decoded[1]):
        bare = _plain(decoded[0], mark)
        return Name(bare.given, bare.family, decoded[1], mark)
    last, *rest = decoded
    junior = rest.pop(0) if len(rest) == 2 else ""
    return Name(_NUMBERED.sub("", rest[0]), last, junior, mark)


def _keyed(parts: list[str], mark: str, unknown: Callable[[str], None] | None) -> Name:
    """A name in biblatex's long form: ``family=Last, given=First, prefix=von``."""
    named = {}
    for part in parts:
        found = _KEYED.fullmatch(part)
        assert found
        named[found[1]] = decode(found[2], unknown)
    family = " ".join(filter(None, (named.get("prefix"), named.get("family"))))
    return Name(named.get("given", ""), family, named.get("suffix", ""), mark)


def _plain(text: str, mark: str) -> Name:
    """A name in reading order: the family name is the last word, or begins with the first particle."""
    words = text.split()
    if len(words) == 2 and all(map(_EASTERN.fullmatch, words)):
        return Name(words[1], words[0], mark=mark)
    suffix = words.pop() if len(words) > 2 and _JUNIOR.fullmatch(words[-1]) else ""
    last = len(words) - 1
    # in a name in small letters, as "e. e. cummings" wrote his, initials are no particles
    small = text.islower()
    particles = (at for at in range(1, last) if words[at].islower() and not (small and words[at].endswith(".")))
    start = next(particles, last)
    return Name(" ".join(words[:start]), " ".join(words[start:]).removesuffix(","), suffix, mark)


def _take_marks(text: str) -> tuple[str, str]:
    def command(match: re.Match[str]) -> str:
        return _MARK_COMMANDS[match[1]]

    names = "|".join(sorted(_MARK_COMMANDS, key=len, reverse=True))
    text = re.sub(rf"\\({names})(?![A-Za-z])(?:\{{\}}|\s+)?", command, text)
    text = re.sub(rf"\$\s*\^?\s*\{{?([{_MARKS},\s]*)\}}?\s*\$", r"\1", text)
    text = re.sub(rf"\\textsuperscript\s*\{{([{_MARKS},\s]*)\}}", r"\1", text)
    mark = "".join(re.findall(f"[{_MARKS}]", text))
    text = re.sub(rf"\s*\{{?,?[{_MARKS}](?:,?[{_MARKS}])*\}}?", lambda m: _unpaired(m[0]), text)
    return text.strip(), mark


def _unpaired(text: str) -> str:
    """The brace of ``text`` that has no partner in it: ``{*}`` goes with the mark, ``Lee*}`` keeps its brace."""
    opened, closed = text.count("{"), text.count("}")
    return "{" * (opened > closed) + "}" * (closed > opened)


def _split(text: str, separator: re.Pattern[str]) -> list[str]:
    """Parts of ``text`` between separators that stand outside braces."""
    parts, depth, start, index = [], 0, 0, 0
    while index < len(text):
        found = separator.match(text, index) if depth == 0 else None
        if found:
            parts.append(text[start:index])
            start = index = found.end()
            continue
        if text[index] == "\\":
            index += 1
        elif text[index] == "{":
            depth += 1
        elif text[index] == "}":
            depth -= 1
        index += 1
    parts = [part.strip() for part in (*parts, text[start:])]
    if not all(parts):
        raise ValueError(
            "there is an empty name between two separators; remove one, or put a name such as And in braces"
        )
    return parts
