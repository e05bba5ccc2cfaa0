"""Parquet tables: an explicit schema per kind of table, atomic writes with a stamp, and reading.

Columns with images are binary, with dtype and shape in the metadata of the field; `read_images` decodes them.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from advgen.core.catalog import TABLES
from advgen.core.schema import Image
from advgen.files.provenance import UNSEALED, Stamp, atomic_write, sha256_text

TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "bool": pa.bool_(),
    "int32": pa.int32(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "list<int32>": pa.list_(pa.field("element", pa.int32())),
    "list<float32>": pa.list_(pa.field("element", pa.float32())),
    "list<float64>": pa.list_(pa.field("element", pa.float64())),
}
"""Arrow's types by the names in a schema. The items of lists have the name that Parquet uses."""
DATA = b"advgen.data"
"""The metadata key of the digest of a table's data."""


def arrow_table(kind: str, columns: Mapping[str, Any]) -> pa.Table:
    """Return an Arrow table of a kind from arrays, lists or scalars, sorted by its key. A scalar fills its column.

    An image column is an array of shape (rows, channels, height, width).

    Raises:
        ValueError: columns are missing or unknown, or two rows have the same key.
    """
    table = TABLES[kind]
    if set(columns) != set(table.columns):
        raise ValueError(f"table {kind!r}: columns {sorted(set(columns) ^ set(table.columns))} are missing or unknown")
    rows = next((len(value) for value in columns.values() if not np.isscalar(value) and value is not None), 0)
    fields, arrays = [], []
    for name, type_ in table.columns.items():
        value = columns[name]
        if isinstance(type_, Image):
            images = np.ascontiguousarray(value, dtype=type_.dtype)
            flat = images.reshape(rows, -1).view(np.uint8).reshape(-1)
            width = images[0].nbytes if rows else 0
            array = pa.Array.from_buffers(pa.binary(width), rows, [None, pa.py_buffer(flat)])
            metadata = {"dtype": type_.dtype, "shape": json.dumps(list(images.shape[1:]))}
            fields.append(pa.field(name, array.type, nullable=False, metadata=metadata))
        else:
            if np.isscalar(value) or value is None:
                value = [value] * rows
            elif isinstance(value, np.ndarray) and value.ndim == 2:
                value = list(value)
            array = pa.array(value, type=TYPES[type_])
            fields.append(pa.field(name, array.type))
        arrays.append(array)
    result = pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata={"advgen.table": kind}))
    return _sorted(result, table.key)


def add_swept_columns(table: pa.Table, varied: Mapping[str, Mapping[str, Any]]) -> pa.Table:
    """Return a table with a column `<column>.<key>` for each swept key of the definitions that a column names.

    The value is null in rows of definitions without this swept key.
    """
    for name, kind in TABLES[table_kind(table)].columns.items():
        if kind != "string":
            continue
        rows = table.column(name).to_pylist()
        keys = dict.fromkeys(key for row in dict.fromkeys(rows) for key in varied.get(row, {}))
        for key in keys:
            values = [varied.get(row, {}).get(key) for row in rows]
            numbers = all(value is None or isinstance(value, (int, float)) for value in values)
            column = (
                pa.array(values, pa.float64()) if numbers else pa.array([None if v is None else str(v) for v in values])
            )
            table = table.append_column(f"{name}.{key}", column)
    return table


def _sorted(table: pa.Table, key: tuple[str, ...]) -> pa.Table:
    table = table.sort_by([(column, "ascending") for column in key])
    groups = table.select(list(key)).group_by(list(key)).aggregate([])
    if groups.num_rows != table.num_rows:
        raise ValueError(f"table has {table.num_rows - groups.num_rows} rows with the same {', '.join(key)}")
    return table


def write_table(path: Path, table: pa.Table, stamp: Stamp) -> None:
    """Write a table atomically, with its stamp and the digest of its data in the Parquet footer."""
    with atomic_write(path) as temporary:
        _write(_stamped(table, stamp), temporary)


