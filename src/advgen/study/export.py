"""Definitions as a study writes them: presets by their names, and no key that is as it comes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from advgen.core.definitions import Study
from advgen.presets import PRESETS
from advgen.study.names import find_references

Definitions = dict[str, dict[str, Any]]
"""The keys of definitions, by family and name."""


def export_value(value: Any) -> Any:
    """A spec, or what stands in one, as plain data."""
    if isinstance(value, BaseModel):
        own = _keys(value, {name: field.get_default() for name, field in type(value).model_fields.items()})
        alike = [
            (name, _keys(value, preset.__dict__))
            for presets in PRESETS.values()
            for name, preset in presets.items()
            if type(preset) is type(value)
        ]
        preset, changes = min(alike, key=lambda one: len(one[1]), default=("", own))
        if len(changes) >= len(own):
            return own
        return {"preset": preset, **changes} if changes else preset
    if isinstance(value, dict):
        return {key: export_value(one) for key, one in value.items()}
    return [export_value(one) for one in value] if isinstance(value, tuple) else value


def _keys(spec: BaseModel, others: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a spec that have other values than these."""
    keys = {name: getattr(spec, name) for name in type(spec).model_fields}
    return {name: export_value(value) for name, value in keys.items() if value != others[name]}


def collect_with_dependencies(study: Study, family: str, name: str) -> dict[tuple[str, str], Any]:
    """A definition and all that it names, and what these name, by family and name in the order of the study."""
    found: dict[tuple[str, str], Any] = {}
    todo = [(family, name)]
    while todo:
        key = todo.pop()
        if key in found:
            continue
        found[key] = getattr(study, key[0])[key[1]]
        for _, families, one in find_references(found[key]):
            todo += [(where, one) for where in families if one in getattr(study, where)]
    maps = [family for family in type(study).model_fields if isinstance(getattr(study, family), dict)]
    order = [(family, name) for family in maps for name in getattr(study, family)]
    return {key: found[key] for key in order if key in found}
