"""The publication list: BibTeX as people write it, read to plain entries. No entry is ever lost without an error."""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Callable, Iterable, Mapping
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

from advgen.cv import dialects
from advgen.cv.dialects import CITED, LINKS, NAMED_LINKS, NOISE, OWN, READ, VENUES, raw
from advgen.cv.entities import entities_to_tex
from advgen.cv.inline import Node, join, safe_url
from advgen.cv.labels import LANGUAGES, Words, say, when
from advgen.cv.live_values import load_text, unprintable
from advgen.cv.names import Name, initials, parse, person_key, split_authors, without_others
from advgen.cv.tex import balanced, decode, encode

log = logging.getLogger(__name__)
# Everything that bibtexparser logs is raised here with file and line.
logging.getLogger("bibtexparser").setLevel(logging.CRITICAL)

_BLOCK = re.compile(r"^[ \t]*@[ \t]*(\w*)[ \t]*[{(]", re.MULTILINE)
_DOUBLED_AT = re.compile(r"^([ \t]*)@@+(?=[ \t]*\w+[ \t]*[{(])", re.MULTILINE)
_SWALLOWED = re.compile(r"[}\"\w]\s+[\w-]+\s*=")
# A longer name may break across lines, lest it stand out of the page.
_UNBROKEN = 32
_FORTHCOMING = ("to_appear", "in_press", "submitted")


