"""Schemas of tables, without Arrow, which planning never loads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from advgen.specs.figures import Group

TEXT, BOOL, INT, REAL, REAL64 = "string", "bool", "int32", "float32", "float64"
INTS, REALS, REALS64 = "list<int32>", "list<float32>", "list<float64>"


@dataclass(frozen=True)
class Image:
    """An image column. Its shape is that of the written array."""

    dtype: str


Columns = Mapping[str, str | Image]


@dataclass(frozen=True)
class Table:
    """One kind of table: its columns in order, and the key columns, by which rows are sorted and unique.

    A table with a `title` is part of the report, in its `group` and without its `hidden` columns. The report prints
    columns with the same value in all rows only once, except for `measured` columns.
    """

    key: tuple[str, ...]
    columns: Columns
    title: str = ""
    group: Group = "Generative lab"
    hidden: tuple[str, ...] = ()
    measured: tuple[str, ...] = ()


TABLES: dict[str, Table] = {}
"""All kinds of tables by name. The catalog fills it."""
