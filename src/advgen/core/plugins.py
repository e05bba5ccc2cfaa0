"""Plug-ins: custom kinds in a Python file that a study names, or in an installed package. Torch-free.

A plug-in is a module that calls `advgen.registry.register` when it is imported. Plug-in files are imported as modules
of a package without a folder, so that their names cannot hide other modules. An installed package lists its modules as
entry points in the groups `advgen.attacks`, `advgen.masks` and so on: `my_attack = "my_package.attack"`.
"""

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
"""The group of entry points with the `experiment` modules of kinds of experiments."""


def load(files: Iterable[Path]) -> None:
    """Import plug-in files, each once; ValueError with file, line and problem."""
    for path in files:
        module = f"{PLUGIN_MODULE_ROOT}.{path.stem}"
        if path.suffix != ".py" or not path.stem.isidentifier():
            raise ValueError(f"{path}: must be a .py file whose name has only letters, digits and underscores")
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
        raise ValueError(_explain(error, path)) from error


def _explain(error: Exception, path: Path) -> str:
    """Return the message of an error in a plug-in file, with its line."""
    if str(error).startswith(f"{path}: "):
        return str(error)
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    kind = "" if type(error) is ValueError else f"{type(error).__name__}: "
    text = error.msg if isinstance(error, SyntaxError) else str(error).strip().splitlines()[0] if str(error) else ""
    advice = ""
    if isinstance(error, ModuleNotFoundError) and (path.parent / f"{error.name}.py").exists():
        advice = "; a plug-in is a single file: move shared code to an installed package"
    return f"{path}{f':{line}' if line else ''}: {kind}{text}{advice}"


def registered_specs() -> Iterator[tuple[str, type[Any]]]:
    """Yield every registered spec class with its family."""
    for family, kinds in registry.FAMILIES.items():
        for spec in kinds:
            yield family, spec


def specs_from_module(module: str) -> list[tuple[str, type[Any]]]:
    """Return the families and spec classes that a module registered."""
    return [(family, spec) for family, spec in registered_specs() if spec.__module__ == module]


@cache
def import_installed() -> tuple[Any, ...]:
    """Import the plug-ins of installed packages and return their kinds of experiments.

    A plug-in that cannot be imported is skipped with a message.
    """
    kinds, available = [], entry_points()  # called once, since it reads a file of every installed package
    for group in (*(f"advgen.{family}" for family in registry.FAMILIES), KINDS_GROUP):
        for entry in available.select(group=group):
            PLUGIN_PACKAGES.add(entry.module.partition(".")[0])
            try:
                module = importlib.import_module(entry.module)
                if group == KINDS_GROUP:
                    kinds.append(module.KIND)
                elif entry.name not in registry.kinds(group.removeprefix("advgen.")):
                    raise ValueError(f"registers no kind {entry.name!r}")
            except Exception as error:
                message = f"{group}: {entry.name} = {entry.value!r} is skipped: {type(error).__name__}: {error}"
                print(f"advgen: {message.splitlines()[0]}", file=sys.stderr)
    return tuple(kinds)


def plugin_files(targets: Iterable[str]) -> list[str]:
    """Return the plug-in files that contain the targets ("module:name")."""
    modules = {target.partition(":")[0] for target in targets}
    return sorted(str(path) for module, path in PLUGIN_FILES.items() if module in modules)


def versions(targets: Iterable[str]) -> dict[str, str]:
    """Return the versions of the installed plug-ins among the targets and of their packages, and digests of files."""
    used = sorted(targets)
    found = {name: version(name) for target in used for name in registry.REQUIRED_PACKAGES.get(target, ())}
    for module, path in PLUGIN_FILES.items():
        if in_file := [target for target in used if target.partition(":")[0] == module]:
            found[path.name] = code_digest(*in_file)
    for package in {target.partition(":")[0].partition(".")[0] for target in used} & PLUGIN_PACKAGES:
        for name in packages_distributions().get(package, ()):
            found[name] = version(name)
    return found
