"""The normalised CV: everything that a renderer needs, as plain data that cv.json holds."""

from __future__ import annotations

import datetime
import logging
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel

from advgen.cv import bibliography as bib
from advgen.cv import inline, legacy
from advgen.cv.inline import Node
from advgen.cv.labels import say
from advgen.cv.live_values import Document, LiveValue, Location, read, substitute
from advgen.cv.profile import (
    Bibliography,
    Entries,
    Entry,
    Item,
    Listed,
    Metrics,
    Ordered,
    Paragraphs,
    Position,
    Profile,
    Table,
    load_metrics,
    load_profile,
)
from advgen.specs.cv import Section

log = logging.getLogger(__name__)
M = TypeVar("M", bound=BaseModel)

STALE_DAYS = 180
_DATED = r"(?<!\d)((?:19|20)\d\d)(?!\d)(?:-(0[1-9]|1[0-2])(?:-(0[1-9]|[12]\d|3[01]))?(?!\d))?"
TITLES = get_args(Section)


@dataclass(frozen=True)
class Choice:
    """What a CV shows of its source: selected publications, items with certain tags, certain sections; or all."""

    selected: bool = False
    tags: Sequence[str] = ()
    sections: Sequence[str] = ()


def build(
    profile: Path,
    bibliography: Path | None,
    metrics: Path | None,
    lookup: Callable[[LiveValue], object],
    *,
    overlay: Path | None = None,
    choice: Choice | None = None,
) -> dict[str, Any]:
    """The CV as JSON-able data, the content of cv.json.

    ``overlay`` is a YAML file merged over the profile by item id. ``lookup`` gives the value of a live number and
    raises ValueError if there is none or more than one. Raises ValueError with one line ``file:line: what; remedy``
    per error, of all files at once; warnings of the same form go to the log.
    """
    errors: list[str] = []
    owner, document, numbers = None, None, None
    try:
        owner, document = load_profile(profile, overlay, bibliography)
    except ValueError as error:
        errors.append(str(error))

    def entries(path: Path) -> list[dict[str, Any]]:
        # the errors of the bibliography are told beside those of a profile that cannot be read
        people = (
            {name: person.url for person in owner.people for name in (person.name, *person.aliases)} if owner else {}
        )
        mend = legacy.recognised(_data(profile))
        styled = {"words": owner.words, "style": owner.style.model_dump()} if owner else {}
        try:
            limit = owner.max_authors if owner else None
            return bib.load(path, owner.owners if owner else (), people, limit, mend=mend, **styled)
        except ValueError as error:
            errors.append(str(error))
            return []

    own = entries(bibliography) if bibliography else []
    sections = owner.sections.items() if owner else ()
    files = {name: section.file for name, section in sections if isinstance(section, Bibliography) and section.file}
    others = {name: entries(profile.parent / file) for name, file in files.items()}
    try:
        numbers = load_metrics(metrics) if metrics else None
    except ValueError as error:
        errors.append(str(error))
    if errors or owner is None or document is None:
        raise ValueError("\n".join(dict.fromkeys(line for error in errors for line in error.split("\n"))))
    paths = (bibliography, metrics)
    return _Builder(owner, document, own, others, numbers, paths, lookup, choice or Choice()).cv()


_HOSTS = {
    "github.com": "GitHub", "gitlab.com": "GitLab", "linkedin.com": "LinkedIn", "twitter.com": "Twitter", "x.com": "X",
    "orcid.org": "ORCID", "scholar.google.com": "Google Scholar", "dblp.org": "DBLP", "openreview.net": "OpenReview",
    "researchgate.net": "ResearchGate", "mastodon.social": "Mastodon", "bsky.app": "Bluesky",
    "huggingface.co": "Hugging Face", "youtube.com": "YouTube",
}  # fmt: skip


def _told(label: str, url: str) -> str:
    """A label that says what it leads to: "GitHub: name"."""
    host = _HOSTS.get((urlsplit(url).hostname or "").removeprefix("www."), "")
    named, told = set(host.lower().split()), set(label.lower().replace(":", " ").split())
    return label if named <= told or told <= named else f"{host}: {label}"


