"""What tables hold, told without Arrow: the core and the Snakefile know the tables and never load it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from advgen.specs.figures import Group

TEXT, BOOL, INT, REAL, REAL64 = "string", "bool", "int32", "float32", "float64"
INTS, REALS, REALS64 = "list<int32>", "list<float32>", "list<float64>"


@dataclass(frozen=True)
class Image:
    """An image column; its shape is that of the array written."""

    dtype: str


Columns = Mapping[str, str | Image]


@dataclass(frozen=True)
class Table:
    """One kind of table: columns in order, and the columns by which rows are sorted and unique.

    A table with a `title` stands in the report, in its `group`, without the columns that are `hidden`. The report tells
    a column that is the same in all rows once, but for those that were `measured`: they are what the table is for.
    """

    key: tuple[str, ...]
    columns: Columns
    title: str = ""
    group: Group = "Generative lab"
    hidden: tuple[str, ...] = ()
    measured: tuple[str, ...] = ()


TABLES: dict[str, Table] = {}
"""All kinds of tables by name; filled by the catalog."""
