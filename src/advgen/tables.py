"""Parquet tables: one explicit schema per kind of table, atomic writes with a stamp, and reading.

Columns of images are binary, with dtype and shape in the field's metadata (`read_images` decodes them).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from advgen.provenance import Stamp, atomic

_TEXT, _BOOL = pa.string(), pa.bool_()
_INT, _REAL, _REAL64 = pa.int32(), pa.float32(), pa.float64()
_REALS = pa.list_(pa.float32())
_INTS = pa.list_(pa.int32())


@dataclass(frozen=True)
class Image:
    """An image column; its shape is that of the array written."""

    dtype: str


@dataclass(frozen=True)
class Table:
    """One kind of table: columns in order, and the columns by which rows are sorted and unique.

    A table with a `title` stands in the report, in its `group`, without the columns that are `hidden`. The report tells
    a column that is the same in all rows once, but for those that were `measured`: they are what the table is for.
    """

    key: tuple[str, ...]
    columns: Mapping[str, pa.DataType | Image]
    title: str = ""
    group: str = "Generative lab"
    hidden: tuple[str, ...] = ()
    measured: tuple[str, ...] = ()


_SOURCE: dict[str, pa.DataType | Image] = {
    "source": _TEXT,
    "source_seed": _INT,
    "dataset": _TEXT,
    "images": _INT,
    "parameters": _INT,
    "defence": _TEXT,
}
"""An attacked classifier and what it is: data set, training images, parameters, defence."""
_ATTACK: dict[str, pa.DataType | Image] = {
    "attack": _TEXT,
    "kind": _TEXT,
    "norm": _TEXT,
    "eps": _REAL64,
    "steps": _INT,
    "restarts": _INT,
    "step_size": _REAL64,
    "knowledge": _TEXT,
    "target": _TEXT,
    "loss": _TEXT,
}
"""An attack and its threat model."""
_QUALITY: dict[str, pa.DataType | Image] = {
    "n": _INT,
    "fid": _REAL64,
    "inception_score": _REAL64,
    "precision": _REAL64,
    "recall": _REAL64,
    "classes": _INT,
    "total_variation": _REAL64,
    "entropy_bits": _REAL64,
    "class_share": pa.list_(_REAL64),
}
"""What the judge says of many samples."""
_JUDGED = tuple(name for name in _QUALITY if name != "n")


DATA = b"advgen.data"
"""Where the digest of a table's data stands in its file."""

