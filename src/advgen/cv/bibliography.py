"""The publication list: BibTeX as people write it, read to plain entries. No entry is ever lost without an error."""

from __future__ import annotations

import difflib
import logging
import re
import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bibtexparser.exceptions import ParserStateException
from bibtexparser.library import Library
from bibtexparser.middlewares.parsestack import default_parse_stack
from bibtexparser.model import (
    DuplicateBlockKeyBlock,
    DuplicateFieldKeyBlock,
    Entry,
    Field,
    ImplicitComment,
)
from bibtexparser.splitter import Splitter
from pylatexenc import latex2text

from advgen.cv.inline import Node, join, safe_url
from advgen.cv.live_values import load_text, unprintable

log = logging.getLogger(__name__)
# Everything that bibtexparser logs is raised here with file and line.
logging.getLogger("bibtexparser").setLevel(logging.CRITICAL)

_BLOCK = re.compile(r"^[ \t]*@[ \t]*(\w*)[ \t]*[{(]", re.MULTILINE)
_VENUES = ("_venue", "journal", "booktitle", "school", "institution", "howpublished", "publisher")
_LINKS = {"codeurl": "code", "slidesurl": "slides", "talkurl": "talk"}
_OWN = ("_venue", "_note", "selected", *_LINKS)
_STANDARD = {
    "abstract", "address", "annote", "archiveprefix", "author", "booktitle", "chapter", "crossref", "date", "doi",
    "edition", "editor", "eprint", "howpublished", "institution", "isbn", "issn", "issue", "journal", "key",
    "keywords", "language", "link", "location", "month", "note", "number", "organization", "pages", "primaryclass",
    "publisher", "school", "series", "title", "type", "url", "urldate", "volume", "year",
}  # fmt: skip
_CITED = _STANDARD - {"abstract", "annote", "keywords", "key", "link", "urldate"}
_MARKS = "*†‡§¶"
_MARK_COMMANDS = {"dag": "†", "dagger": "†", "textdagger": "†", "ddag": "‡", "ddagger": "‡", "textdaggerdbl": "‡"}
_MARK_COMMANDS |= {"ast": "*", "star": "*", "textasteriskcentered": "*"}
_SWALLOWED = re.compile(r"[}\"\w]\s+[\w-]+\s*=")
_JUNIOR = re.compile(r"(?:[JS]r|I{2,3}|IV)\.?", re.IGNORECASE)


def load(
    path: Path,
    owners: Iterable[str],
    people: Mapping[str, str],
    max_authors: int | None = None,
    *,
    doubled: bool = False,
) -> list[dict[str, Any]]:
    """The entries of a BibTeX file in file order.

    ``owners`` are the spellings of the CV owner's name, ``people`` maps co-authors' names to addresses; of more than
    ``max_authors`` authors some are only counted, never the owner. ``doubled`` forgives a field that stands twice in
    an entry with the same value, as another generator does. Raises ValueError with one line
    ``file:line: what; remedy`` per error.
    """
    blocks = _parse(load_text(path), path, doubled)
    reader = _Reader(path, {person_key(name) for name in owners}, {person_key(k): url for k, url in people.items()})
    entries = [reader.entry(block, max_authors) for block in blocks]
    reader.compare(blocks, entries)
    if reader.errors:
        raise ValueError("\n".join(reader.errors))
    return entries


def names(path: Path) -> list[str]:
    """Every author's name of a BibTeX file, once, in file order; what cannot be read as a name is left out."""
    found: dict[str, None] = {}
    for block in _parse(load_text(path), path, doubled=True):
        for field in block.fields:
            if field.key.lower() == "author":
                with suppress(ValueError):
                    found |= dict.fromkeys(name for name, _ in split_authors(str(field.value)))
    return list(found)


def without_doubled(path: Path) -> tuple[str, list[str]]:
    """The text of a BibTeX file without fields that stand twice with the same value, and one line for each.

    Raises ValueError where such a field shares its line with something else.
    """
    text = load_text(path)
    lines: list[str | None] = list(text.split("\n"))
    said = []
    for block in Splitter(text).split().failed_blocks:
        if not isinstance(block, DuplicateFieldKeyBlock):
            continue
        starts = sorted(field.start_line or 0 for field in _held(block).fields)
        for field in _surplus(block):
            start = field.start_line or 0
            # bibtexparser counts the lines of a field from its key
            end = next((line for line in starts if line > start), start + 1 + str(field.value).count("\n"))
            if starts.count(start) > 1:
                raise ValueError(f"{path}:{start + 1}: the field {field.key} stands twice in one entry; remove one")
            said.append(f"{path}:{start + 1}: the field {field.key} stands twice with the same value; kept once")
            lines[start:end] = [None] * (end - start)
    return "\n".join(line for line in lines if line is not None), said


