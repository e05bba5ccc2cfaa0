"""Types of the values in profile.yaml and metrics.yaml, and base classes of the entries of a section."""

import datetime
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from advgen.cv.entities import decode_entities
from advgen.cv.inline import safe_url
from advgen.cv.labels import Labels, format_period
from advgen.cv.text_files import suggest

_ISO_DATE = r"(?:19|20)\d\d(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01]))?)?"


def describe_value(value: object) -> str:
    """Return a wrong value as the user wrote it, shortened, or what kind of value it is."""
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


def one_of(names: Iterable[str]) -> AfterValidator:
    """Accept one of some names; the error suggests the nearest."""
    known = list(names)

    def check(value: str) -> str:
        if value not in known:
            allowed = f"{', '.join(map(repr, known[:-1]))} or {known[-1]!r}"
            raise ValueError(f"is {describe_value(value)}; {suggest(value, known)}allowed: {allowed}")
        return value

    return AfterValidator(check)


def _join_lines(text: str) -> str:
    if not text.split():
        raise ValueError("is empty; write something or remove it")
    return " ".join(text.split())


def _refuse_live_value(text: str) -> str:
    if "{{" in text:
        raise ValueError("contains a live value; use live values only in texts such as titles, details and experiments")
    return text


def _check_email(text: str) -> str:
    if not re.fullmatch(r"[^@\s\"<>\\^`{|}?&#%]+@[\w.-]+", text):
        raise ValueError(f"{text!r} is not an e-mail address; write one like name@example.org")
    return text


def _parse_date(value: object) -> object:
    """Return a year, month or day as ISO text."""
    if type(value) is int and not 1900 <= value <= 2100:
        raise ValueError(f"is {describe_value(value)}; write a year from 1900 to 2100")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if type(day := _parse_day(value)) is datetime.date:
        return day.isoformat()
    if isinstance(value, str) and re.fullmatch(_ISO_DATE, value):
        return value
    raise ValueError(f"is {describe_value(value)}; write a year such as 2019, or 2019-09")


def _parse_day(value: object) -> object:
    """Return a quoted day as a date, as YAML reads it without quotes; any other value as it is."""
    if isinstance(value, datetime.datetime):
        return value.date()
    found = re.fullmatch(r"(\d{4})-(\d\d?)-(\d\d?)", value) if isinstance(value, str) else None
    with suppress(ValueError):
        return datetime.date(*map(int, found.groups())) if found else value
    return value


def _parse_year(value: object) -> object:
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{4}", value) else value


def _parse_count(value: object) -> object:
    is_number = type(value) is int and 0 <= value < 10**9
    if is_number or (isinstance(value, str) and re.fullmatch(r"\d{1,6}(\.\d)?k?\+?", value)):
        return value
    raise ValueError(f"is {describe_value(value)}; write a number, or its short form such as 14.9k")


def _date_as_text(value: object) -> object:
    day = _parse_day(value)
    return day.isoformat() if type(day) is datetime.date else str(value) if type(value) is int else value


Text = Annotated[str, AfterValidator(_join_lines)]
"""One paragraph with inline markup and live values."""
FilePath = Annotated[str, AfterValidator(_join_lines), AfterValidator(_refuse_live_value)]
Plain = Annotated[str, AfterValidator(_join_lines), AfterValidator(decode_entities), AfterValidator(_refuse_live_value)]
"""Text without markup."""
Url = Annotated[str, AfterValidator(safe_url)]
Email = Annotated[Plain, AfterValidator(_check_email)]
Year = Annotated[int, BeforeValidator(_parse_year), Field(strict=True, ge=1900, le=2100)]
Day = Annotated[datetime.date, BeforeValidator(_parse_day), Field(strict=True)]
Count = Annotated[int | str, BeforeValidator(_parse_count)]
"""A number, or its short form such as "14.9k"."""


class Model(BaseModel):
    """Immutable; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Entry(Model):
    """Keys that every entry may have: `id` for overlays, and the `tags` of the CVs that include it."""

    id: Annotated[Plain, Field(pattern=r"^[\w.-]+$")] | None = None
    tags: list[Plain] = []


class DatedEntry(Entry):
    """An entry with `date` (a year or any text, such as "Spring 2017"), or with `start` and `end`.

    `start` and `end` are a year, a month ("2019-09") or a day. A start without an end continues to the present.
    """

    needs_date: ClassVar[bool] = True
    date: Annotated[Plain | None, BeforeValidator(_date_as_text)] = None
    start: Annotated[str | None, BeforeValidator(_parse_date)] = None
    end: Annotated[Plain | None, BeforeValidator(_date_as_text)] = None
    detail: Text | None = None

    @model_validator(mode="after")
    def _check_dates(self) -> Self:
        has_period = self.start is not None or self.end is not None
        if (self.date is not None and has_period) or (self.needs_date and self.date is None and not has_period):
            raise ValueError("needs either date or start; write one of them, and end if it is over")
        if self.end is not None and self.end.lower() != "present":
            if not re.fullmatch(_ISO_DATE, self.end):
                raise ValueError(f"ends in {self.end!r}, which is not a year, a month or Present; write one of them")
            if self.start is not None and self.end < self.start[: len(self.end)]:
                raise ValueError(f"ends in {self.end} before it starts in {self.start}; swap start and end")
        return self

    def dates(self, labels: Labels) -> str:
        """Return the dates as the CV prints them."""
        return format_period(self.date, self.start, self.end, labels)


class Link(Entry):
    """A labelled web address."""

    label: Plain
    url: Url


class Figure(Entry):
    """A figure of the experiments by name; the study provides its file."""

    name: Plain
    caption: Text
