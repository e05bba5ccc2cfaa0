"""YAML files as plain data, with the line of every value and the live values of every text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from advgen.cv.live_values import OPENING, LiveValue, find_expressions, parse_live_value
from advgen.cv.text_files import find_control_character, load_text

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SCALARS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp")}

Location = tuple[str | int, ...]
"""Keys and indices from the top of a file to a value."""


@dataclass(frozen=True)
class Document:
    """A YAML file: its data, and the line and live values of each location. `files` differs from `path` in overlays."""

    path: Path
    data: Any
    lines: dict[Location, int]
    live_values: dict[Location, list[LiveValue]]
    files: dict[Location, Path] = field(default_factory=dict)

    def line(self, location: Location) -> int:
        """Return the line of a value, or of the nearest value around it."""
        return self.lines.get(self.find_known(location), 1)

    def where(self, location: Location) -> str:
        """Return `file:line` of a value, or of the nearest value around it."""
        known = self.find_known(location)
        return f"{self.files.get(known, self.path)}:{self.lines.get(known, 1)}"

    def find_known(self, location: Location) -> Location:
        """Return the location, or the nearest one around it that the file has."""
        while location and location not in self.lines:
            location = location[:-1]
        return location


def read(path: Path) -> Document:
    """Load a YAML file. Raises ValueError, one line per error, for anything but plain data with unique keys."""
    source = load_text(path)
    reader = _Reader(path, source)
    try:
        node = yaml.compose(source, Loader=_Loader)
        data = None if node is None else reader.read_value(node, ())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
        position = getattr(error, "position", 0) or 0
        where = f"{path}:{mark.line + 1 if mark else source.count(chr(10), 0, position) + 1}"
        remedy = "check the indentation, quotes and colons there"
        raise ValueError(f"{where}: not valid YAML ({' '.join(str(what).split())}); {remedy}") from error
    except RecursionError as error:
        raise ValueError(f"{path}: nested too deeply; write plain lists and maps") from error
    if reader.errors:
        raise ValueError("\n".join(reader.errors))
    return Document(path, data, reader.lines, reader.live_values)


class _Reader:
    """Turns YAML nodes into plain data, and keeps the lines that yaml.safe_load drops."""

    def __init__(self, path: Path, source: str) -> None:
        self.path = path
        self.source = source
        self.constructor = yaml.SafeLoader("")
        self.lines: dict[Location, int] = {}
        self.live_values: dict[Location, list[LiveValue]] = {}
        self.errors: list[str] = []
        self.seen: set[int] = set()

    def read_value(self, node: yaml.Node, at: Location) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(at, line)
        if isinstance(node, yaml.ScalarNode):
            return self.read_scalar(node, at, line)
        if id(node) in self.seen:
            self.errors.append(f"{self.path}:{line}: an alias (*) repeats a list or map; write it out")
            return None
        self.seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            return [self.read_value(child, (*at, index)) for index, child in enumerate(node.value)]
        assert isinstance(node, yaml.MappingNode)
        return self.read_mapping(node, at)

    def read_mapping(self, node: yaml.MappingNode, at: Location) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, child in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self.errors.append(f"{self.path}:{line}: a key must be one word, not a list or map")
                continue
            name = str(key.value)
            if name in result:
                first = self.lines[*at, name]
                self.errors.append(f"{self.path}:{line}: duplicate key {name!r} (first in line {first}); remove one")
                continue
            self.lines[*at, name] = line
            result[name] = self.read_value(child, (*at, name))
        return result

    def read_scalar(self, node: yaml.ScalarNode, at: Location, line: int) -> Any:
        if node.tag not in _SCALARS:
            self.errors.append(f"{self.path}:{line}: the tag {node.tag!r} is not supported; remove it")
            return None
        if node.tag != "tag:yaml.org,2002:str":
            try:
                return self.constructor.construct_object(node)
            except (ValueError, yaml.YAMLError):
                day = "write a day that exists, or " if node.tag.endswith("timestamp") else ""
                what = f"{node.value!r} is not a valid value; {day}put text in quotes"
                self.errors.append(f"{self.path}:{line}: {what}")
                return None
        text = str(node.value)
        if character := find_control_character(text):
            self.errors.append(f"{self.path}:{line}: the text has the control character {character}; remove it")
        if OPENING in text:
            try:
                self.live_values[at] = list(self.read_live_values(node, text))
            except ValueError as error:
                self.errors.append(str(error))
        return text

    def read_live_values(self, node: yaml.ScalarNode, text: str) -> Iterator[LiveValue]:
        """Yield live values with the line of their braces: a folded block starts lines before its text."""
        start, end = node.start_mark.index, node.end_mark.index
        places = [match.start() for match in re.finditer(re.escape(OPENING), self.source[start:end])]
        for number, (body, _) in enumerate(find_expressions(text, node.start_mark.line + 1, str(self.path))):
            offset = start + places[number] if number < len(places) else start
            yield parse_live_value(body, self.source.count("\n", 0, offset) + 1, str(self.path))


def merge(document: Document, overlay: Path | None) -> Document:
    """Merge another YAML file over a document.

    Keys of the overlay replace those of the document. Its items change the item with the same `id`, or are added.
    """
    return document if overlay is None else _Merger(document, read(overlay)).merge()


class _Merger:
    """Merges one document over another, and keeps the file and line of each value."""

    def __init__(self, base: Document, overlay: Document) -> None:
        self.base = base
        self.overlay = overlay
        self.lines: dict[Location, int] = {}
        self.live_values: dict[Location, list[LiveValue]] = {}
        self.files: dict[Location, Path] = {}

    def merge(self) -> Document:
        if not isinstance(self.base.data, dict) or not isinstance(self.overlay.data, dict):
            source = self.overlay if isinstance(self.base.data, dict) else self.base
            raise ValueError(f"{source.path}:1: not a map of keys to values; write name: … and so on")
        data = self.merge_values(self.base.data, (), self.overlay.data, (), ())
        return Document(self.base.path, data, self.lines, self.live_values, self.files)

    def merge_values(self, base: Any, at: Location, over: Any, over_at: Location, target: Location) -> Any:
        if isinstance(base, dict) and isinstance(over, dict):
            self.copy_line(self.base, at, target)
            merged = {
                key: self.merge_values(value, (*at, key), over[key], (*over_at, key), (*target, key))
                if key in over
                else self.copy(self.base, value, (*at, key), (*target, key))
                for key, value in base.items()
            }
            added = [key for key in over if key not in base]
            return merged | {key: self.copy(self.overlay, over[key], (*over_at, key), (*target, key)) for key in added}
        if isinstance(base, list) and isinstance(over, list) and all(isinstance(item, dict) for item in base + over):
            return self.merge_items(base, at, over, over_at, target)
        return self.copy(self.overlay, over, over_at, target)

    def merge_items(self, base: list[Any], at: Location, over: list[Any], over_at: Location, target: Location) -> Any:
        self.copy_line(self.base, at, target)
        changes: dict[str, int] = {}
        for index, item in enumerate(over):
            if isinstance(item.get("id"), str) and changes.setdefault(item["id"], index) != index:
                where = self.overlay.where((*over_at, index))
                raise ValueError(f"{where}: the id {item['id']!r} appears twice in {over_at[-1]}; change one")
        merged: list[Any] = []
        for index, item in enumerate(base):
            change = changes.pop(item["id"], None) if isinstance(item.get("id"), str) else None
            place = (*at, index), (*target, index)
            if change is None:
                merged.append(self.copy(self.base, item, *place))
            else:
                merged.append(self.merge_values(item, place[0], over[change], (*over_at, change), place[1]))
        for index, item in enumerate(over):
            if not isinstance(item.get("id"), str) or changes.get(item["id"]) == index:
                merged.append(self.copy(self.overlay, item, (*over_at, index), (*target, len(merged))))
        return merged

    def copy(self, document: Document, value: Any, at: Location, target: Location) -> Any:
        self.copy_line(document, at, target)
        if isinstance(value, dict):
            return {key: self.copy(document, child, (*at, key), (*target, key)) for key, child in value.items()}
        if isinstance(value, list):
            return [self.copy(document, child, (*at, index), (*target, index)) for index, child in enumerate(value)]
        return value

    def copy_line(self, document: Document, at: Location, target: Location) -> None:
        if at in document.lines:
            self.lines[target] = document.lines[at]
            self.files[target] = document.path
        if at in document.live_values:
            self.live_values[target] = document.live_values[at]
