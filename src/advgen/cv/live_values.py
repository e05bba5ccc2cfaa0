"""Live values of the CV: live to table cells and figures, found without running anything.

A text value of the profile may hold ``{{ result('transfer', 'error', source='fc100') | .1% }}``: the cell of the column
``error`` in the one row of ``results/tables/transfer.parquet`` that the keywords select, in a Python number format.
"""

from __future__ import annotations

import ast
import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from advgen.core.paths import check_file

_OPEN = "{{"
_EXPRESSION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_FORMAT = re.compile(r"[-+ ]?,?(?:\.\d{1,2})?[defgsEG%]?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")  # a study's own names have hyphens
_FIGURE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_EXAMPLE = "{{ result('transfer', 'error', source='fc100') | .1% }}"
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SCALARS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp")}
_BREAKS = "\n\t\r\x85\u2028\u2029"
# Far above any CV; a file that holds more was not written by hand, and checking it would take minutes.
_LARGEST = 4_000_000

Location = tuple[str | int, ...]


@dataclass(frozen=True)
class LiveValue:
    """One cell of one table. ``where`` is sorted by column, ``format`` is a Python format spec or empty."""

    table: str
    column: str
    where: tuple[tuple[str, str | int | float], ...]
    format: str
    line: int
    file: str = field(default="", compare=False)

    def show(self, value: object) -> str:
        """The text that stands in the CV for ``value``. Raises ValueError for no number or an unfit format."""
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            raise ValueError(f"the cell {self.column!r} of {self.table!r} holds no number; name another")
        try:
            return format(value, self.format)
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"the format {self.format!r} does not fit the value {value!r}; take another, or none"
            ) from error


@dataclass(frozen=True)
class Document:
    """A YAML file as plain data, with the line of every key and item and the live values of every text."""

    path: Path
    data: Any
    lines: dict[Location, int]
    live_values: dict[Location, list[LiveValue]]
    files: dict[Location, Path] = field(default_factory=dict)

    def line(self, location: Location) -> int:
        """The line of the value at ``location``, or of the nearest value that holds it."""
        return self.lines.get(self._known(location), 1)

    def where(self, location: Location) -> str:
        """``file:line`` of the value at ``location``, or of the nearest value that holds it."""
        known = self._known(location)
        return f"{self.files.get(known, self.path)}:{self.lines.get(known, 1)}"

    def _known(self, location: Location) -> Location:
        while location and location not in self.lines:
            location = location[:-1]
        return location


def find_live_values(text: str, line: int = 0, name: str = "profile.yaml") -> list[LiveValue]:
    """The live values in one text whose first line is ``line`` of the file ``name``."""
    return [_parse(body, line + text.count("\n", 0, start), name) for body, start in _expressions(text, line, name)]


def substitute(text: str, values: list[str]) -> str:
    """``text`` with its live values replaced by ``values``, in order."""
    remaining = iter(values)
    return _EXPRESSION.sub(lambda match: next(remaining), text)


@dataclass(frozen=True)
class Content:
    """What a profile needs besides itself, and the sections that it orders."""

    live_values: list[LiveValue]
    figures: list[str]
    bibliographies: list[str]
    sections: list[str]
    templates: str


def scan_profile(path: Path, overlay: Path | None = None) -> Content:
    """All live values of a profile in file order, the names of its figures and of its sections' bibliographies."""
    document = merge(read(path), overlay)
    live = [value for found in document.live_values.values() for value in found]
    data = document.data if isinstance(document.data, dict) else {}
    own, order = data.get("sections"), data.get("order")
    files = [part.get("file") for part in own.values() if isinstance(part, dict)] if isinstance(own, dict) else []
    sections = [
        item.get("section") if isinstance(item, dict) else item for item in (order if isinstance(order, list) else ())
    ]
    return Content(
        live,
        figures(document),
        [file for file in files if isinstance(file, str)],
        [name for name in sections if isinstance(name, str)],
        str(data.get("templates") or ""),
    )


def load_text(path: Path) -> str:
    """The text of a file that a person wrote. Raises ValueError if it is none."""
    try:
        check_file(path)
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if len(content) > _LARGEST:
        size, most = len(content) / 1e6, _LARGEST // 1_000_000
        raise ValueError(
            f"{path}: {size:.0f} MB are too much for a CV; take out what does not belong (at most {most} MB)"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}:{line}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def merge(document: Document, overlay: Path | None) -> Document:
    """A document with another YAML file merged over it.

    Keys of the overlay replace those of the file; its items change the item with the same ``id``, others are added.
    """
    return document if overlay is None else _Merger(document, read(overlay)).merged()


def read(path: Path) -> Document:
    """Load a YAML file. Raises ValueError, one line per error, for anything but plain data with unique keys."""
    source = load_text(path)
    reader = _Reader(path, source)
    try:
        node = yaml.compose(source, Loader=_Loader)
        data = None if node is None else reader.value(node, ())
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


