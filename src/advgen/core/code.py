"""Digests of code: what a job's result depends on, function by function.

A digest starts at the functions and classes that a job names and follows every name that their bodies use, through all
modules of the package and of plug-ins. Docstrings, comments, layout, annotations of functions and descriptions of keys
do not count: none can change a result. What is called by a name that stands in data (the targets of the registry) is
named by the job. So the lists that hold such names do not count either; the code that reads the lists does.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from advgen.files.provenance import sha256_text, write_bytes

PLUGIN_MODULE_ROOT = "advgen_plugins"
"""The package that files of plug-ins are modules of; no folder holds it."""
PLUGIN_FILES: dict[str, Path] = {}
"""Plug-ins that were loaded from files, by the names of their modules."""
PLUGIN_PACKAGES: set[str] = set()
"""Packages of installed plug-ins."""

IMPORT_EFFECTS = ""
"""The key of what a module does when it is imported, beside defining names."""
_EMPTY = sha256_text("")[:16]
"""The digest of no statement."""

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, *COMPREHENSIONS)
"""What has names of its own."""

Symbol = tuple[str, str]
"""A module and a name at its top level; EFFECTS for its other statements."""

_FAMILIES = ("DATASETS", "NETWORKS", "FROM_FILES", "GENERATORS", "AUTOENCODERS", "DEFENCES", "MASKS", "ATTACKS")
EXCLUDED_LISTS: frozenset[Symbol] = frozenset(
    {("advgen.registry", name) for name in (*_FAMILIES, "SIMULATIONS", "BASES")} | {("advgen.presets", "PRESETS")}
)
"""Lists of everything that can be chosen. They are in no digest, so that a new entry makes nothing stale.

An entry that a job uses reaches its digest or its spec by another way: `Task.code` adds the target of each registered
spec, and a preset is written out in the spec.
"""


class Definition(NamedTuple):
    """One name of a module: digest of its syntax tree, and the dotted names that it uses."""

    digest: str
    uses: tuple[str, ...]


class Source(NamedTuple):
    """A module by its names; `imports` are dotted names by the local ones, `loads` the modules imported with it."""

    definitions: dict[str, Definition]
    imports: dict[str, str]
    loads: tuple[str, ...]


@cache
def code_digest(*targets: str) -> str:
    """Digest of everything that `targets` use; each is "module:name". ValueError for one that does not exist."""
    digests = [
        (module, name, read_source(module).definitions[name].digest)
        for module, name in sorted(reachable_symbols(*targets))
    ]
    # a module that does nothing when it is imported may be imported or not: the registry imports those of new entries
    parts = [f"{module}:{name} {digest}" for module, name, digest in digests if name or digest != _EMPTY]
    return sha256_text("\n".join(parts))[:16]


@cache
def reachable_symbols(*targets: str) -> frozenset[Symbol]:
    """All names of the package that `targets` lead to, and the effects of all modules that are imported on the way."""
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
            todo += _next(*symbol)
    return frozenset(seen)


@cache
def _next(module: str, name: str) -> tuple[Symbol, ...]:
    """What a name uses, and what is executed because its module is imported."""
    here = read_source(module)
    found = [symbol for dotted in here.definitions[name].uses for symbol in _resolve(dotted)]
    found.append((module, IMPORT_EFFECTS))
    if name == IMPORT_EFFECTS:
        found += [(one, IMPORT_EFFECTS) for one in here.loads if _path(one)]
    return tuple(dict.fromkeys(found))


@cache
def _resolve(dotted: str) -> tuple[Symbol, ...]:
    """What a dotted name stands for: one name, or all of a module that is used as a thing; none of `LISTS`.

    With a colon at its end it stands for the effects of a module.
    """
    if dotted.endswith(":"):
        module = dotted.removesuffix(":")
        return ((module, IMPORT_EFFECTS),) if _path(module) else ()
    parts = dotted.split(".")
    size = next((size for size in range(len(parts), 0, -1) if _path(".".join(parts[:size]))), 0)
    module = ".".join(parts[:size])
    if size == 0:
        return ()
    here = read_source(module)
    if size == len(parts):
        return tuple((module, name) for name in here.definitions if (module, name) not in EXCLUDED_LISTS)
    name = parts[size]
    if name in here.imports:
        return _resolve(".".join([here.imports[name], *parts[size + 1 :]]))
    return ((module, name),) if name in here.definitions and (module, name) not in EXCLUDED_LISTS else ()


def edited_modules(*targets: str) -> list[str]:
    """The modules behind `targets` whose files are no longer those that were read for their digest."""
    modules = {module for module, _ in reachable_symbols(*targets)}
    return sorted(module for module in modules if _content(module) != _read_as[module])


# --- one module ------------------------------------------------------------------------------------------------------


@cache
def read_source(module: str) -> Source:
    """What stands in a module; ValueError if there is none of this name."""
    path = _path(module)
    if path is None:
        raise ValueError(f"no module {module}")
    content = path.read_bytes()
    key = _read_as[module] = _key(module, content)
    if key not in _cache():
        _cache()[key] = _read(module, path.name == "__init__.py", ast.parse(content))
    definitions, imports, loads = _cache()[key]
    return Source({name: Definition(one[0], tuple(one[1])) for name, one in definitions.items()}, imports, tuple(loads))


_read_as: dict[str, str] = {}
_READER = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
"""What was kept by another version of this file may lack what this one sees."""


def _key(module: str, content: bytes) -> str:
    return hashlib.sha256(f"{_READER} {module} {_roots()}\n".encode() + content).hexdigest()


def _content(module: str) -> str:
    path = _path(module)
    return _key(module, path.read_bytes()) if path and path.is_file() else ""


def _read(module: str, is_package: bool, tree: ast.Module) -> list[Any]:
    imports, loads = dict[str, str](), list[str]()
    names: dict[str, list[ast.stmt]] = {IMPORT_EFFECTS: []}
    for statement in _flat(tree.body):
        for one in ast.walk(statement) if not isinstance(statement, SCOPES) else ():  # in the branches of `try`, too
            if isinstance(one, (ast.Import, ast.ImportFrom)):
                imports |= _imports(one, module, is_package)
                loads += _loads(one, module, is_package)
        if isinstance(statement, (ast.Import, ast.ImportFrom)) or _registers(statement, imports):
            continue
        for name in defined_names(statement) or [IMPORT_EFFECTS]:
            names.setdefault(name, []).append(statement)
    definitions = {}
    for name, statements in names.items():
        nodes = [_Bare().visit(statement) for statement in statements]
        uses = sorted({use for node in nodes for use in _Uses(module, is_package, imports, set(names)).of(node)})
        definitions[name] = [sha256_text("\n".join(map(ast.dump, nodes)))[:16], uses]
    return [definitions, imports, loads]


def _flat(statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that are executed, without docstrings, and without what only a type checker sees."""
    for statement in statements:
        if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.dump(statement.test):
            yield from _flat(statement.orelse)
        elif not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):
            yield statement


