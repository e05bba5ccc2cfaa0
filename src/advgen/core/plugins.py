"""Plug-ins: kinds of a user's own, in a Python file that a study names or in an installed package. Torch-free.

A plug-in is a module that calls `advgen.registry.register` when it is imported. Files are imported as modules of a
package that does not exist, so that no name of theirs hides another. An installed package names its modules in entry
points of the groups `advgen.attacks`, `advgen.masks` and so on, one for each kind: `my_attack = "my_package.attack"`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import entry_points, packages_distributions, version
from pathlib import Path
from typing import Any

from advgen import registry
from advgen.core.code import PLUGIN_FILES, PLUGIN_MODULE_ROOT, PLUGIN_PACKAGES, code_digest

KINDS_GROUP = "advgen.experiments"
"""The group of entry points that name the `experiment` modules of kinds of experiments."""


def load(files: Iterable[Path]) -> None:
    """Import plug-ins from files, each once; ValueError names what is wrong and where."""
    for path in files:
        module = f"{PLUGIN_MODULE_ROOT}.{path.stem}"
        if path.suffix != ".py" or not path.stem.isidentifier():
            raise ValueError(f"{path}: is no Python file whose name is made of letters, digits and underscores")
        if not path.is_file():
            raise ValueError(f"{path}: no such file")
        if module not in PLUGIN_FILES:
            _execute(module, path)
        elif PLUGIN_FILES[module].resolve() != path.resolve():
            raise ValueError(f"{path}: {PLUGIN_FILES[module]} has the same name; rename one of them")


def _execute(module: str, path: Path) -> None:
    before = set(registered_specs())
    spec = importlib.util.spec_from_file_location(module, path)
    assert spec is not None and spec.loader is not None
    sys.modules[module] = importlib.util.module_from_spec(spec)
    PLUGIN_FILES[module] = path
    try:
        spec.loader.exec_module(sys.modules[module])
        if set(registered_specs()) == before:
            raise ValueError(f"{path}: registers nothing; end it with advgen.registry.register(its spec, its function)")
    except Exception as error:
        del sys.modules[module], PLUGIN_FILES[module]
        raise ValueError(_told(error, path)) from error


def _told(error: Exception, path: Path) -> str:
    """What went wrong in a file, with its line."""
    if str(error).startswith(f"{path}: "):
        return str(error)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
    text = error.msg if isinstance(error, SyntaxError) else str(error).strip().splitlines()[0] if str(error) else ""
    hint = "; a plug-in is one file, and what several share is an installed package"
    missing = hint if isinstance(error, ModuleNotFoundError) and (path.parent / f"{error.name}.py").exists() else ""
    return f"{path}{f':{line}' if line else ''}: {kind}{text}{missing}"


def registered_specs() -> Iterator[tuple[str, type[Any]]]:
    """Every registered spec class, with its family."""
    for family, kinds in registry.FAMILIES.items():
        for spec in kinds:
            yield family, spec


def specs_from_module(module: str) -> list[tuple[str, type[Any]]]:
    """What a module registered: families and spec classes."""
    return [(family, spec) for family, spec in registered_specs() if spec.__module__ == module]


@cache
def import_installed() -> tuple[Any, ...]:
    """Import what installed packages offer; the kinds of experiments among it. What cannot be imported is left out."""
    kinds, offered = [], entry_points()  # asked for once: each time reads a file of every package there is
    for group in (*(f"advgen.{family}" for family in registry.FAMILIES), KINDS_GROUP):
        for entry in offered.select(group=group):
            PLUGIN_PACKAGES.add(entry.module.partition(".")[0])
            try:
                module = importlib.import_module(entry.module)
                if group == KINDS_GROUP:
                    kinds.append(module.KIND)
                elif entry.name not in registry.kinds(group.removeprefix("advgen.")):
                    raise ValueError(f"registers no kind {entry.name!r}")
            except Exception as error:
                told = f"{group}: {entry.name} = {entry.value!r} is left out: {type(error).__name__}: {error}"
                print(f"advgen: {told.splitlines()[0]}", file=sys.stderr)
    return tuple(kinds)


def plugin_files(targets: Iterable[str]) -> list[str]:
    """The plug-in files that "module:name" targets stand in."""
    modules = {target.partition(":")[0] for target in targets}
    return sorted(str(path) for module, path in PLUGIN_FILES.items() if module in modules)


def versions(targets: Iterable[str]) -> dict[str, str]:
    """The plug-ins among what a job uses, and the packages that they name: versions, and digests of files' code."""
    used = sorted(targets)
    found = {name: version(name) for target in used for name in registry.REQUIRED_PACKAGES.get(target, ())}
    for module, path in PLUGIN_FILES.items():
        if own := [target for target in used if target.partition(":")[0] == module]:
            found[path.name] = code_digest(*own)
    for package in {target.partition(":")[0].partition(".")[0] for target in used} & PLUGIN_PACKAGES:
        for name in packages_distributions().get(package, ()):
            found[name] = version(name)
    return found
