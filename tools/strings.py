"""Extract the texts of a Python file that a person reads: messages, help, descriptions, docstrings and comments."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from advgen.metrics.published import TEST_ERRORS
from advgen.metrics.sanity.certificates import TRANSFER_SUFFIX
from advgen.metrics.sanity.table import CHECKS

WORD = re.compile(r"[^\W\d_]{2,}")
"""A word of at least two letters."""
IDENTIFIERS = {check.name for check in CHECKS} | {*TEST_ERRORS, TRANSFER_SUFFIX}
"""Texts that stay the same, since they identify rows of stored results and values in studies."""
PLACEHOLDER = "X"
"""What replaces an expression in an f-string."""


def extract_strings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each string of at least three words, and of each comment.

    Expressions of f-strings become a placeholder. Code between backticks in comments stays; callers remove it.
    """
    source = path.read_text(encoding="utf-8")
    yield from _strings(ast.parse(source))
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("#! ")


def _strings(node: ast.AST) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.JoinedStr):
        parts = [str(part.value) if isinstance(part, ast.Constant) else PLACEHOLDER for part in node.values]
        yield from _text(node, "".join(parts))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield from _text(node, node.value)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _strings(child)


def _text(node: ast.expr, text: str) -> Iterator[tuple[int, str]]:
    if text not in IDENTIFIERS and " " in text and len(WORD.findall(text)) >= 3:
        yield node.lineno, text
