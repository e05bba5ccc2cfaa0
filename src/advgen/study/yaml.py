"""Read studies from YAML as plain data with unique keys, and record the line of each key."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import yaml

from advgen.core.errors import ConfigError
from advgen.core.paths import check_file
from advgen.study.errors import suggest_nearest

DEFAULT_STUDY = "config/config.yaml"
MAX_KEYS = 20_000
"""Keys of a study, after anchors are expanded."""


class Source:
    """The lines of a study's keys, by path. `swept` maps each member of a sweep to the definition with the sweep."""

    def __init__(
        self,
        name: str,
        lines: Mapping[tuple[str, ...], tuple[str, int]],
        swept: Mapping[tuple[str, str], str] | None = None,
    ):
        self.name, self.lines, self.swept = name, dict(lines), swept or {}

    def at(self, path: tuple[Any, ...]) -> str:
        """Return `file:line: ` of the deepest known key on a path."""
        family, name, *keys = [*map(str, path), "", ""][: max(2, len(path))]
        in_file = (family, self.swept.get((family, name), name), *keys)
        ends = range(len(path), 0, -1)
        by_sweep = [(*in_file[:2], "sweep", ".".join(in_file[2:end])) for end in ends if (family, name) in self.swept]
        for known in (*by_sweep, *(in_file[:end] for end in ends)):
            if known in self.lines:
                file, line = self.lines[known]
                return f"{file}:{line}: "
        return f"{self.name}: "


def read_yaml(path: Path) -> tuple[dict[str, Any], Source]:
    """Read a study's data and the lines of its keys.

    Raises:
        ConfigError: the file cannot be read, or is not YAML with unique keys.
    """
    try:
        check_file(path)
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        names = sorted(other.name for other in path.parent.glob("[!.]*.yaml"))
        others = f"; studies in this folder: {', '.join(names)}" if names else f"; the default is {DEFAULT_STUDY}"
        raise ConfigError(f"{path}: no such study{suggest_nearest(path.name, names) or others}") from None
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
        _record_lines(node, (), str(path), lines, set())
        data = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line}: not valid YAML: {error.problem}") from None
    except yaml.reader.ReaderError as error:
        before = text.count("\n", 0, error.position)
        problem = f"the character {chr(error.character)!r} is not allowed; remove it"
        raise ConfigError(f"{path}:{before + 1}: not valid YAML: {problem}") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: must be a map with keys such as 'datasets:', not {type(data).__name__}")
    return data, Source(str(path), lines)


class Loader(yaml.SafeLoader):
    """Safe loader for YAML 1.2: `3e-3` is a number; `no` and `1:30` are text, as in editors and the JSON schema."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}  # type: ignore[misc]

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Construct as PyYAML does, but report the line of a value that does not match its tag."""
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
    """Return data that Snakemake read as YAML 1.1 with text such as `3e-3` converted to numbers."""
    if isinstance(value, dict):
        return {key: convert_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [convert_numbers(item) for item in value]
    return float(value) if isinstance(value, str) and re.fullmatch(r"[-+]?[0-9]+[eE][-+]?[0-9]+", value) else value


def _record_lines(
    node: yaml.Node, path: tuple[str, ...], file: str, lines: dict[tuple[str, ...], tuple[str, int]], above: set[int]
) -> None:
    """Record the line of each key; refuse duplicate keys, and anchors that make the data infinite or huge."""
    if id(node) in above or len(lines) > MAX_KEYS:
        raise ConfigError(f"{file}:{node.start_mark.line + 1}: anchors expand to too many keys; write the study out")
    above = above | {id(node)}
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            where = ".".join((*path, str(key.value)))
            if not isinstance(key, yaml.ScalarNode):
                raise ConfigError(f"{file}:{line}: a key must be plain text")
            if key.tag.rpartition(":")[2] not in ("str", "int", "merge"):
                raise ConfigError(f"{file}:{line}: {where}: is not read as text; put the key in quotes")
            if key.value in seen:
                raise ConfigError(f"{file}:{line}: {where}: duplicate key (first in line {seen[key.value]})")
            seen[key.value] = line
            lines[(*path, key.value)] = (file, line)
            _record_lines(value, (*path, key.value), file, lines, above)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*path, str(index))] = (file, value.start_mark.line + 1)
            _record_lines(value, (*path, str(index)), file, lines, above)
