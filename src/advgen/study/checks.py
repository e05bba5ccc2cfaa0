"""Checks of a study that go beyond single fields: names, references, and the checks of each kind."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from advgen.core import catalog
from advgen.core.definitions import Mistake, Study
from advgen.files.user_files import dataset_facts, print_notes_once
from advgen.specs.base import WrongValue
from advgen.specs.datasets import CustomDataset, DerivedDataset
from advgen.study.errors import config_error, suggest_allowed
from advgen.study.names import find_references
from advgen.study.paths import format_value
from advgen.study.tree import FAMILIES
from advgen.study.yaml import Source


def check(study: Study, source: Source) -> None:
    """Raise ConfigError for the first mistake."""
    checks = (
        _check_custom_datasets,
        _check_names,
        _check_duplicates,
        _check_references,
        _check_dataset_cycles,
        _check_attacks,
        _check_unclipped,
        _check_figure_sizes,
        *(kind.check for kind in catalog.KINDS),
    )
    for one in checks:
        for path, message in one(study):
            raise config_error(source, path, message) from None


def _check_custom_datasets(study: Study) -> Iterator[Mistake]:
    """Refuse custom data that cannot be read. First, since other checks need their shape and classes."""
    for name, spec in study.datasets.items():
        if isinstance(spec, CustomDataset):
            try:
                dataset_facts(spec)
                print_notes_once(spec)
            except WrongValue as error:
                yield ("datasets", name, error.key), f" = {format_value(error.value)}: {error.message}"
            except ValueError as error:
                key = "test_path" if spec.test_path and str(error).startswith(spec.test_path) else "path"
                yield ("datasets", name, key), f" = {getattr(spec, key)!r}: {error}"


def _check_names(study: Study) -> Iterator[Mistake]:
    family_of: dict[str, str] = {}
    for family in FAMILIES:
        for name in getattr(study, family) if family != "figures" else ():
            if name in family_of:
                yield (family, name), f": the name is already used by {family_of[name]}.{name}; names must be unique"
            family_of[name] = family
    for name in study.transfers:
        if name in catalog.RESERVED_NAMES:
            yield ("transfers", name), f": the name is reserved for results/tables/{name}.parquet; choose another"


def _check_duplicates(study: Study) -> Iterator[Mistake]:
    """Refuse duplicate names in a list, which would give duplicate rows."""
    for path, values in _find_lists(study, ()):
        duplicate = next((value for value, count in Counter(values).items() if count > 1), None)
        if duplicate is not None:
            yield path, f": {duplicate!r} is listed twice; list it once"


def _find_lists(model: BaseModel, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """Yield the path and the items of every list of text below a model."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _find_lists(value, (*path, name))
        elif isinstance(value, dict):
            for key, item in value.items():
                if isinstance(item, BaseModel):
                    yield from _find_lists(item, (*path, name, key))
        elif isinstance(value, tuple) and all(isinstance(item, str) for item in value):
            yield (*path, name), value


def _check_references(study: Study) -> Iterator[Mistake]:
    for path, families, value in find_references(study):
        if not any(value in getattr(study, family) for family in families):
            known = [name for family in families for name in getattr(study, family)]
            suggestion = suggest_allowed(value, known)
            yield path, f" = {format_value(value)}: no such name in {' or '.join(families)}{suggestion}"


def _check_dataset_cycles(study: Study) -> Iterator[Mistake]:
    """Refuse data sets that are derived, directly or not, from themselves."""

    def visit(name: str, above: tuple[str, ...]) -> Iterator[Mistake]:
        spec = study.datasets[name]
        if not isinstance(spec, DerivedDataset):
            return
        bases = [("base", spec.base)]
        for need in spec.needs():
            [model] = need.names
            key = next(key for key in type(spec).model_fields if getattr(spec, key) == model)
            bases.append((key, study.dataset_of(model)))
            if model in study.probes:  # the network that the probe is part of is trained too
                bases.append((key, study.dataset_of(study.probes[model].of)))
        for key, dataset in bases:
            if dataset in (*above, name):
                message = f" = {getattr(spec, key)!r}: is itself made from {dataset!r}; choose another"
                yield ("datasets", name, key), message
                return
            yield from visit(dataset, (*above, name))

    for name in study.datasets:
        yield from visit(name, ())


def _check_attacks(study: Study) -> Iterator[Mistake]:
    """Refuse attacks that cannot run on the classifiers of the same definition."""
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
                    yield ("attacks", name, wrong.key), message
                others, unused = study.attacks[name].others(), facts.test - study.evaluation.attack_examples
                if others and others > unused:
                    message = f" = {others}: {dataset!r} has only {unused} test images that are not attacked; lower it"
                    yield ("attacks", name, "images"), message


def _check_unclipped(study: Study) -> Iterator[Mistake]:
    """Refuse attacks that leave [0, 1] wherever their results would count as robustness."""
    for path, families, name in find_references(study):
        if families == ("attacks",) and path[0] != "transfers" and not study.attacks[name].stays_in_box():
            message = f" = {format_value(name)}: its images leave [0, 1], which only transfers allow"
            yield path, f"{message}; name an attack with clipped: true"


def _check_figure_sizes(study: Study) -> Iterator[Mistake]:
    """Refuse figures with more images, runs or rows than there are."""
    for name, figure in study.figures.items():
        for key, available, what in figure.size_limits(study):
            requested = getattr(figure, key)
            if requested > available:
                yield ("figures", name, key), f" = {requested}: there are only {available} {what}"