def _stamped(table: pa.Table, stamp: Stamp) -> pa.Table:
    """Return a table with its stamp, which is sealed with the digest of its data."""
    data = data_digest(table)
    sealed = stamp.with_seal(sha256_text(f"{data} {stamp.with_seal(UNSEALED).to_json()}"))
    metadata = {**(table.schema.metadata or {}), b"advgen": sealed.to_json().encode(), DATA: data.encode()}
    return table.replace_schema_metadata(metadata)


def _write(table: pa.Table, path: Path | pa.NativeFile) -> None:
    pq.write_table(table, path, compression="zstd", row_group_size=8192, write_page_checksum=True)


def relabel_table(path: Path, to: Path, stamp: Stamp, labels: Mapping[str, tuple[Any, Any]]) -> None:
    """Copy a table with another stamp, and with new values in columns that are labels.

    Raises:
        ValueError: a column of `labels` has values other than the old one.
    """
    table = read_table(path)
    for name, (old, new) in labels.items():
        if name not in table.column_names:
            continue
        column = table.column(name)
        if column.unique().to_pylist() != [old]:
            raise ValueError(f"{path}: its column {name!r} has several values, so it is no label")
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(name), pa.array([new] * table.num_rows, column.type))
    _write(_stamped(table, stamp), to)


def read_table(path: Path, kind: str | None = None, images: bool = True) -> pa.Table:
    """Read a table, optionally without image columns; ValueError if it is damaged or not of `kind`."""
    with _reading(path):
        light = None if images else _light(pq.read_schema(path))
        table = pq.read_table(path, columns=light, page_checksum_verification=True)
    if kind is not None and table_kind(table) != kind:
        raise ValueError(f"{path}: is a {table_kind(table)!r} table, not a {kind!r} table")
    return table


def stored_digest(path: Path) -> str | None:
    """Return the digest of a table's data (from the footer), kind and key; None if the footer has none.

    The key is included because readers of several tables sort their rows by it.
    """
    with _reading(path):
        metadata = pq.read_metadata(path).metadata or {}
    if DATA not in metadata:
        return None
    kind = metadata.get(b"advgen.table", b"").decode()
    key = TABLES[kind].key if kind in TABLES else ()
    return sha256_text(f"{metadata[DATA].decode()} {kind} {' '.join(key)}")


def check_table(path: Path) -> None:
    """Raise ValueError if a table differs from the digests in its footer."""
    table = read_table(path)
    found = (table.schema.metadata or {}).get(DATA)
    if found is None:
        raise ValueError(f"{path}: has no digest of its data, since another version wrote it; delete it and run again")
    if found.decode() != data_digest(table):
        raise ValueError(f"{path}: its data have been changed; delete it and run again")
    stamp = read_stamp(path)
    if stamp is None:
        return
    stamped, again = _stamped(table, stamp), pa.BufferOutputStream()
    _write(stamped, again)
    # other versions of pyarrow write other bytes
    same_writer = stamp.versions.get("pyarrow") == pa.__version__
    if stamped.schema.metadata[b"advgen"].decode() != stamp.to_json() or (
        same_writer and again.getvalue().to_pybytes() != path.read_bytes()
    ):
        raise ValueError(f"{path}: it has been changed; delete it and run again")


def data_digest(table: pa.Table) -> str:
    """Return the digest of names, order, types and values of a table's columns, independent of the Parquet layout."""
    found = hashlib.sha256()
    for field, column in zip(table.schema, table.columns, strict=True):
        shape = sorted((field.metadata or {}).items()) if pa.types.is_fixed_size_binary(field.type) else []
        kind = field.type.value_type if pa.types.is_list(field.type) else field.type
        found.update(repr((field.name, str(kind), len(column), shape)).encode())
        for part in _values(column.combine_chunks()):
            found.update(part)
    return found.hexdigest()


def _values(array: pa.Array) -> Iterator[bytes]:
    """Yield the bytes of the validity mask and the values of an array; for lists, the lengths and all items."""
    present = array.is_valid().to_numpy(zero_copy_only=False)
    yield np.packbits(present).tobytes()
    if pa.types.is_list(array.type):
        yield array.value_lengths().fill_null(0).to_numpy(zero_copy_only=False).tobytes()
        yield from _values(array.flatten())
    elif pa.types.is_string(array.type):
        yield json.dumps(array.drop_null().to_pylist()).encode()
    elif pa.types.is_fixed_size_binary(array.type):
        yield _chunk_bytes(array, np.dtype(np.uint8)).tobytes()
    else:
        yield array.drop_null().to_numpy(zero_copy_only=False).tobytes()


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path}: cannot be read as Parquet ({reason}); delete it and run again") from None