def _held(block: DuplicateFieldKeyBlock) -> Entry:
    entry = block.ignore_error_block
    assert isinstance(entry, Entry)
    return entry


def _surplus(block: DuplicateFieldKeyBlock) -> list[Field]:
    """Fields that repeat an earlier one with the same value."""
    fields = _held(block).fields
    return [
        field
        for index, field in enumerate(fields)
        if any((other.key, other.value) == (field.key, field.value) for other in fields[:index])
    ]


def person_key(name: str) -> str:
    """What two spellings of one person have in common: everything but case and spacing."""
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())


def group(entries: list[dict[str, Any]], earlier: int | None, numbering: str = "up") -> list[dict[str, Any]]:
    """Entries by year, newest first, in file order inside a year, numbered through; years to ``earlier`` are one.

    ``numbering`` "up" gives the first entry the number 1, "down" the last.
    """
    groups: list[dict[str, Any]] = []
    ordered = sorted(entries, key=lambda entry: -int(entry["year"]))
    for number, entry in zip(numbers(len(ordered), numbering), ordered, strict=True):
        old = earlier is not None and entry["year"] <= earlier
        title = f"{earlier} and earlier" if old else str(entry["year"])
        if not groups or groups[-1]["title"] != title:
            groups.append({"title": title, "entries": []})
        groups[-1]["entries"].append({"number": number, **entry})
    return groups


def numbers(count: int, numbering: str) -> range:
    """The numbers of a list, "up" from 1 or "down" to 1."""
    return range(1, count + 1) if numbering == "up" else range(count, 0, -1)


def _parse(text: str, path: Path, doubled: bool = False) -> list[Entry]:
    for number, line in enumerate(text.split("\n"), start=1):
        if bad := unprintable(line):
            raise ValueError(f"{path}:{number}: the text holds the control character {bad}; remove it")
    try:
        library = Splitter(text).split()
        if doubled:
            _forgive(library, path)
        for middleware in default_parse_stack():
            library = middleware.transform(library)
    except ParserStateException as error:
        raise ValueError(f"{path}: not valid BibTeX ({error.message}); check its braces and quotes") from error
    errors = [*_failures(library, path), *_strays(library, text, path)]
    if errors:
        raise ValueError("\n".join(errors))
    return library.entries


def _forgive(library: Library, path: Path) -> None:
    for block in library.failed_blocks:
        if isinstance(block, DuplicateFieldKeyBlock):
            surplus = _surplus(block)
            entry = _held(block)
            kept = [field for field in entry.fields if not any(field is other for other in surplus)]
            if len({field.key for field in kept}) == len(kept):
                entry.fields = kept
                library.replace(block, entry)


def _failures(library: Library, path: Path) -> list[str]:
    errors = []
    for block in library.failed_blocks:
        line = (block.start_line or 0) + 1
        if isinstance(block, DuplicateFieldKeyBlock):
            names = ", ".join(sorted(block.duplicate_keys))
            errors.append(f"{path}:{line}: the field {names} stands twice in one entry; remove one")
        elif isinstance(block, DuplicateBlockKeyBlock):
            first = (block.previous_block.start_line or 0) + 1
            errors.append(f"{path}:{line}: the key {block.key!r} is taken (line {first}); choose another")
        else:
            reason = " ".join(str(getattr(block.error, "abort_reason", block.error)).split()).rstrip(".")
            errors.append(f"{path}:{line}: this entry cannot be read ({reason}); check its braces, quotes and commas")
    return errors


