"""Live values: cells of result tables that a text of the profile prints.

`{{ result('transfer', 'error', source='fc100') | .1% }}` is the cell of the column `error` in the one row of
`results/tables/transfer.parquet` that the keywords select, in a Python number format. Parsing runs no code.
"""

import ast
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

OPENING = "{{"
_EXPRESSION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_FORMAT = re.compile(r"[-+ ]?,?(?:\.\d{1,2})?[defgsEG%]?")
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")  # a study may name a table with hyphens
_EXAMPLE = "{{ result('transfer', 'error', source='fc100') | .1% }}"


@dataclass(frozen=True)
class LiveValue:
    """One cell of one table. `where` is sorted by column; `format` is a Python format spec, or empty."""

    table: str
    column: str
    where: tuple[tuple[str, str | int | float], ...]
    format: str
    line: int
    file: str = field(default="", compare=False)

    def format_value(self, value: object) -> str:
        """Return the text of a cell. Raises ValueError for a missing number or an unsuitable format."""
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            raise ValueError(f"the cell {self.column!r} of {self.table!r} has no number; name another cell")
        try:
            return format(value, self.format)
        except (ValueError, TypeError) as error:
            what = f"the format {self.format!r} does not fit the value {value!r}"
            raise ValueError(f"{what}; use another format, or none") from error


def find_live_values(text: str, line: int = 0, file: str = "profile.yaml") -> list[LiveValue]:
    """Return the live values of a text whose first line is a given line of a file."""
    found = find_expressions(text, line, file)
    return [parse_live_value(body, line + text.count("\n", 0, start), file) for body, start in found]


def find_expressions(text: str, line: int, file: str) -> Iterator[tuple[str, int]]:
    """Yield what is between double braces, with the index where each begins."""
    end = 0
    for match in _EXPRESSION.finditer(text):
        end = match.end()
        yield match.group(1), match.start()
    rest = text.find(OPENING, end)
    if rest >= 0:
        raise _error(file, line + text.count("\n", 0, rest), "'{{' is never closed; end the live value with '}}'")


def substitute(text: str, values: list[str]) -> str:
    """Replace the live values of a text, in order."""
    remaining = iter(values)
    return _EXPRESSION.sub(lambda match: next(remaining), text)


def parse_live_value(body: str, line: int, file: str) -> LiveValue:
    """Parse what is between double braces. Raises ValueError, with file and line, for anything else."""
    expression, spec = body.strip(), ""
    if not expression.endswith(")"):
        expression, bar, spec = expression.rpartition("|")
        expression, spec = expression.strip(), spec.strip()
        if not bar or not spec:
            raise _error(file, line, f"{body.strip()!r} is not a live value; write {_EXAMPLE}")
    if not _FORMAT.fullmatch(spec):
        raise _error(file, line, f"{spec!r} is not a number format; write one like .1% or .2f after the bar")
    try:
        call = ast.parse(" ".join(expression.split()), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise _error(file, line, f"{expression!r} is not a live value; write {_EXAMPLE}") from None
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "result"):
        raise _error(file, line, f"a live value calls result(…), not {expression!r}; write {_EXAMPLE}")
    match [argument.value if isinstance(argument, ast.Constant) else None for argument in call.args]:
        case [str(table), str(column)] if _TABLE.fullmatch(table) and _COLUMN.fullmatch(column):
            pass
        case _:
            raise _error(file, line, "result(…) takes the quoted names of a table and a column, then column=value")
    columns = [keyword.arg for keyword in call.keywords]
    if repeated := next((str(name) for name in columns if columns.count(name) > 1), None):
        raise _error(file, line, f"{repeated}= appears twice in one live value; remove one")
    where = sorted((_parse_condition(keyword, line, file) for keyword in call.keywords), key=lambda pair: pair[0])
    return LiveValue(table, column, tuple(where), spec, line, file)


def _parse_condition(keyword: ast.keyword, line: int, file: str) -> tuple[str, str | int | float]:
    try:
        value = ast.literal_eval(keyword.value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        value = None
    finite = not isinstance(value, float) or math.isfinite(value)
    if keyword.arg is None or isinstance(value, bool) or not isinstance(value, str | int | float) or not finite:
        column = keyword.arg or "**"
        raise _error(file, line, f"{column}= needs a quoted text or a number; write for example {column}='fc100'")
    return keyword.arg, value


def _error(file: str, line: int, what: str) -> ValueError:
    return ValueError(f"{file}:{line}: {what}")
