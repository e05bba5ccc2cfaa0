"""Export definitions as they are written in YAML: presets by name, and no key that has its default."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from advgen.core.definitions import Study
from advgen.presets import PRESETS
from advgen.study.names import find_references

Definitions = dict[str, dict[str, Any]]
"""The keys of definitions, by family and name."""


def export_value(value: Any) -> Any:
    """Return a spec, or a value inside one, as plain data."""
    if isinstance(value, BaseModel):
        keys = _export_changes(value, {name: field.get_default() for name, field in type(value).model_fields.items()})
        from_presets = [
            (name, _export_changes(value, preset.__dict__))
            for presets in PRESETS.values()
            for name, preset in presets.items()
            if type(preset) is type(value)
        ]
        preset, changes = min(from_presets, key=lambda one: len(one[1]), default=("", keys))
        if len(changes) >= len(keys):
            return keys
        return {"preset": preset, **changes} if changes else preset
    if isinstance(value, dict):
        return {key: export_value(one) for key, one in value.items()}
    return [export_value(one) for one in value] if isinstance(value, tuple) else value


def _export_changes(spec: BaseModel, others: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a spec whose values differ from `others`."""
    keys = {name: getattr(spec, name) for name in type(spec).model_fields}
    return {name: export_value(value) for name, value in keys.items() if value != others[name]}


def collect_with_dependencies(study: Study, family: str, name: str) -> dict[tuple[str, str], Any]:
    """Return a definition and all that it refers to, directly or not, by family and name in the study's order."""
    found: dict[tuple[str, str], Any] = {}
    todo = [(family, name)]
    while todo:
        key = todo.pop()
        if key in found:
            continue
        found[key] = getattr(study, key[0])[key[1]]
        for reference in find_references(found[key]):
            todo += [(one, reference.name) for one in reference.families if reference.name in getattr(study, one)]
    maps = [family for family in type(study).model_fields if isinstance(getattr(study, family), dict)]
    order = [(family, name) for family in maps for name in getattr(study, family)]
    return {key: found[key] for key in order if key in found}