def _strays(library: Library, text: str, path: Path) -> list[str]:
    """Text between entries, and entries that the parser found where no line begins one or the other way round."""
    errors = []
    for comment in library.comments:
        if isinstance(comment, ImplicitComment):
            for offset, line in enumerate(comment.comment.splitlines()):
                if line.strip() and not line.lstrip().startswith("%"):
                    number = (comment.start_line or 0) + offset + 1
                    errors.append(f"{path}:{number}: text outside an entry: {line.strip()[:40]!r}; begin it with %")
                    break
    failed = {block.start_line for block in library.failed_blocks}
    parsed = [block.start_line or 0 for block in library.entries]
    written = {
        text.count("\n", 0, match.start()): match[1]
        for match in _BLOCK.finditer(text)
        if match[1].lower() not in ("comment", "preamble", "string")
    }
    for start in sorted(set(written) - set(parsed) - failed):
        errors.append(f"{path}:{start + 1}: the entry @{written[start]} was not read; check the braces before it")
    for start in sorted({line for line in parsed if line not in written or parsed.count(line) > 1}):
        errors.append(f"{path}:{start + 1}: an entry begins inside this line; give it a line of its own, or drop its @")
    return errors


class _Reader:
    """Turns parsed blocks into entries and collects every error on the way."""

    def __init__(self, path: Path, owners: set[str], people: dict[str, str]) -> None:
        self.path = path
        self.owners = owners
        self.people = people
        self.errors: list[str] = []

    def fail(self, line: int | None, what: str) -> None:
        self.errors.append(f"{self.path}:{(line or 0) + 1}: {what}")

    def warn(self, line: int | None, what: str) -> None:
        log.warning("%s:%d: %s", self.path, (line or 0) + 1, what)

    def entry(self, block: Entry, max_authors: int | None) -> dict[str, Any]:
        fields: dict[str, Field] = {}
        for field in block.fields:
            name = field.key.lower()
            if name in fields:
                self.fail(field.start_line, f"the field {name} stands twice in one entry; remove one")
            fields[name] = field
            self.near_miss(field)
            if field.enclosing == "no-enclosing" and _SWALLOWED.search(self.raw(field)):
                self.fail(
                    field.start_line, f"the field after {field.key} was read into it; end {field.key} with a comma"
                )
        if not block.key:
            self.fail(block.start_line, "the entry has no key; write @" + block.entry_type + "{some-key, …")
        for name in ("title", "author", "year"):
            if not self.raw(fields.get(name)):
                self.fail(block.start_line, f"{block.key} has no {name}; add the field")
        title, year = self.text(fields.get("title")), self.year(fields.get("year"))
        venue = next((fields[name] for name in _VENUES if self.raw(fields.get(name))), None)
        if venue is None:
            self.fail(block.start_line, f"{block.key} has no venue; add journal, booktitle or _venue")
        note = self.text(fields.get("_note") or fields.get("note"))
        authors = self.authors(fields.get("author"), block.key)
        return {
            "key": block.key,
            "type": block.entry_type.lower(),
            "title": title,
            "url": self.address(fields),
            "links": [
                {"label": label, "url": self.url(fields[name])} for name, label in _LINKS.items() if name in fields
            ],
            "authors": authors,
            "byline": byline(authors, max_authors),
            "venue": self.text(venue),
            "year": year,
            "note": note[1:-1].strip() if re.fullmatch(r"\([^()]*\)", note) else note,
            "selected": self.selected(fields.get("selected")),
            "tags": [tag for tag in re.split(r"\s*[,;]\s*", self.raw(fields.get("keywords"))) if tag],
            "bibtex": self.bibtex(block, fields),
        }

    def bibtex(self, block: Entry, fields: dict[str, Field]) -> str:
        """The entry for others to cite: standard fields only, in alphabetical order."""
        kept = {name: self.raw(field) for name, field in sorted(fields.items()) if name in _CITED and self.raw(field)}
        lines = [f"  {name} = {{{value}}},\n" for name, value in kept.items() if _balanced(re.sub(r"\\.", "", value))]
        return f"@{block.entry_type.lower()}{{{block.key},\n{''.join(lines)}}}\n"

    def raw(self, field: Field | None) -> str:
        """A field with white space as BibTeX reads it: any of it is one space."""
        return " ".join(str(field.value).split()) if field is not None else ""

    def near_miss(self, field: Field) -> None:
        name = field.key.lower()
        if name in _OWN and name != field.key:
            self.warn(field.start_line, f"the field {field.key} is read as {name}; write it so")
        # an underscore before a known field switches it off
        if name not in _OWN and name not in _STANDARD and name.lstrip("_") not in {*_OWN, *_STANDARD}:
            near = difflib.get_close_matches(name, _OWN, n=1, cutoff=0.75)
            if near:
                self.warn(field.start_line, f"the field {field.key} is unknown and not shown; did you mean {near[0]}?")

    def text(self, field: Field | None) -> str:
        if field is None:
            return ""
        if field.enclosing == "no-enclosing":
            value = self.raw(field)
            what = f"{field.key} = {value[:40]} is not a defined @string; put the text in braces"
            if not _SWALLOWED.search(value):
                self.fail(field.start_line, what)
            return ""
        try:
            return decode(self.raw(field))
        except ValueError as error:
            self.fail(field.start_line, f"{field.key}: {error}")
            return ""

    def year(self, field: Field | None) -> int:
        text = self.raw(field)
        if field is not None and text and not re.fullmatch(r"(?:1[5-9]|20)[0-9][0-9]", text):
            self.fail(field.start_line, f"the year {text!r} is not a year; write four digits")
        return int(text) if re.fullmatch(r"[0-9]{1,4}", text) else 0

    def url(self, field: Field) -> str:
        text = re.sub(r"\\([%&#_~])", r"\1", re.sub(r"\\url\s*\{(.*)\}", r"\1", self.raw(field)))
        try:
            return safe_url(text)
        except ValueError as error:
            self.fail(field.start_line, f"{field.key}: {error}")
            return ""

    def address(self, fields: dict[str, Field]) -> str | None:
        for name in ("url", "link"):
            if self.raw(fields.get(name)):
                return self.url(fields[name])
        if "doi" in fields:
            doi = re.sub(r"\\([%&#_])", r"\1", self.raw(fields["doi"]))
            doi = re.sub(r"^(?:https?://(?:dx\.)?doi\.org/|doi:\s*)", "", doi, flags=re.IGNORECASE)
            if not re.fullmatch(r"10\.\d{4,9}/[^\s<>\"\\^`{|}]+", doi):
                self.fail(fields["doi"].start_line, f"{doi!r} is not a DOI; write it as 10.1000/182")
            return f"https://doi.org/{doi}"
        return None

    def selected(self, field: Field | None) -> bool:
        text = self.raw(field).lower()
        if field is not None and text not in ("true", "yes", "1", "false", "no", "0"):
            self.fail(field.start_line, f"selected = {text!r} is neither true nor false; write one of them")
        return text in ("true", "yes", "1")

    def authors(self, field: Field | None, key: str) -> list[dict[str, Any]]:
        if field is None or not self.raw(field):
            return []
        if field.enclosing == "no-enclosing":
            self.text(field)
            return []
        try:
            names = split_authors(self.raw(field))
        except ValueError as error:
            self.fail(field.start_line, f"author: {error}")
            return []
        authors = []
        for name, mark in names:
            same = person_key(name)
            authors.append({"name": name, "mark": mark, "owner": same in self.owners, "url": self.people.get(same)})
        owned = sum(bool(author["owner"]) for author in authors)
        if not owned:
            self.fail(field.start_line, f"no author of {key} is the owner of this CV; add the spelling to aliases")
        elif owned > 1:
            self.fail(field.start_line, f"{owned} authors of {key} are the owner of this CV; check its aliases")
        return authors

    def compare(self, blocks: list[Entry], entries: list[dict[str, Any]]) -> None:
        """Errors and warnings that need more than one entry."""
        seen: dict[tuple[str, str], str] = {}
        unknown = {author["name"] for e in entries for author in e["authors"] if not author["owner"]}
        unknown -= {author["name"] for e in entries for author in e["authors"] if author["url"]}
        for block, entry in zip(blocks, entries, strict=True):
            code = next((link["url"] for link in entry["links"] if link["label"] == "code"), "")
            checks = {"key": entry["key"].lower(), "title": entry["title"].casefold(), "codeurl": code}
            for what, value in checks.items():
                first = seen.setdefault((what, value), entry["key"])
                if not value or first is entry["key"]:
                    continue
                message = f"{entry['key']} has the same {what} as {first}; change or remove one"
                self.fail(block.start_line, message) if what == "key" else self.warn(block.start_line, message)
        if self.people and unknown:
            pairs = zip(blocks, entries, strict=True)
            line = next(b.start_line for b, e in pairs if {a["name"] for a in e["authors"]} & unknown)
            names = ", ".join(sorted(unknown)[:3]) + (f" and {len(unknown) - 3} more" if len(unknown) > 3 else "")
            self.warn(line, f"co-authors without an address: {names}; add them to people")