TABLES: dict[str, Table] = {
    "dataset": Table(("index",), {"index": _INT, "label": _INT, "cue": _INT, "image": Image("uint8")}),
    "training": Table(
        ("model", "seed", "step"),
        {"model": _TEXT, "seed": _INT, "step": _INT, "epoch": _REAL64, "loss": _REAL, "accuracy": _REAL},
    ),
    "ladder": Table(
        ("dataset", "rung"),
        {
            "dataset": _TEXT,
            "rung": _TEXT,
            "n": _INT,
            "fid": _REAL64,
            "inception_score": _REAL64,
            "precision": _REAL64,
            "recall": _REAL64,
            "judge": _TEXT,
            "judge_error": _REAL64,
        },
        "The judge's ladder",
        "Data and judge",
        measured=("fid", "inception_score", "precision", "recall"),
    ),
    "gan_history": Table(
        ("gan", "seed", "step"),
        {
            "gan": _TEXT,
            "seed": _INT,
            "step": _INT,
            "epoch": _REAL64,
            "loss_generator": _REAL,
            "loss_discriminator": _REAL,
            "gradient_generator": _REAL,
            "gradient_discriminator": _REAL,
            "logit_real": _REAL,
            "logit_fake": _REAL,
            "vanishing": _BOOL,
        },
    ),
    "gan_samples": Table(
        ("gan", "seed", "index"),
        {
            "gan": _TEXT,
            "seed": _INT,
            "index": _INT,
            "z": _REALS,
            "label": _INT,
            "confidence": _REAL,
            "image": Image("float32"),
        },
    ),
    "gan_quality": Table(
        ("gan", "seed"),
        {
            "gan": _TEXT,
            "seed": _INT,
            "generator": _TEXT,
            "discriminator": _TEXT,
            "parameters_generator": _INT,
            "parameters_discriminator": _INT,
            "loss": _TEXT,
            "generator_steps": _INT,
            "discriminator_steps": _INT,
            "unroll": _INT,
            "batch": _INT,
            **_QUALITY,
            "collapsed": _BOOL,
            "vanishing": _REAL64,
            "isolated_energy": _REAL64,
            "sharpness": _REAL64,
            "sharpness_real": _REAL64,
            "judge": _TEXT,
        },
        "Generators",
        hidden=("class_share", "generator", "discriminator"),
        measured=(*_JUDGED, "collapsed", "vanishing", "isolated_energy", "sharpness"),
    ),
    "truncation": Table(
        ("truncation", "generator", "seed", "threshold"),
        {"truncation": _TEXT, "generator": _TEXT, "seed": _INT, "threshold": _REAL64, **_QUALITY, "judge": _TEXT},
        "Truncation",
        hidden=("class_share",),
        measured=_JUDGED,
    ),
    "autoencoder_quality": Table(
        ("autoencoder", "seed"),
        {
            "autoencoder": _TEXT,
            "seed": _INT,
            "parameters": _INT,
            "n": _INT,
            "mse": _REAL64,
            "class_agreement": _REAL64,
            "class_agreement_low": _REAL64,
            "class_agreement_high": _REAL64,
            "moments": _TEXT,
            "fid_reconstructions": _REAL64,
            "fid_decoded": _REAL64,
            "sharpness_real": _REAL64,
            "sharpness_reconstructions": _REAL64,
            "sharpness_decoded": _REAL64,
            "ks_pooled": _REAL64,
            "ks_dimension_mean": _REAL64,
            "ks_dimension_max": _REAL64,
            "spectrum": pa.list_(_REAL64),
            "judge": _TEXT,
        },
        "Autoencoders",
        hidden=("spectrum",),
        measured=(
            *("mse", "class_agreement", "fid_reconstructions", "fid_decoded", "sharpness_reconstructions"),
            *("sharpness_decoded", "ks_pooled", "ks_dimension_mean", "ks_dimension_max"),
        ),
    ),
    "autoencoder_history": Table(
        ("autoencoder", "seed", "step"),
        {
            "autoencoder": _TEXT,
            "seed": _INT,
            "step": _INT,
            "epoch": _REAL64,
            "loss": _REAL,
            "moment_loss": _REAL,
            "moment_factor": _REAL,
        },
    ),
    "latent_snapshots": Table(
        ("autoencoder", "seed", "epoch", "level"),
        {
            "autoencoder": _TEXT,
            "seed": _INT,
            "epoch": _INT,
            "level": _REAL64,
            "pooled": _REAL,
            "dimension_low": _REAL,
            "dimension_high": _REAL,
        },
    ),
    "decoded": Table(
        ("autoencoder", "seed", "index"),
        {
            "autoencoder": _TEXT,
            "seed": _INT,
            "index": _INT,
            "label": _INT,
            "confidence": _REAL,
            "image": Image("float32"),
        },
    ),
    "reconstructions": Table(
        ("autoencoder", "seed", "index"),
        {
            "autoencoder": _TEXT,
            "seed": _INT,
            "index": _INT,
            "label": _INT,
            "judged": _INT,
            "mse": _REAL,
            "z": _REALS,
            "image": Image("float32"),
            "reconstruction": Image("float32"),
        },
    ),
    "inversion": Table(
        ("inversion", "generator", "seed", "index", "start"),
        {
            "inversion": _TEXT,
            "generator": _TEXT,
            "seed": _INT,
            "optimizer": _TEXT,
            "lr": _REAL64,
            "first_start": _TEXT,
            "index": _INT,
            "start": _INT,
            "best": _BOOL,
            "label": _INT,
            "judged": _INT,
            "mse": _REAL,
            "ink": _REAL,
            "ink_found": _REAL,
            "width": _INT,
            "width_found": _INT,
            "height": _INT,
            "height_found": _INT,
            "z": _REALS,
            "history_step": _INTS,
            "history_mse": _REALS,
            "image": Image("float32"),
            "reconstruction": Image("float32"),
        },
    ),
    "inversion_summary": Table(
        ("inversion", "generator", "seed", "starts"),
        {
            "inversion": _TEXT,
            "generator": _TEXT,
            "seed": _INT,
            "optimizer": _TEXT,
            "lr": _REAL64,
            "steps": _INT,
            "first_start": _TEXT,
            "starts": _INT,
            "n": _INT,
            "mse": _REAL64,
            "mse_low": _REAL64,
            "mse_high": _REAL64,
            "class_agreement": _REAL64,
            "class_agreement_low": _REAL64,
            "class_agreement_high": _REAL64,
            "ink_error": _REAL64,
            "width_error": _REAL64,
            "height_error": _REAL64,
        },
        "Inversion",
        measured=("mse", "class_agreement", "ink_error", "width_error", "height_error"),
    ),
    "inpainting": Table(
        ("inpainting", "generator", "seed", "mask", "method", "index"),
        {
            "inpainting": _TEXT,
            "generator": _TEXT,
            "seed": _INT,
            "mask": _TEXT,
            "method": _TEXT,
            "index": _INT,
            "label": _INT,
            "judged": _INT,
            "lost": _INT,
            "lost_top": _INT,
            "lost_left": _INT,
            "ink_lost": _REAL,
            "mse_whole": _REAL,
            "mse_hole": _REAL,
            "mse_composite": _REAL,
            "ssim_whole": _REAL,
            "ssim_composite": _REAL,
            "image": Image("float32"),
            "masked": Image("float32"),
            "restored": Image("float32"),
        },
    ),
    "inpainting_summary": Table(
        ("inpainting", "generator", "seed", "mask", "method", "measure"),
        {
            "inpainting": _TEXT,
            "generator": _TEXT,
            "seed": _INT,
            "mask": _TEXT,
            "method": _TEXT,
            "measure": _TEXT,
            "n": _INT,
            "mean": _REAL64,
            "low": _REAL64,
            "high": _REAL64,
        },
        "Inpainting",
        measured=("mean",),
    ),
    "interpolation_summary": Table(
        ("interpolation", "model", "seed"),
        {
            "interpolation": _TEXT,
            "model": _TEXT,
            "seed": _INT,
            "n": _INT,
            "ends_kept": _REAL64,
            "third_class": _REAL64,
            "third_class_low": _REAL64,
            "third_class_high": _REAL64,
            "roughness": _REAL64,
            "roughness_low": _REAL64,
            "roughness_high": _REAL64,
        },
        "Interpolation",
        measured=("ends_kept", "third_class", "roughness"),
    ),
    "interpolation": Table(
        ("interpolation", "model", "seed", "pair", "frame"),
        {
            "interpolation": _TEXT,
            "model": _TEXT,
            "seed": _INT,
            "pair": _INT,
            "frame": _INT,
            "alpha": _REAL64,
            "index_from": _INT,
            "index_to": _INT,
            "label_from": _INT,
            "label_to": _INT,
            "judged": _INT,
            "confidence": _REAL,
            "change": _REAL,
            "image": Image("float32"),
        },
    ),
    "classifier_quality": Table(
        ("classifier", "seed"),
        {
            "classifier": _TEXT,
            "seed": _INT,
            "dataset": _TEXT,
            "images": _INT,
            "parameters": _INT,
            "defence": _TEXT,
            "n": _INT,
            "error": _REAL64,
            "error_low": _REAL64,
            "error_high": _REAL64,
            "validation_error": _REAL64,
        },
        "Classifiers",
        "Adversarial lab",
        measured=("error", "validation_error"),
    ),
    "examples": Table(
        ("source", "source_seed", "attack", "index"),
        {
            **_SOURCE,
            **_ATTACK,
            "index": _INT,
            "label": _INT,
            "target_label": _INT,
            "predicted_clean": _INT,
            "predicted": _INT,
            "confidence": _REAL,
            "linf": _REAL,
            "l2": _REAL,
            "l0": _INT,
            "rms": _REAL,
            "zero_gradient": _BOOL,
            "gradient_calls": _REAL64,
            "forward_calls": _REAL64,
            "image": Image("float32"),
            "adversarial": Image("float32"),
        },
    ),
    "robustness": Table(
        ("source", "source_seed", "attack"),
        {
            **_SOURCE,
            **_ATTACK,
            "inside": _TEXT,
            "n": _INT,
            "clean_accuracy": _REAL64,
            "accuracy": _REAL64,
            "accuracy_low": _REAL64,
            "accuracy_high": _REAL64,
            "success": _REAL64,
            "confidence_on_mistakes": _REAL64,
            "median_l0": _REAL64,
            "median_l2": _REAL64,
            "median_linf": _REAL64,
            "mean_rms": _REAL64,
            "zero_gradients": _REAL64,
            "gradient_calls": _REAL64,
            "forward_calls": _REAL64,
        },
        "Accuracy under attack",
        "Adversarial lab",
        measured=(
            *("clean_accuracy", "accuracy", "success", "confidence_on_mistakes", "median_l0", "median_l2"),
            *("median_linf", "mean_rms", "zero_gradients", "gradient_calls", "forward_calls"),
        ),
    ),
    "transfer": Table(
        ("study", "source", "source_seed", "attack", "target", "target_seed"),
        {
            "study": _TEXT,
            "source": _TEXT,
            "source_seed": _INT,
            "attack": _TEXT,
            "norm": _TEXT,
            "eps": _REAL64,
            "rms": _REAL64,
            "amplified": _BOOL,
            "target": _TEXT,
            "target_seed": _INT,
            "n": _INT,
            "error": _REAL64,
            "error_low": _REAL64,
            "error_high": _REAL64,
            "clean_error": _REAL64,
        },
        "Transfer",
        "Adversarial lab",
        measured=("rms", "error", "clean_error"),
    ),
    "linearity": Table(
        ("linearity", "source", "seed", "index", "eps"),
        {
            "linearity": _TEXT,
            "source": _TEXT,
            "seed": _INT,
            "index": _INT,
            "eps": _REAL64,
            "label": _INT,
            "predicted": _INT,
            "logits": _REALS,
        },
    ),
    "linearity_summary": Table(
        ("linearity", "source", "seed"),
        {
            "linearity": _TEXT,
            "source": _TEXT,
            "seed": _INT,
            "n": _INT,
            "r_squared": _REAL64,
            "r_squared_low": _REAL64,
            "r_squared_high": _REAL64,
        },
        "Linearity",
        "Adversarial lab",
        measured=("r_squared",),
    ),
    "convergence": Table(
        ("convergence", "source", "seed", "index", "restart"),
        {
            "convergence": _TEXT,
            "source": _TEXT,
            "seed": _INT,
            "attack": _TEXT,
            "eps": _REAL64,
            "index": _INT,
            "restart": _INT,
            "label": _INT,
            "right_clean": _BOOL,
            "fooled_step": _INT,
            "losses": _REALS,
        },
    ),
    "simulation": Table(
        ("simulation", "series", "x"),
        {
            "simulation": _TEXT,
            "kind": _TEXT,
            "series": _TEXT,
            "x_name": _TEXT,
            "y_name": _TEXT,
            "x": _REAL64,
            "y": _REAL64,
            "y_low": _REAL64,
            "y_high": _REAL64,
            "n": _INT,
        },
        "Simulations",
        "Adversarial lab",
        measured=("y",),
    ),
    "model": Table(
        ("family", "preset"),
        {
            "family": _TEXT,
            "preset": _TEXT,
            "kind": _TEXT,
            "image": _TEXT,
            "parameters": _INT,
        },
        "Named models",
        "Data and judge",
        measured=("parameters",),
    ),
    "laws": Table(
        ("law", "subject"),
        {
            "law": _TEXT,
            "subject": _TEXT,
            "kind": _TEXT,
            "holds": _BOOL,
            "n": _INT,
            "estimate": _REAL64,
            "low": _REAL64,
            "high": _REAL64,
            "detail": _TEXT,
        },
    ),
}


