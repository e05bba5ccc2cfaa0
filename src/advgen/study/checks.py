"""What a study must hold beside what its fields say: names, and what each kind checks of its definitions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from advgen.core import catalog
from advgen.core.definitions import Study
from advgen.specs.datasets import DerivedDataset
from advgen.study.errors import allowed, fail
from advgen.study.names import named
from advgen.study.tree import FAMILIES
from advgen.study.yaml import Source


def check(study: Study, source: Source) -> None:
    """Raise ConfigError for the first mistake."""
    for one in (_check_names, _check_doubles, _check_references, _check_bases):
        one(study, source)
    for kind in catalog.KINDS:
        for path, message in kind.check(study):
            raise fail(source, path, message)


def _check_names(study: Study, source: Source) -> None:
    owner: dict[str, str] = {}
    for family in FAMILIES:
        if family == "figures":
            continue
        for name in getattr(study, family):
            if name in owner:
                raise fail(source, (family, name), f": the name is taken by {owner[name]}.{name}; names are unique")
            owner[name] = family
    for name in study.transfers:
        if name in catalog.KEPT_NAMES:
            raise fail(source, ("transfers", name), f": the name is kept for results/tables/{name}.parquet")


def _check_doubles(study: Study, source: Source) -> None:
    """Refuse a name or a seed that stands twice in one list: its rows would be there twice."""
    for path, values in _lists(study, ()):
        doubled = next((value for value in values if values.count(value) > 1), None)
        if doubled is not None:
            raise fail(source, path, f": {doubled!r} stands twice; name it once")


def _lists(model: BaseModel, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """The lists of names and of seeds in a tree, with their paths."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _lists(value, (*path, name))
        elif isinstance(value, dict):
            for key, item in value.items():
                if isinstance(item, BaseModel):
                    yield from _lists(item, (*path, name, key))
        elif isinstance(value, tuple) and (name == "seeds" or all(isinstance(item, str) for item in value)):
            yield (*path, name), value


def _check_references(study: Study, source: Source) -> None:
    for path, families, value in named(study):
        known = [name for family in families for name in getattr(study, family)]
        if value not in known:
            kind = " or ".join(families)
            raise fail(source, path, f" = {value!r}: no such name in {kind}{allowed(value, known)}")


def _check_bases(study: Study, source: Source) -> None:
    """Refuse data sets that are made, over some steps, from themselves."""

    def below(name: str, above: tuple[str, ...]) -> None:
        spec = study.datasets[name]
        if not isinstance(spec, DerivedDataset):
            return
        made_from = [("base", spec.base)]
        for need in spec.needs():
            [model] = need.names
            key = next(key for key in type(spec).model_fields if getattr(spec, key) == model)
            made_from.append((key, study.dataset_of(model)))
            if model in study.probes:  # what it is taken out of is trained, too
                made_from.append((key, study.dataset_of(study.probes[model].of)))
        for key, dataset in made_from:
            if dataset in (*above, name):
                message = f" = {getattr(spec, key)!r}: is itself made from {dataset!r}; choose another"
                raise fail(source, ("datasets", name, key), message)
            below(dataset, (*above, name))

    for name in study.datasets:
        below(name, ())
