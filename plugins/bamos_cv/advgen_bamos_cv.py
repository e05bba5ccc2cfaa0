"""Plug-in for advgen: reads the cv.yaml of the generator bamos/cv as a profile.

It converts keys, strings in LaTeX or HTML, and parts of authors' names, of files of any year.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advgen.cv import inline
from advgen.cv.bibtex import parse_bibtex, repair_bibtex
from advgen.cv.labels import load_labels
from advgen.cv.names import parse_names, person_key, strip_others
from advgen.cv.tex import decode
from advgen.cv.text_files import load_text
from advgen.cv.yaml_files import Document, Location

# bamos/cv has this year in its code
EARLIER = 2015
_SECTIONS = {
    "current_position": "position",
    "education": "education",
    "positions": "positions",
    "industry": "positions",
    "research": "positions",
    "honors": "honors",
    "all_publications": "publications",
    "publications": "publications",
    "repos": "repositories",
    "talks": "talks",
    "advising": "students",
    "service": "service",
    "reviewing": "reviewing",
    "teaching": "teaching",
    "skills": "skills",
}
_ORDERS = ("order", "order_latex", "order_md")
_LAYOUT = ("NEWPAGE", "PAGEBREAK")
# Keys for one thing in sections that a profile has no key for, the preferred one first
_ITEM_TITLES = ("title", "name", "role", "position", "degree", "place", "venue", "details", "descr", "desc", "text")
_ITEM_ORGANIZATIONS = ("organization", "place", "venue", "school", "institution", "event", "conference", "agency")
_ITEM_DATES = ("dates", "year", "years", "date", "semester")
_SOCIAL = {
    "github": ("{}", "https://github.com/{}"),
    "twitter": ("@{}", "https://twitter.com/{}"),
    "linkedin": ("in/{}", "https://www.linkedin.com/in/{}"),
    "google_scholar": ("Google Scholar", "https://scholar.google.com/citations?user={}"),
    "semantic_scholar": ("Semantic Scholar", "https://www.semanticscholar.org/author/{}"),
}
_FORMATTED = re.compile(
    r"\\(?P<link>href)\s*(?=\{)|\\(?P<url>url)\s*(?=\{)|\\text(?P<bold>bf)\s*(?=\{)|\\(?P<italic>textit|emph)\s*(?=\{)"
    r"|\{\\(?P<old>bf|it|em)(?![A-Za-z])\s*|<(?P<tag>b|i|em|strong)>|<br\s*/?>"
)


@dataclass(frozen=True)
class _Located:
    """A value of the profile, and its place in the original file."""

    value: Any
    at: Location


def convert(document: Document, bib: Path | None) -> tuple[Document, list[str]]:
    """Return the profile in a cv.yaml, with the lines of that file, and one line per value without a place in it.

    Raises ValueError, one line per error, for values that cannot be read.
    """
    converter = _Converter(document, bib)
    tree = converter.profile()
    if converter.errors:
        raise ValueError("\n".join(converter.errors))
    lines: dict[Location, int] = {}
    data = _unwrap(tree, (), document, lines)
    return Document(document.path, data, lines, {}), converter.unused()


def markup(text: str, on_unknown_macro: Callable[[str], None] | None = None) -> str:
    """Return a string in LaTeX or with HTML tags as inline markup with links, bold and italic text.

    Other macros are errors or, with `on_unknown_macro`, replaced by their text and passed to it.
    """
    parts, end = [], 0
    while match := _FORMATTED.search(text, end):
        parts.append(_text(text[end : match.start()], on_unknown_macro))
        end = match.end()
        if match["link"]:
            address, end = _braced(text, end)
            label, end = _braced(text, end)
            parts.append(f"[{markup(label, on_unknown_macro)}]({inline.safe_url(_address(address))})")
        elif match["url"]:
            address, end = _braced(text, end)
            parts.append(f"[{inline.escape(_address(address))}]({inline.safe_url(_address(address))})")
        elif match["tag"]:
            close = f"</{match['tag']}>"
            stop = text.find(close, end)
            if stop < 0:
                raise ValueError(f"<{match['tag']}> is never closed; add {close}")
            parts.append(_marked(text[end:stop], "**" if match["tag"] in ("b", "strong") else "*", on_unknown_macro))
            end = stop + len(close)
        elif match["old"]:
            content, end = _braced(text, match.start(), match.end() - match.start())
            parts.append(_marked(content, "**" if match["old"] == "bf" else "*", on_unknown_macro))
        elif match[0].startswith("<br"):
            parts.append(" ")
        else:
            content, end = _braced(text, end)
            parts.append(_marked(content, "**" if match["bold"] else "*", on_unknown_macro))
    return " ".join("".join([*parts, _text(text[end:], on_unknown_macro)]).split())


def _marked(text: str, sign: str, on_unknown_macro: Callable[[str], None] | None) -> str:
    inner = markup(text, on_unknown_macro)
    return f"{sign}{inner}{sign}" if inner else ""


def _text(text: str, on_unknown_macro: Callable[[str], None] | None) -> str:
    """Return plain LaTeX text as markup, with its outer spaces."""
    if not text.strip():
        return " " if text else ""
    before, after = " " * text[0].isspace(), " " * text[-1].isspace()
    return before + inline.escape(decode(text, on_unknown_macro)) + after


def list_author_names(path: Path) -> list[str]:
    """Return every author's name of a BibTeX file once, in file order, without those that cannot be parsed."""
    names: dict[str, None] = {}
    for block in parse_bibtex(repair_bibtex(load_text(path), path)[0], path):
        for field in block.fields:
            if field.key.lower() == "author":
                with suppress(ValueError):
                    authors = parse_names(strip_others(str(field.value))[0], lambda _: None)
                    names |= dict.fromkeys(map(str, authors))
    return list(names)


