"""The top-level names of one module: a digest of each, and the names of the package that it uses.

A digest leaves out what cannot change a result: docstrings, comments, layout, annotations of functions and
descriptions of keys.
"""

import ast
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from advgen.files.provenance import sha256_text

IMPORT_EFFECTS = ""
"""The name under which the statements of a module that define no name are listed."""
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, *COMPREHENSIONS)
"""Nodes with local names."""


class Definition(NamedTuple):
    """One name of a module: the digest of its syntax tree, and the dotted names that it uses."""

    digest: str
    uses: tuple[str, ...]


class Source(NamedTuple):
    """One module: its definitions by name, the dotted name of each imported name, and the modules it imports."""

    definitions: dict[str, Definition]
    imports: dict[str, str]
    loads: tuple[str, ...]


class Module(NamedTuple):
    """A module to read, and the packages whose names count."""

    name: str
    is_package: bool
    packages: tuple[str, ...]

    def read(self, tree: ast.Module) -> Source:
        """Return the definitions and imports in the syntax tree of the module, which is changed."""
        imports, loads = dict[str, str](), list[str]()
        names: dict[str, list[ast.stmt]] = {IMPORT_EFFECTS: []}
        for statement in _executed(tree.body):
            for one in ast.walk(statement) if not isinstance(statement, SCOPES) else ():  # includes branches of `try`
                if isinstance(one, (ast.Import, ast.ImportFrom)):
                    imports |= self.local_names(one)
                    loads += self.loaded_modules(one)
            if isinstance(statement, (ast.Import, ast.ImportFrom)) or _is_registration(statement, imports):
                continue
            for name in defined_names(statement) or [IMPORT_EFFECTS]:
                names.setdefault(name, []).append(statement)
        scope = {name: f"{self.name}.{name}" for name in names if name} | imports
        definitions = {}
        for name, statements in names.items():
            nodes = [_Normalizer().visit(statement) for statement in statements]
            uses = sorted({use for node in nodes for use in _UsedNames(self, scope).find(node)})
            definitions[name] = Definition(sha256_text("\n".join(map(ast.dump, nodes)))[:16], tuple(uses))
        return Source(definitions, imports, tuple(loads))

    def local_names(self, statement: ast.Import | ast.ImportFrom) -> dict[str, str]:
        """Return the local names of an import from the packages, with the dotted names they stand for."""
        if isinstance(statement, ast.Import):
            pairs = []
            for one in statement.names:
                root = one.name.partition(".")[0]
                pairs.append((one.asname, one.name) if one.asname else (root, root))
        else:
            origin = self._origin(statement)
            pairs = [(one.asname or one.name, f"{origin}.{one.name}") for one in statement.names]
        return {local: dotted for local, dotted in pairs if dotted.split(".")[0] in self.packages}

    def loaded_modules(self, statement: ast.Import | ast.ImportFrom) -> list[str]:
        """Return the modules of the packages that an import executes, with their parent packages."""
        if isinstance(statement, ast.Import):
            dotted = [one.name for one in statement.names]
        else:
            origin = self._origin(statement)
            dotted = [origin, *(f"{origin}.{one.name}" for one in statement.names)]
        parents = [".".join(one.split(".")[:size]) for one in dotted for size in range(1, len(one.split(".")) + 1)]
        return [one for one in dict.fromkeys(parents) if one.split(".")[0] in self.packages]

    def _origin(self, statement: ast.ImportFrom) -> str:
        parts = self.name.split(".") if self.is_package else self.name.split(".")[:-1]
        base = parts[: len(parts) - statement.level + 1] if statement.level else []
        return ".".join([*base, *([statement.module] if statement.module else [])])


def defined_names(statement: ast.stmt) -> list[str]:
    """Return the names that a statement defines; empty if it does anything else."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [statement.name]
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    if isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    flat = [one for target in targets for one in (target.elts if isinstance(target, ast.Tuple) else [target])]
    return [one.id for one in flat if isinstance(one, ast.Name)] if all(isinstance(o, ast.Name) for o in flat) else []


def _executed(statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that are executed, without docstrings and without `if TYPE_CHECKING`."""
    for statement in statements:
        if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.dump(statement.test):
            yield from _executed(statement.orelse)
        elif not _is_constant(statement):
            yield statement