class _Merger:
    """Merges one document over another and keeps where each value stands."""

    def __init__(self, base: Document, over: Document) -> None:
        self.base = base
        self.over = over
        self.lines: dict[Location, int] = {}
        self.live_values: dict[Location, list[LiveValue]] = {}
        self.files: dict[Location, Path] = {}

    def merged(self) -> Document:
        if not isinstance(self.base.data, dict) or not isinstance(self.over.data, dict):
            source = self.over if isinstance(self.base.data, dict) else self.base
            raise ValueError(f"{source.path}:1: not a map of keys to values; write name: … and so on")
        data = self.both(self.base.data, (), self.over.data, (), ())
        return Document(self.base.path, data, self.lines, self.live_values, self.files)

    def both(self, base: Any, at: Location, over: Any, over_at: Location, new: Location) -> Any:
        if isinstance(base, dict) and isinstance(over, dict):
            self.mark(self.base, at, new)
            result = {
                key: self.both(value, (*at, key), over[key], (*over_at, key), (*new, key))
                if key in over
                else self.take(self.base, value, (*at, key), (*new, key))
                for key, value in base.items()
            }
            added = [key for key in over if key not in base]
            return result | {key: self.take(self.over, over[key], (*over_at, key), (*new, key)) for key in added}
        if isinstance(base, list) and isinstance(over, list) and all(isinstance(item, dict) for item in base + over):
            return self.items(base, at, over, over_at, new)
        return self.take(self.over, over, over_at, new)

    def items(self, base: list[Any], at: Location, over: list[Any], over_at: Location, new: Location) -> list[Any]:
        self.mark(self.base, at, new)
        changes: dict[str, int] = {}
        for index, item in enumerate(over):
            if isinstance(item.get("id"), str) and changes.setdefault(item["id"], index) != index:
                where = self.over.where((*over_at, index))
                raise ValueError(f"{where}: the id {item['id']!r} stands twice in {over_at[-1]}; change one")
        result: list[Any] = []
        for index, item in enumerate(base):
            change = changes.pop(item["id"], None) if isinstance(item.get("id"), str) else None
            if change is None:
                result.append(self.take(self.base, item, (*at, index), (*new, index)))
            else:
                result.append(self.both(item, (*at, index), over[change], (*over_at, change), (*new, index)))
        for index, item in enumerate(over):
            if not isinstance(item.get("id"), str) or changes.get(item["id"]) == index:
                result.append(self.take(self.over, item, (*over_at, index), (*new, len(result))))
        return result

    def take(self, document: Document, value: Any, at: Location, new: Location) -> Any:
        self.mark(document, at, new)
        if isinstance(value, dict):
            return {key: self.take(document, child, (*at, key), (*new, key)) for key, child in value.items()}
        if isinstance(value, list):
            return [self.take(document, child, (*at, index), (*new, index)) for index, child in enumerate(value)]
        return value

    def mark(self, document: Document, at: Location, new: Location) -> None:
        if at in document.lines:
            self.lines[new] = document.lines[at]
            self.files[new] = document.path
        if at in document.live_values:
            self.live_values[new] = document.live_values[at]


class _Reader:
    """Turns YAML nodes into plain data and keeps the lines that yaml.safe_load forgets."""

    def __init__(self, path: Path, source: str) -> None:
        self.path = path
        self.source = source
        self.constructor = yaml.SafeLoader("")
        self.lines: dict[Location, int] = {}
        self.live_values: dict[Location, list[LiveValue]] = {}
        self.errors: list[str] = []
        self.seen: set[int] = set()

    def value(self, node: yaml.Node, at: Location) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(at, line)
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node, at, line)
        if id(node) in self.seen:
            self.errors.append(f"{self.path}:{line}: an alias (*) repeats a list or map; write it out")
            return None
        self.seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child, (*at, index)) for index, child in enumerate(node.value)]
        assert isinstance(node, yaml.MappingNode)
        return self.mapping(node, at)

    def mapping(self, node: yaml.MappingNode, at: Location) -> dict[str, Any]:
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
            result[name] = self.value(child, (*at, name))
        return result

    def scalar(self, node: yaml.ScalarNode, at: Location, line: int) -> Any:
        if node.tag not in _SCALARS:
            self.errors.append(f"{self.path}:{line}: the tag {node.tag!r} is not supported; remove it")
            return None
        if node.tag != "tag:yaml.org,2002:str":
            try:
                return self.constructor.construct_object(node)
            except (ValueError, yaml.YAMLError):
                day = "write a day that there is, or " if node.tag.endswith("timestamp") else ""
                what = f"{node.value!r} is not a valid value; {day}put text in quotes"
                self.errors.append(f"{self.path}:{line}: {what}")
                return None
        text = str(node.value)
        if bad := unprintable(text):
            self.errors.append(f"{self.path}:{line}: the text holds the control character {bad}; remove it")
        if _OPEN in text:
            try:
                self.live_values[at] = list(self.precise(node, text))
            except ValueError as error:
                self.errors.append(str(error))
        return text

    def precise(self, node: yaml.ScalarNode, text: str) -> Iterator[LiveValue]:
        """References with the line of their own braces: folded and literal blocks start lines before their text."""
        start, end = node.start_mark.index, node.end_mark.index
        places = [match.start() for match in re.finditer(re.escape(_OPEN), self.source[start:end])]
        for number, (body, _) in enumerate(_expressions(text, node.start_mark.line + 1, str(self.path))):
            offset = start + places[number] if number < len(places) else start
            yield _parse(body, self.source.count("\n", 0, offset) + 1, str(self.path))


