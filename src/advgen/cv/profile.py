"""The profile: who the CV is about and everything in it but the publications, checked against one tree."""

from __future__ import annotations

import datetime
import difflib
import logging
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from advgen.cv import legacy
from advgen.cv.bibliography import person_key
from advgen.cv.inline import safe_url
from advgen.cv.live_values import Document, Location, figures, merge, read
from advgen.specs.cv import Section

log = logging.getLogger(__name__)
M = TypeVar("M", bound=BaseModel)


def _one_line(text: str) -> str:
    if not text.split():
        raise ValueError("is empty; write something or remove it")
    return " ".join(text.split())


def _without_reference(text: str) -> str:
    if "{{" in text:
        raise ValueError("holds a live value; those stand in texts such as titles, details and experiments only")
    return text


def _mail(text: str) -> str:
    if not re.fullmatch(r"[^@\s\"<>\\^`{|}?&#%]+@[\w.-]+", text):
        raise ValueError(f"{text!r} is not an e-mail address; write one like name@example.org")
    return text


def _count(value: object) -> object:
    if (type(value) is int and value >= 0) or (isinstance(value, str) and re.fullmatch(r"\d{1,6}(\.\d)?k?\+?", value)):
        return value
    raise ValueError(f"is {value!r}; write a number or its shown form such as 14.9k")


