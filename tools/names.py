"""Check the names in the code: `python -m tools.names`. Functions are verbs, classes nouns, booleans predicates.

The check finds names that a reader cannot guess: past participles and puns. It covers functions, classes, arguments and
variables in src and tools.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("src", "tools")
WORDS = "_a|asked|doubts?|given|heed(?:s|ed|_.*)?|in_one_line|looks|met|said|shown|told|unaimed|ways"
BANNED = re.compile(rf"_*(?:{WORDS})(?:_[A-Z0-9]+)?", re.IGNORECASE)
"""Whole names, with the suffix for the shape of an array."""
ALLOWED = {("src/advgen/cv", "given"), ("src/advgen/api", "shown")}
"""Names that a folder may use: the given name of an author, and a deprecated name of the API."""


def find_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of each definition in a module."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name, lineno=line) | ast.ClassDef(name=name, lineno=line):
                yield line, name
            case ast.Name(id=name, ctx=ast.Store(), lineno=line) | ast.arg(arg=name, lineno=line):
                yield line, name


def main() -> None:
    """Print the names to replace; exit with status 1 if there are any."""
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line, name in find_names(ast.parse(path.read_text(encoding="utf-8")))
        if BANNED.fullmatch(name) and (path.relative_to(ROOT).parent.as_posix(), name) not in ALLOWED
    ]
    if found:
        print(*found, sep="\n")
        sys.exit(f"{len(found)} names to replace; see Writing in CONTRIBUTING.md")


if __name__ == "__main__":
    main()
