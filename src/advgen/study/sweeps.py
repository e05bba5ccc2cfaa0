"""Definitions that stand for several: `sweep:` maps a key to its values, and each combination is a member."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any, NamedTuple

from advgen.core.definitions import Study
from advgen.study.errors import config_error, format_value
from advgen.study.names import find_references as names_in
from advgen.study.tree import SWEPT
from advgen.study.yaml import Source

MOST_MEMBERS = 10_000
"""Definitions that the sweeps of a study may make together."""
SweptValues = dict[str, dict[str, Any]]
"""The swept keys of a definition with their labels or values, by its name."""


class Expanded(NamedTuple):
    """A study's data without sweeps, where its keys stand, each sweep's members, and what varies among them."""

    data: dict[str, Any]
    source: Source
    members: dict[str, tuple[str, ...]]
    varied: SweptValues


def expand_sweeps(data: dict[str, Any], source: Source) -> Expanded:
    """Replace every definition that has a `sweep:` by one definition per combination of its values.

    `sweep:` maps a key of the definition (`training.lr`) to a list of whole numbers or words, or to a map from label
    to value; a member is named after the definition and the labels.
    """
    expanded, sweeps, left = dict(data), dict[str, tuple[str, ...]](), MOST_MEMBERS
    varied: SweptValues = {}
    swept: dict[tuple[str, str], str] = {}
    for family in SWEPT:
        definitions = data.get(family)
        if not isinstance(definitions, dict):
            continue
        members: dict[Any, Any] = {}
        for name, definition in definitions.items():
            if not isinstance(definition, dict) or "sweep" not in definition:
                members[name] = definition
                continue
            path = (family, name, "sweep")
            axes = _axes(definition["sweep"], path, source)
            left -= math.prod(map(len, axes.values()))
            if left < 0:  # counted before they are made
                sizes = " × ".join(str(len(axis)) for axis in axes.values())
                message = f": makes {sizes} definitions; the sweeps of a study may make {MOST_MEMBERS:,} together"
                raise config_error(source, path, message)
            rest = {key: value for key, value in definition.items() if key != "sweep"}
            made = {}
            for choice in itertools.product(*axes.values()):
                member = rest
                for key, (_, value) in zip(axes, choice, strict=True):
                    member = _with(member, key.split("."), value)
                named = "-".join([str(name), *(label for label, _ in choice)])
                made[named] = member
                varied[named] = {key: label for key, (label, _) in zip(axes, choice, strict=True)}
            if len(made) < math.prod(map(len, axes.values())):
                raise config_error(
                    source, path, ": makes one name twice; choose labels that cannot be mistaken when joined"
                )
            doubled = made.keys() & {*definitions, *members}
            if doubled:
                raise config_error(source, path, f": makes {min(doubled)!r}, which is defined already")
            members |= made
            swept |= {(family, member): str(name) for member in made}
            sweeps[str(name)] = tuple(made)
        expanded[family] = members
    return Expanded(expanded, Source(source.name, source.lines, swept), sweeps, varied)


def find_overridden(data: Mapping[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Each value that a sweep replaces: its path, and the definition that keeps it, with all else that is swept.

    `data` is a study whose sweeps could be expanded.
    """
    for family in SWEPT:
        definitions = data.get(family)
        for name, definition in definitions.items() if isinstance(definitions, dict) else ():
            if not isinstance(definition, dict) or "sweep" not in definition:
                continue
            rest = {key: value for key, value in definition.items() if key != "sweep"}
            for key in definition["sweep"]:
                if (replaced := _replaced(rest, str(key).split("."))) is None:
                    continue
                kept = rest
                for other, values in definition["sweep"].items():
                    if other != key:
                        first = next(iter(values.values() if isinstance(values, dict) else values))
                        kept = _with(kept, str(other).split("."), first)
                yield (family, str(name), *replaced), kept


