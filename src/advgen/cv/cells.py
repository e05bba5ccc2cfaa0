"""Cells of the experiments' tables, for living values."""

from __future__ import annotations

from pathlib import Path

from advgen.core.live_values import Reference
from advgen.io.tables import read_table


def cell(reference: Reference, path: Path) -> object:
    """The one table cell that a reference selects; ValueError if there is none or more than one."""
    frame = read_table(path).to_pandas()
    for column in (reference.column, *(name for name, _ in reference.where)):
        if column not in frame:
            raise ValueError(f"table {reference.table!r} has no column {column!r}; it has {', '.join(frame.columns)}")
    for column, value in reference.where:
        frame = frame[frame[column] == value]
    if len(frame) != 1:
        given = ", ".join(f"{column}={value!r}" for column, value in reference.where) or "nothing"
        differ = [name for name in frame if frame[name].map(str).nunique() > 1 and name != reference.column]
        more = f" (they differ in {', '.join(differ[:6])})" if differ else ""
        raise ValueError(f"{len(frame)} rows of table {reference.table!r} have {given}; name exactly one{more}")
    value = frame[reference.column].iloc[0]
    return value.item() if hasattr(value, "item") else value