def arrow_table(kind: str, columns: Mapping[str, Any]) -> pa.Table:
    """An Arrow table of a kind from arrays, lists or scalars (a scalar fills its column), sorted by its key.

    An image column takes an array of shape (rows, channels, height, width).
    """
    table = TABLES[kind]
    if set(columns) != set(table.columns):
        raise ValueError(f"table {kind!r}: columns {sorted(set(columns) ^ set(table.columns))} are missing or too many")
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
            array = pa.array(value, type=type_)
            fields.append(pa.field(name, type_))
        arrays.append(array)
    result = pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata={"advgen.table": kind}))
    return _sorted(result, table.key)


def _sorted(table: pa.Table, key: tuple[str, ...]) -> pa.Table:
    table = table.sort_by([(column, "ascending") for column in key])
    groups = table.select(list(key)).group_by(list(key)).aggregate([])
    if groups.num_rows != table.num_rows:
        raise ValueError(f"table has {table.num_rows - groups.num_rows} rows with the same {', '.join(key)}")
    return table


def write_table(path: Path, table: pa.Table, stamp: Stamp) -> None:
    """Write a table whole or not at all, with its stamp and the digest of its data in the Parquet footer."""
    metadata = {**(table.schema.metadata or {}), b"advgen": stamp.to_json().encode(), DATA: digest(table).encode()}
    with atomic(path) as temporary:
        pq.write_table(
            table.replace_schema_metadata(metadata),
            temporary,
            compression="zstd",
            row_group_size=8192,
            write_page_checksum=True,
        )


