"""What a study must hold beside what its fields say: names, and what each kind checks of its definitions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from advgen.core import catalog
from advgen.core.definitions import Study
from advgen.files.user_files import dataset_facts, print_notes_once
from advgen.specs.base import WrongValue
from advgen.specs.datasets import CustomDataset, DerivedDataset
from advgen.study.errors import config_error, format_value, suggest_allowed
from advgen.study.names import find_references
from advgen.study.tree import FAMILIES
from advgen.study.yaml import Source


def check(study: Study, source: Source) -> None:
    """Raise ConfigError for the first mistake."""
    for one in (
        _check_own_files,
        _check_names,
        _check_doubles,
        _check_references,
        _check_bases,
        _check_attacks,
        _check_unclipped,
        _check_shown,
    ):
        one(study, source)
    for kind in catalog.KINDS:
        for path, message in kind.check(study):
            raise config_error(source, path, message)


def _check_own_files(study: Study, source: Source) -> None:
    """Refuse data of the user's own that cannot be used, before their shape and classes are asked for."""
    for name, spec in study.datasets.items():
        if isinstance(spec, CustomDataset):
            try:
                dataset_facts(spec)
                print_notes_once(spec)
            except WrongValue as error:
                message = f" = {format_value(error.value)}: {error.message}"
                raise config_error(source, ("datasets", name, error.key), message) from None
            except ValueError as error:
                key = "test_path" if spec.test_path and str(error).startswith(spec.test_path) else "path"
                raise config_error(source, ("datasets", name, key), f" = {getattr(spec, key)!r}: {error}") from None


def _check_names(study: Study, source: Source) -> None:
    owner: dict[str, str] = {}
    for family in FAMILIES:
        if family == "figures":
            continue
        for name in getattr(study, family):
            if name in owner:
                raise config_error(
                    source, (family, name), f": the name is taken by {owner[name]}.{name}; names are unique"
                )
            owner[name] = family
    for name in study.transfers:
        if name in catalog.RESERVED_NAMES:
            raise config_error(source, ("transfers", name), f": the name is kept for results/tables/{name}.parquet")


def _check_doubles(study: Study, source: Source) -> None:
    """Refuse a name that stands twice in one list: its rows would be there twice."""
    for path, values in _lists(study, ()):
        doubled = next((value for value, count in Counter(values).items() if count > 1), None)
        if doubled is not None:
            raise config_error(source, path, f": {doubled!r} stands twice; name it once")


def _lists(model: BaseModel, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """The lists of names in a tree, with their paths."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _lists(value, (*path, name))
        elif isinstance(value, dict):
            for key, item in value.items():
                if isinstance(item, BaseModel):
                    yield from _lists(item, (*path, name, key))
        elif isinstance(value, tuple) and all(isinstance(item, str) for item in value):
            yield (*path, name), value


def _check_references(study: Study, source: Source) -> None:
    for path, families, value in find_references(study):
        if not any(value in getattr(study, family) for family in families):
            known = [name for family in families for name in getattr(study, family)]
            kind = " or ".join(families)
            raise config_error(
                source, path, f" = {format_value(value)}: no such name in {kind}{suggest_allowed(value, known)}"
            )


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
                raise config_error(source, ("datasets", name, key), message)
            below(dataset, (*above, name))

    for name in study.datasets:
        below(name, ())


def _check_attacks(study: Study, source: Source) -> None:
    """Refuse attacks that cannot run on the classifiers that something names beside them."""
    attacks, datasets = defaultdict[Any, set[str]](set), defaultdict[Any, dict[str, str]](dict)
    for path, families, name in find_references(study):
        if families == ("attacks",):
            attacks[path[:2]].add(name)
        elif "classifiers" in families:
            datasets[path[:2]].setdefault(study.tested_on(name), name)
    for definition, names in attacks.items():
        for dataset, classifier in datasets[definition].items():
            facts = study.facts(dataset)
            for name in sorted(names):
                try:
                    study.attacks[name].check(facts.shape, facts.classes)
                except WrongValue as wrong:
                    message = f" = {format_value(wrong.value)}: {wrong.message}; it attacks {classifier!r}"
                    raise config_error(source, ("attacks", name, wrong.key), message) from None
                others, left = study.attacks[name].others(), facts.test - study.evaluation.attack_examples
                if others and others > left:
                    message = f" = {others}: {dataset!r} has {left} test images that are not attacked; lower it"
                    raise config_error(source, ("attacks", name, "images"), message)


def _check_unclipped(study: Study, source: Source) -> None:
    """Refuse an attack whose images leave [0, 1] where its numbers would stand for robustness."""
    for path, families, name in find_references(study):
        if families == ("attacks",) and path[0] != "transfers" and not study.attacks[name].stays_in_box():
            message = f" = {format_value(name)}: its images leave [0, 1], and only transfers may use it"
            raise config_error(source, path, f"{message}; name an attack with clipped: true")


def _check_shown(study: Study, source: Source) -> None:
    """Refuse figures that show more than there is."""
    for name, figure in study.figures.items():
        for key, there, what in figure.size_limits(study):
            wanted = getattr(figure, key)
            if wanted > there:
                raise config_error(source, ("figures", name, key), f" = {wanted}: there are only {there} {what}")