def _registers(statement: ast.stmt, imports: dict[str, str]) -> bool:
    """Whether a plug-in does nothing here but name what it brings: no result depends on what else there is."""
    called = statement.value.func if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call) else None
    parts = ast.unparse(called).split(".") if called else [""]
    return ".".join([imports.get(parts[0], parts[0]), *parts[1:]]) == "advgen.registry.register"


def defined_names(statement: ast.stmt) -> list[str]:
    """The names that a statement defines and does nothing else."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [statement.name]
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    if isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    flat = [one for target in targets for one in (target.elts if isinstance(target, ast.Tuple) else [target])]
    return [one.id for one in flat if isinstance(one, ast.Name)] if all(isinstance(o, ast.Name) for o in flat) else []


def _origin(statement: ast.ImportFrom, module: str, is_package: bool) -> str:
    parts = module.split(".") if is_package else module.split(".")[:-1]
    base = parts[: len(parts) - statement.level + 1] if statement.level else []
    return ".".join([*base, *([statement.module] if statement.module else [])])


def _imports(statement: ast.Import | ast.ImportFrom, module: str, is_package: bool) -> dict[str, str]:
    """The local names of an import, those of the package alone, with what they stand for."""
    if isinstance(statement, ast.Import):
        pairs = [
            (one.asname or one.name.partition(".")[0], one.name if one.asname else one.name.partition(".")[0])
            for one in statement.names
        ]
    else:
        origin = _origin(statement, module, is_package)
        pairs = [(one.asname or one.name, f"{origin}.{one.name}") for one in statement.names]
    return {local: dotted for local, dotted in pairs if dotted.split(".")[0] in _roots()}


def _loads(statement: ast.Import | ast.ImportFrom, module: str, is_package: bool) -> list[str]:
    """The modules of the package that an import executes, those above them too."""
    if isinstance(statement, ast.Import):
        dotted = [one.name for one in statement.names]
    else:
        origin = _origin(statement, module, is_package)
        dotted = [origin, *(f"{origin}.{one.name}" for one in statement.names)]
    parents = [".".join(one.split(".")[:size]) for one in dotted for size in range(1, len(one.split(".")) + 1)]
    return [one for one in dict.fromkeys(parents) if one.split(".")[0] in _roots()]


class _Bare(ast.NodeTransformer):
    """Takes away what cannot change a result: docstrings, annotations of functions, descriptions of keys."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [one for one in body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]
            node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
        return super().generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        for one in _annotations(node.body):  # Python never evaluates the annotation of a local variable
            one.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if getattr(node.func, "id", "") == "Field":
            node.keywords = [one for one in node.keywords if one.arg != "description"]
        return self.generic_visit(node)


