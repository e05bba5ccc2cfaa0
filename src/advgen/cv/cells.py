"""Cells of result tables, for live values."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from advgen.cv.live_values import LiveValue
from advgen.io.tables import read_table


def read_cell(live_value: LiveValue, path: Path) -> object:
    """Return the table cell of a live value. Raises ValueError unless exactly one row matches."""
    table = select_rows(live_value, path)
    if len(table) != 1:
        conditions = ", ".join(f"{column}={value!r}" for column, value in live_value.where) or "no condition"
        differing = [name for name in table.column_names if len(set(map(str, table[name]))) > 1]
        differing = [name for name in differing if name != live_value.column]
        hint = f" (they differ in {', '.join(differing[:6])})" if differing else ""
        what = f"{len(table)} rows of table {live_value.table!r} match {conditions}"
        raise ValueError(f"{what}; add conditions so that exactly one does{hint}")
    cell: object = table[live_value.column][0].as_py()
    return cell


def select_rows(live_value: LiveValue, path: Path) -> pa.Table:
    """Return the rows that match the conditions of a live value. Raises ValueError if a column is missing."""
    table = read_table(path)
    for column in (live_value.column, *(name for name, _ in live_value.where)):
        if column not in table.column_names:
            names = ", ".join(table.column_names)
            raise ValueError(f"table {live_value.table!r} has no column {column!r}; it has {names}")
    for column, value in live_value.where:
        numbers = table[column].to_numpy()
        # a condition of 0.1 also matches the number that 32 bits made of it
        is_float = numbers.dtype.kind == "f" and isinstance(value, float)
        matches = np.isclose(numbers, value, rtol=1e-6, atol=0.0) if is_float else numbers == value
        table = table.filter(pa.array(matches, pa.bool_()))
    return table