def _is_constant(statement: ast.AST) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _is_registration(statement: ast.stmt, imports: dict[str, str]) -> bool:
    """Return whether a plug-in only registers a kind; no result depends on which other kinds exist."""
    called = statement.value.func if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call) else None
    parts = ast.unparse(called).split(".") if called else [""]
    return ".".join([imports.get(parts[0], parts[0]), *parts[1:]]) == "advgen.registry.register"


class _Normalizer(ast.NodeTransformer):
    """Removes docstrings, annotations of functions and descriptions of keys."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [one for one in body if not _is_constant(one)] or [ast.Pass()]  # type: ignore[attr-defined]
        return super().generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        for one in _local_annotations(node.body):  # Python never evaluates these
            one.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if getattr(node.func, "id", "") == "Field":
            node.keywords = [one for one in node.keywords if one.arg != "description"]
        return self.generic_visit(node)


class _UsedNames(ast.NodeVisitor):
    """Finds the dotted names that a tree uses; local names hide those of the module."""

    def __init__(self, module: Module, scope: dict[str, str]):
        self.module = module
        self.scopes = [scope]
        self.found: set[str] = set()

    def find(self, tree: ast.AST) -> set[str]:
        self.visit(tree)
        return self.found

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.Lambda) -> None:
        for outer in [*getattr(node, "decorator_list", []), *node.args.defaults, *filter(None, node.args.kw_defaults)]:
            self.visit(outer)
        body = node.body if isinstance(node.body, list) else [node.body]
        nodes = [one for statement in body for one in ast.walk(statement)]
        local = {one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg)} | set(_assigned_names(body))
        global_names = {one for statement in nodes if isinstance(statement, ast.Global) for one in statement.names}
        scope = dict.fromkeys(local - global_names, "")
        for one in nodes:
            if isinstance(one, (ast.Import, ast.ImportFrom)):
                scope |= self.module.local_names(one)
                self.found |= {f"{loaded}:" for loaded in self.module.loaded_modules(one)}
        self.scopes.append({**self.scopes[-1], **scope})
        for statement in body:
            self.visit(statement)
        self.scopes.pop()

    visit_Lambda = visit_AsyncFunctionDef = visit_FunctionDef  # type: ignore[assignment]

    def visit_ListComp(self, node: ast.ListComp) -> None:
        self.visit(node.generators[0].iter)  # evaluated in the outer scope
        local = _assigned_names(one.target for one in node.generators)
        self.scopes.append({**self.scopes[-1], **dict.fromkeys(local, "")})
        self.generic_visit(node)
        self.scopes.pop()

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp  # type: ignore[assignment]

    def visit_Name(self, node: ast.Name) -> None:
        self._add([node.id])

    def visit_Attribute(self, node: ast.Attribute) -> None:
        parts, inner = [node.attr], node.value
        while isinstance(inner, ast.Attribute):
            parts.append(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name):
            self._add([inner.id, *reversed(parts)])
        else:
            self.visit(inner)

    def _add(self, parts: list[str]) -> None:
        if dotted := self.scopes[-1].get(parts[0]):
            self.found.add(".".join([dotted, *parts[1:]]))


def _local_annotations(trees: Iterable[ast.AST]) -> Iterator[ast.AnnAssign]:
    """Yield the annotated assignments in a function's own scope."""
    for tree in trees:
        if isinstance(tree, ast.AnnAssign):
            yield tree
        if not isinstance(tree, SCOPES):
            yield from _local_annotations(ast.iter_child_nodes(tree))


def _assigned_names(trees: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the names that trees assign in their own scope, without those of inner functions and comprehensions."""
    for tree in trees:
        if isinstance(tree, ast.Name) and isinstance(tree.ctx, ast.Store):
            yield tree.id
        if not isinstance(tree, SCOPES):
            yield from _assigned_names(ast.iter_child_nodes(tree))
