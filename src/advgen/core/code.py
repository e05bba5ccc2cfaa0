"""Digests of code: everything that the result of a job depends on, function by function.

A digest starts at the functions and classes that a job names. It follows every name that their bodies use through all
modules of the package and of plug-ins. A job itself names the code that is called by a name in data, such as the
targets of the registry. So lists with such names are not part of a digest, but the code that reads the lists is.
"""

import ast
import hashlib
import importlib.util
import json
import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from advgen.core import syntax
from advgen.core.syntax import IMPORT_EFFECTS, Definition, Module, Source
from advgen.files.provenance import sha256_text, write_bytes

PLUGIN_MODULE_ROOT = "advgen_plugins"
"""The package name of plug-in files, for which no folder exists."""
PLUGIN_FILES: dict[str, Path] = {}
"""Plug-ins that were loaded from files, by module name."""
PLUGIN_PACKAGES: set[str] = set()
"""Packages of installed plug-ins."""

Symbol = tuple[str, str]
"""A module and one of its top-level names, or IMPORT_EFFECTS for its other statements."""
_EMPTY = sha256_text("")[:16]
"""The digest of no statements."""

_FAMILIES = ("DATASETS", "NETWORKS", "FROM_FILES", "GENERATORS", "AUTOENCODERS", "DEFENCES", "MASKS", "ATTACKS")
EXCLUDED_LISTS: frozenset[Symbol] = frozenset(
    {("advgen.registry", name) for name in (*_FAMILIES, "SIMULATIONS", "BASES")} | {("advgen.presets", "PRESETS")}
)
"""Lists of all available kinds. No digest includes them, so that a new entry makes no result stale.

The entries that a job uses are part of its digest or spec: `Task.code` adds the target of each registered spec, and the
spec contains the keys of a preset.
"""


@cache
def code_digest(*targets: str) -> str:
    """Return the digest of all code that `targets` ("module:name") use; ValueError if one does not exist."""
    symbols = sorted(reachable_symbols(*targets))
    digests = [(module, name, read_source(module).definitions[name].digest) for module, name in symbols]
    # importing a module without effects cannot change a result: the registry imports the modules of new entries
    parts = [f"{module}:{name} {digest}" for module, name, digest in digests if name or digest != _EMPTY]
    return sha256_text("\n".join(parts))[:16]


@cache
def reachable_symbols(*targets: str) -> frozenset[Symbol]:
    """Return all names of the packages that `targets` use, and the import effects of all modules on the way."""
    todo: list[Symbol] = []
    for target in targets:
        module, _, name = target.partition(":")
        found = _resolve(f"{module}.{name}")
        if not found:
            raise ValueError(f"no {target} in the package")
        todo += found
    seen: set[Symbol] = set()
    while todo:
        symbol = todo.pop()
        if symbol not in seen:
            seen.add(symbol)
            todo += _used_symbols(*symbol)
    return frozenset(seen)


@cache
def _used_symbols(module: str, name: str) -> tuple[Symbol, ...]:
    """Return the symbols that a name uses, and those that are executed when its module is imported."""
    source = read_source(module)
    found = [symbol for dotted in source.definitions[name].uses for symbol in _resolve(dotted)]
    found.append((module, IMPORT_EFFECTS))
    if name == IMPORT_EFFECTS:
        found += [(one, IMPORT_EFFECTS) for one in source.loads if _path(one)]
    return tuple(dict.fromkeys(found))


@cache
def _resolve(dotted: str) -> tuple[Symbol, ...]:
    """Return the symbol of a dotted name, or all symbols of a module; none of `EXCLUDED_LISTS`.

    A name that ends with a colon stands for the import effects of a module.
    """
    if dotted.endswith(":"):
        module = dotted.removesuffix(":")
        return ((module, IMPORT_EFFECTS),) if _path(module) else ()
    parts = dotted.split(".")
    size = next((size for size in range(len(parts), 0, -1) if _path(".".join(parts[:size]))), 0)
    module = ".".join(parts[:size])
    if size == 0:
        return ()
    source = read_source(module)
    if size == len(parts):
        return tuple((module, name) for name in source.definitions if (module, name) not in EXCLUDED_LISTS)
    name = parts[size]
    if name in source.imports:
        return _resolve(".".join([source.imports[name], *parts[size + 1 :]]))
    return ((module, name),) if name in source.definitions and (module, name) not in EXCLUDED_LISTS else ()


