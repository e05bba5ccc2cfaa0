"""Every kind of thing that a study can hold: the folders below `experiments/` and `outcomes/`, and what they bring."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from advgen import registry
from advgen.core.kinds import Kind, Summary
from advgen.core.schema import Table
from advgen.core.tasks import Task

PACKAGES = {"advgen.experiments": "experiment", "advgen.outcomes": "outcome"}
"""Where kinds stand, and the module of each folder that tells of it, as `KIND`."""


def _kinds() -> tuple[Kind[Any], ...]:
    found = []
    for package, module in PACKAGES.items():
        for folder in pkgutil.iter_modules(importlib.import_module(package).__path__):
            if folder.ispkg:
                found.append(importlib.import_module(f"{package}.{folder.name}.{module}").KIND)
    return tuple(sorted(found, key=lambda kind: (kind.place, kind.name)))


KINDS = _kinds()
FAMILIES: dict[str, Kind[Any]] = {kind.name: kind for kind in KINDS if kind.definition is not None}
"""The kinds that are keys of a study."""
RULES: dict[str, type[Task]] = {task.rule: task for kind in KINDS for task in kind.tasks}
TASKS: dict[str, type[Task]] = {}
for _task in RULES.values():  # of two rules with one command, the first in place is the command's
    TASKS.setdefault(_task.command, _task)
TABLES: dict[str, Table] = {name: table for kind in KINDS for name, table in kind.tables.items()}
SUMMARIES: dict[str, Summary] = {name: summary for kind in KINDS for name, summary in kind.summaries.items()}
KEPT_NAMES = {
    task.outputs["table"].split("/")[-1].removesuffix(".parquet") for task in RULES.values() if "table" in task.outputs
}
KEPT_NAMES |= SUMMARIES.keys() | {"sanity_checks"}
"""The names of tables in results/tables/ that no transfer study may have."""
for _kind in KINDS:
    for _figure in _kind.figures:
        registry.add("figures", _figure, f"{_kind.package}.{registry.kind_of(_figure)}:draw")
    for _summary in _kind.summaries.values():
        if _summary.by:
            registry.SUMMARISERS[_summary.table] = f"{_kind.package}.{_summary.by}:summarise"
