"""Catalog of all kinds: the packages below `experiments/` and `outcomes/`, and those of installed plug-ins."""

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from advgen import registry
from advgen.core import plugins, schema
from advgen.core.kinds import Kind, Summary
from advgen.core.tasks import Task
from advgen.specs.figures import FigureSpec

T = TypeVar("T")
PACKAGES = {"advgen.experiments": "experiment", "advgen.outcomes": "outcome"}
"""The packages of all kinds, and the module in each kind's folder that has the `KIND`."""


def _find_kinds() -> tuple[Kind[Any], ...]:
    found = []
    for package, module in PACKAGES.items():
        [folder] = importlib.import_module(package).__path__
        for file in sorted(Path(folder).glob(f"*/{module}.py")):
            found.append(importlib.import_module(f"{package}.{file.parent.name}.{module}").KIND)
    found += plugins.import_installed()
    return tuple(sorted(found, key=lambda kind: (kind.order, kind.name)))


def _index(what: str, named: Iterable[tuple[str, T, Kind[Any]]]) -> dict[str, T]:
    """Return the items of all kinds by name; TypeError if two kinds use the same name."""
    found: dict[str, tuple[T, Kind[Any]]] = {}
    for name, one, kind in named:
        if name in found:
            raise TypeError(
                f"{kind.package}: the {what} {name!r} is already used by {found[name][1].package}; choose another name"
            )
        found[name] = one, kind
    return {name: one for name, (one, _) in found.items()}


KINDS = _find_kinds()
STUDY_KINDS = _index("kind", ((kind.name, kind, kind) for kind in KINDS if kind.definition is not None))
"""The kinds that are keys of a study."""
RULES: dict[str, type[Task]] = _index("rule", ((task.rule, task, kind) for kind in KINDS for task in kind.tasks))
TASKS: dict[str, type[Task]] = _index(
    "command", ((task.command, task, kind) for kind in KINDS for task in kind.tasks if "command" in task.__dict__)
)
TABLES = schema.TABLES
TABLES |= _index("table", ((name, one, kind) for kind in KINDS for name, one in kind.tables.items()))
SUMMARIES: dict[str, Summary] = _index(
    "summary", ((name, one, kind) for kind in KINDS for name, one in kind.summaries.items())
)
FIGURES: dict[str, type[FigureSpec]] = _index(
    "figure", ((registry.kind_of(figure), figure, kind) for kind in KINDS for figure in kind.figures)
)
RESERVED_NAMES = {*SUMMARIES, *(Path(one).stem for task in RULES.values() for one in task.outputs.values())}
"""Names of output files, which no transfer study may have, since its table is named after it."""
for _kind in KINDS:
    _summarised = {one.table for one in _kind.summaries.values() if one.module}
    for _task in _kind.tasks:
        if "command" in _task.__dict__:  # a subclass is another rule of the same command
            _task.tables = tuple(name for name in _kind.tables if name not in _summarised)
    for _figure in _kind.figures:
        registry.add("figures", _figure, f"{_kind.package}.{registry.kind_of(_figure)}:draw")
    for _summary in _kind.summaries.values():
        if _summary.module:
            registry.SUMMARISERS[_summary.table] = f"{_kind.package}.{_summary.module}:summarise"
