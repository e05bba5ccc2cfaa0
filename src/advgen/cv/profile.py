"""The profile: who the CV is about and everything in it but the publications, checked against one tree."""

from __future__ import annotations

import datetime
import difflib
import logging
import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from advgen.cv import legacy
from advgen.cv.bibliography import person_key
from advgen.cv.entities import decode_entities
from advgen.cv.inline import safe_url
from advgen.cv.labels import LANGUAGES, Words, span
from advgen.cv.live_values import Document, Location, figures, load_text, merge, read
from advgen.specs.cv import Section, SectionName

log = logging.getLogger(__name__)
M = TypeVar("M", bound=BaseModel)


def _told(value: object) -> str:
    """A wrong value as the user wrote it, or what it is."""
    match value:
        case None:
            return "empty"
        case bool():
            return str(value).lower()
        case list() | dict():
            return ("a list" if isinstance(value, list) else "a map") if value else "empty"
        case datetime.date():
            return value.isoformat()
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}… ({len(text)} characters)"


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


def _date(value: object) -> object:
    """A year, "2019-09" or a day; what YAML reads as a day is one."""
    if type(value) is int and not 1900 <= value <= 2100:
        raise ValueError(f"is {_told(value)}; write a year from 1900 to 2100")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if type(day := _day(value)) is datetime.date:
        return day.isoformat()
    if isinstance(value, str) and re.fullmatch(_MOMENT, value):
        return value
    raise ValueError(f"is {_told(value)}; write a year such as 2019, or 2019-09")


def _count(value: object) -> object:
    if (type(value) is int and 0 <= value < 10**9) or (
        isinstance(value, str) and re.fullmatch(r"\d{1,6}(\.\d)?k?\+?", value)
    ):
        return value
    raise ValueError(f"is {_told(value)}; write a number or its shown form such as 14.9k")


_MOMENT = r"(?:19|20)\d\d(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01]))?)?"


def _day(value: object) -> object:
    """A day in quotes as YAML reads it without them; any other value as it is."""
    if isinstance(value, datetime.datetime):
        return value.date()
    found = re.fullmatch(r"(\d{4})-(\d\d?)-(\d\d?)", value) if isinstance(value, str) else None
    with suppress(ValueError):
        return datetime.date(*map(int, found.groups())) if found else value
    return value


def _year(value: object) -> object:
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{4}", value) else value


def _text(value: object) -> object:
    day = _day(value)
    return day.isoformat() if type(day) is datetime.date else str(value) if type(value) is int else value