Text = Annotated[str, AfterValidator(_one_line)]
Plain = Annotated[str, AfterValidator(_one_line), AfterValidator(_without_reference)]
Url = Annotated[str, AfterValidator(safe_url)]
Year = Annotated[int, Field(strict=True, ge=1900, le=2100)]
Day = Annotated[datetime.date, Field(strict=True)]
Count = Annotated[int | str, BeforeValidator(_count)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Item(_Model):
    """What every item may have: an ``id`` by which an overlay changes it, and the tags of the CVs that show it."""

    id: Annotated[Plain, Field(pattern=r"^[\w.-]+$")] | None = None
    tags: list[Plain] = []


class _Dated(_Item):
    """An item with ``date`` (a year or any text, such as "Spring 2017") or with ``start`` and ``end``."""

    date: Annotated[Plain | None, BeforeValidator(lambda v: str(v) if type(v) is int else v)] = None
    start: Year | None = None
    end: Annotated[Plain | None, BeforeValidator(lambda v: str(v) if type(v) is int else v)] = None
    detail: Text | None = None

    @model_validator(mode="after")
    def _dates(self) -> Self:
        undated = self.date is None and self.start is None and isinstance(self, Item)
        if (self.start is None) != (self.end is None) or ((self.date is None) == (self.start is None) and not undated):
            raise ValueError("needs either date or both start and end; write end: Present if it goes on")
        if self.end is not None and self.end.lower() != "present":
            if not re.fullmatch(r"(19|20)\d\d", self.end):
                raise ValueError(f"the end {self.end!r} is neither a year nor Present; write one of them")
            if self.start is not None and int(self.end) < self.start:
                raise ValueError(f"ends in {self.end} before it starts in {self.start}; swap start and end")
        return self

    @property
    def dates(self) -> str:
        """The dates as they stand in the CV, with an en dash."""
        if self.start is None:
            return self.date or ""
        return self.end if self.end == str(self.start) else f"{self.start} – {self.end}"


class Position(_Dated):
    """A job: title, organization and, if known, the place."""

    title: Text
    organization: Text
    location: Text | None = None


class Degree(_Dated):
    """A degree; ``grade`` is printed as given, in brackets."""

    title: Text
    organization: Text
    grade: Text | None = None
    thesis: Text | None = None
    advisor: Text | None = None


class Item(_Dated):
    """An honour, a service or a course; it may do without dates."""

    title: Text
    url: Url | None = None


class Student(_Dated):
    """A student or intern and, in ``detail``, from where."""

    name: Text
    url: Url | None = None


class Talk(_Dated):
    """A talk and the event where it was given."""

    title: Text
    event: Text | None = None
    url: Url | None = None
    slides: Url | None = None


class Repository(_Item):
    """A public repository; its stars stand in metrics.yaml under the same name."""

    name: Annotated[Plain, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    description: Text
    year: Year
    url: Url | None = None


class Skill(_Item):
    """A group of skills."""

    name: Text
    items: Text


class Figure(_Item):
    """A figure of the experiments by name; its file comes from the workflow."""

    name: Plain
    caption: Text


class Link(_Item):
    """An entry of the header."""

    label: Plain
    url: Url


class Person(_Item):
    """A co-author whose name is linked in the publication list."""

    name: Plain
    url: Url
    aliases: list[Plain] = []


class Ordered(_Model):
    """A section of the CV with, if wanted, its own heading and a note below it."""

    section: Section
    title: Plain | None = None
    note: Text | None = None


class Profile(_Model):
    """The whole of profile.yaml."""

    name: Plain
    aliases: list[Plain] = []
    headline: Text | None = None
    email: Annotated[Plain, AfterValidator(_mail)] | None = None
    site: Url | None = None
    links: list[Link] = []
    updated: Day | None = None
    paper: Literal["a4", "us-letter"] = "a4"
    earlier: Year | None = None
    numbering: Literal["up", "down"] = "up"
    max_authors: Annotated[int, Field(strict=True, ge=1)] | None = None
    order: list[Annotated[Ordered, BeforeValidator(lambda v: {"section": v} if isinstance(v, str) else v)]]
    people: list[Person] = []
    position: list[Position] = []
    education: list[Degree] = []
    positions: list[Position] = []
    honors: list[Item] = []
    repositories: list[Repository] = []
    talks: list[Talk] = []
    students: list[Student] = []
    service: list[Item] = []
    reviewing: list[Text] = []
    teaching: list[Item] = []
    skills: list[Skill] = []
    experiments: list[Text] = []
    figures: list[Figure] = []

    @property
    def owners(self) -> list[str]:
        """Every spelling of the owner's name."""
        return [self.name, *self.aliases]


_ITEMS: dict[str, type[BaseModel]] = {
    "links": Link,
    "order": Ordered,
    "people": Person,
    "position": Position,
    "education": Degree,
    "positions": Position,
    "honors": Item,
    "repositories": Repository,
    "talks": Talk,
    "students": Student,
    "service": Item,
    "teaching": Item,
    "skills": Skill,
    "figures": Figure,
}


class Metrics(_Model):
    """The whole of metrics.yaml: numbers that change without the owner, with the day they were read.

    Stars are a number or, where only the shown form is known, a text such as "14.9k"; citations likewise ("7.3k+").
    """

    as_of: Day
    source: Plain = "Google Scholar"
    url: Url | None = None
    citations: Count | None = None
    h_index: Annotated[int, Field(strict=True, ge=0)] | None = None
    repositories: dict[str, Count] = {}


def load_profile(path: Path, overlay: Path | None = None, bibliography: Path | None = None) -> tuple[Profile, Document]:
    """The checked profile and the document with its lines. Raises ValueError, one line per error.

    The cv.yaml of another generator is read as a profile; parts of authors' names in it need its bibliography.
    """
    document = read(path)
    if bibliography is not None and legacy.recognised(document.data):
        document, left = legacy.convert(document, bibliography)
        if left:
            what = "values of this cv.yaml are not shown; advgen cv-import lists them"
            log.warning("%s:1: %d %s", path, len(left), what)
    document = merge(document, overlay)
    profile = _validate(Profile, document)
    figures(document)
    errors = [*_people(profile, document), *_order(profile, document), *_ids(profile, document)]
    if errors:
        raise ValueError("\n".join(errors))
    return profile, document


def load_metrics(path: Path) -> Metrics:
    """The checked metrics. Raises ValueError, one line per error."""
    return _validate(Metrics, read(path))


def _validate(model: type[M], document: Document) -> M:
    if not isinstance(document.data, dict):
        raise ValueError(f"{document.path}:1: not a map of keys to values; write name: … and so on")
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        messages: dict[Location, str] = {}
        for item in error.errors(include_url=False):
            missing = item["type"] == "missing"
            # A union says the same of each of its members, below names that are not in the file.
            place = item["loc"] if missing else _known(item["loc"], document)
            messages.setdefault(place, _message(dict(item), place, document, model))
        raise ValueError("\n".join(messages.values())) from error


def _message(error: dict[str, Any], known: Location, document: Document, model: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in known)
    value = error.get("input")
    match error["type"]:
        case "missing":
            what = f"{key} is missing; add it"
        case "extra_forbidden":
            near = difflib.get_close_matches(str(known[-1]), _names(model, known[:-1]), n=1)
            what = f"unknown key {key!r}; " + (f"did you mean {near[0]!r}?" if near else "remove it")
        case "string_type":
            shown = "empty" if value is None else f"{value!r}, not a text"
            what = f"{key} is {shown}; put text in quotes"
        case "list_type":
            what = f"{key} is not a list; begin each item with a hyphen"
        case "model_type" | "dict_type":
            what = f"{key} is {value!r}, not a map; write its keys, such as name: …"
        case "literal_error":
            near = difflib.get_close_matches(str(value), re.findall(r"'([^']*)'", error["msg"]), n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            what = f"{key} is {value!r}; {hint}allowed: {error['ctx']['expected']}"
        case "value_error":
            what = f"{key} {error['ctx']['error']}" if key else str(error["ctx"]["error"])
        case "date_type":
            what = f"{key} is {value!r}, not a day; write it as 2025-01-31 without quotes"
        case _:
            what = f"{key} is {value!r}; {error['msg'][:1].lower()}{error['msg'][1:]}"
    return f"{document.where(known)}: {' '.join(what.split())}"


def _known(location: Location, document: Document) -> Location:
    while location and location not in document.lines:
        location = location[:-1]
    return location


def _names(model: type[BaseModel], location: Location) -> list[str]:
    """Keys that are allowed at a place of the tree."""
    if not location:
        return list(model.model_fields)
    kind = _ITEMS.get(str(location[0]))
    return list(kind.model_fields) if kind else []


def _people(profile: Profile, document: Document) -> list[str]:
    errors = []
    seen = {person_key(name): profile.name for name in profile.owners}
    for index, person in enumerate(profile.people):
        for name in {person_key(name) for name in (person.name, *person.aliases)}:
            if name in seen:
                where = document.where(("people", index))
                errors.append(f"{where}: the name {name!r} is also {seen[name]}'s; use a longer spelling")
            seen[name] = person.name
    return errors


def _order(profile: Profile, document: Document) -> list[str]:
    errors = []
    seen: set[str] = set()
    for index, ordered in enumerate(profile.order):
        where = document.where(("order", index))
        if ordered.section in seen:
            errors.append(f"{where}: the section {ordered.section!r} is ordered twice; remove one")
        elif ordered.section != "publications" and not getattr(profile, ordered.section):
            errors.append(f"{where}: the section {ordered.section!r} has no data; add it or take it out of order")
        seen.add(ordered.section)
    return errors


def _ids(profile: Profile, document: Document) -> list[str]:
    errors = []
    for name in _ITEMS:
        seen: dict[str, int] = {}
        for index, item in enumerate(getattr(profile, name)):
            known = getattr(item, "id", None)
            if known is not None and seen.setdefault(known, index) != index:
                errors.append(f"{document.where((name, index))}: the id {known!r} stands twice in {name}; change one")
    return errors