def unprintable(text: str) -> str:
    """The first control character or lone surrogate of ``text`` as U+XXXX, or nothing."""
    for character in text:
        if character not in _BREAKS and unicodedata.category(character) in ("Cc", "Cs"):
            return f"U+{ord(character):04X}"
    return ""


def _expressions(text: str, line: int, name: str) -> Iterator[tuple[str, int]]:
    """Bodies between double braces with the index where each begins."""
    end = 0
    for match in _EXPRESSION.finditer(text):
        end = match.end()
        yield match.group(1), match.start()
    rest = text.find(_OPEN, end)
    if rest >= 0:
        raise _error(name, line + text.count("\n", 0, rest), "'{{' is never closed; end the live value with '}}'")


def _parse(body: str, line: int, name: str) -> LiveValue:
    expression, spec = body.strip(), ""
    if not expression.endswith(")"):
        expression, bar, spec = expression.rpartition("|")
        expression, spec = expression.strip(), spec.strip()
        if not bar or not spec:
            raise _error(name, line, f"{body.strip()!r} is not a live value; write {_EXAMPLE}")
    if not _FORMAT.fullmatch(spec):
        raise _error(name, line, f"{spec!r} is not a number format; write one like .1% or .2f after the bar")
    try:
        call = ast.parse(" ".join(expression.split()), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise _error(name, line, f"{expression!r} is not a live value; write {_EXAMPLE}") from None
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "result"):
        raise _error(name, line, f"a live value calls result(…), not {expression!r}; write {_EXAMPLE}")
    names = [argument.value if isinstance(argument, ast.Constant) else None for argument in call.args]
    shapes = (_TABLE, _NAME)
    if len(names) != 2 or not all(
        isinstance(item, str) and shape.fullmatch(item) for item, shape in zip(names, shapes, strict=True)
    ):
        raise _error(name, line, "result(…) begins with the names of a table and a column in quotes, and no more")
    columns = [keyword.arg for keyword in call.keywords]
    if repeated := next((str(column) for column in columns if columns.count(column) > 1), None):
        raise _error(name, line, f"{repeated}= stands twice in one live value; remove one")
    where = sorted((_condition(keyword, line, name) for keyword in call.keywords), key=lambda pair: pair[0])
    return LiveValue(str(names[0]), str(names[1]), tuple(where), spec, line, name)


def _condition(keyword: ast.keyword, line: int, name: str) -> tuple[str, str | int | float]:
    try:
        value = ast.literal_eval(keyword.value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        value = None
    finite = not isinstance(value, float) or math.isfinite(value)
    if keyword.arg is None or isinstance(value, bool) or not isinstance(value, str | int | float) or not finite:
        column = keyword.arg or "**"
        raise _error(name, line, f"{column}= needs a text in quotes or a number; write for example {column}='fc100'")
    return keyword.arg, value


def figures(document: Document) -> list[str]:
    """The names of a profile's figures. Raises ValueError for anything but plain, different names."""
    data = document.data
    listed = data.get("figures") if isinstance(data, dict) else None
    if listed is None:
        return []
    if not isinstance(listed, list):
        raise ValueError(
            f"{document.where(('figures',))}: figures is a list; write - {{name: transfer, caption: …}} below"
        )
    names: list[str] = []
    for index, figure in enumerate(listed):
        name = figure.get("name") if isinstance(figure, dict) else None
        where = document.where(("figures", index, "name"))
        if not isinstance(name, str) or not _FIGURE.fullmatch(name):
            raise ValueError(f"{where}: a figure needs a name; write it with a–z, 0–9 and hyphens, such as 'transfer'")
        if name in names:
            raise ValueError(f"{where}: the figure {name!r} is listed twice; remove one")
        names.append(name)
    return names


def _error(name: str, line: int, what: str) -> ValueError:
    return ValueError(f"{name}:{line}: {what}")