Text = Annotated[str, AfterValidator(_one_line)]
Plain = Annotated[str, AfterValidator(_one_line), AfterValidator(decode_entities), AfterValidator(_without_reference)]
FilePath = Annotated[str, AfterValidator(_one_line), AfterValidator(_without_reference)]
Url = Annotated[str, AfterValidator(safe_url)]
Year = Annotated[int, BeforeValidator(_year), Field(strict=True, ge=1900, le=2100)]
Day = Annotated[datetime.date, BeforeValidator(_day), Field(strict=True)]
Count = Annotated[int | str, BeforeValidator(_count)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Item(_Model):
    """What every item may have: an ``id`` by which an overlay changes it, and the tags of the CVs that show it."""

    id: Annotated[Plain, Field(pattern=r"^[\w.-]+$")] | None = None
    tags: list[Plain] = []


class _Dated(_Item):
    """An item with ``date`` (a year or any text, such as "Spring 2017") or with ``start`` and ``end``.

    A start without an end goes on; both may be a year, a month ("2019-09") or a day.
    """

    date: Annotated[Plain | None, BeforeValidator(_text)] = None
    start: Annotated[str | None, BeforeValidator(_date)] = None
    end: Annotated[Plain | None, BeforeValidator(_text)] = None
    detail: Text | None = None

    @model_validator(mode="after")
    def _dates(self) -> Self:
        dated = self.start is not None or self.end is not None
        undated = self.date is None and not dated
        if (self.date is not None and dated) or (undated and not isinstance(self, Item)):
            raise ValueError("needs either date or start; write one of them, and end if it is over")
        if self.end is not None and self.end.lower() != "present":
            if not re.fullmatch(_MOMENT, self.end):
                raise ValueError(
                    f"ends in {self.end!r}, which is neither a year, a month nor Present; write one of them"
                )
            if self.start is not None and self.end < self.start[: len(self.end)]:
                raise ValueError(f"ends in {self.end} before it starts in {self.start}; swap start and end")
        return self

    def dates(self, words: Words) -> str:
        """The dates as they stand in the CV, with an en dash."""
        return span(self.date, self.start, self.end, words)


class Link(_Item):
    """An entry of the header."""

    label: Plain
    url: Url


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


class Entry(Item):
    """An item of a section of the profile's own: a grant, a patent, an exhibition."""

    organization: Text | None = None
    location: Text | None = None
    details: list[Text] = []
    links: list[Link] = []


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


class Person(_Item):
    """A co-author whose name is linked in the publication list."""

    name: Plain
    url: Url
    aliases: list[Plain] = []


Grouping = Literal["year", "type", "tag", "venue", "none"]


class _Section(_Model):
    """A section of the profile's own, under a free name."""

    title: Plain | None = None


class Entries(_Section):
    """Items with dates, one below the other."""

    type: Literal["entries"]
    numbered: bool = False
    items: Annotated[list[Entry], Field(min_length=1)]


class Listed(_Section):
    """Short texts, one a line."""

    type: Literal["list"]
    items: Annotated[list[Text], Field(min_length=1)]


class Table(_Section):
    """Rows of cells, with a heading for each column or none."""

    type: Literal["table"]
    columns: list[Text] = []
    rows: Annotated[list[Annotated[list[Text], Field(min_length=1)]], Field(min_length=1)]

    @model_validator(mode="after")
    def _rectangular(self) -> Self:
        width = len(self.columns or self.rows[0])
        for index, row in enumerate(self.rows):
            if len(row) != width:
                raise ValueError(f"has {len(row)} cells in row {index + 1}, not {width}; write '' for an empty one")
        return self


class Paragraphs(_Section):
    """Text of one or more paragraphs."""

    type: Literal["text"]
    text: Annotated[list[Text], Field(min_length=1), BeforeValidator(lambda v: [v] if isinstance(v, str) else v)]


class Bibliography(_Section):
    """Publications of another file, or some of the main one: of certain types, with certain tags, the selected.

    What such a section takes from the main bibliography no longer stands in the section of publications.
    """

    type: Literal["bibliography"]
    file: FilePath | None = None
    types: list[Plain] = []
    tags: list[Plain] = []
    selected: bool = False

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not (self.file or self.types or self.tags or self.selected):
            raise ValueError("needs file, types, tags or selected; without one it holds every publication")
        return self


OwnSection = Annotated[Entries | Listed | Table | Paragraphs | Bibliography, Field(discriminator="type")]


class Style(_Model):
    """How publications are written: ``citation`` full adds volume, number, pages, publisher, DOI and arXiv's number."""

    given: Literal["full", "initials"] = "full"
    order: Literal["given-first", "family-first"] = "given-first"
    citation: Literal["short", "full"] = "short"


class Ordered(_Model):
    """A section of the CV with, if wanted, its own heading, a note below it, and the groups of its publications."""

    section: Plain
    title: Plain | None = None
    note: Text | None = None
    group: Grouping | None = None


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
    theme: Literal["classic", "academic", "compact"] = "classic"
    fonts: list[Plain] = []
    templates: FilePath | None = None
    language: Literal["en", "de", "fr", "es", "it"] = "en"
    labels: dict[str, Plain] = {}
    style: Style = Style()
    earlier: Year | None = None
    numbering: Literal["up", "down", "none"] = "up"
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
    sections: dict[SectionName, OwnSection] = {}

    @property
    def words(self) -> Words:
        """The words of its language, with its own in their place."""
        return {**LANGUAGES[self.language], **self.labels}

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
    h_index: Annotated[int, Field(strict=True, ge=0, lt=10_000)] | None = None
    repositories: dict[str, Count] = {}


def load_profile(path: Path, overlay: Path | None = None, bibliography: Path | None = None) -> tuple[Profile, Document]:
    """The checked profile and the document with its lines. Raises ValueError, one line per error.

    The cv.yaml of another generator is read as a profile; parts of authors' names in it need its bibliography.
    """
    document = read(path)
    if legacy.recognised(document.data):
        document, left = legacy.convert(document, bibliography)
        for line in left:
            log.warning("%s", line)
    document = merge(document, overlay)
    profile = _validate(Profile, document)
    figures(document)
    errors = [*_people(profile, document), *_order(profile, document), *_ids(profile, document)]
    errors += [*_labels(profile, document), *_templates(profile, document)]
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
            item["loc"] = _without_type(item["loc"])
            missing = item["type"] == "missing"
            # A union says the same of each of its members, below names that are not in the file.
            place = item["loc"] if missing else _known(item["loc"], document)
            messages.setdefault(place, _message(dict(item), place, document, model))
        raise ValueError("\n".join(messages.values())) from error


def _message(error: dict[str, Any], known: Location, document: Document, model: type[BaseModel]) -> str:
    key = ".".join(str(part) for part in known)
    value, given = error.get("input"), _told(error.get("input"))
    match error["type"]:
        case "missing":
            what = f"{key} is missing; add it"
        case "extra_forbidden":
            near = difflib.get_close_matches(str(known[-1]), _names(model, known[:-1]), n=1)
            what = f"unknown key {key!r}; " + (f"did you mean {near[0]!r}?" if near else "remove it")
        case "string_type":
            shown = given if value is None else f"{given}, not a text"
            what = f"{key} is {shown}; put text in quotes"
        case "list_type":
            what = f"{key} is not a list; begin each item with a hyphen"
        case "model_type" | "dict_type" | "model_attributes_type":
            what = f"{key} is {given}, not a map; write its keys, such as name: …"
        case "literal_error":
            near = difflib.get_close_matches(str(value), re.findall(r"'([^']*)'", error["msg"]), n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            what = f"{key} is {given}; {hint}allowed: {error['ctx']['expected']}"
        case "value_error":
            what = f"{key} {error['ctx']['error']}" if key else str(error["ctx"]["error"])
        case "union_tag_invalid" | "union_tag_not_found":
            given = _told(value.get("type") if isinstance(value, dict) else value)
            what = f"{key}.type is {given}; write entries, list, table, text or bibliography"
        case "date_type":
            what = f"{key} is {given}, not a day; write it as 2025-01-31"
        case "too_short":
            what = f"{key} is empty; write something or remove it"
        case "string_pattern_mismatch":
            what = f"{key} is {given}; {_FORMS.get(str(known[-1]), _SECTION_FORM)}"
        case "bool_type" | "bool_parsing":
            what = f"{key} is {given}; write true or false"
        case "greater_than_equal":
            what = f"{key} is {given}; write {error['ctx']['ge']} or more"
        case "less_than_equal":
            what = f"{key} is {given}; write {error['ctx']['le']} or less"
        case "less_than":
            what = f"{key} is {given}; write less than {error['ctx']['lt']}"
        case kind:
            assert kind == "int_type", kind
            what = f"{key} is {given}; write a whole number without quotes"
    return f"{document.where(known)}: {' '.join(what.split())}"


_SECTION_FORM = "begin the name of a section with a–z, and go on with a–z, 0–9, hyphens and underscores"
_FORMS = {
    "id": "write letters, digits, dots, hyphens and underscores",
    "name": "write it as owner/name",
}


def _without_type(location: Location) -> Location:
    """A place in the file: pydantic names the type of a section of the profile's own behind its key."""
    return (*location[:2], *location[3:]) if location[:1] == ("sections",) else location


def _known(location: Location, document: Document) -> Location:
    while location and location not in document.lines:
        location = location[:-1]
    return location


def _names(model: type[BaseModel], location: Location) -> list[str]:
    """Keys that are allowed at a place of the tree."""
    if not location:
        return list(model.model_fields)
    if location[0] == "sections":
        return ["id", "tags", *Entry.model_fields] if len(location) > 2 else sorted(_OWN_KEYS)
    kind = Style if location[0] == "style" else _ITEMS.get(str(location[0]))
    return list(kind.model_fields) if kind else []


_OWN_KEYS = {key for kind in (Entries, Listed, Table, Paragraphs, Bibliography) for key in kind.model_fields}


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
    known = [*get_args(Section), *profile.sections]
    for name in profile.sections:
        if name in get_args(Section):
            errors.append(f"{document.where(('sections', name))}: {name!r} is a section already; choose another name")
    for index, ordered in enumerate(profile.order):
        where = document.where(("order", index))
        own = profile.sections.get(ordered.section)
        if ordered.section not in known:
            near = difflib.get_close_matches(ordered.section, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}? " if near else ""
            errors.append(f"{where}: order has no section {ordered.section!r}; {hint}allowed: {', '.join(known)}")
        elif ordered.group and not (ordered.section == "publications" or isinstance(own, Bibliography)):
            errors.append(f"{where}: group is for publications; take it from the section {ordered.section!r}")
        elif ordered.section in seen:
            errors.append(f"{where}: the section {ordered.section!r} is ordered twice; remove one")
        elif ordered.section != "publications" and own is None and not getattr(profile, ordered.section):
            errors.append(f"{where}: the section {ordered.section!r} has no data; add it or take it out of order")
        seen.add(ordered.section)
    return errors


def _labels(profile: Profile, document: Document) -> list[str]:
    errors = []
    known = LANGUAGES[profile.language]
    for name, text in profile.labels.items():
        where = document.where(("labels", name))
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            remedy = f"did you mean {near[0]!r}?" if near else "remove it"
            errors.append(f"{where}: unknown label {name!r}; {remedy}")
        elif name.startswith("months") and len(text.split()) != 12:
            errors.append(f"{where}: {name} has {len(text.split())} words; write the twelve months with spaces between")
    return errors


def _templates(profile: Profile, document: Document) -> list[str]:
    if profile.templates is None:
        return []
    known = sorted(path.name for path in (Path(__file__).parent / "templates").iterdir())
    folder = document.path.parent / profile.templates
    found = [folder / name for name in known if (folder / name).is_file()]
    errors = []
    for path in found:
        try:
            load_text(path)
        except ValueError as error:
            errors.append(str(error))
    if found:
        return errors
    where = document.where(("templates",))
    return [f"{where}: templates: {folder} holds no template; put one of {', '.join(known)} there"]


def _ids(profile: Profile, document: Document) -> list[str]:
    errors = []
    for name in _ITEMS:
        seen: dict[str, int] = {}
        for index, item in enumerate(getattr(profile, name)):
            known = getattr(item, "id", None)
            if known is not None and seen.setdefault(known, index) != index:
                errors.append(f"{document.where((name, index))}: the id {known!r} stands twice in {name}; change one")
    return errors
