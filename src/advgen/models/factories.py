"""The user's own code: a function that builds the module of a checkpoint."""

import importlib
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from torch import nn

from advgen.files.user_files import factory_files


def call_factory(factory: str) -> nn.Module:
    """The module that "module:function" or "path.py:function" returns; ValueError in a single line if it fails."""
    place, _, name = factory.rpartition(":")
    if not place or not name.isidentifier():
        raise ValueError(f"factory {factory!r}: write module:function, or path.py:function")
    try:
        files = factory_files(factory)
    except ValueError as error:
        raise ValueError(f"factory {factory!r}: {error}") from None
    with _importable(place, files):
        code = _import(place, factory)
        if not callable(function := getattr(code, name, None)):
            raise ValueError(f"factory {factory!r}: {place} has no function {name!r}")
        try:
            module = function()
        except Exception as error:
            reason = f"{type(error).__name__}: {first_line(error)}"
            raise ValueError(f"factory {factory!r}: raised {reason}; fix it") from error
    if not isinstance(module, nn.Module):
        raise ValueError(f"factory {factory!r}: gave {type(module).__name__}; it must return a torch.nn.Module")
    return module


@contextmanager
def _importable(place: str, files: Iterable[Path]) -> Iterator[None]:
    """Search the folder of the user's module first, and keep its files apart from other modules of the same names.

    So two models may each have a `layers.py` in their folder.
    """
    folder = Path(place).absolute().parent if place.endswith(".py") else Path.cwd()
    modules = {_dotted_name(file.absolute().relative_to(folder)): file for file in files}
    others = {name for name in modules.keys() & sys.modules.keys() if not _is_from(sys.modules[name], modules[name])}
    hidden = {name: sys.modules.pop(name) for name in others}
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    # Python would use old bytecode for a file that was edited within a second and kept its size
    dont_write_bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = dont_write_bytecode
        sys.path.remove(str(folder))
        for name in modules.keys() - before:
            sys.modules.pop(name, None)
        sys.modules.update(hidden)


def _dotted_name(file: Path) -> str:
    return ".".join(part for part in file.with_suffix("").parts if part != "__init__")


def _is_from(module: ModuleType, file: Path) -> bool:
    path = getattr(module, "__file__", None)
    return path is not None and Path(path).resolve() == file.resolve()


def _import(place: str, factory: str) -> ModuleType:
    path = Path(place)
    try:
        if path.suffix != ".py":
            return importlib.import_module(place)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        code = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(code)
        return code
    except Exception as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise ValueError(f"factory {factory!r}: {place} raised {reason}") from error


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type if it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