def _braced(text: str, start: int, skip: int = 1) -> tuple[str, int]:
    """Return what is between a brace and its partner, and the index behind it."""
    start += len(text[start:]) - len(text[start:].lstrip())
    if text[start : start + 1] != "{":
        raise ValueError("a LaTeX command has no {…}; add the braces")
    depth, index = 0, start
    while index < len(text):
        if text[index] == "\\":
            index += 1
        else:
            depth += (text[index] == "{") - (text[index] == "}")
        index += 1
        if depth == 0:
            return text[start + skip : index - 1], index
    raise ValueError("unbalanced braces; add or remove one")


def _address(text: str) -> str:
    return re.sub(r"\\([%&#_~])", r"\1", text.strip())


def _unwrap(tree: Any, at: Location, document: Document, lines: dict[Location, int]) -> Any:
    """Return the data of a tree; a map or list has the line of its first value."""
    if isinstance(tree, _Located):
        lines[at] = document.line(tree.at)
        return tree.value
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    plain = {key: _unwrap(value, (*at, key), document, lines) for key, value in items}
    below = [lines[(*at, key)] for key in plain if (*at, key) in lines]
    if at and below:
        lines[at] = min(below)
    return plain if isinstance(tree, dict) else list(plain.values())


class _Converter:
    """Walks the original file once, and keeps track of the values that it used."""

    def __init__(self, document: Document, bib: Path | None) -> None:
        self.document = document
        self.names = list_author_names(bib) if bib else []
        self.folder = bib.parent if bib else document.path.parent
        self.used: set[Location] = set()
        self.errors: list[str] = []
        self.notes: list[str] = []
        order = next((name for name in _ORDERS if isinstance(document.data.get(name), list)), "order")
        named = [self.tag(item)[0] for item in document.data.get(order) or ()]
        jobs = ("positions", "industry", "research")
        # lists that the order leaves out repeat what the others have
        self.lists = [key for key in dict.fromkeys(named) if key in jobs] or jobs
        data = document.data
        self.custom = [tag for tag in dict.fromkeys(named) if tag not in _SECTIONS and self.is_section(data.get(tag))]

    def is_section(self, value: Any) -> bool:
        """Whether a value can become a custom section: texts, entries, or publications of another file."""
        return self.is_list(value) or (isinstance(value, dict) and self.find_bibliography(value).is_file())

    def find_bibliography(self, value: dict[str, Any]) -> Path:
        """Return the file of another bibliography, which is in the folder of the first one."""
        return self.folder / Path(str(value.get("file"))).name

    def is_list(self, value: Any) -> bool:
        """Whether a value is a text, a list of texts, or a list of maps."""
        if isinstance(value, str):
            return bool(value.strip())
        kinds = (str | int | float, dict)
        return (
            isinstance(value, list) and bool(value) and any(all(isinstance(v, kind) for v in value) for kind in kinds)
        )

    def get(self, *at: str | int) -> Any:
        value = self.document.data
        for part in at:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return None
        return value

    def items(self, *at: str | int) -> Iterator[Location]:
        value = self.get(*at)
        if isinstance(value, dict):
            lists = [key for key, child in value.items() if isinstance(child, list)]
            if len(lists) == 1:  # with a note next to it
                yield from self.items(*at, lists[0])
                return
        if value is not None and not isinstance(value, list):
            self.errors.append(f"{self.document.where(at)}: {at[-1]} is not a list; begin each item with a hyphen")
        for index, item in enumerate(value if isinstance(value, list) else ()):
            if isinstance(item, dict):
                yield (*at, index)
            else:
                self.errors.append(f"{self.document.where((*at, index))}: {item!r} is not a map; write its keys")

    def text(self, *at: str | int) -> _Located | None:
        """Return a LaTeX string as markup."""
        value = self.get(*at)
        if value is None or isinstance(value, dict | list):
            return None
        self.used.add(at)
        try:
            return _Located(markup(str(value), self.note_macro(at)), at)
        except ValueError as error:
            self.errors.append(f"{self.document.where(at)}: {at[-1]}: {error}")
            return None

    def note_macro(self, at: Location) -> Callable[[str], None]:
        return lambda macro: self.note(at, f"{_name(at)}: {macro} is unknown, and its text is printed as it is")

    def linked(self, text: _Located | None, *at: str | int) -> _Located | None:
        """Return a text with the address next to it."""
        url = self.url(*at)
        return _Located(f"[{text.value}]({url.value})", text.at) if text and url and "](" not in text.value else text

    def raw(self, *at: str | int) -> _Located | None:
        value = self.get(*at)
        if value is None:
            return None
        self.used.add(at)
        return _Located(value, at)

    def url(self, *at: str | int) -> _Located | None:
        found = self.raw(*at)
        return found and _Located(_address(str(found.value)), at)

    def dates(self, *at: str | int) -> dict[str, Any]:
        value = self.get(*at)
        if value is None:
            return {}
        self.used.add(at)
        text = str(value).strip()
        span = re.fullmatch(r"(\d{4})\s*(?:-{1,3}|–|—)\s*(\d{4}|[Pp]resent)", text)
        if span:
            return {"start": _Located(int(span[1]), at), "end": _Located(span[2], at)}
        return {"date": _Located(re.sub(r"\s*-{2,3}\s*", " – ", text), at)}

    def unused(self) -> list[str]:
        """Return one line for every value that was not used."""
        found = [
            f"{self.document.where(at)}: {_name(at)} has no place in a profile" for at in self.unused_leaves((), None)
        ]
        return [*self.notes, *found]

    def unused_leaves(self, at: Location, value: Any) -> Iterator[Location]:
        value = self.document.data if not at else value
        if at in self.used:
            return
        if isinstance(value, dict):
            for key, child in value.items():
                yield from self.unused_leaves((*at, key), child)
        elif isinstance(value, list):
            for index, child in enumerate(value):
                yield from self.unused_leaves((*at, index), child)
        elif value is not None:
            yield at

    def note(self, at: Location, what: str) -> None:
        line = f"{self.document.where(at)}: {what}"
        if line not in self.notes:
            self.notes.append(line)

    def profile(self) -> dict[str, Any]:
        first, last = self.text("name", "first"), self.text("name", "last")
        name = " ".join(str(part.value) for part in (first, last) if part)
        site = self.url("url")
        if site and "://" not in site.value:
            site = _Located(f"https://{site.value}", site.at)
        tree: dict[str, Any] = {
            "name": _Located(name, ("name",)),
            "aliases": self.aliases(name),
            "email": self.raw("email"),
            "site": site,
            "links": list(self.links()),
            "earlier": _Located(EARLIER, ("all_publications",)),
            "order": self.order(),
            "people": self.people(name),
            "position": [self.job(at) for at in self.items("current_position")],
            "education": [self.degree(at) for at in self.items("education") if self.has_degree(at)],
            "positions": [self.job(at) for key in self.lists for at in self.items(key)],
            "honors": [self.honor(at) for at in self.items("honors")],
            "repositories": [self.repository(at) for at in self.items("repos")],
            "talks": [self.talk(at) for at in self.items("talks")],
            "students": [self.student(at) for at in self.items("advising")],
            "service": [self.service(at) for at in self.items(*self.service_place())],
            "reviewing": [
                self.text(*at, index) for at in self.reviewing_places() for index in range(len(self.get(*at)))
            ],
            "teaching": [self.course(at) for at in self.items("teaching")],
            "skills": [self.skill(at) for at in self.items("skills")],
            "sections": self.sections(),
        }
        if isinstance(self.get("publications"), str):
            self.used.add(("publications",))
        for key in ("sort_bib", "group_by_year"):
            if self.get("all_publications", key) in (True, None):
                self.used.add(("all_publications", key))
        self.used |= {("all_publications", "file"), ("all_publications", "name")}
        return _drop_none(tree)

    def ordered(self) -> Iterator[tuple[Location, str, str]]:
        """Yield the sections of the first order in the file, each with its place, key and heading."""
        name = next((name for name in _ORDERS if isinstance(self.get(name), list)), "order")
        first = {self.tag(item)[0] for item in self.get(name) or ()}
        for other in _ORDERS:
            for index, item in enumerate(self.get(other) or ()):
                at = (other, index)
                tag, title = self.tag(item)
                self.used |= {(*at, 0), (*at, 1), at}
                if other == name:
                    yield at, tag, title
                elif tag not in first and tag not in _LAYOUT:
                    self.note(at, f"the section {tag!r} is in {other} alone and not shown")
                    first.add(tag)

    def tag(self, item: Any) -> tuple[str, str]:
        return (str(item[0]), str(item[1])) if isinstance(item, list) and len(item) == 2 else (str(item), "")

    def order(self) -> list[Any]:
        ordered: list[Any] = []
        for at, tag, title in self.ordered():
            section = _SECTIONS.get(tag) or (tag if tag in self.custom else None)
            if section is None or section in (entry["section"].value for entry in ordered):
                what = (
                    "is layout"
                    if tag in _LAYOUT
                    else f"is shown with {section}"
                    if section
                    else "has no place in a profile"
                )
                self.note(at, f"the section {tag!r} {what}")
                continue
            entry = {"section": _Located(section, at)}
            heading = inline.plain_text(inline.parse(markup(title, self.note_macro(at))))
            if heading not in ("", "NONE", load_labels().get(section)):
                entry["title"] = _Located(heading, at)
            if note := self.text(tag, "note") or self.text(f"{tag}_note") or self.text("notes", tag):
                entry["note"] = note
            ordered.append(entry)
            if section == "service":
                is_ordered = any(tag == "reviewing" for _, tag, _ in self.ordered())
                lists = ["reviewing"] if self.reviewing_places() and not is_ordered else []
                ordered += [{"section": _Located(name, at)} for name in [*self.service_lists(), *lists]]
        return ordered

    def sections(self) -> dict[str, Any]:
        """Return custom sections for what the profile has no key for."""
        found = {tag: self.section(tag) for tag in self.custom}
        found |= {name: self.section("service", name) for name in self.service_lists()}
        return {name: section for name, section in found.items() if section}

    def section(self, *at: str | int) -> dict[str, Any]:
        value = self.get(*at)
        title = _Located(str(at[-1]).replace("_", " ").capitalize(), at)
        if isinstance(value, str):
            return {"title": title, "type": _Located("text", at), "text": self.text(*at)}
        if isinstance(value, dict):
            self.used.add((*at, "name"))
            self.used.add((*at, "file"))
            path = os.path.relpath(self.find_bibliography(value), self.document.path.parent)
            return {"title": title, "type": _Located("bibliography", at), "file": _Located(path, (*at, "file"))}
        if all(isinstance(item, dict) for item in value):
            items = [self.item(place) for place in self.items(*at)]
            return {"title": title, "type": _Located("entries", at), "items": items}
        texts = [self.text(*at, index) for index in range(len(value))]
        return {"title": title, "type": _Located("list", at), "items": texts}

    def item(self, at: Location) -> dict[str, Any]:
        """Return an entry of a custom section: title, organization, dates, address, and the other values below."""
        keys = self.get(*at)
        title = next((key for key in _ITEM_TITLES if isinstance(keys.get(key), str | int)), "")
        place = next((key for key in _ITEM_ORGANIZATIONS if isinstance(keys.get(key), str) and key != title), "")
        date = next((key for key in _ITEM_DATES if key in keys and key != title), "")
        url = next((key for key in ("url", "link", "www") if isinstance(keys.get(key), str)), "")
        plain = [key for key in keys if key not in (title, place, date, url) and not isinstance(keys[key], dict | list)]
        return {
            "title": self.text(*at, title),
            "organization": self.text(*at, place) if place else None,
            "url": self.url(*at, url) if url else None,
            "details": [self.text(*at, key) for key in plain],
            **(self.dates(*at, date) if date else {}),
        }

    def aliases(self, name: str) -> list[_Located]:
        """Return spellings of the owner's name; the original file has only a part of it, such as the last name."""
        part = self.get("all_publications", "name")
        if not part:
            return []
        key = person_key(name)
        at = ("all_publications", "name")
        return [_Located(other, at) for other in self.names if str(part) in other and person_key(other) != key]

    def people(self, owner: str) -> list[Any]:
        """Return a person per co-author whose name contains a key of author_urls."""
        addresses = self.get("all_publications", "author_urls") or {}
        part = self.get("all_publications", "name")
        keys = {key: decode(key) if "\\" in key else key for key in addresses}
        found: list[Any] = []
        for name in self.names:
            if name == owner or (part and str(part) in name):
                continue
            matches = [key for key, part in keys.items() if part in name]
            if len({addresses[key] for key in matches}) > 1:
                at = ("all_publications", "author_urls", matches[0])
                several = " and ".join(map(repr, matches))
                self.errors.append(f"{self.document.where(at)}: {several} all match {name!r}; make one longer")
            if matches:
                at = ("all_publications", "author_urls", matches[0])
                self.used |= {("all_publications", "author_urls", key) for key in matches}
                found.append({"name": _Located(name, at), "url": _Located(_address(str(addresses[matches[0]])), at)})
        for key in addresses:
            at = ("all_publications", "author_urls", key)
            if at not in self.used:
                self.used.add(at)
                self.note(at, f"no co-author has {key!r} in the name")
        return found

    def links(self) -> Iterator[dict[str, Any]]:
        for name, value in (self.get("social") or {}).items():
            at = ("social", name)
            if name in _SOCIAL and isinstance(value, str | int):
                self.used.add(at)
                label, url = (form.format(value) for form in _SOCIAL[name])
                yield {"label": _Located(label, at), "url": _Located(url, at)}

    def job(self, at: Location) -> dict[str, Any]:
        details = [self.text(*at, "inline_detail"), self.text(*at, "area"), *self.details(at)]
        if advisor := self.text(*at, "advisor"):
            details.insert(0, _Located(f"with {advisor.value}", advisor.at))
        return {
            "title": self.text(*at, "title"),
            "organization": self.linked(self.text(*at, "place"), *at, "url"),
            "location": self.linked(self.text(*at, "location"), *at, "location_url"),
            "detail": _join(details),
            **self.dates(*at, "dates"),
        }

    def details(self, at: Location) -> list[_Located | None]:
        value = self.get(*at, "details")
        if isinstance(value, list):
            return [self.text(*at, "details", index) for index in range(len(value))]
        return [self.text(*at, "details")]

    def has_degree(self, at: Location) -> bool:
        return self.get(*at, "degree") is not None

    def degree(self, at: Location) -> dict[str, Any]:
        named: dict[str, _Located] = {}
        others: list[_Located | None] = []
        for detail in self.details(at):
            found = re.fullmatch(r"(Thesis|Advisor): (.*)", detail.value) if detail else None
            if found and detail:
                named[found[1].lower()] = _Located(found[2], detail.at)
            else:
                others.append(detail)
        return {
            "title": self.text(*at, "degree"),
            "organization": self.text(*at, "school"),
            "grade": self.text(*at, "overallGPA"),
            **named,
            "detail": _join(others),
            **self.dates(*at, "dates"),
        }

    def honor(self, at: Location) -> dict[str, Any]:
        return {
            "title": self.text(*at, "title"),
            "detail": self.text(*at, "descr"),
            "url": self.url(*at, "url"),
            **self.dates(*at, "year"),
        }

    def repository(self, at: Location) -> dict[str, Any]:
        url = self.url(*at, "repo_url")
        path = re.fullmatch(r"(https?://(?:www\.)?[^/]+)/([\w.-]+/[\w.-]+?)(?:\.git)?/?", url.value) if url else None
        if not url or not path:
            self.errors.append(
                f"{self.document.where(at)}: repo_url is not https://host/owner/name; write it like that"
            )
            return {}
        name = self.get(*at, "name")
        if name == path[2]:
            self.used.add((*at, "name"))
        description = self.text(*at, "desc")
        if description is None:
            description = _Located(path[2].split("/")[1], at)
            self.note(at, f"{path[2]} has no desc, which came from the network; its name is printed instead")
        same = path[1] in ("https://github.com", "http://github.com")
        return {
            "name": _Located(path[2], url.at),
            "description": description,
            "year": self.raw(*at, "year"),
            "url": None if same else url,
        }

    def talk(self, at: Location) -> dict[str, Any]:
        title, event = self.text(*at, "title"), self.linked(self.text(*at, "location"), *at, "location_url")
        return {
            "title": title or event,
            "event": event if title else None,
            "url": self.url(*at, "url"),
            "slides": self.url(*at, "slides"),
            "detail": self.text(*at, "note") or self.text(*at, "details"),
            **self.dates(*at, "year"),
        }

    def student(self, at: Location) -> dict[str, Any]:
        detail = self.text(*at, "details")
        if detail and re.fullmatch(r"\((?:[^()]|\([^()]*\))*\)", detail.value):
            detail = _Located(detail.value[1:-1], detail.at)
        return {
            "name": self.text(*at, "name"),
            "detail": detail,
            "url": self.url(*at, "url"),
            **self.dates(*at, "year"),
        }

    def service_place(self) -> Location:
        return ("service", "main") if isinstance(self.get("service"), dict) else ("service",)

    def service_lists(self) -> list[str]:
        """Return the lists below service other than the main one and reviewing, such as area chairs."""
        service = self.get("service")
        others = service if isinstance(service, dict) else {}
        return [name for name in others if name not in ("main", "reviewing") and self.is_list(others[name])]

    def reviewing_places(self) -> list[Location]:
        places: list[Location] = [("service", "reviewing"), ("reviewing",)]
        return [at for at in places if isinstance(self.get(*at), list)]

    def service(self, at: Location) -> dict[str, Any]:
        title, details = self.text(*at, "title"), self.text(*at, "details")
        return {
            "title": title or details,
            "detail": details if title else None,
            "url": self.url(*at, "url"),
            **self.dates(*at, "year"),
        }

    def course(self, at: Location) -> dict[str, Any]:
        name, short = self.text(*at, "name"), self.text(*at, "short")
        if isinstance(self.get(*at, "course"), dict):
            name, short = self.text(*at, "course", "name"), self.text(*at, "course", "number")
        position = self.text(*at, "position") or self.text(*at, "details")
        title = name and name.value + (f" ({short.value})" if short else "") + (
            f", {position.value}" if position else ""
        )
        return {
            "title": _Located(title, at) if title else None,
            "detail": self.text(*at, "university"),
            "url": self.url(*at, "url"),
            **(self.dates(*at, "semester") or self.dates(*at, "year") or self.dates(*at, "dates")),
        }

    def skill(self, at: Location) -> dict[str, Any]:
        return {"name": self.text(*at, "title"), "items": self.text(*at, "details")}


def _join(details: list[_Located | None]) -> _Located | None:
    found = [detail for detail in details if detail]
    return _Located("; ".join(detail.value for detail in found), found[0].at) if found else None


def _drop_none(tree: Any) -> Any:
    if isinstance(tree, dict):
        kept = {key: _drop_none(value) for key, value in tree.items() if value is not None}
        return {key: value for key, value in kept.items() if value != []}
    return [_drop_none(value) for value in tree if value is not None] if isinstance(tree, list) else tree


def _name(at: Location) -> str:
    return ".".join(map(str, at))
