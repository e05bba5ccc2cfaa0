"""Mutation operators: each fault is one small change of a file's syntax tree."""

import ast
import copy
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from types import CodeType
from typing import Any

SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.And: ast.Or, ast.Or: ast.And, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
TURNS: dict[type[ast.AST], type[ast.AST]] = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE}
PAIRS = "min max, amin amax, argmin argmax, minimum maximum, clamp_min clamp_max, any all, sum mean, zeros ones, "
PAIRS += "test train, linf l2, cross_entropy margin, generator discriminator, break continue"
NAMES = {a: b for pair in PAIRS.split(", ") for one, two in [pair.split()] for a, b in ((one, two), (two, one))}
"""Functions, attributes and keys that are easily confused."""
REPORTING_CALLS = {"print", "progress", "warn", "warning", "fail", "ConfigError", "ValueError"}
"""Calls whose arguments are texts for people."""


@dataclass(frozen=True)
class Mutant:
    """A fault in a file. `line` is the text of its line, and `change` describes it, as in survivors.yaml."""

    file: str
    source: str
    at: int
    last: int
    line: str
    change: str
    place: int
    nth: int
    inside: bool  # inside a function, so that it runs when the function is called

    def code(self) -> CodeType:
        """Return the compiled file with the fault."""
        return compile(self._apply()[0], self.file, "exec")

    def text(self) -> str | None:
        """Return the text of the file with the fault, or None if Python reports a wrong position, as in f-strings."""
        tree, node, fault = self._apply()
        lines = self.source.encode().splitlines(keepends=True)
        start, end = (
            sum(map(len, lines[: line - 1])) + column
            for line, column in ((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset))
        )
        whole = b"".join(lines)
        text = (whole[:start] + ast.unparse(fault).encode() + whole[end:]).decode(errors="replace")
        try:
            return text if ast.dump(ast.parse(text)) == ast.dump(tree) else None
        except SyntaxError:
            return None

    def _apply(self) -> tuple[ast.Module, Any, ast.AST]:
        """Return the tree with the fault, the replaced node and its replacement."""
        tree = ast.parse(self.source)
        parent, field, number, node, _ = next(islice(find_places(tree), self.place, None))
        fault = next(islice(find_faults(node, parent, field, self.inside), self.nth, None))
        if number is None:
            setattr(parent, field, fault)
        else:
            getattr(parent, field)[number] = fault
        return ast.fix_missing_locations(tree), node, fault


def find_faults(node: ast.AST, parent: ast.AST, field: str, in_function: bool) -> Iterator[ast.AST]:
    """Yield the replacements of a node."""

    def change(**fields: Any) -> ast.AST:
        other = copy.copy(node)
        for name, value in fields.items():
            setattr(other, name, value)
        return other

    if field == "test" and isinstance(parent, ast.If | ast.IfExp) and not isinstance(node, ast.Compare | ast.UnaryOp):
        yield ast.UnaryOp(ast.Not(), node)
    match node:
        case ast.Compare(ops=[op]):
            yield from (change(ops=[table[type(op)]()]) for table in (SWAPS, TURNS) if type(op) in table)
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in SWAPS:
            if in_function or not isinstance(op, ast.BitOr):  # otherwise a union of types
                yield change(op=SWAPS[type(op)]())
        case ast.BoolOp(op=op):
            yield change(op=SWAPS[type(op)]())
        case ast.UnaryOp(op=ast.Not() | ast.Invert() | ast.USub(), operand=operand):
            yield operand
        case ast.Constant(value=bool(value)):
            yield change(value=not value)
        case ast.Constant(value=int(value) | float(value)):
            yield from (change(value=value + 1), change(value=value - 1))
        case ast.Constant(value=str(value)) if value in NAMES:
            yield change(value=NAMES[value])
        case ast.Name(id=name) if field == "func" and name in NAMES:
            yield change(id=NAMES[name])
        case ast.Attribute(attr=name) if field == "func" and name in NAMES:
            yield change(attr=NAMES[name])
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield change(value=ast.Constant(None))
        case ast.Break():
            yield ast.Continue()
        case ast.Continue():
            yield ast.Break()


def is_for_people(node: ast.AST) -> bool:
    """Return whether nothing below a node is mutated: errors, texts for people, and type aliases."""
    match node:
        case ast.Raise() | ast.Expr(value=ast.Constant()) | ast.Subscript(value=ast.Name(id="Literal")):
            return True
        case ast.Assign(targets=[ast.Name(id="__all__")]) | ast.If(test=ast.Name(id="TYPE_CHECKING")):
            return True
        case ast.keyword(arg="strict"):  # of zip, which is an assertion
            return True
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name in REPORTING_CALLS
    return False


def find_places(node: ast.AST, in_function: bool = False) -> Iterator[tuple[ast.AST, str, int | None, ast.AST, bool]]:
    """Yield each mutable node: its parent, the field and the index there, the node, and whether it is in a function."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "msg", "type_params", "ctx"):
            continue
        for number, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST) and not is_for_people(child):
                inside = (in_function or isinstance(child, ast.FunctionDef)) and not isinstance(child, ast.arguments)
                yield node, field, number, child, inside
                yield from find_places(child, inside)


def make_mutants(file: str, source: str) -> Iterator[Mutant]:
    """Yield all faults of a Python file."""
    lines, seen = source.splitlines(), Counter[tuple[int, str]]()
    for number, (parent, field, _, node, inside) in enumerate(find_places(ast.parse(source))):
        for nth, fault in enumerate(find_faults(node, parent, field, inside)):
            at, last = getattr(node, "lineno", 1), getattr(node, "end_lineno", 1)
            change = f"{ast.unparse(node)} -> {ast.unparse(fault)}"
            seen[at, change] += 1
            if seen[at, change] > 1:
                change += f" (number {seen[at, change]} of the line)"
            yield Mutant(file, source, at, last, lines[at - 1].strip(), change, number, nth, inside)


@dataclass(frozen=True)
class Edit:
    """A fault in another file: a number is increased by one, or a word is repeated."""

    file: str
    source: str
    at: int
    line: str
    change: str
    start: int
    end: int
    instead: str

    def text(self) -> str:
        """Return the text of the file with the fault."""
        return self.source[: self.start] + self.instead + self.source[self.end :]


def make_edits(file: str, source: str) -> Iterator[Edit]:
    """Yield one fault for each line of a template, a style sheet or a caption."""
    place = 0
    for at, line in enumerate(source.splitlines(keepends=True), 1):
        found = re.search(r"(?<![\w#])\d+", line) or re.search(r"\b[A-Za-z]{3,}\b(?=[ .,])", line)
        if found:
            old = found[0]
            new = str(int(old) + 1) if old.isdigit() else f"{old} {old}"
            yield Edit(
                file, source, at, line.strip(), f"{old} -> {new}", place + found.start(), place + found.end(), new
            )
        place += len(line)
