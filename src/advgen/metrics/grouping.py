"""What summaries of tables share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pyarrow as pa

Rows = dict[str, list[Any]]
"""Rows of a table by column."""


def group_rows(table: pa.Table, keys: list[str]) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Rows with equal keys."""
    for values, rows in table.to_pandas().groupby(keys, sort=True, dropna=False):
        yield dict(zip(keys, values, strict=True)), rows


def to_columns(rows: list[dict[str, Any]]) -> Rows:
    """Rows as columns."""
    return {name: [row[name] for row in rows] for name in rows[0]}