def read_table(path: Path, kind: str | None = None, images: bool = True) -> pa.Table:
    """Read a table, with its image columns or without; ValueError if it is damaged or not of `kind`."""
    try:
        light = None if images else _light(pq.read_schema(path))
        table = pq.read_table(path, columns=light, page_checksum_verification=True)
    except (pa.ArrowInvalid, OSError) as error:
        raise _damaged(path, error) from None
    if kind is not None and table_kind(table) != kind:
        raise ValueError(f"{path}: holds a {table_kind(table)!r} table, not a {kind!r} one")
    return table


def check_table(path: Path) -> None:
    """Compare a table's data with the digest in its footer; ValueError if they differ."""
    table = read_table(path)
    found = (table.schema.metadata or {}).get(DATA)
    if found is None:
        raise ValueError(f"{path}: has no digest of its data, so another version made it; delete it and run again")
    if found.decode() != digest(table):
        raise ValueError(f"{path}: its data are not those that were saved; delete it and run again")


def digest(table: pa.Table) -> str:
    """Of what a table holds: names, order, types and values of its columns; not of how Parquet lays them out."""
    found = hashlib.sha256()
    for field, column in zip(table.schema, table.columns, strict=True):
        shape = sorted((field.metadata or {}).items()) if pa.types.is_fixed_size_binary(field.type) else []
        kind = field.type.value_type if pa.types.is_list(field.type) else field.type
        found.update(repr((field.name, str(kind), len(column), shape)).encode())
        for part in _values(column.combine_chunks()):
            found.update(part)
    return found.hexdigest()