def _replaced(definition: Any, keys: list[str]) -> tuple[str, ...] | None:
    """The path of the value that a swept key replaces, or of one above it that holds no keys; None if there is none."""
    for place, key in enumerate(keys):
        if not isinstance(definition, dict):
            return None if isinstance(definition, str) else tuple(keys[:place])
        if key not in definition:
            return None
        definition = definition[key]
    return tuple(keys)


def _axes(sweep: Any, path: tuple[Any, ...], source: Source) -> dict[str, list[tuple[str, Any]]]:
    """Each swept key with its labelled values."""
    if not isinstance(sweep, dict) or not sweep:
        raise config_error(
            source,
            path,
            f" = {format_value(sweep)}: must map keys to lists of values, e.g. {{training.unroll: [0, 4]}}",
        )
    axes: dict[str, list[tuple[str, Any]]] = {}
    for key, values in sweep.items():
        labelled = values if isinstance(values, dict) else None
        if labelled is None:
            if not isinstance(values, list):
                raise config_error(
                    source, (*path, key), f" = {format_value(values)}: must be a list, or a map from label to value"
                )
            for value in values:
                if isinstance(value, bool) or not isinstance(value, (int, str)):
                    message = (
                        f" = {format_value(value)}: needs a label for its name, e.g. {{small: {format_value(value)}}}"
                    )
                    raise config_error(source, (*path, key), message)
            pairs = [(str(value).lower().replace("_", "-"), value) for value in values]
        else:
            pairs = [(str(label), value) for label, value in labelled.items()]
        if not pairs:
            raise config_error(source, (*path, key), ": has no values; name some or take the sweep away")
        _check_different(pairs, (*path, key), source)
        for other in axes:
            if f"{key}.".startswith(f"{other}.") or f"{other}.".startswith(f"{key}."):
                raise config_error(
                    source, (*path, key), f": sweeps the same as {other!r}, or a part of it; keep one of them"
                )
        axes[str(key)] = pairs
    return axes


def _check_different(pairs: list[tuple[str, Any]], path: tuple[Any, ...], source: Source) -> None:
    """Refuse a label or a value that stands twice: its members would be one, or the same."""
    seen = set[Any]()
    for label, value in pairs:
        hashable = repr(value) if isinstance(value, (list, dict)) else value
        for what, one in (("label", label), ("value", hashable)):
            if (what, one) in seen:
                raise config_error(source, path, f": the {what} {format_value(one)} stands twice; name it once")
            seen.add((what, one))


def _with(definition: Any, keys: list[str], value: Any) -> Any:
    """A copy of a nested map with one key set; a preset's name becomes a map that starts from it."""
    head, *rest = keys
    if isinstance(definition, str):
        definition = {"preset": definition}
    below = definition.get(head, {}) if isinstance(definition, dict) else {}
    return {**(definition if isinstance(definition, dict) else {}), head: _with(below, rest, value) if rest else value}


def select_members(data: dict[str, Any], study: Study, sweeps: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """The study's data with each sweep's name, where a list selects it, replaced by its members."""
    lists = {path[:-1] for path, _, value in names_in(study) if value in sweeps and isinstance(path[-1], int)}
    for path in lists:
        holder: Any = study
        for key in path:
            holder = holder[key] if isinstance(holder, dict) else getattr(holder, key)
        data = _with(data, [str(key) for key in path], [one for name in holder for one in sweeps.get(name, (name,))])
    return data


def swept_values(study: Study, varied: SweptValues) -> SweptValues:
    """The values of swept keys as the study has them; the label where a value is a list, a map or nothing."""
    found: SweptValues = {}
    for name, labels in varied.items():
        definition = getattr(study, study.family_of(name))[name]
        found[name] = {}
        for key, label in labels.items():
            value = reduce(lambda holder, part: getattr(holder, part, None), key.split("."), definition)
            found[name][key] = value if isinstance(value, (int, float, str)) else label
    return found
