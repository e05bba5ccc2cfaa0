"""What a section type is, and what it needs to turn the entries of a profile into rows."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, create_model

from advgen.cv.fields import Model, Plain
from advgen.cv.grouping import count_entries
from advgen.cv.inline import Node, NodeError, check_nodes, escape, merge_strings, parse, plain_text
from advgen.cv.labels import Labels
from advgen.cv.live_values import LiveValue, substitute
from advgen.cv.text_files import suggest
from advgen.cv.yaml_files import Document, Location

Body = dict[str, Any]
"""The part of a section in cv.json that depends on its type. `kind` says how templates print it."""


@dataclass(frozen=True)
class Filter:
    """Which part of its sources a CV shows: selected publications, entries with some tags, some sections; or all."""

    selected: bool = False
    tags: Sequence[str] = ()
    sections: Sequence[str] = ()

    def includes(self, entry: object) -> bool:
        """Whether an entry is shown: one without tags is in every CV."""
        tags = set(getattr(entry, "tags", ()))
        return not self.tags or not tags or bool(tags & set(self.tags))


@dataclass
class Context:
    """The checked sources of one CV. Builders of sections add to `errors` instead of raising."""

    profile: Any
    document: Document
    labels: Labels
    metrics: Any
    bibliography_path: Path | None
    metrics_path: Path | None
    look_up: Callable[[LiveValue], object]
    filter: Filter = Filter()
    publications: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Bibliography entries by the name of the section that lists them."""
    errors: list[str] = field(default_factory=list)
    nodes: dict[Location, list[Node]] = field(default_factory=dict)

    def fail(self, location: Location, what: str) -> None:
        """Record an error of a value of the profile."""
        self.errors.append(f"{self.document.where(location)}: {what}")

    def text(self, text: str | None, *location: str | int) -> list[Node]:
        """Return the nodes of a text of the profile, with its live values filled in."""
        if text is None:
            return []
        if location not in self.nodes:
            self.nodes[location] = self._parse(text, location)
        return self.nodes[location]

    def _parse(self, text: str, location: Location) -> list[Node]:
        values = []
        for value in self.document.live_values.get(location, []):
            try:
                values.append(escape(value.format_value(self.look_up(value))))
            except ValueError as error:
                self.errors.append(f"{value.file}:{value.line}: {' '.join(str(error).split())}")
                return []
        try:
            return parse(substitute(text, values))
        except ValueError as error:
            self.fail(location, str(error))
            return []


@dataclass(frozen=True)
class Section:
    """One section of a profile while it is built.

    `content` is the list of its entries or, for a type with a `model`, that model; `location` is its place in the file.
    """

    context: Context
    name: str
    content: Any
    location: Location
    order_index: int
    group_by: str | None = None
    numbered: bool | None = None

    def text(self, text: str | None, *below: str | int) -> list[Node]:
        """Return the nodes of a text at a place below this section."""
        return self.context.text(text, *self.location, *below)

    def entries(self) -> Iterator[EntryTexts]:
        """Yield the entries that the filter includes."""
        for index, entry in enumerate(self.content):
            if self.context.filter.includes(entry):
                yield EntryTexts(self.context, entry, (*self.location, index))


@dataclass(frozen=True)
class Row:
    """One entry as it is printed: a text, quieter lines below it, and dates at the right margin.

    `dates` defaults to those of the entry. `values` adds plain values for JSON Resume and other programs.
    """

    text: list[Node]
    lines: Sequence[list[Node]] = ()
    dates: str | None = None
    values: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_nodes(self.text, "text")
        for line in self.lines:
            check_nodes(line, "each of lines")


@dataclass(frozen=True)
class EntryTexts:
    """The texts of one entry as inline nodes."""

    context: Context
    entry: Any
    location: Location

    @property
    def labels(self) -> Labels:
        return self.context.labels

    def text(self, key: str, *index: int) -> list[Node]:
        """Return the nodes of the text under a key, or none. `index` selects an item of a list."""
        value = getattr(self.entry, key)
        return self.context.text(value[index[0]] if index else value, *self.location, key, *index)

    def linked(self, key: str, url: str | None) -> list[Node]:
        """Return a text, as a link if it has an address."""
        text = self.text(key)
        return [{"link": text, "url": url}] if url else text

    def bracketed(self, key: str) -> list[Node]:
        """Return " (text)", or nothing for a missing text."""
        return [" (", *self.text(key), ")"] if getattr(self.entry, key) else []

    def joined(self, key: str, em: bool = False) -> list[Node]:
        """Return ", text", or nothing for a missing text."""
        if not getattr(self.entry, key):
            return []
        return [", ", {"em": self.text(key)}] if em else [", ", *self.text(key)]

    def finish(self, row: Row) -> dict[str, Any]:
        """Return a row as it is stored in cv.json, with the plain values of its entry."""
        dates = row.dates
        if dates is None:
            dates = self.entry.dates(self.labels) if hasattr(self.entry, "dates") else ""
        values = self.entry.model_dump(mode="json", exclude_none=True, exclude={"tags"})
        nodes = {key: self.context.nodes.get((*self.location, key)) for key in values}
        texts = {key: plain_text(found) for key, found in nodes.items() if found is not None}
        return {
            "text": merge_strings(row.text),
            "dates": dates,
            "lines": [merge_strings(line) for line in row.lines],
            "item": values | texts | row.values,
        }