def table_kind(table: pa.Table) -> str:
    """Return the kind of a table."""
    return (table.schema.metadata or {}).get(b"advgen.table", b"").decode()


def _light(schema: pa.Schema) -> list[str]:
    kind = (schema.metadata or {}).get(b"advgen.table", b"").decode()
    heavy = {name for name, type_ in TABLES[kind].columns.items() if isinstance(type_, Image)} if kind in TABLES else ()
    return [name for name in schema.names if name not in heavy]


def read_tables(paths: Iterable[Path], images: bool = True) -> dict[str, pa.Table]:
    """Read several files into one table per kind, sorted by key; images of one kind must have equal shapes."""
    found: dict[str, list[pa.Table]] = {}
    for path in paths:
        table = read_table(path, images=images)
        found.setdefault(table_kind(table), []).append(table)
    return {kind: concatenate(tables) for kind, tables in found.items()}


def concatenate(tables: Sequence[pa.Table]) -> pa.Table:
    """Concatenate tables of one kind, sorted by key; ValueError if their images differ in shape."""
    try:
        table = pa.concat_tables([table.replace_schema_metadata({}) for table in tables])
    except pa.ArrowInvalid:
        raise ValueError(
            f"{table_kind(tables[0])!r} tables have images of different shapes; show them in separate figures"
        ) from None
    metadata = {"advgen.table": table_kind(tables[0])}
    return _sorted(table, TABLES[table_kind(tables[0])].key).replace_schema_metadata(metadata)


def read_images(table: pa.Table, column: str = "image") -> np.ndarray[Any, Any]:
    """Return an image column as an array (rows, channels, height, width) of its dtype."""
    metadata = table.schema.field(column).metadata
    shape = json.loads(metadata[b"shape"])
    dtype = np.dtype(metadata[b"dtype"].decode())
    chunks = [_chunk_bytes(chunk, dtype) for chunk in table.column(column).chunks]
    flat = np.concatenate(chunks) if chunks else np.empty(0, dtype)
    return flat.reshape(table.num_rows, *shape)


def decode_images(images: Sequence[bytes | None], shape: tuple[int, int, int]) -> np.ndarray[Any, Any]:
    """Decode images (rows, channels, height, width) from bytes: uint8 or float32, according to their size.

    For columns that another library has rewritten without the shape in the metadata.

    Raises:
        ValueError: the bytes do not fit the shape.
    """
    sizes = {0 if image is None else len(image) for image in images}
    dtypes = {math.prod(shape) * dtype.itemsize: dtype for dtype in map(np.dtype, ("uint8", "float32"))}
    if len(sizes) > 1 or not sizes <= dtypes.keys():
        lengths = " or ".join(map(str, sorted(sizes)))
        raise ValueError(f"shape = {shape}: does not fit images of {lengths} bytes as uint8 or float32")
    dtype = dtypes[sizes.pop()] if sizes else np.dtype(np.uint8)
    return np.frombuffer(b"".join(image or b"" for image in images), dtype).reshape(len(images), *shape)


def _chunk_bytes(chunk: pa.Array, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    width = chunk.type.byte_width
    data = np.frombuffer(chunk.buffers()[1], dtype=np.uint8)
    return data[chunk.offset * width : (chunk.offset + len(chunk)) * width].view(dtype)


def read_stamp(path: Path) -> Stamp | None:
    """Return the stamp in a Parquet footer, without reading the rows."""
    with _reading(path):
        metadata = pq.read_metadata(path).metadata or {}
    text = metadata.get(b"advgen")
    try:
        return None if text is None else Stamp.from_json(text.decode())
    except ValueError:
        raise ValueError(f"{path}: its stamp cannot be read; delete it and run again") from None