class _Uses(ast.NodeVisitor):
    """The dotted names of the package that a tree uses; a function's own names hide those of its module."""

    def __init__(self, module: str, is_package: bool, imports: dict[str, str], names: set[str]):
        self.module, self.is_package = module, is_package
        self.scopes: list[dict[str, str]] = [{name: f"{module}.{name}" for name in names if name} | imports]
        self.found: set[str] = set()

    def of(self, tree: ast.AST) -> set[str]:
        self.visit(tree)
        return self.found

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.Lambda) -> None:
        for outer in [*getattr(node, "decorator_list", []), *node.args.defaults, *filter(None, node.args.kw_defaults)]:
            self.visit(outer)
        body = node.body if isinstance(node.body, list) else [node.body]
        inside = [one for statement in body for one in ast.walk(statement)]
        own = {one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg)} | set(_stored(body))
        given = {one for statement in inside if isinstance(statement, ast.Global) for one in statement.names}
        scope = dict.fromkeys(own - given, "")
        for one in inside:
            if isinstance(one, (ast.Import, ast.ImportFrom)):
                scope |= _imports(one, self.module, self.is_package)
                self.found |= {f"{loaded}:" for loaded in _loads(one, self.module, self.is_package)}
        self.scopes.append({**self.scopes[-1], **scope})
        for statement in body:
            self.visit(statement)
        self.scopes.pop()

    visit_Lambda = visit_AsyncFunctionDef = visit_FunctionDef  # type: ignore[assignment]

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self.visit(node.generators[0].iter)  # is looked up outside
        self.scopes.append({**self.scopes[-1], **dict.fromkeys(_stored(one.target for one in node.generators), "")})
        self.generic_visit(node)
        self.scopes.pop()

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp  # type: ignore[assignment]

    def visit_Name(self, node: ast.Name) -> None:
        self._use([node.id])

    def visit_Attribute(self, node: ast.Attribute) -> None:
        parts, inner = [node.attr], node.value
        while isinstance(inner, ast.Attribute):
            parts.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name):
            self._use([inner.id, *reversed(parts)])
        else:
            self.visit(inner)

    def _use(self, parts: list[str]) -> None:
        if dotted := self.scopes[-1].get(parts[0]):
            self.found.add(".".join([dotted, *parts[1:]]))


def _annotations(trees: Iterable[ast.AST]) -> Iterator[ast.AnnAssign]:
    """The annotated assignments of a function's own scope."""
    for tree in trees:
        if isinstance(tree, ast.AnnAssign):
            yield tree
        if not isinstance(tree, SCOPES):
            yield from _annotations(ast.iter_child_nodes(tree))


def _stored(trees: Iterable[ast.AST]) -> Iterator[str]:
    """The names that trees assign in their own scope, not in those of functions and comprehensions inside them."""
    for tree in trees:
        if isinstance(tree, ast.Name) and isinstance(tree.ctx, ast.Store):
            yield tree.id
        if not isinstance(tree, SCOPES):
            yield from _stored(ast.iter_child_nodes(tree))


# --- where the package lies ------------------------------------------------------------------------------------------

ROOT = __name__.partition(".")[0]


@cache
def _path(module: str) -> Path | None:
    if module in PLUGIN_FILES:
        return PLUGIN_FILES[module]
    first, *parts = module.split(".")
    if first not in _roots():
        return None
    base = _origin_of(first).joinpath(*parts)
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def _roots() -> list[str]:
    """The packages whose code is digested: this one, and those of plug-ins."""
    return [ROOT, PLUGIN_MODULE_ROOT, *sorted(PLUGIN_PACKAGES)]


@cache
def _origin_of(package: str) -> Path:
    """Where a package's modules lie, with an `__init__.py` or without, or a module without its ending."""
    spec = importlib.util.find_spec(package) if package != PLUGIN_MODULE_ROOT else None
    if spec and spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    return Path(spec.origin).with_suffix("") if spec and spec.origin else Path(os.devnull)


def module_of_file(path: Path) -> str | None:
    """The module of a file whose code is digested."""
    for module, file in PLUGIN_FILES.items():
        if file.resolve() == path:
            return module
    for package in (ROOT, *PLUGIN_PACKAGES):
        folder = _origin_of(package)
        if path.is_relative_to(folder):
            parts = path.relative_to(folder).with_suffix("").parts
            return ".".join([package, *(part for part in parts if part != "__init__")])
    return None


@cache
def package_folder() -> Path:
    """Where the package's sources and templates lie."""
    spec = importlib.util.find_spec(ROOT)
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


def package_file(name: str) -> str:
    """A file of the package, relative to the working folder where it lies below it."""
    return _from_here(package_folder() / name)


def sibling_file(target: str, name: str) -> str:
    """A file in the folder of the module of a "module:name", likewise; of a plug-in, too."""
    module = target.partition(":")[0]
    path = _path(module)
    assert path is not None, module
    return _from_here(path.with_name(name))


def _from_here(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


# Parsing all files costs .6 s and every SLURM job parses the Snakefile again, so what they hold is kept by content.
_CACHE_FILE = Path("results/state/code.json")


@cache
def _cache() -> dict[str, list[Any]]:
    try:
        entries = json.loads(_CACHE_FILE.read_text())
        return entries if isinstance(entries, dict) else {}
    except (OSError, ValueError):
        return {}


def save_digest_cache() -> None:
    """Keep what was read for the next parse; a folder that cannot be written is no error."""
    with suppress(OSError, ValueError):
        if json.loads(_CACHE_FILE.read_text()) == _cache():
            return
    with suppress(OSError):
        write_bytes(_CACHE_FILE, json.dumps(_cache(), sort_keys=True).encode())
