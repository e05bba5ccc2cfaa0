"""Studies as YAML: plain data with unique keys, and the line of each key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from advgen.core.errors import ConfigError
from advgen.study.errors import nearest

DEFAULT_STUDY = "config/config.yaml"


class Source:
    """Where the keys of a study stand: a file, and a line per path."""

    def __init__(self, name: str, lines: Mapping[tuple[Any, ...], tuple[str, int]]):
        self.name, self.lines = name, dict(lines)

    def at(self, path: tuple[Any, ...]) -> str:
        """`file:line: ` of the deepest known key on a path."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.lines:
                file, line = self.lines[path[:end]]
                return f"{file}:{line}: "
        return f"{self.name}: "


def read_yaml(path: Path) -> tuple[dict[str, Any], Source]:
    """A study's data and where its keys stand; ConfigError if it is no YAML with unique keys."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        names = sorted(other.name for other in path.parent.glob("[!.]*.yaml"))
        others = f"; there: {', '.join(names)}" if names else "; the usual one is config/config.yaml"
        near = nearest(path.name, names) or others
        raise ConfigError(f"{path}: no such study{near}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from None
    lines: dict[tuple[Any, ...], tuple[str, int]] = {}
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            raise ConfigError(f"{path}: is empty; copy {DEFAULT_STUDY} to start")
        _note_lines(node, (), str(path), lines, set())
        data = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line}: not valid YAML: {error.problem}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: must be a mapping of keys like 'datasets:', not {type(data).__name__}")
    return data, Source(str(path), lines)


class _Loader(yaml.SafeLoader):
    """Safe loading, for which PyYAML needs a class of its own."""


def _note_lines(
    node: yaml.Node, path: tuple[Any, ...], file: str, lines: dict[tuple[Any, ...], tuple[str, int]], above: set[int]
) -> None:
    """Remember each key's line; refuse duplicate keys and anchors that would make the tree endless or huge."""
    if id(node) in above or len(lines) > 20_000:
        raise ConfigError(f"{file}:{node.start_mark.line + 1}: anchors make this study endless; write it out")
    above = above | {id(node)}
    if isinstance(node, yaml.MappingNode):
        seen: dict[Any, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise ConfigError(f"{file}:{line}: a key must be a plain word")
            if key.value in seen:
                where = ".".join(str(part) for part in (*path, key.value))
                raise ConfigError(f"{file}:{line}: {where}: key stands twice (first in line {seen[key.value]})")
            seen[key.value] = line
            lines[(*path, key.value)] = (file, line)
            _note_lines(value, (*path, key.value), file, lines, above)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*path, index)] = (file, value.start_mark.line + 1)
            _note_lines(value, (*path, index), file, lines, above)
