"""Expand sweeps: a definition with `sweep:` stands for one definition per combination of the swept values."""

import itertools
import math
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any, NamedTuple

from advgen.core.definitions import Study
from advgen.study.errors import config_error
from advgen.study.names import find_references
from advgen.study.paths import format_value
from advgen.study.tree import SWEPT
from advgen.study.yaml import Source

MAX_MEMBERS = 10_000
"""Definitions that all sweeps of a study may make together."""
SweptValues = dict[str, dict[str, Any]]
"""The swept keys of a definition with their labels or values, by its name."""


class Expanded(NamedTuple):
    """A study's data without sweeps, the lines of its keys, the members of each sweep, and their swept values."""

    data: dict[str, Any]
    source: Source
    members: dict[str, tuple[str, ...]]
    varied: SweptValues


def expand_sweeps(data: dict[str, Any], source: Source) -> Expanded:
    """Replace every definition that has a `sweep:` by one definition per combination of its values.

    `sweep:` maps a key of the definition (`training.lr`) to a list of integers or texts, or to a map from label to
    value. A member is named after the definition and its labels.

    Raises:
        ConfigError: a sweep is malformed, makes too many definitions, or makes a name twice.
    """
    expanded, sweeps, remaining = dict(data), dict[str, tuple[str, ...]](), MAX_MEMBERS
    varied: SweptValues = {}
    swept: dict[tuple[str, str], str] = {}
    for family in SWEPT:
        definitions = data.get(family)
        if not isinstance(definitions, dict):
            continue
        members: dict[Any, Any] = {}
        for name, definition in definitions.items():
            if not _has_sweep(definition):
                members[name] = definition
                continue
            path = (family, name, "sweep")
            axes = _read_axes(definition["sweep"], path, source)
            remaining -= math.prod(map(len, axes.values()))
            if remaining < 0:  # before any member is made
                sizes = " × ".join(str(len(axis)) for axis in axes.values())
                message = f": makes {sizes} definitions; all sweeps of a study may make at most {MAX_MEMBERS:,}"
                raise config_error(source, path, message)
            base = _without_sweep(definition)
            new = {}
            for choice in itertools.product(*axes.values()):
                member = base
                for key, (_, value) in zip(axes, choice, strict=True):
                    member = _set_key(member, key.split("."), value)
                member_name = "-".join([str(name), *(label for label, _ in choice)])
                new[member_name] = member
                varied[member_name] = {key: label for key, (label, _) in zip(axes, choice, strict=True)}
            if len(new) < math.prod(map(len, axes.values())):
                message = ": makes the same name twice; choose labels that stay different when joined with hyphens"
                raise config_error(source, path, message)
            duplicates = new.keys() & {*definitions, *members}
            if duplicates:
                raise config_error(source, path, f": makes {min(duplicates)!r}, which is already defined")
            members |= new
            swept |= {(family, member): str(name) for member in new}
            sweeps[str(name)] = tuple(new)
        expanded[family] = members
    return Expanded(expanded, Source(source.name, source.lines, swept), sweeps, varied)


def _has_sweep(definition: Any) -> bool:
    return isinstance(definition, dict) and "sweep" in definition


def _without_sweep(definition: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in definition.items() if key != "sweep"}


