"""Cells of the experiments' tables, for live values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from advgen.cv.live_values import LiveValue
from advgen.io.tables import read_table


def read_cell(wanted: LiveValue, path: Path) -> object:
    """The one table cell that a wanted selects; ValueError if there is none or more than one."""
    table = select_rows(wanted, path)
    if len(table) != 1:
        given = ", ".join(f"{column}={value!r}" for column, value in wanted.where) or "nothing"
        differ = [name for name in table.column_names if len(set(map(str, table[name]))) > 1]
        differ = [name for name in differ if name != wanted.column]
        more = f" (they differ in {', '.join(differ[:6])})" if differ else ""
        raise ValueError(f"{len(table)} rows of table {wanted.table!r} have {given}; name exactly one{more}")
    found: object = table[wanted.column][0].as_py()
    return found


def select_rows(wanted: LiveValue, path: Path) -> pa.Table:
    """The rows of a table that a wanted selects; ValueError if it lacks a column."""
    table = read_table(path)
    for column in (wanted.column, *(name for name, _ in wanted.where)):
        if column not in table.column_names:
            names = ", ".join(table.column_names)
            raise ValueError(f"table {wanted.table!r} has no column {column!r}; it has {names}")
    for column, value in wanted.where:
        numbers = table[column].to_numpy()
        # 0.1 is also what 32 bits, now or before, made of it
        close = numbers.dtype.kind == "f" and isinstance(value, float)
        same = np.isclose(numbers, value, rtol=1e-6, atol=0.0) if close else numbers == value
        table = table.filter(pa.array(same, pa.bool_()))
    return table