def _data(profile: Path) -> Any:
    try:
        return read(profile).data
    except ValueError:
        return None


def shown(number: int | str) -> str:
    """A count of stars as it is displayed: below 1000 as is, else in thousands with one decimal."""
    if isinstance(number, str):
        return number
    return str(number) if number < 1000 else f"{number / 1000:.1f}k"


def total(displayed: Sequence[str]) -> str:
    """The sum of displayed counts, floored to a tenth of a thousand: "28.3k+"."""
    count = sum(_count(text) for text in displayed)
    return str(count) if count < 1000 else f"{count // 1000}.{count // 100 % 10}k+"


def _count(displayed: str) -> int:
    text = displayed.rstrip("+")
    if not text.endswith("k"):
        return int(float(text))
    whole, _, tenth = text[:-1].partition(".")
    return int(whole) * 1000 + int(tenth or 0) * 100


class _Builder:
    """Writes the sections in order and collects every error on the way."""

    def __init__(
        self,
        profile: Profile,
        document: Document,
        entries: list[dict[str, Any]],
        others: dict[str, list[dict[str, Any]]],
        metrics: Metrics | None,
        paths: tuple[Path | None, Path | None],
        lookup: Callable[[LiveValue], object],
        choice: Choice,
    ) -> None:
        self.profile = profile
        self.choice = choice
        self.nodes: dict[Location, list[Node]] = {}
        self.document = document
        self.entries = entries
        self.others = others
        self.metrics = metrics
        self.bibliography_path, self.metrics_path = paths
        self.words = profile.words
        self.lookup = lookup
        self.errors: list[str] = []

    def cv(self) -> dict[str, Any]:
        updated = self.updated()
        self.choose()
        self.distribute()
        sections = []
        previous = ""
        for index, ordered in enumerate(self.profile.order):
            if self.shown(ordered.section):
                sections.append(self.section(ordered, index, previous))
                previous = ordered.section
        headline = self.text(self.profile.headline, "headline")
        self.unordered()
        if self.errors:
            raise ValueError("\n".join(self.errors))
        assert updated is not None
        month = self.words["months"].split()[updated.month - 1]
        return {
            "name": self.profile.name,
            "headline": headline,
            "email": self.profile.email,
            "site": self.profile.site,
            "links": [{**link.model_dump(), "label": _told(link.label, link.url)} for link in self.profile.links],
            "updated": updated.isoformat(),
            "updated_text": say(self.words, "day", month=month, day=updated.day, year=updated.year),
            "language": self.profile.language,
            "words": dict(self.words),
            "paper": self.profile.paper,
            "theme": self.profile.theme,
            "fonts": self.profile.fonts,
            "numbering": self.profile.numbering,
            "sections": sections,
        }

    def fail(self, location: Location, what: str) -> None:
        self.errors.append(f"{self.document.where(location)}: {what}")

    def choose(self) -> None:
        """Check the choice, and take out what it leaves out."""
        ordered = [item.section for item in self.profile.order]
        for name in self.choice.sections:
            if name not in ordered:
                self.fail(("order",), f"the section {name!r} is chosen but not in order; add it there, or take another")
        items = [item for name in TITLES if name != "publications" for item in getattr(self.profile, name)]
        items += [item for own in self.profile.sections.values() for item in getattr(own, "items", ())]
        tagged = {tag for item in items for tag in getattr(item, "tags", ())}
        known = tagged | {tag for entry in self.entries for tag in entry["tags"]}
        for tag in self.choice.tags:
            if tag not in known:
                names = ", ".join(sorted(known)) or "none"
                self.fail((), f"the tag {tag!r} is chosen but nothing has it; known tags: {names}")
        self.entries = self.chosen_entries(self.entries)
        self.others = {name: self.chosen_entries(entries) for name, entries in self.others.items()}

    def chosen_entries(self, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if self.choice.selected:
            # nothing stands out in a list of the selected
            entries = [{**entry, "selected": False} for entry in entries if entry["selected"]]
        if self.choice.tags:
            entries = [entry for entry in entries if set(entry["tags"]) & set(self.choice.tags)]
        return entries

    def distribute(self) -> None:
        """Give the bibliographies of the profile's own their entries of the main one."""
        ordered = {item.section for item in self.profile.order}
        taken: set[str] = set()
        for name, own in self.profile.sections.items():
            if not isinstance(own, Bibliography):
                continue
            types = {kind.lower() for kind in own.types}
            some = [
                entry
                for entry in self.others.get(name, self.entries)
                if (not types or {entry["type"], entry["kind"]} & types)
                and (not own.tags or set(entry["tags"]) & set(own.tags))
                and (not own.selected or entry["selected"] or self.choice.selected)
            ]
            if own.file is None and not own.selected and name in ordered:
                taken |= {entry["key"] for entry in some}
            # nothing stands out in a list of the selected
            self.others[name] = [{**entry, "selected": False} for entry in some] if own.selected else some
        self.entries = [entry for entry in self.entries if entry["key"] not in taken]

    def chosen(self, item: BaseModel) -> bool:
        """Whether an item is shown: an item without tags is in every CV."""
        tags = set(getattr(item, "tags", ()))
        return not self.choice.tags or not tags or bool(tags & set(self.choice.tags))

    def shown(self, name: str) -> bool:
        """Whether a section is shown: chosen, and not emptied by the choice."""
        if self.choice.sections and name not in self.choice.sections:
            return False
        if name == "publications":
            return bool(self.entries) or self.choice == Choice()
        own = self.profile.sections.get(name)
        if isinstance(own, Bibliography):
            return bool(self.others[name]) or self.choice == Choice()
        if own is not None and not isinstance(own, Entries):
            return True
        items = own.items if own is not None else getattr(self.profile, name)
        return any(self.chosen(item) if isinstance(item, BaseModel) else True for item in items)

    def text(self, text: str | None, *location: str | int) -> list[Node]:
        """The nodes of a text of the profile, its live values filled in."""
        if text is None:
            return []
        if location not in self.nodes:
            self.nodes[location] = self.parsed(text, location)
        return self.nodes[location]

    def parsed(self, text: str, location: Location) -> list[Node]:
        values = []
        for value in self.document.live_values.get(location, []):
            try:
                values.append(inline.escape(value.show(self.lookup(value))))
            except ValueError as error:
                self.errors.append(f"{value.file}:{value.line}: {' '.join(str(error).split())}")
                return []
        try:
            return inline.parse(substitute(text, values))
        except ValueError as error:
            self.fail(location, str(error))
            return []

    def row(
        self, item: BaseModel, at: Location, text: list[Node], dates: str, lines: Sequence[list[Node]] = ()
    ) -> dict[str, Any]:
        """A row with its text for people, and the plain values of its item for programs."""
        values = item.model_dump(mode="json", exclude_none=True, exclude={"tags"})
        plain = {name: inline.plain(self.nodes[(*at, name)]) for name in values if (*at, name) in self.nodes}
        return {
            "text": inline.join(text),
            "dates": dates,
            "lines": [inline.join(line) for line in lines],
            "item": values | plain,
        }

    def rows(self, rows: list[dict[str, Any]], numbered: bool = False) -> dict[str, Any]:
        """The body of a section of rows."""
        numbered = numbered and self.profile.numbering != "none"
        if numbered:
            numbers = bib.numbers(len(rows), self.profile.numbering)
            rows = [{"number": number, **row} for number, row in zip(numbers, rows, strict=True)]
        return {"kind": "rows", "numbered": numbered, "rows": rows}

    def updated(self) -> datetime.date | None:
        as_of = self.metrics.as_of if self.metrics else None
        days = [day for day in (self.profile.updated, as_of) if day]
        remedy = "add updated: or a metrics file with as_of"
        if not days:
            newest = self.newest()
            if newest is None:
                self.errors.append(f"{self.document.path}:1: the CV has no date; {remedy}")
                return None
            log.warning(
                "%s:1: the CV has no date, so it bears that of its newest item, %s; %s",
                self.document.path,
                newest,
                remedy,
            )
            return newest
        if as_of and (max(days) - as_of).days > STALE_DAYS:
            days_old = (max(days) - as_of).days
            log.warning("%s:1: the metrics are %d days older than the CV; count again", self.metrics_path, days_old)
        return max(days)

    def newest(self) -> datetime.date | None:
        """The first day of the latest year, month or day that an item or publication bears."""
        own = [getattr(section, "items", ()) for section in self.profile.sections.values()]
        items = [item for name in TITLES if name != "publications" for item in getattr(self.profile, name)]
        items += [item for some in own for item in some]
        texts = [str(getattr(item, key, "")) for item in items for key in ("date", "start", "end", "year")]
        entries = [*self.entries, *(entry for some in self.others.values() for entry in some)]
        texts += [str(entry["year"]) for entry in entries if isinstance(entry["year"], int)]
        days = []
        for year, month, day in (match for text in texts for match in re.findall(_DATED, text)):
            first = datetime.date(int(year), int(month or 1), 1)
            with suppress(ValueError):  # of February 31, the month
                first = first.replace(day=int(day or 1))
            days.append(first)
        return max(days, default=None)

    def unordered(self) -> None:
        ordered = {item.section for item in self.profile.order}
        for name in TITLES:
            data = self.entries if name == "publications" else getattr(self.profile, name)
            if data and name not in ordered:
                where = f"{self.bibliography_path}:1" if name == "publications" else self.document.where((name,))
                log.warning("%s: the data of %r are in no order and not shown; add it to order", where, name)
        for name in self.profile.sections:
            if name not in ordered:
                where = self.document.where(("sections", name))
                log.warning("%s: the data of %r are in no order and not shown; add it to order", where, name)
        if self.profile.figures and "experiments" not in ordered:
            where = self.document.where(("figures",))
            log.warning("%s: figures are shown in the section 'experiments' only; add it to order", where)

    def section(self, ordered: Ordered, index: int, previous: str) -> dict[str, Any]:
        name = ordered.section
        own = self.profile.sections.get(name)
        body: dict[str, Any] = getattr(self, name)(index) if own is None else self.own(name, own, index)
        title = own.title if own is not None else self.words[name]
        return {
            "id": name,
            "title": ordered.title or title or name.replace("_", " ").replace("-", " ").capitalize(),
            "level": 3 if name == "reviewing" and previous == "service" else 2,
            "note": self.text(ordered.note, "order", index, "note"),
            "summary": [],
            **body,
        }

    def position(self, index: int) -> dict[str, Any]:
        return self.jobs("position", self.profile.position)

    def positions(self, index: int) -> dict[str, Any]:
        return self.jobs("positions", self.profile.positions)

    def jobs(self, name: str, jobs: list[Position]) -> dict[str, Any]:
        rows = []
        for at, job in self.items_of(name, jobs):
            text: list[Node] = [{"strong": self.text(job.title, *at, "title")}, ", "]
            text += [{"em": self.text(job.organization, *at, "organization")}]
            if job.location:
                text += [", ", *self.text(job.location, *at, "location")]
            rows.append(self.row(job, at, text + self.bracketed(job.detail, *at, "detail"), job.dates(self.words)))
        return self.rows(rows)

    def education(self, index: int) -> dict[str, Any]:
        rows = []
        for at, degree in self.items_of("education", self.profile.education):
            text: list[Node] = [{"strong": self.text(degree.title, *at, "title")}, ", "]
            text += [{"em": self.text(degree.organization, *at, "organization")}]
            text += self.bracketed(degree.grade, *at, "grade")
            thesis, advisor = f"{self.words['thesis']}: ", f"{self.words['advisor']}: "
            named = ((thesis, "thesis"), (advisor, "advisor"), ("", "detail"))
            lines = [
                [label, *self.text(getattr(degree, key), *at, key)] for label, key in named if getattr(degree, key)
            ]
            rows.append(self.row(degree, at, text, degree.dates(self.words), lines))
        return self.rows(rows)

    def honors(self, index: int) -> dict[str, Any]:
        return self.items("honors", self.profile.honors)

    def service(self, index: int) -> dict[str, Any]:
        return self.items("service", self.profile.service)

    def teaching(self, index: int) -> dict[str, Any]:
        return self.items("teaching", self.profile.teaching)

    def items(self, name: str, items: list[Item]) -> dict[str, Any]:
        rows = []
        for at, item in self.items_of(name, items):
            lines = [self.text(item.detail, *at, "detail")] if item.detail else []
            title = self.text(item.title, *at, "title")
            text: list[Node] = [{"link": title, "url": item.url}] if item.url else title
            rows.append(self.row(item, at, text, item.dates(self.words), lines))
        return self.rows(rows)

    def students(self, index: int) -> dict[str, Any]:
        rows = []
        for at, student in self.items_of("students", self.profile.students):
            name = self.text(student.name, *at, "name")
            text: list[Node] = [{"link": name, "url": student.url}] if student.url else name
            text = [*text, *self.bracketed(student.detail, *at, "detail")]
            rows.append(self.row(student, at, text, student.dates(self.words)))
        return self.rows(rows)

    def talks(self, index: int) -> dict[str, Any]:
        rows = []
        for at, talk in self.items_of("talks", self.profile.talks):
            title = self.text(talk.title, *at, "title")
            text: list[Node] = [{"link": title, "url": talk.url}] if talk.url else title
            if talk.event:
                comma = "" if inline.plain(title)[-1:] in ("?", "!") else ","
                text = [*text, f"{comma} ", {"em": self.text(talk.event, *at, "event")}]
            text += self.bracketed(talk.detail, *at, "detail")
            if talk.slides:
                text += [" [", {"link": ["slides"], "url": talk.slides}, "]"]
            rows.append(self.row(talk, at, text, talk.dates(self.words)))
        return self.rows(rows, numbered=True)

    def repositories(self, index: int) -> dict[str, Any]:
        rows, displayed = [], []
        for at, repository in self.items_of("repositories", self.profile.repositories):
            url = repository.url or f"https://github.com/{repository.name}"
            text: list[Node] = [{"link": [repository.name], "url": url}, " — "]
            stars = None
            if self.metrics is not None:
                stars = self.metrics.repositories.get(repository.name)
                if stars is None:
                    self.fail(at, f"{repository.name} has no stars; add it to repositories in {self.metrics_path}")
                    continue
                displayed.append(shown(stars))
                text += [f"★{shown(stars)} — "]
            text += self.text(repository.description, *at, "description")
            row = self.row(repository, at, text, str(repository.year))
            row["item"] |= {"url": url} | ({"stars": stars} if stars is not None else {})
            rows.append(row)
        summary = [say(self.words, "stars", count=total(displayed))] if displayed else []
        return {**self.rows(rows, numbered=True), "summary": summary}

    def publications(self, index: int) -> dict[str, Any]:
        return {**self.listed(self.entries, index, str(self.bibliography_path)), "summary": self.citations()}

    def listed(self, entries: list[dict[str, Any]], index: int, path: str) -> dict[str, Any]:
        """The body of a section of publications."""
        ordered = self.profile.order[index]
        if not entries:
            what = f"the section {ordered.section!r} has no data; "
            what += f"{path} holds no entry" if self.bibliography_path else "name a bibliography"
            self.fail(("order", index), what)
        by, numbering = ordered.group or "year", self.profile.numbering
        return {
            "kind": "publications",
            "highlighted": any(entry["selected"] for entry in entries),
            "groups": bib.group(entries, self.profile.earlier, numbering, by, self.words),
        }

    def own(self, name: str, own: BaseModel, index: int) -> dict[str, Any]:
        """The body of a section of the profile's own."""
        at: Location = ("sections", name)
        match own:
            case Bibliography():
                return self.listed(self.others[name], index, own.file or str(self.bibliography_path))
            case Listed():
                items = [self.text(text, *at, "items", number) for number, text in enumerate(own.items)]
                return {"kind": "list", "items": items}
            case Table():
                columns = [self.text(text, *at, "columns", number) for number, text in enumerate(own.columns)]
                rows = [
                    [self.text(text, *at, "rows", number, cell) for cell, text in enumerate(row)]
                    for number, row in enumerate(own.rows)
                ]
                return {"kind": "table", "columns": columns, "cells": rows}
            case Paragraphs():
                places = [("text", number) for number in range(len(own.text))]
                if isinstance(self.document.data["sections"][name]["text"], str):
                    places = [("text",)]  # type: ignore[list-item]
                texts = [self.text(text, *at, *place) for text, place in zip(own.text, places, strict=True)]
                return {"kind": "prose", "paragraphs": texts, "figures": []}
        assert isinstance(own, Entries)
        chosen = [((*at, "items", number), item) for number, item in enumerate(own.items) if self.chosen(item)]
        return self.rows([self.entry(item, place) for place, item in chosen], own.numbered)

    def entry(self, item: Entry, at: Location) -> dict[str, Any]:
        """A row of a section of the profile's own."""
        title = self.text(item.title, *at, "title")
        text: list[Node] = [{"strong": [{"link": title, "url": item.url}] if item.url else title}]
        if item.organization:
            text += [", ", {"em": self.text(item.organization, *at, "organization")}]
        if item.location:
            text += [", ", *self.text(item.location, *at, "location")]
        for link in item.links:
            text += [" [", {"link": [link.label], "url": link.url}, "]"]
        lines = [self.text(item.detail, *at, "detail")] if item.detail else []
        lines += [self.text(line, *at, "details", number) for number, line in enumerate(item.details)]
        return self.row(item, at, text, item.dates(self.words), lines)

    def citations(self) -> list[Node]:
        if self.metrics is None or (self.metrics.citations is None and self.metrics.h_index is None):
            return []
        parts = []
        if self.metrics.citations is not None:
            cited = self.metrics.citations
            count = cited if isinstance(cited, str) else total([str(cited)])
            parts.append(say(self.words, "citations", count=count))
        if self.metrics.h_index is not None:
            parts.append(say(self.words, "h_index", count=self.metrics.h_index))
        source = self.metrics.source
        head: Node = {"link": [source], "url": self.metrics.url} if self.metrics.url else source
        return inline.join(["[", head, ": " + self.words["and"].join(parts) + "]"])

    def reviewing(self, index: int) -> dict[str, Any]:
        items = [self.text(text, "reviewing", index) for index, text in enumerate(self.profile.reviewing)]
        return {"kind": "list", "items": items}

    def skills(self, index: int) -> dict[str, Any]:
        pairs = [
            {"name": self.text(skill.name, *at, "name"), "items": self.text(skill.items, *at, "items")}
            for at, skill in self.items_of("skills", self.profile.skills)
        ]
        return {"kind": "pairs", "pairs": pairs}

    def experiments(self, index: int) -> dict[str, Any]:
        paragraphs = [self.text(text, "experiments", index) for index, text in enumerate(self.profile.experiments)]
        figures = [
            {"name": figure.name, "caption": self.text(figure.caption, *at, "caption")}
            for at, figure in self.items_of("figures", self.profile.figures)
        ]
        return {"kind": "prose", "paragraphs": paragraphs, "figures": figures}

    def items_of(self, name: str, items: Sequence[M]) -> list[tuple[Location, M]]:
        """The items of a list that the choice shows, each with its place in the profile."""
        return [((name, index), item) for index, item in enumerate(items) if self.chosen(item)]

    def bracketed(self, text: str | None, *location: str | int) -> list[Node]:
        return [" (", *self.text(text, *location), ")"] if text else []
