"""The publication list: BibTeX entries as plain data. Every entry is read, or there is an error."""

import dataclasses
import difflib
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bibtexparser.model import Entry, Field

from advgen.cv import dialects
from advgen.cv.bibtex import parse_bibtex, repair_bibtex
from advgen.cv.byline import format_byline
from advgen.cv.citations import format_details, to_bibtex, without_year
from advgen.cv.dialects import (
    ADDRESS_FIELDS,
    CUSTOM_FIELDS,
    FORTHCOMING,
    IGNORED_FIELDS,
    LINK_LABELS,
    READ_FIELDS,
    arxiv_id,
    first_text,
    venue_field,
)
from advgen.cv.inline import safe_url
from advgen.cv.labels import Labels, load_labels
from advgen.cv.names import Name, parse_names, person_key, strip_others
from advgen.cv.references import resolve_references
from advgen.cv.tex import decode
from advgen.cv.text_files import load_text

log = logging.getLogger(__name__)

_SWALLOWED_FIELD = re.compile(r"[}\"\w]\s+[\w-]+\s*=")
_KNOWN_FIELDS = {*READ_FIELDS, *CUSTOM_FIELDS, *IGNORED_FIELDS}
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")


def load(
    path: Path,
    owners: Iterable[str],
    people: Mapping[str, str],
    max_authors: int | None = None,
    *,
    repair: bool = False,
    labels: Labels | None = None,
    style: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Return the entries of a BibTeX file, in file order.

    `owners` are the spellings of the CV owner's name, and `people` maps names of co-authors to addresses. Of more than
    `max_authors` authors some are only counted, never the owner. `repair` accepts repeated fields and `@@`, with a
    warning for each. `style` says how names (`given`, `order`) and citations are printed.

    Raises ValueError with one line `file:line: what; remedy` per error.
    """
    text = load_text(path)
    if repair:
        text, repairs = repair_bibtex(text, path)
        for line in repairs:
            log.warning("%s", line)
    keys = {person_key(name) for name in owners}
    blocks, missing = resolve_references(parse_bibtex(text, path), lambda block: bool(keys & _author_keys(block)))
    known = {person_key(name): url for name, url in people.items()}
    reader = _EntryReader(path, keys, known, max_authors, labels or load_labels(), dict(style or {}))
    for block, key in missing:
        reader.fail(block.start_line, f"{block.key} refers to {key!r}, which is no entry; add it, or remove the field")
    entries = [reader.read(block) for block in blocks]
    reader.compare(blocks, entries)
    if reader.errors:
        raise ValueError("\n".join(dict.fromkeys(reader.errors)))
    return entries


def _author_keys(block: Entry) -> set[str]:
    """Return the person keys of an entry's authors and editors, without those that cannot be parsed."""
    keys = set()
    for field in block.fields:
        if field.key.lower() in ("author", "editor"):
            with suppress(ValueError):
                names = parse_names(strip_others(str(field.value))[0], lambda _: None)
                keys |= {person_key(str(name)) for name in names}
    return keys


@dataclasses.dataclass
class _EntryReader:
    """Turns parsed blocks into entries, and collects every error."""

    path: Path
    owners: set[str]
    people: dict[str, str]
    max_authors: int | None
    labels: Labels
    style: dict[str, str]
    errors: list[str] = dataclasses.field(default_factory=list)

    def fail(self, line: int | None, what: str) -> None:
        self.errors.append(f"{self.path}:{(line or 0) + 1}: {' '.join(what.split())}")  # keys may have line breaks

    def warn(self, line: int | None, what: str) -> None:
        log.warning("%s:%d: %s", self.path, (line or 0) + 1, what)

    def attempt(self, source: Entry | Field, convert: Callable[..., str], *values: Any) -> str:
        """Return a converted text; record the error of an invalid one."""
        try:
            return convert(*values)
        except ValueError as error:
            self.fail(source.start_line, f"{source.key}: {error}")
            return ""

    def read(self, block: Entry) -> dict[str, Any]:
        """Return one entry as it is stored in cv.json."""
        fields = self.collect_fields(block)
        entry_type = block.entry_type.lower()
        kind = dialects.classify(entry_type, fields)
        people = "author" if first_text(fields, "author") or not first_text(fields, "editor") else "editor"
        year_text, month = dialects.read_year(fields)
        required = {"title": first_text(fields, "title"), "author": first_text(fields, people), "year": year_text}
        for name, value in required.items():
            if not value:
                self.fail(block.start_line, f"{block.key} has no {name}; add the field")
        title = self.read_text(fields.get("title"))
        if subtitle := self.read_text(fields.get("subtitle")):
            title = f"{title}{' ' if title[-1:] in '?!:' else ': '}{subtitle}"
        authors, has_others = self.read_authors(fields.get(people), block.key)
        note = self.read_text(fields.get("_note") or self.find_note(fields)) or dialects.read_year_remark(fields)
        facts = self.read_facts(fields)
        year = self.read_year(fields, year_text)
        is_full = self.style.get("citation") == "full"
        whole_venue = self.read_venue(block, kind, fields)
        venue, comma = without_year(whole_venue, year)
        details = format_details(facts, venue_field(fields), month, self.labels) if is_full else ""
        byline = format_byline(authors, self.max_authors, self.labels, self.style, has_others, people == "editor")
        texts = {name: self.squeeze(field) for name, field in fields.items()}
        return {
            "key": block.key,
            "type": entry_type,
            "kind": kind,
            "title": title,
            "url": self.find_url(block, fields),
            "links": [*self.find_links(fields), *(self.link_numbers(block, facts) if is_full else ())],
            "authors": authors,
            "byline": byline,
            "venue": venue,
            "details": details or comma,
            "facts": facts,
            "year": year,
            "note": note[1:-1].strip() if re.fullmatch(r"\([^()]*\)", note) else note,
            "selected": self.is_selected(fields.get("selected")),
            "tags": [_decode_tag(tag) for tag in re.split(r"\s*[,;]\s*", texts.get("keywords", "")) if tag],
            "bibtex": to_bibtex(entry_type, block.key, texts, whole_venue, year),
        }

    def collect_fields(self, block: Entry) -> dict[str, Field]:
        """Return the fields of an entry by their names in lower case."""
        fields: dict[str, Field] = {}
        for field in block.fields:
            name = field.key.lower()
            if name in fields:
                self.fail(field.start_line, f"the field {name} appears twice in one entry; remove one")
            fields[name] = field
            if field.enclosing == "no-enclosing" and _SWALLOWED_FIELD.search(self.squeeze(field)):
                what = f"the field after {field.key} was read as a part of it; end {field.key} with a comma"
                self.fail(field.start_line, what)
        if not block.key:
            self.fail(block.start_line, f"the entry has no key; write @{block.entry_type}{{some-key, …")
        return fields

    def squeeze(self, field: Field | None) -> str:
        """Return the value of a field with any white space as one space, as BibTeX does."""
        return " ".join(str(field.value).split()) if field is not None else ""

    def read_text(self, field: Field | None) -> str:
        """Return a field as plain text."""
        if field is None:
            return ""
        value = self.squeeze(field)
        if field.enclosing == "no-enclosing":
            if not _SWALLOWED_FIELD.search(value):
                what = f"{field.key} = {value[:40]} is not a defined @string; put the text in braces"
                self.fail(field.start_line, what)
            return ""
        return self.attempt(field, decode, value, self.warn_of_macro(field))

    def warn_of_macro(self, field: Field) -> Callable[[str], None]:
        what = "is unknown, and its text is printed as it is; write the character in UTF-8"
        return lambda macro: self.warn(field.start_line, f"{field.key}: {macro} {what}")

    def read_venue(self, block: Entry, kind: str, fields: dict[str, Field]) -> str:
        """Return the venue as it is printed, or record an error if the entry has none."""
        name, arxiv = venue_field(fields), arxiv_id(fields)
        if name in ("journal", "journaltitle") and arxiv and kind == "preprint":
            venue = self.read_text(fields[name])
            return venue if arxiv in venue else f"arXiv:{arxiv}"
        is_only_address = name == "howpublished" and dialects.address_published(fields)
        if name and not is_only_address and not (name == "publisher" and arxiv):
            return self.read_text(fields[name])
        if substitute := dialects.find_substitute_venue(kind, fields):
            return self.attempt(block, decode, substitute)
        if first_text(fields, "note") and kind in ("preprint", "misc"):
            return self.read_text(fields["note"])
        if kind not in ("book", "software", "dataset", "patent") and dialects.read_year(fields)[0] not in FORTHCOMING:
            self.fail(block.start_line, f"{block.key} has no venue; add journal, booktitle or _venue")
        return ""

    def find_note(self, fields: dict[str, Field]) -> Field | None:
        """Return the note, unless it only repeats the arXiv number or an address, or is printed as the venue."""
        text = first_text(fields, "note")
        is_repeated = re.fullmatch(r"arxiv:\s*\S+(\s*\[[\w.-]+\])?|\\url\{[^{}]*\}|https?://\S+", text, re.IGNORECASE)
        is_venue = text and not venue_field(fields) and not dialects.find_substitute_venue("misc", fields)
        return None if is_repeated or is_venue else fields.get("note")

    def read_facts(self, fields: dict[str, Field]) -> dict[str, str]:
        """Return what a full citation adds: volume, number, pages, publisher, DOI, arXiv number."""
        try:
            facts = dialects.read_facts(fields)
        except ValueError as error:
            names = ("volume", "number", "pages", "publisher", "series", "edition")
            self.fail(next((fields[name].start_line for name in names if name in fields), 0), str(error))
            return {}
        doi = self.read_doi(fields)
        return facts | ({"doi": doi} if doi else {})

    def read_doi(self, fields: dict[str, Field]) -> str:
        text = self.squeeze(fields.get("doi"))
        doi = dialects.parse_doi(text)
        if text and not doi:
            self.fail(fields["doi"].start_line, f"{text!r} is not a DOI; write it as 10.1000/182")
        return doi

    def read_year(self, fields: dict[str, Field], text: str) -> int | str:
        if text in FORTHCOMING:
            return self.labels[text]
        field = fields.get("year") if first_text(fields, "year") else fields.get("date")
        if field is not None and text and not re.fullmatch(r"(?:1[5-9]|20)[0-9][0-9]", text):
            self.fail(field.start_line, f"the year {text!r} is not a year; write four digits, or {{to appear}}")
        return int(text) if re.fullmatch(r"[0-9]{1,4}", text) else 0

    def is_selected(self, field: Field | None) -> bool:
        text = self.squeeze(field).lower()
        if field is not None and text not in (*_TRUE, *_FALSE):
            self.fail(field.start_line, f"selected = {text!r} is neither true nor false; write one of them")
        return text in _TRUE

    def find_links(self, fields: dict[str, Field]) -> list[dict[str, str]]:
        """Return the links behind the title, and warn of unknown fields."""
        links = [{"label": label, "url": self.read_url(fields[n])} for n, label in LINK_LABELS.items() if n in fields]
        for name, field in sorted(fields.items()):
            if name in CUSTOM_FIELDS and name != field.key:
                self.warn(field.start_line, f"the field {field.key} is read as {name}; write {name}")
            # an underscore before a known field disables it
            bare = name.lstrip("_")
            is_known = bool({name, bare} & _KNOWN_FIELDS) or bare in ADDRESS_FIELDS
            if is_known and name not in ADDRESS_FIELDS:
                continue
            near = difflib.get_close_matches(name, CUSTOM_FIELDS, n=1, cutoff=0.75)
            value = _unescape_url(self.squeeze(field))
            if near and name not in ADDRESS_FIELDS:
                what = f"the field {field.key} is unknown and not printed; did you mean {near[0]}?"
                self.warn(field.start_line, what)
            elif re.match(r"https?://", value):
                links.append({"label": name, "url": self.read_url(field)})
            elif value:
                what = "has no web address" if name in ADDRESS_FIELDS else "is unknown"
                remedy = "remove it, or give https://…"
                self.warn(field.start_line, f"the field {field.key} {what} and is not printed; {remedy}")
        return links

    def link_numbers(self, block: Entry, facts: dict[str, str]) -> list[dict[str, str]]:
        """Return links of the DOI and the arXiv number."""
        links = []
        if doi := facts.get("doi"):
            links.append({"label": f"doi:{doi}", "url": self.attempt(block, safe_url, dialects.doi_url(doi))})
        if number := facts.get("arxiv"):
            links.append(
                {"label": f"arXiv:{number}", "url": self.attempt(block, safe_url, f"https://arxiv.org/abs/{number}")}
            )
        return links

    def find_url(self, block: Entry, fields: dict[str, Field]) -> str | None:
        """Return the address of a publication, or None."""
        for name in ("url", "link", "ee"):
            if self.squeeze(fields.get(name)):
                return self.read_url(fields[name])
        if doi := self.read_doi(fields):
            return dialects.doi_url(doi)
        if number := arxiv_id(fields):
            return self.attempt(block, safe_url, f"https://arxiv.org/abs/{number}")
        address = dialects.address_published(fields)
        return self.attempt(block, safe_url, address) if address else None

    def read_url(self, field: Field) -> str:
        text = _unescape_url(self.squeeze(field)).replace("<", "%3C").replace(">", "%3E")  # as in SICI numbers
        return self.attempt(field, safe_url, text)

    def read_authors(self, field: Field | None, key: str) -> tuple[list[dict[str, Any]], bool]:
        """Return the authors, and whether the list ends in "and others"."""
        if field is None or not self.squeeze(field):
            return [], False
        if field.enclosing == "no-enclosing":
            self.read_text(field)
            return [], False
        text, has_others = strip_others(self.squeeze(field))
        try:
            names = parse_names(text, self.warn_of_macro(field))
        except ValueError as error:
            self.fail(field.start_line, f"{field.key.lower()}: {error}")
            return [], False
        authors = []
        for name in names:
            person = person_key(str(name))
            parts = {"given": name.given, "family": name.family, "suffix": name.suffix}
            is_owner, url = person in self.owners, self.people.get(person)
            authors.append({"name": str(name), "mark": name.mark, "owner": is_owner, "url": url, "parts": parts})
        owners = sum(bool(author["owner"]) for author in authors)
        if not owners and has_others:
            self.warn(field.start_line, f"'and others' hides the owner of this CV in {key}; name every author")
        elif not owners and self.owners:
            what = f"no author of {key} is the owner of this CV; add {self.suggest_alias(names)} to aliases"
            self.fail(field.start_line, what)
        elif owners > 1:
            self.fail(field.start_line, f"{owners} authors of {key} are the owner of this CV; check its aliases")
        return authors, has_others

    def suggest_alias(self, names: list[Name]) -> str:
        """Return the name that is most similar to the owner's, for a message."""
        spellings = {person_key(str(name)): str(name) for name in names}
        near = [key for owner in self.owners for key in difflib.get_close_matches(owner, spellings, n=1)]
        return f"the spelling {spellings[near[0]]!r}" if near else "the spelling"

    def compare(self, blocks: list[Entry], entries: list[dict[str, Any]]) -> None:
        """Report duplicates, and co-authors without an address."""
        seen: dict[tuple[str, str], str] = {}
        unlinked = {author["name"] for e in entries for author in e["authors"] if not author["owner"]}
        unlinked -= {author["name"] for e in entries for author in e["authors"] if author["url"]}
        for block, entry in zip(blocks, entries, strict=True):
            code = next((link["url"] for link in entry["links"] if link["label"] == "code"), "")
            checks = {"key": entry["key"].lower(), "title": entry["title"].casefold(), "codeurl": code}
            for what, value in checks.items():
                first = seen.setdefault((what, value), entry["key"])
                if not value or first is entry["key"]:
                    continue
                message = f"{entry['key']} has the same {what} as {first}; change or remove one"
                self.fail(block.start_line, message) if what == "key" else self.warn(block.start_line, message)
        if self.people and unlinked:
            pairs = zip(blocks, entries, strict=True)
            line = next(b.start_line for b, e in pairs if {a["name"] for a in e["authors"]} & unlinked)
            more = f" and {len(unlinked) - 3} more" if len(unlinked) > 3 else ""
            names = ", ".join(sorted(unlinked)[:3]) + more
            self.warn(line, f"co-authors without an address: {names}; add them to people")


def _unescape_url(text: str) -> str:
    return re.sub(r"\\([%&#_~])", r"\1", re.sub(r"\\url\s*\{(.*)\}", r"\1", text))


def _decode_tag(text: str) -> str:
    """Return a keyword as plain text; other programs may write invalid TeX there."""
    try:
        return decode(text)
    except ValueError:
        return text
