"""Grouping of table rows, for summaries."""

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pyarrow as pa

Rows = dict[str, list[Any]]
"""The columns of a table by name."""


def group_rows(table: pa.Table, keys: list[str]) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Groups of rows with equal keys, as (keys, rows)."""
    for values, rows in table.to_pandas().groupby(keys, sort=True, dropna=False):
        yield dict(zip(keys, values, strict=True)), rows


def to_columns(rows: list[dict[str, Any]]) -> Rows:
    """Rows as columns."""
    return {name: [row[name] for row in rows] for name in rows[0]}