def edited_modules(*targets: str) -> list[str]:
    """Return the modules used by `targets` whose files have changed since they were read for the digest."""
    modules = {module for module, _ in reachable_symbols(*targets)}
    return sorted(module for module in modules if _current_key(module) != _keys[module])


# --- reading modules, with a cache -----------------------------------------------------------------------------------


@cache
def read_source(module: str) -> Source:
    """Return the definitions and imports of a module; ValueError if it does not exist."""
    path = _path(module)
    if path is None:
        raise ValueError(f"no module {module}")
    content = path.read_bytes()
    key = _keys[module] = _key(module, content)
    if key not in _cache():
        source = Module(module, path.name == "__init__.py", tuple(_packages())).read(ast.parse(content))
        _cache()[key] = [source.definitions, source.imports, source.loads]
    definitions, imports, loads = _cache()[key]
    return Source({name: Definition(one[0], tuple(one[1])) for name, one in definitions.items()}, imports, tuple(loads))


_keys: dict[str, str] = {}
"""The cache key of each module that was read."""
_READER = hashlib.sha256(Path(syntax.__file__).read_bytes()).hexdigest()
"""The version of the reader: entries that another version has cached may be incomplete."""


def _key(module: str, content: bytes) -> str:
    return hashlib.sha256(f"{_READER} {module} {_packages()}\n".encode() + content).hexdigest()


def _current_key(module: str) -> str:
    path = _path(module)
    return _key(module, path.read_bytes()) if path and path.is_file() else ""


# Parsing all modules takes 0.6 s, and every SLURM job parses the Snakefile again, so the results are cached by content.
_CACHE_FILE = Path("results/state/code.json")


@cache
def _cache() -> dict[str, list[Any]]:
    try:
        entries = json.loads(_CACHE_FILE.read_text())
        return entries if isinstance(entries, dict) else {}
    except (OSError, ValueError):
        return {}


def save_digest_cache() -> None:
    """Save the cache for the next process; errors of writing are ignored."""
    content = json.dumps(_cache(), sort_keys=True)
    with suppress(OSError, ValueError):
        if json.loads(_CACHE_FILE.read_text()) == json.loads(content):
            return
    with suppress(OSError):
        write_bytes(_CACHE_FILE, content.encode())


# --- the files of modules --------------------------------------------------------------------------------------------

ROOT = __name__.partition(".")[0]


@cache
def _path(module: str) -> Path | None:
    """Return the file of a module of the digested packages."""
    if module in PLUGIN_FILES:
        return PLUGIN_FILES[module]
    first, *parts = module.split(".")
    if first not in _packages():
        return None
    base = _package_path(first).joinpath(*parts)
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def _packages() -> list[str]:
    """Return the packages whose code is digested: this one, and those of plug-ins."""
    return [ROOT, PLUGIN_MODULE_ROOT, *sorted(PLUGIN_PACKAGES)]


@cache
def _package_path(package: str) -> Path:
    """Return the folder of a package, or the path of a single module without its extension."""
    spec = importlib.util.find_spec(package) if package != PLUGIN_MODULE_ROOT else None
    if spec and spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    return Path(spec.origin).with_suffix("") if spec and spec.origin else Path(os.devnull)


def module_of_file(path: Path) -> str | None:
    """Return the module of a file of the digested packages."""
    for module, file in PLUGIN_FILES.items():
        if file.resolve() == path:
            return module
    for package in (ROOT, *PLUGIN_PACKAGES):
        folder = _package_path(package)
        if path.is_relative_to(folder):
            parts = path.relative_to(folder).with_suffix("").parts
            return ".".join([package, *(part for part in parts if part != "__init__")])
    return None


def package_folder() -> Path:
    """Return the folder of advgen's sources and templates."""
    return _package_path(ROOT)


def package_file(name: str) -> str:
    """Return the path of a file of advgen, relative to the working folder if it is below it."""
    return _relative(package_folder() / name)


def sibling_file(target: str, name: str) -> str:
    """Return the path of a file in the folder of a target's module ("module:name"), relative if possible."""
    module = target.partition(":")[0]
    path = _path(module)
    assert path is not None, module
    return _relative(path.with_name(name))


def _relative(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