def byline(authors: list[dict[str, Any]], limit: int | None = None) -> list[Node]:
    """ "A", "A and B" or "A, B, and C", the owner in bold including the mark, the others linked where known.

    Of more than ``limit`` authors the first are named, the owner always, and the rest counted.
    """
    names: list[list[Node]] = [_name(author) for author in authors]
    if limit is not None and len(authors) > limit:
        owner = next((index for index, author in enumerate(authors) if author["owner"]), 0)
        named = names[:limit] if owner < limit else [*names[: limit - 1], ["…"], names[owner]]
        hidden = len(authors) - limit
        names = [*named, [f"{hidden} other{'s' * (hidden > 1)}"]]
    nodes: list[Node] = []
    for index, name in enumerate(names):
        if index:
            last = index == len(names) - 1
            nodes.append((" and " if len(names) == 2 else ", and ") if last else ", ")
        nodes += name
    return join(nodes)


def _name(author: dict[str, Any]) -> list[Node]:
    if author["owner"]:
        return [{"strong": [author["name"] + author["mark"]]}]
    if author["url"]:
        return [{"link": [author["name"]], "url": author["url"]}, author["mark"]]
    return [author["name"] + author["mark"]]


def split_authors(text: str) -> list[tuple[str, str]]:
    """Names as "First Last" with their marks (``*``, ``†``) apart, from a BibTeX author list."""
    return [_author(part) for part in _split(text, re.compile(r"(?<!\S)and(?!\S)"))]