WriteRow = Callable[[Any, EntryTexts], Row]
"""Turns an entry and its texts into a row."""


@dataclass(frozen=True)
class SectionType:
    """A type of section.

    Types whose entries become rows set `entry` and `write_row`. Others set `build`, which returns the whole body, with
    `entry` for a list of entries or `model` for any other map.
    """

    name: str
    entry: Any = None
    """Model of one entry, or `Text`. None: the content does not come from a key of the profile."""
    write_row: WriteRow | None = None
    numbered: bool = False
    build: Callable[[Section], Body] | None = None
    model: type[BaseModel] | None = None
    nouns: tuple[str, str] | None = None
    """Singular and plural of an entry, for `advgen cv diff`."""
    resume: tuple[str, Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]] | None = None
    """The key of JSON Resume that holds its rows, and a function of plain values and dates that returns an item."""
    file: Path | None = None
    """The Python file of the user that defines it."""

    def build_body(self, section: Section) -> Body:
        """Return the body of a section of this type."""
        if self.build:
            with self._explain_errors(section):
                return self.build(section)
        assert self.write_row
        rows = []
        for texts in section.entries():
            with self._explain_errors(texts):
                row = self.write_row(texts.entry, texts)
                if not isinstance(row, Row):
                    raise TypeError(f"{self.write_row.__name__} returns {type(row).__name__}, not a Row")
                rows.append(texts.finish(row))
        return number_rows(section, rows, self.numbered if section.numbered is None else section.numbered)

    @contextmanager
    def _explain_errors(self, place: Section | EntryTexts) -> Iterator[None]:
        """Turn an exception of a user's file into one line with its place there and that of the entry."""
        try:
            yield
        except Exception as error:
            if self.file is None:
                raise
            where = place.context.document.where(place.location)
            raise ValueError(f"{describe_exception(self.file, error)} (entry {where})") from error

    def custom_model(self) -> type[BaseModel]:
        """Return the model of a custom section of this type: a map with `type`, and mostly `items`."""
        keys: dict[str, Any] = {"type": (Literal[self.name], ...)}
        if self.model is None:
            keys["items"] = (Annotated[list[self.entry], Field(min_length=1)], ...)  # type: ignore[name-defined]
            if self.write_row:
                keys["numbered"] = (bool, self.numbered)
        return create_model(f"Custom_{self.name}", __base__=self.model or CustomSection, **keys)


def describe_exception(file: Path, error: Exception) -> str:
    """Return what a Python file of the user did wrong, as `file:line: what; remedy`."""
    frames = traceback.extract_tb(error.__traceback__)
    line = next((frame.lineno for frame in reversed(frames) if Path(frame.filename) == file.resolve()), 1)
    what = f"{type(error).__name__}: {error}; correct this file"
    match error:
        case NodeError():
            what = str(error)
        case SyntaxError():
            line, what = error.lineno, f"SyntaxError: {error.msg}; correct this file"
        case AttributeError(name=str() as name, obj=object()):
            fields = getattr(type(error.obj), "model_fields", {})
            remedy = f"it has {', '.join(fields)}" if fields else "correct this file"
            remedy = suggest(name, fields or dir(error.obj)).rstrip() or remedy
            what = f"{type(error.obj).__name__!r} has no {name!r}; {remedy}"
    return f"{file}:{line}: {' '.join(what.split())}"


class CustomSection(Model):
    """Keys of every custom section."""

    title: Plain | None = None


def number_rows(section: Section, rows: list[dict[str, Any]], numbered: bool) -> Body:
    """Return the body of a section of rows."""
    direction = section.context.profile.numbering
    numbered = numbered and direction != "none"
    if numbered:
        pairs = zip(count_entries(len(rows), direction), rows, strict=True)
        rows = [{"number": number, **row} for number, row in pairs]
    return {"kind": "rows", "numbered": numbered, "rows": rows}
