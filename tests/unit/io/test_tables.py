"""Tables: schemas, order, images and damaged files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.fake_tables import fake_table

from advgen.core.catalog import TABLES
from advgen.files.provenance import Stamp
from advgen.io import tables
from advgen.io.tables import arrow_table, concatenate, read_images, read_table, write_table

STAMP = Stamp("test", {}, "x")


def dataset(indices: list[int]) -> dict[str, object]:
    """Return the columns of a data set whose pixels are the index of the image."""
    images = np.array(indices, np.uint8)[:, None, None, None] * np.ones((1, 1, 4, 4), np.uint8)
    return {"index": indices, "label": [index % 3 for index in indices], "cue": None, "image": images}


def test_rows_are_sorted_and_images_follow(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", arrow_table("dataset", dataset([5, 1, 3])), STAMP)
    table = read_table(tmp_path / "t.parquet", "dataset")
    assert table.column("index").to_pylist() == [1, 3, 5]
    images = read_images(table)
    assert images.dtype == np.uint8
    assert images.shape == (3, 1, 4, 4)
    assert images[:, 0, 0, 0].tolist() == [1, 3, 5]


def test_images_of_slices_and_chunks() -> None:
    table = concatenate([arrow_table("dataset", dataset([0, 4])), arrow_table("dataset", dataset([2, 6]))])
    assert read_images(table)[:, 0, 3, 3].tolist() == [0, 2, 4, 6]
    assert read_images(table.slice(1, 2))[:, 0, 3, 3].tolist() == [2, 4]


def test_float_images_keep_their_bits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    columns = {"gan": "g", "seed": 0, "index": [0, 1], "z": rng.random((2, 3)), "label": [1, 2], "confidence": [0.5, 1]}
    images = rng.random((2, 3, 2, 2)).astype(np.float32)
    write_table(tmp_path / "t.parquet", arrow_table("gan_samples", {**columns, "image": images}), STAMP)
    assert np.array_equal(read_images(read_table(tmp_path / "t.parquet")), images)


def test_a_duplicate_key_is_an_error() -> None:
    with pytest.raises(ValueError, match="same index"):
        arrow_table("dataset", dataset([1, 1]))


def test_wrong_columns_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"image.*missing or unknown"):
        arrow_table("dataset", {"index": [1], "label": [1]})


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write_table(path, arrow_table("dataset", dataset([1, 2])), STAMP)
    path.write_bytes(path.read_bytes()[:-20])
    for read in (read_table, tables.read_stamp):
        with pytest.raises(ValueError, match="delete it and run again"):
            read(path)


def everything() -> dict[str, object]:
    """Return columns of every type, with lists and missing values."""
    images = np.arange(32, dtype=np.float32).reshape(2, 1, 4, 4)
    scalars = dict.fromkeys(TABLES["inversion"].columns, 0)
    named = {"inversion": "a", "generator": ["x", None], "optimizer": "adam", "first_start": "é", "best": [True, False]}
    lists = {"z": [[1.0, 2.0], None], "history_step": [[1], [2, 3]], "history_mse": [[], [0.5]]}
    return {**scalars, **named, **lists, "start": [0, 1], "lr": [0.1, None], "image": images, "reconstruction": images}


def test_the_digest_does_not_depend_on_the_layout_of_the_file(tmp_path: Path) -> None:
    table = arrow_table("inversion", everything())
    write_table(tmp_path / "t.parquet", table, STAMP)
    tables.check_table(tmp_path / "t.parquet")
    read = read_table(tmp_path / "t.parquet")
    pq.write_table(read, tmp_path / "t.parquet", row_group_size=1, compression="none")
    tables.check_table(tmp_path / "t.parquet")
    assert tables.data_digest(pa.concat_tables([read.slice(0, 1), read.slice(1)])) == tables.data_digest(table)


@pytest.mark.parametrize("kind", TABLES)
def test_reading_and_writing_gives_the_same_bytes(tmp_path: Path, kind: str) -> None:
    stamp = Stamp("test", {}, "x", versions={"pyarrow": pa.__version__})
    write_table(tmp_path / "t.parquet", fake_table(kind), stamp)
    tables.check_table(tmp_path / "t.parquet")
    write_table(tmp_path / "t.parquet", fake_table(kind).slice(0, 0), stamp)
    tables.check_table(tmp_path / "t.parquet")


def test_the_digest_depends_on_the_sort_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_table(tmp_path / "t.parquet", arrow_table("dataset", dataset([1, 2])), STAMP)
    before = tables.stored_digest(tmp_path / "t.parquet")
    monkeypatch.setitem(TABLES, "dataset", replace(TABLES["dataset"], key=("label", "index")))
    assert tables.stored_digest(tmp_path / "t.parquet") != before
    tables.check_table(tmp_path / "t.parquet")


def test_a_table_without_a_digest_is_an_error(tmp_path: Path) -> None:
    pq.write_table(arrow_table("dataset", dataset([1])), tmp_path / "t.parquet")
    with pytest.raises(ValueError, match="another version wrote it"):
        tables.check_table(tmp_path / "t.parquet")


def test_the_digest_depends_on_types() -> None:
    bits = pa.table({"a": pa.array([1, 2], pa.int32())})
    assert tables.data_digest(bits) != tables.data_digest(
        pa.table({"a": bits.column("a").combine_chunks().view(pa.float32())})
    )


CHANGES: dict[str, object] = {
    "lr": [0.2, None],
    "generator": ["x", ""],
    "best": [True, True],
    "z": [[1.0], [2.0]],
    "history_mse": [[0.5], []],
    "image": np.arange(32, dtype=np.float32)[::-1].reshape(2, 1, 4, 4),
    "reconstruction": np.arange(32, dtype=np.float32).reshape(2, 2, 4, 2),
}


@pytest.mark.parametrize("column", CHANGES)
def test_changed_data_with_the_old_footer_are_found(tmp_path: Path, column: str) -> None:
    path = tmp_path / "t.parquet"
    write_table(path, arrow_table("inversion", everything()), STAMP)
    footer = pq.read_schema(path).metadata
    other = arrow_table("inversion", {**everything(), column: CHANGES[column]})
    pq.write_table(other.replace_schema_metadata(footer), path)
    assert tables.read_stamp(path) == STAMP
    with pytest.raises(ValueError, match="its data have been changed"):
        tables.check_table(path)


def test_keys_are_columns() -> None:
    for table in TABLES.values():
        assert set(table.key) <= set(table.columns)


def test_every_table_of_the_report_has_measured_columns() -> None:
    for kind, table in TABLES.items():
        assert bool(table.title) == bool(table.measured), kind
        assert set(table.measured) <= set(table.columns) - set(table.key), kind