def _values(array: pa.Array) -> Iterator[bytes]:
    """Which values are there, then the values; a list's lengths, then all its values."""
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


def _damaged(path: Path, error: Exception) -> ValueError:
    reason = str(error).splitlines()[0]
    return ValueError(f"{path}: cannot be read as Parquet ({reason}); delete it and run again")


def table_kind(table: pa.Table) -> str:
    """Which of TABLES a table is."""
    return (table.schema.metadata or {}).get(b"advgen.table", b"").decode()


def _light(schema: pa.Schema) -> list[str]:
    kind = (schema.metadata or {}).get(b"advgen.table", b"").decode()
    heavy = {name for name, type_ in TABLES[kind].columns.items() if isinstance(type_, Image)} if kind in TABLES else ()
    return [name for name in schema.names if name not in heavy]


def read_tables(paths: Iterable[Path], images: bool = True) -> dict[str, pa.Table]:
    """All rows of several files, one table per kind, in key order; images of one kind must have one shape."""
    found: dict[str, list[pa.Table]] = {}
    for path in paths:
        table = read_table(path, images=images)
        found.setdefault(table_kind(table), []).append(table)
    return {kind: concatenate(tables) for kind, tables in found.items()}


def concatenate(tables: Sequence[pa.Table]) -> pa.Table:
    """All rows of several tables of one kind, in key order; ValueError if their images differ in shape."""
    try:
        table = pa.concat_tables([table.replace_schema_metadata({}) for table in tables])
    except pa.ArrowInvalid:
        raise ValueError(f"{table_kind(tables[0])!r} tables have images of different shapes; show them apart") from None
    metadata = {"advgen.table": table_kind(tables[0])}
    return _sorted(table, TABLES[table_kind(tables[0])].key).replace_schema_metadata(metadata)


def read_images(table: pa.Table, column: str = "image") -> np.ndarray[Any, Any]:
    """An image column as an array (rows, channels, height, width) of its own dtype."""
    metadata = table.schema.field(column).metadata
    shape = json.loads(metadata[b"shape"])
    dtype = np.dtype(metadata[b"dtype"].decode())
    chunks = [_chunk_bytes(chunk, dtype) for chunk in table.column(column).chunks]
    flat = np.concatenate(chunks) if chunks else np.empty(0, dtype)
    return flat.reshape(table.num_rows, *shape)


def _chunk_bytes(chunk: pa.Array, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    width = chunk.type.byte_width
    data = np.frombuffer(chunk.buffers()[1], dtype=np.uint8)
    return data[chunk.offset * width : (chunk.offset + len(chunk)) * width].view(dtype)


def read_stamp(path: Path) -> Stamp | None:
    """The stamp in a Parquet footer, without reading the rows."""
    try:
        metadata = pq.read_metadata(path).metadata or {}
    except (pa.ArrowInvalid, OSError) as error:
        raise _damaged(path, error) from None
    text = metadata.get(b"advgen")
    return None if text is None else Stamp.from_json(text.decode())