def load(
    path: Path,
    owners: Iterable[str],
    people: Mapping[str, str],
    max_authors: int | None = None,
    *,
    mend: bool = False,
    words: Words = LANGUAGES["en"],
    style: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """The entries of a BibTeX file in file order.

    ``owners`` are the spellings of the CV owner's name, ``people`` maps co-authors' names to addresses; of more than
    ``max_authors`` authors some are only counted, never the owner. ``mend`` forgives what another generator does: a
    field that stands twice in an entry and an ``@`` too many, each with a warning. ``style`` says how names
    (``given``, ``order``) and citations are written. Raises ValueError with one line ``file:line: what; remedy`` per
    error.
    """
    text = load_text(path)
    if mend:
        text, mended = mended_text(text, path)
        for line in mended:
            log.warning("%s", line)
    keys = {person_key(name) for name in owners}
    blocks, lost = dialects.resolve(_parse(text, path), lambda block: bool(keys & _makers(block)))
    known = {person_key(name): url for name, url in people.items()}
    reader = _Reader(path, keys, known, max_authors, words, dict(style or {}))
    for block, key in lost:
        reader.fail(block.start_line, f"{block.key} borrows from {key!r}, which is no entry; add it, or drop the field")
    entries = [reader.entry(block) for block in blocks]
    reader.compare(blocks, entries)
    if reader.errors:
        raise ValueError("\n".join(dict.fromkeys(reader.errors)))
    return entries


def _makers(block: Entry) -> set[str]:
    """The authors and editors of an entry as ``person_key`` writes them; what cannot be read as a name is left out."""
    found = set()
    for field in block.fields:
        if field.key.lower() in ("author", "editor"):
            with suppress(ValueError):
                found |= {person_key(str(name)) for name in parse(without_others(str(field.value))[0], lambda _: None)}
    return found


def names(path: Path) -> list[str]:
    """Every author's name of a BibTeX file, once, in file order; what cannot be read as a name is left out."""
    found: dict[str, None] = {}
    for block in _parse(mended_text(load_text(path), path)[0], path):
        for field in block.fields:
            if field.key.lower() == "author":
                with suppress(ValueError):
                    found |= dict.fromkeys(
                        name for name, _ in split_authors(without_others(str(field.value))[0], lambda _: None)
                    )
    return list(found)


def fields(path: Path) -> list[Any]:
    """What a file says: the type, key and sorted fields of every entry, in file order, and how much had to be mended.

    Raises ValueError for what is no BibTeX.
    """
    text, mended = mended_text(load_text(path), path)
    read: list[Any] = [
        (
            entry.entry_type.lower(),
            entry.key,
            # a name that is no @string is an error, the same text in braces is none
            sorted((one.key.lower(), str(one.value).split(), one.enclosing == "no-enclosing") for one in entry.fields),
        )
        for entry in _parse(text, path)
    ]
    return [*read, len(mended)]


def mended_text(text: str, path: Path) -> tuple[str, list[str]]:
    """A BibTeX text without ``@@`` and without fields that stand twice, and one line for each that was mended.

    Of a field with two values the first is kept, as the other generator does. Raises ValueError where such a field
    shares its line with something else.
    """
    said = [
        (text.count("\n", 0, match.start()) + 1, "an @ too many before the entry; taken out")
        for match in _DOUBLED_AT.finditer(text)
    ]
    text = _DOUBLED_AT.sub(r"\1@", text)
    lines = text.split("\n")
    for block in Splitter(text).split().failed_blocks:
        if not isinstance(block, DuplicateFieldKeyBlock):
            continue
        entry = block.ignore_error_block
        assert isinstance(entry, Entry)
        starts = sorted(field.start_line or 0 for field in entry.fields)
        kept: dict[str, Field] = {}
        for field in entry.fields:
            first = kept.setdefault(field.key, field)
            if first is field:
                continue
            start = field.start_line or 0
            # bibtexparser counts the lines of a field from its key
            end = next((line for line in starts if line > start), start + 1 + str(field.value).count("\n"))
            if starts.count(start) > 1:
                raise ValueError(f"{path}:{start + 1}: the field {field.key} stands twice in one entry; remove one")
            what = "the same value; kept once"
            if first.value != field.value:
                dropped = " ".join(str(field.value).strip('{}"').split())
                what = f"another value; the first is kept, {dropped} is not"
            said.append((start + 1, f"the field {field.key} stands twice with {what}"))
            lines[start:end] = [""] * (end - start)  # the lines after it keep their numbers
    return "\n".join(lines), [f"{path}:{number}: {what}" for number, what in sorted(said)]


def group(
    entries: list[dict[str, Any]],
    earlier: int | None,
    numbering: str = "up",
    by: str = "year",
    words: Words = LANGUAGES["en"],
) -> list[dict[str, Any]]:
    """Entries in groups by year, type, tag or venue, newest first, in file order inside a year, numbered through.

    Years to ``earlier`` are one group; what has not appeared comes first. ``numbering`` "up" gives the first entry the
    number 1, "down" the last.
    """
    ordered = sorted(entries, key=lambda entry: -_year(entry))
    titles = {id(entry): _title(entry, by, earlier, words) for entry in ordered}
    if by != "year":
        order = list(dict.fromkeys(titles.values()))
        if by == "type":
            known = [words[name] for name in LANGUAGES["en"] if words.get(name) in order]
            order = sorted(order, key=lambda title: known.index(title) if title in known else len(known))
        ordered.sort(key=lambda entry: order.index(titles[id(entry)]))
    groups: list[dict[str, Any]] = []
    for number, entry in zip(numbers(len(ordered), numbering), ordered, strict=True):
        title = titles[id(entry)]
        if not groups or groups[-1]["title"] != title:
            groups.append({"title": title, "entries": []})
        groups[-1]["entries"].append({"number": number, **entry})
    return groups


def _year(entry: dict[str, Any]) -> int:
    return entry["year"] if isinstance(entry["year"], int) else 9999


def _title(entry: dict[str, Any], by: str, earlier: int | None, words: Words) -> str:
    """The heading that an entry stands under."""
    if by == "year":
        if earlier is not None and _year(entry) <= earlier:
            return say(words, "earlier", year=earlier)
        year = str(entry["year"])
        return year[:1].upper() + year[1:]
    if by == "type":
        return words[entry["kind"]]
    if by == "tag":
        return entry["tags"][0] if entry["tags"] else words["misc"]
    if by == "venue":
        # a preprint's number is no venue
        return re.sub(r"^arXiv\b.*", "arXiv", str(entry["venue"]), flags=re.IGNORECASE) or words["misc"]
    return ""


def numbers(count: int, numbering: str) -> range:
    """The numbers of a list, "up" from 1 or "down" to 1."""
    return range(1, count + 1) if numbering == "up" else range(count, 0, -1)


def _parse(text: str, path: Path) -> list[Entry]:
    for number, line in enumerate(text.split("\n"), start=1):
        if bad := unprintable(line):
            raise ValueError(f"{path}:{number}: the text holds the control character {bad}; remove it")
    try:
        library = Splitter(text).split()
        dialects.concatenate(library)
        for middleware in default_parse_stack():
            library = middleware.transform(library)
    except ParserStateException as error:
        raise ValueError(f"{path}: not valid BibTeX ({error.message}); check its braces and quotes") from error
    errors = [*_failures(library, path), *_strays(library, text, path)]
    if errors:
        raise ValueError("\n".join(errors))
    for entry in library.entries:
        for field in entry.fields:
            field.key = field.key.rsplit("\n", 1)[-1].strip()  # after a line of comment
            if field.enclosing != "no-enclosing":
                field.value = entities_to_tex(str(field.value))
    return library.entries


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

    def __init__(
        self,
        path: Path,
        owners: set[str],
        people: dict[str, str],
        max_authors: int | None,
        words: Words,
        style: dict[str, str],
    ) -> None:
        self.path = path
        self.owners = owners
        self.people = people
        self.max_authors = max_authors
        self.words = words
        self.style = style
        self.errors: list[str] = []

    def fail(self, line: int | None, what: str) -> None:
        # a key may hold a line break
        self.errors.append(f"{self.path}:{(line or 0) + 1}: {' '.join(what.split())}")

    def warn(self, line: int | None, what: str) -> None:
        log.warning("%s:%d: %s", self.path, (line or 0) + 1, what)

    def entry(self, block: Entry) -> dict[str, Any]:
        fields: dict[str, Field] = {}
        entry_type = block.entry_type.lower()
        for field in block.fields:
            name = field.key.lower()
            if name in fields:
                self.fail(field.start_line, f"the field {name} stands twice in one entry; remove one")
            fields[name] = field
            if field.enclosing == "no-enclosing" and _SWALLOWED.search(self.raw(field)):
                self.fail(
                    field.start_line, f"the field after {field.key} was read into it; end {field.key} with a comma"
                )
        if not block.key:
            self.fail(block.start_line, "the entry has no key; write @" + block.entry_type + "{some-key, …")
        kind = dialects.kind(entry_type, fields)
        people = "author" if raw(fields, "author") or not raw(fields, "editor") else "editor"
        year, month = dialects.year(fields)
        for name, given in (("title", raw(fields, "title")), ("author", raw(fields, people)), ("year", year)):
            if not given:
                self.fail(block.start_line, f"{block.key} has no {name}; add the field")
        title = self.text(fields.get("title"))
        if subtitle := self.text(fields.get("subtitle")):
            title = f"{title}{' ' if title[-1:] in '?!:' else ': '}{subtitle}"
        authors, others = self.authors(fields.get(people), block.key)
        note = self.text(fields.get("_note") or self.noted(fields)) or dialects.remark(fields)
        facts = self.facts(fields)
        shown = self.year(fields, year)
        full = self.style.get("citation") == "full"
        printed = self.venue(block, kind, fields)
        venue, comma = _without_year(printed, shown)
        return {
            "key": block.key,
            "type": entry_type,
            "kind": kind,
            "title": title,
            "url": self.address(block, fields),
            "links": [*self.links(fields), *(self.numbered(block, facts) if full else ())],
            "authors": authors,
            "byline": byline(authors, self.max_authors, self.words, self.style, others, people == "editor"),
            "venue": venue,
            "details": (self.details(facts, venue_field(fields), month) if full else "") or comma,
            "facts": facts,
            "year": shown,
            "note": note[1:-1].strip() if re.fullmatch(r"\([^()]*\)", note) else note,
            "selected": self.selected(fields.get("selected")),
            "tags": [_tag(tag) for tag in re.split(r"\s*[,;]\s*", self.raw(fields.get("keywords"))) if tag],
            "bibtex": self.bibtex(block, fields, printed, shown),
        }

    def venue(self, block: Entry, kind: str, fields: dict[str, Field]) -> str:
        """The venue as it is printed; an error where an entry says nothing of where it appeared."""
        name = venue_field(fields)
        if name == "howpublished" and dialects.address(fields):
            name = ""
        if name in ("journal", "journaltitle") and dialects.arxiv(fields) and kind == "preprint":
            shown = self.text(fields[name])
            return shown if dialects.arxiv(fields) in shown else f"arXiv:{dialects.arxiv(fields)}"
        if name == "publisher" and dialects.arxiv(fields):
            name = ""
        if name:
            return self.text(fields[name])
        if found := dialects.venue(kind, fields):
            try:
                return decode(found)
            except ValueError as error:
                self.fail(block.start_line, f"{block.key}: {error}")
                return ""
        if raw(fields, "note") and kind in ("preprint", "misc"):
            return self.text(fields["note"])
        if kind in ("book", "software", "dataset", "patent") or dialects.year(fields)[0] in _FORTHCOMING:
            return ""
        self.fail(block.start_line, f"{block.key} has no venue; add journal, booktitle or _venue")
        return ""

    def noted(self, fields: dict[str, Field]) -> Field | None:
        """The note, unless it only repeats the arXiv number, an address, or stands for the venue."""
        text = raw(fields, "note")
        repeated = re.fullmatch(r"arxiv:\s*\S+(\s*\[[\w.-]+\])?|\\url\{[^{}]*\}|https?://\S+", text, re.IGNORECASE)
        stands = not venue_field(fields) and not dialects.venue("misc", fields)
        return None if repeated or (text and stands) else fields.get("note")

    def facts(self, fields: dict[str, Field]) -> dict[str, str]:
        """What a full citation adds: volume, number, pages, publisher, DOI, arXiv number."""
        try:
            found = dialects.facts(fields)
        except ValueError as error:
            names = ("volume", "number", "pages", "publisher", "series", "edition")
            self.fail(next((fields[name].start_line for name in names if name in fields), 0), str(error))
            return {}
        doi = self.doi(fields)
        return found | ({"doi": doi} if doi else {})

    def details(self, facts: dict[str, str], venue: str, month: str) -> str:
        """ "12(3), 45–67, Springer", with a space or comma before and a comma behind."""
        volume, number, series = (facts.get(name, "") for name in ("volume", "number", "series"))
        issue = f"{volume}({number})" if volume else say(self.words, "number", number=number)
        issue = issue if number else volume
        if series:
            issue = f"{series} {issue}".strip()
        elif volume and venue == "publisher":
            issue = say(self.words, "volume", volume=issue)  # not a number of the publisher's
        parts = [issue, facts.get("pages", "")]
        parts += [facts.get("publisher", "") if venue != "publisher" else ""]
        if month:
            parts.append(when(f"0000-{int(month):02d}", self.words).split()[0])
        shown = ", ".join(part for part in parts if part)
        # only a journal's number stands right behind it
        apart = venue in ("booktitle", "publisher") and any(parts[:2]) and not issue[:1].isdigit()
        before = ", " if apart else " "
        return f"{before}{shown}," if shown and not month else f"{before}{shown}" if shown else ""

    def numbered(self, block: Entry, facts: dict[str, str]) -> list[dict[str, str]]:
        found = []
        if doi := facts.get("doi"):
            found.append({"label": f"doi:{doi}", "url": self.safe(block, dialects.doi_address(doi))})
        if number := facts.get("arxiv"):
            found.append({"label": f"arXiv:{number}", "url": self.safe(block, f"https://arxiv.org/abs/{number}")})
        return found

    def links(self, fields: dict[str, Field]) -> list[dict[str, str]]:
        """The links behind the title: ours, and every other field that holds an address."""
        found = [{"label": label, "url": self.url(fields[name])} for name, label in LINKS.items() if name in fields]
        for name, field in sorted(fields.items()):
            if name in OWN and name != field.key:
                self.warn(field.start_line, f"the field {field.key} is read as {name}; write it so")
            # an underscore before a known field switches it off
            known = {name, name.lstrip("_")} & {*READ, *OWN, *NOISE} or name.lstrip("_") in NAMED_LINKS
            if known and name not in NAMED_LINKS:
                continue
            near = difflib.get_close_matches(name, OWN, n=1, cutoff=0.75)
            value = re.sub(r"\\([%&#_~])", r"\1", re.sub(r"\\url\s*\{(.*)\}", r"\1", self.raw(field)))
            if near and name not in NAMED_LINKS:
                self.warn(field.start_line, f"the field {field.key} is unknown and not shown; did you mean {near[0]}?")
            elif re.match(r"https?://", value):
                found.append({"label": name, "url": self.url(field)})
            elif value:
                what = "holds no web address" if name in NAMED_LINKS else "is read by nothing"
                self.warn(
                    field.start_line, f"the field {field.key} {what} and is not shown; remove it, or give https://…"
                )
        return found

    def bibtex(self, block: Entry, fields: dict[str, Field], venue: str, year: int | str) -> str:
        """The entry for others to cite: standard fields only, in one order whatever that of the file.

        The field for the venue and the year, if the type requires them and they are given elsewhere, such as in
        ``_venue`` or the arXiv number, are added.
        """
        entry_type = block.entry_type.lower()
        kept = {name: self.raw(field) for name, field in fields.items() if name in CITED and self.raw(field)}
        kept = {name: value for name, value in kept.items() if balanced(re.sub(r"\\.", "", value))}
        places = dialects.REQUIRED_VENUES.get(entry_type, ("howpublished",))
        required = entry_type in dialects.REQUIRED_VENUES or "_venue" in fields
        if required and venue and not kept.keys() & {*places}:
            kept[places[0]] = encode(venue)
        if isinstance(year, int) and year and not kept.keys() & {"year", "date"}:
            kept["year"] = str(year)
        first = [name for name in ("title", "author") if name in kept]
        ordered = [*first, *sorted(name for name in kept if name not in first)]
        lines = [f"  {name} = {{{kept[name]}}},\n" for name in ordered]
        return f"@{entry_type}{{{block.key},\n{''.join(lines)}}}\n"

    def raw(self, field: Field | None) -> str:
        """A field with white space as BibTeX reads it: any of it is one space."""
        return " ".join(str(field.value).split()) if field is not None else ""

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
            return decode(self.raw(field), self.unknown(field))
        except ValueError as error:
            self.fail(field.start_line, f"{field.key}: {error}")
            return ""

    def unknown(self, field: Field) -> Callable[[str], None]:
        """Warns of a macro that nothing here knows."""
        what = "is unknown and its text is printed plainly; write the character in UTF-8"
        return lambda macro: self.warn(field.start_line, f"{field.key}: {macro} {what}")

    def year(self, fields: dict[str, Field], text: str) -> int | str:
        if text in _FORTHCOMING:
            return self.words[text]
        field = fields.get("year") if raw(fields, "year") else fields.get("date")
        if field is not None and text and not re.fullmatch(r"(?:1[5-9]|20)[0-9][0-9]", text):
            self.fail(field.start_line, f"the year {text!r} is not a year; write four digits, or {{to appear}}")
        return int(text) if re.fullmatch(r"[0-9]{1,4}", text) else 0

    def url(self, field: Field) -> str:
        text = re.sub(r"\\([%&#_~])", r"\1", re.sub(r"\\url\s*\{(.*)\}", r"\1", self.raw(field)))
        text = text.replace("<", "%3C").replace(">", "%3E")  # as in SICI numbers
        try:
            return safe_url(text)
        except ValueError as error:
            self.fail(field.start_line, f"{field.key}: {error}")
            return ""

    def safe(self, block: Entry, url: str) -> str:
        """An address that was put together from an entry."""
        try:
            return safe_url(url)
        except ValueError as error:
            self.fail(block.start_line, f"{block.key}: {error}")
            return ""

    def address(self, block: Entry, fields: dict[str, Field]) -> str | None:
        for name in ("url", "link", "ee"):
            if self.raw(fields.get(name)):
                return self.url(fields[name])
        if doi := self.doi(fields):
            return dialects.doi_address(doi)
        if found := dialects.arxiv(fields):
            return self.safe(block, f"https://arxiv.org/abs/{found}")
        found = dialects.address(fields)
        return self.safe(block, found) if found else None

    def doi(self, fields: dict[str, Field]) -> str:
        text = self.raw(fields.get("doi"))
        doi = dialects.doi(text)
        if text and not doi:
            self.fail(fields["doi"].start_line, f"{text!r} is not a DOI; write it as 10.1000/182")
        return doi

    def selected(self, field: Field | None) -> bool:
        text = self.raw(field).lower()
        if field is not None and text not in ("true", "yes", "1", "false", "no", "0"):
            self.fail(field.start_line, f"selected = {text!r} is neither true nor false; write one of them")
        return text in ("true", "yes", "1")

    def authors(self, field: Field | None, key: str) -> tuple[list[dict[str, Any]], bool]:
        """The authors, and whether there are others who are not named."""
        if field is None or not self.raw(field):
            return [], False
        if field.enclosing == "no-enclosing":
            self.text(field)
            return [], False
        text, others = without_others(self.raw(field))
        try:
            names = parse(text, self.unknown(field))
        except ValueError as error:
            self.fail(field.start_line, f"{field.key.lower()}: {error}")
            return [], False
        authors = []
        for name in names:
            same = person_key(str(name))
            parts = {"given": name.given, "family": name.family, "suffix": name.suffix}
            owner, url = same in self.owners, self.people.get(same)
            authors.append({"name": str(name), "mark": name.mark, "owner": owner, "url": url, "parts": parts})
        owned = sum(bool(author["owner"]) for author in authors)
        if not owned and others:
            self.warn(field.start_line, f"'and others' hides the owner of this CV in {key}; name every author")
        elif not owned and self.owners:
            self.fail(
                field.start_line, f"no author of {key} is the owner of this CV; add {self.alike(names)} to aliases"
            )
        elif owned > 1:
            self.fail(field.start_line, f"{owned} authors of {key} are the owner of this CV; check its aliases")
        return authors, others

    def alike(self, names: list[Name]) -> str:
        """The name that looks most like the owner's, for a message."""
        spellings = {person_key(str(name)): str(name) for name in names}
        near = [key for owner in self.owners for key in difflib.get_close_matches(owner, spellings, n=1)]
        return f"the spelling {spellings[near[0]]!r}" if near else "the spelling"

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


def _tag(text: str) -> str:
    """A keyword as plain text; what programs write there may be no TeX."""
    try:
        return decode(text)
    except ValueError:
        return text


def _without_year(venue: str, year: int | str) -> tuple[str, str]:
    """A venue without the year that ends it, for that is printed behind it, and the comma that stood between them."""
    found = re.search(rf"(?<=\w)(?:(,?)\s+{year}|\s*\({year}\))$", venue)
    return (venue[: found.start()], found[1] or "") if found else (venue, "")


def venue_field(fields: Mapping[str, Field]) -> str:
    """The field whose text stands for the venue."""
    return next((name for name in VENUES if raw(fields, name)), "")


def byline(
    authors: list[dict[str, Any]],
    limit: int | None = None,
    words: Words = LANGUAGES["en"],
    style: Mapping[str, str] | None = None,
    others: bool = False,
    editors: bool = False,
) -> list[Node]:
    """ "A", "A and B" or "A, B, and C", the owner in bold including the mark, the others linked where known.

    Of more than ``limit`` authors the first are named, the owner always, and the rest counted.
    """
    names: list[list[Node]] = [_name(author, style or {}) for author in authors]
    if limit is not None and len(authors) > limit:
        owner = next((index for index, author in enumerate(authors) if author["owner"]), 0)
        named = names[:limit] if owner < limit else [*names[: limit - 1], ["…"], names[owner]]
        hidden = len(authors) - limit
        names = [*named, [say(words, "others" if hidden > 1 else "other", count=hidden)]]
    elif others:
        names.append([say(words, "others", count="").strip()])
    nodes: list[Node] = []
    for index, name in enumerate(names):
        if index:
            last = index == len(names) - 1
            nodes.append((words["two"] if len(names) == 2 else words["last"]) if last else ", ")
        nodes += name
    if editors and authors:
        nodes.append(f" {words['editors' if len(authors) > 1 else 'editor']}")
    return join(nodes)


def _name(author: dict[str, Any], style: Mapping[str, str]) -> list[Node]:
    name, mark = shown_name(author, style), author["mark"]
    nodes: list[Node] = [name + mark]
    if author["owner"]:
        nodes = [{"strong": [name + mark]}]
    elif author["url"]:
        nodes = join([{"link": [name], "url": author["url"]}, mark])
    return [{"keep": nodes}] if " " in name and len(name) <= _UNBROKEN else nodes


def shown_name(author: dict[str, Any], style: Mapping[str, str]) -> str:
    """An author's name in the form that the style asks for."""
    if not style or "parts" not in author:
        return str(author["name"])
    name = Name(**author["parts"])
    if name.eastern:
        return str(name)
    given = initials(name.given) if style.get("given") == "initials" else name.given
    if style.get("order") == "family-first" and given:
        return ", ".join(part for part in (name.family, name.suffix, given) if part)
    return str(Name(given, name.family, name.suffix))
