"""Studies as YAML: plain data with unique keys, and the line of each key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import yaml

from advgen.core.errors import ConfigError
from advgen.core.paths import check_file
from advgen.study.errors import suggest_nearest

DEFAULT_STUDY = "config/config.yaml"


class Source:
    """Where the keys of a study stand: a file, and a line per path. `swept` has the sweep that made a definition."""

    def __init__(
        self,
        name: str,
        lines: Mapping[tuple[str, ...], tuple[str, int]],
        swept: Mapping[tuple[str, str], str] | None = None,
    ):
        self.name, self.lines, self.swept = name, dict(lines), swept or {}

    def at(self, path: tuple[Any, ...]) -> str:
        """`file:line: ` of the deepest known key on a path."""
        family, name, *keys = [*map(str, path), "", ""][: max(2, len(path))]
        written = (family, self.swept.get((family, name), name), *keys)
        ends = range(len(path), 0, -1)
        by_sweep = [(*written[:2], "sweep", ".".join(written[2:end])) for end in ends if (family, name) in self.swept]
        for known in (*by_sweep, *(written[:end] for end in ends)):
            if known in self.lines:
                file, line = self.lines[known]
                return f"{file}:{line}: "
        return f"{self.name}: "


def read_yaml(path: Path) -> tuple[dict[str, Any], Source]:
    """A study's data and where its keys stand; ConfigError if it is no YAML with unique keys."""
    try:
        check_file(path)
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        names = sorted(other.name for other in path.parent.glob("[!.]*.yaml"))
        others = f"; there: {', '.join(names)}" if names else "; the usual one is config/config.yaml"
        near = suggest_nearest(path.name, names) or others
        raise ConfigError(f"{path}: no such study{near}") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from None
    except ValueError as error:
        raise ConfigError(str(error)) from None
    lines: dict[tuple[str, ...], tuple[str, int]] = {}
    try:
        loader = Loader(text)
        node = loader.get_single_node()
        if node is None:
            raise ConfigError(f"{path}: is empty; copy {DEFAULT_STUDY} to start")
        _note_lines(node, (), str(path), lines, set())
        data = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line}: not valid YAML: {error.problem}") from None
    except yaml.reader.ReaderError as error:
        letter = f"the letter {chr(error.character)!r} cannot stand in YAML; take it away"
        before = text.count("\n", 0, error.position)
        raise ConfigError(f"{path}:{before + 1}: not valid YAML: {letter}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: must be a mapping of keys like 'datasets:', not {type(data).__name__}")
    return data, Source(str(path), lines)


class Loader(yaml.SafeLoader):
    """Safe loading by YAML 1.2: `3e-3` is a number; `no` and `1:30` are words, as editors and the schema have it."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}  # type: ignore[misc]

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """As PyYAML's, which forgets the line of a value that is not what its tag says."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            problem = f"{node.tag.rpartition(':')[2]}: {error}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None


for _kind, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9_]*)", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|(0|[1-9][0-9_]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
    ("merge", r"<<", ["<"]),
):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(f"(?:{_pattern})$"), _first)


def convert_numbers(value: Any) -> Any:
    """What Snakemake read by YAML 1.1, with numbers like `3e-3`, which that takes for words, as numbers."""
    if isinstance(value, dict):
        return {key: convert_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [convert_numbers(item) for item in value]
    return float(value) if isinstance(value, str) and re.fullmatch(r"[-+]?[0-9]+[eE][-+]?[0-9]+", value) else value


def _note_lines(
    node: yaml.Node, path: tuple[str, ...], file: str, lines: dict[tuple[str, ...], tuple[str, int]], above: set[int]
) -> None:
    """Remember each key's line; refuse duplicate keys and anchors that would make the tree endless or huge."""
    if id(node) in above or len(lines) > 20_000:
        raise ConfigError(f"{file}:{node.start_mark.line + 1}: anchors make this study endless; write it out")
    above = above | {id(node)}
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            where = ".".join((*path, str(key.value)))
            if not isinstance(key, yaml.ScalarNode):
                raise ConfigError(f"{file}:{line}: a key must be a plain word")
            if key.tag.rpartition(":")[2] not in ("str", "int", "merge"):
                raise ConfigError(f"{file}:{line}: {where}: is read as no word; put the key in quotes")
            if key.value in seen:
                raise ConfigError(f"{file}:{line}: {where}: key stands twice (first in line {seen[key.value]})")
            seen[key.value] = line
            lines[(*path, key.value)] = (file, line)
            _note_lines(value, (*path, key.value), file, lines, above)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*path, str(index))] = (file, value.start_mark.line + 1)
            _note_lines(value, (*path, str(index)), file, lines, above)