def find_overridden(data: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield each value that a sweep replaces in all members, so that validating the members does not check it.

    Yields its path, and the definition with this value and the first values of the other swept keys. `data` is a study
    whose sweeps could be expanded.
    """
    for family in SWEPT:
        definitions = data.get(family)
        for name, definition in definitions.items() if isinstance(definitions, dict) else ():
            if not _has_sweep(definition):
                continue
            base = _without_sweep(definition)
            for key in definition["sweep"]:
                if (replaced := _find_replaced(base, str(key).split("."))) is None:
                    continue
                member = base
                for other, values in definition["sweep"].items():
                    if other != key:
                        first = next(iter(values.values() if isinstance(values, dict) else values))
                        member = _set_key(member, str(other).split("."), first)
                yield (family, str(name), *replaced), member


def _find_replaced(definition: Any, keys: list[str]) -> tuple[str, ...] | None:
    """Return the path of the value that a swept key replaces, or of a value above it that is no map; None if none."""
    for position, key in enumerate(keys):
        if not isinstance(definition, dict):
            return None if isinstance(definition, str) else tuple(keys[:position])
        if key not in definition:
            return None
        definition = definition[key]
    return tuple(keys)


def _read_axes(sweep: Any, path: tuple[Any, ...], source: Source) -> dict[str, list[tuple[str, Any]]]:
    """Return the labels and values of each swept key."""
    if not isinstance(sweep, dict) or not sweep:
        message = f" = {format_value(sweep)}: must map keys to lists of values, e.g. {{training.unroll: [0, 4]}}"
        raise config_error(source, path, message)
    axes: dict[str, list[tuple[str, Any]]] = {}
    for key, values in sweep.items():
        if isinstance(values, dict):
            pairs = [(str(label), value) for label, value in values.items()]
        elif isinstance(values, list):
            for value in values:
                if isinstance(value, bool) or not isinstance(value, (int, str)):
                    message = f": needs a label for the name, e.g. {{small: {format_value(value)}}}"
                    raise config_error(source, (*path, key), f" = {format_value(value)}{message}")
            pairs = [(str(value).lower().replace("_", "-"), value) for value in values]
        else:
            message = f" = {format_value(values)}: must be a list, or a map from label to value"
            raise config_error(source, (*path, key), message)
        if not pairs:
            raise config_error(source, (*path, key), ": has no values; add some, or remove the sweep")
        _check_distinct(pairs, (*path, key), source)
        for other in axes:
            if f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}."):
                raise config_error(source, (*path, key), f": overlaps with {other!r}; keep one of them")
        axes[str(key)] = pairs
    return axes


def _check_distinct(pairs: list[tuple[str, Any]], path: tuple[Any, ...], source: Source) -> None:
    """Refuse duplicate labels and values, whose members would be the same."""
    seen = set[Any]()
    for label, value in pairs:
        hashable = repr(value) if isinstance(value, (list, dict)) else value
        for what, one in (("label", label), ("value", hashable)):
            if (what, one) in seen:
                raise config_error(source, path, f": the {what} {format_value(one)} is listed twice; list it once")
            seen.add((what, one))


def _set_key(definition: Any, keys: list[str], value: Any) -> Any:
    """Return a copy of a nested map with one key set. The name of a preset becomes a map with `preset`."""
    head, *rest = keys
    if isinstance(definition, str):
        definition = {"preset": definition}
    definition = definition if isinstance(definition, dict) else {}
    return {**definition, head: _set_key(definition.get(head, {}), rest, value) if rest else value}


def select_members(data: dict[str, Any], study: Study, sweeps: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """Return the study's data with the name of each sweep replaced by its members in all lists."""
    lists = {path[:-1] for path, _, value in find_references(study) if value in sweeps and isinstance(path[-1], int)}
    for path in lists:
        holder: Any = study
        for key in path:
            holder = holder[key] if isinstance(holder, dict) else getattr(holder, key)
        members = [one for name in holder for one in sweeps.get(name, (name,))]
        data = _set_key(data, [str(key) for key in path], members)
    return data


def swept_values(study: Study, varied: SweptValues) -> SweptValues:
    """Return the validated values of swept keys; the label where a value is a list, a map or null."""
    found: SweptValues = {}
    for name, labels in varied.items():
        definition = getattr(study, study.family_of(name))[name]
        found[name] = {}
        for key, label in labels.items():
            value = reduce(lambda holder, part: getattr(holder, part, None), key.split("."), definition)
            found[name][key] = value if isinstance(value, (int, float, str)) else label
    return found