def _author(text: str) -> tuple[str, str]:
    if text.lower() == "others":
        raise ValueError("'and others' hides authors; name every one")
    text, mark = _take_marks(text)
    parts = [decode(part) for part in _split(text, re.compile(","))]
    if not all(parts) or len(parts) > 3 or (len(parts) == 3 and not _JUNIOR.fullmatch(parts[1])):
        raise ValueError(f"{' '.join(text.split())!r} is not one name; separate authors by 'and', not by commas")
    last, *rest = parts
    junior = rest.pop(0) if len(rest) == 2 else ""
    return " ".join(part for part in (*rest, last, junior) if part), mark


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
        raise ValueError("there is an empty name between two separators; remove one")
    return parts


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
    "maketitle", "documentclass", "usepackage", "bibliography", "hspace", "vspace", "frac", "nicefrac", "sqrt",
    "phantom", "color", "textcolor", "rule", "footnotemark", "footnotetext", "underset", "overset", "stackrel",
    "substack", "marginpar", "tableofcontents", "appendix",
}  # fmt: skip


def _context() -> Any:
    def unknown(node: Any, **_: Any) -> str:
        raise ValueError(f"\\{node.macroname} is not known here; write the character itself, in UTF-8")

    context = latex2text.get_default_latex_context_db()
    context.set_unknown_macro_spec(latex2text.MacroTextSpec("", simplify_repl=unknown))
    plain = {"LaTeX": "LaTeX", "TeX": "TeX", "BibTeX": "BibTeX", "textasteriskcentered": "*"}
    plain |= dict.fromkeys(["em", "it", "bf", "sl", "sc", "sf", "tt", "rm", "relax", "protect"], "")
    specs = [latex2text.MacroTextSpec(name, simplify_repl=text) for name, text in plain.items()]
    context.add_context_category("names-and-titles", prepend=True, macros=specs)
    return context


_text_decoder = latex2text.LatexNodes2Text(
    latex_context=_context(), math_mode="text", keep_comments=False, strict_latex_spaces=True
)


def decode(text: str) -> str:
    """Unicode for a TeX title, name, venue or note. Raises ValueError where TeX would be left or text lost."""
    if _PLACEHOLDER in text:
        raise ValueError("the private character U+E000 is not text; remove it")
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


def _decode_math(text: str) -> str:
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


def _plain(text: str) -> str:
    for match in re.finditer(r"\\([A-Za-z]+)", text):
        if match[1] in _REFUSED:
            raise ValueError(f"{match[0]} cannot stand here; write plain text (addresses have fields of their own)")
    bare = re.sub(r"\\.", "", text, flags=re.DOTALL)
    if bare.endswith("\\") or bare.count("$") % 2:
        raise ValueError("a lone \\ or $; write \\textbackslash{} or \\$ for the sign itself")
    if not _balanced(bare):
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


def _balanced(text: str) -> bool:
    depth = 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    return depth == 0
