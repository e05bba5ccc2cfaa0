"""The schemas of tables, read from YAML without Arrow: the Snakefile loads this module."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from advgen.specs.figures import Group

TYPES = ("string", "bool", "int32", "float32", "float64", "list<int32>", "list<float32>", "list<float64>")
INTERVAL = {"_low": "lower", "_high": "upper"}
"""The columns NAME_low and NAME_high are the ends of the 95 % interval of NAME."""
_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Image:
    """The type of an image column; the shape of its images is that of the array written."""

    dtype: str


Columns = Mapping[str, str | Image]


@dataclass(frozen=True)
class Table:
    """One kind of table: its columns in order, and the columns by which its rows are sorted and unique.

    The report shows a table with a `title` in its `group`, without the columns that are `hidden`. A column with one
    value in all rows is printed above the table, unless the column is `measured`.
    """

    key: tuple[str, ...]
    columns: Columns
    title: str = ""
    group: Group = "Generative lab"
    hidden: tuple[str, ...] = ()
    measured: tuple[str, ...] = ()
    descriptions: Mapping[str, str] = field(default_factory=dict)


TABLES: dict[str, Table] = {}
"""All kinds of tables by name; filled by the catalog."""


def read_tables(path: Path) -> dict[str, Table]:
    """Return the tables that a file tables.yaml describes.

    A column is `NAME: [TYPE, DESCRIPTION]`. The pair is left out for the ends of an interval, for a column that an
    earlier table of the file describes, and for a shared column of core/columns.yaml. Raises TypeError for a column
    without a type.
    """
    tables: dict[str, Table] = {}
    described: dict[str, list[str]] = {}
    for name, keys in yaml.load(path.read_text(encoding="utf-8"), Loader=_SafeLoader).items():
        columns: dict[str, str | Image] = {}
        descriptions: dict[str, str] = {}
        for column, pair in keys.pop("columns").items():
            end = next((end for end in INTERVAL if column.endswith(end)), "_")
            stem = column.removesuffix(end)
            if not pair and stem in columns:
                columns[column] = columns[stem]
                descriptions[column] = f"{INTERVAL[end]} end of the interval of `{stem}`"
                continue
            if pair:
                described[column] = pair
            columns[column], descriptions[column] = _column(described.get(column), f"{path}: column {name}.{column}")
        settings: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in keys.items()
        }
        tables[name] = Table(columns=columns, descriptions=descriptions, **settings)
    return tables


def _column(pair: list[str] | None, place: str) -> tuple[str | Image, str]:
    """Return the type and description of a column; `place` names it in errors."""
    pair = pair or _shared_columns().get(place.rpartition(".")[2])
    if not pair:
        raise TypeError(f"{place} needs [TYPE, DESCRIPTION]")
    kind, description = pair
    if kind.startswith("image "):
        return Image(kind.removeprefix("image ")), description
    if kind not in TYPES:
        raise TypeError(
            f"{place}: type {kind!r} is unknown; choose one of {', '.join(TYPES)}, image uint8, image float32"
        )
    return kind, description


@cache
def _shared_columns() -> dict[str, list[str]]:
    shared: dict[str, list[str]] = yaml.load(Path(__file__).with_name("columns.yaml").read_text(), Loader=_SafeLoader)
    return shared
