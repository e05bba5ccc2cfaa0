"""Schemas, ranges and checks over built results: those of the smoke study, or of the folder in ADVGEN_RESULTS."""

import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from advgen.core.catalog import TABLES
from advgen.core.schema import Image
from advgen.io import tables
from advgen.metrics.sanity.integrity import check_pixels


@pytest.fixture(scope="module")
def results(request: pytest.FixtureRequest) -> Path:
    told = os.environ.get("ADVGEN_RESULTS")
    return Path(told) if told else request.getfixturevalue("smoke").folder / "results"


def test_every_table_has_its_schema_and_is_sorted(results: Path) -> None:
    paths = list(results.rglob("*.parquet"))
    assert paths
    for path in paths:
        table = tables.read_table(path)
        declared = TABLES[tables.table_kind(table)]
        assert table.column_names[: len(declared.columns)] == list(declared.columns), path
        # what a sweep varies
        assert all("." in name for name in table.column_names[len(declared.columns) :]), path
        for name, type_ in declared.columns.items():
            if not isinstance(type_, Image):
                assert table.schema.field(name).type == tables.TYPES[type_], (path, name)
        light = table.select(list(declared.key))
        assert light.equals(light.sort_by([(name, "ascending") for name in declared.key])), path


def test_images_are_in_the_unit_box(results: Path) -> None:
    for path in results.rglob("*.parquet"):
        table = tables.read_table(path)
        for name, type_ in TABLES[tables.table_kind(table)].columns.items():
            if isinstance(type_, Image) and type_.dtype == "float32":
                images = tables.read_images(table, name)
                assert np.isfinite(images).all()
                assert images.min() >= 0, path
                assert images.max() <= 1, path


def test_shares_and_intervals_are_in_order(results: Path) -> None:
    for path in (results / "tables").glob("*.parquet"):
        frame = pq.read_table(path).to_pandas()
        for name in frame.columns:
            if name.endswith("_low"):
                centre, high = name.removesuffix("_low"), name.replace("_low", "_high")
                told = frame[[name, centre, high]].dropna(how="all")  # a baseline has no effect
                assert (told[name] <= told[centre] + 1e-9).all(), (path, name)
                assert (told[centre] <= told[high] + 1e-9).all(), (path, name)
            if name.split("_")[0] in ("error", "accuracy"):
                assert frame[name].between(0, 1).all(), (path, name)


def test_no_law_is_broken(results: Path) -> None:
    found = pq.read_table(results / "tables/sanity_checks.parquet").to_pandas()
    assert len(found)
    broken = found[~found["holds"] & (found["kind"] == "check")]
    assert broken.empty, broken.to_string()


def test_a_broken_law_is_caught(results: Path) -> None:
    path = next((results / "attacks").rglob("pgd.parquet"))
    table = tables.read_table(path)
    columns = {
        name: tables.read_images(table, name) if isinstance(type_, Image) else table.column(name).to_pylist()
        for name, type_ in TABLES["examples"].columns.items()
    }
    adversarial = columns["adversarial"].copy()
    adversarial[0, 0, 0, 0] = 1.01
    found = check_pixels(tables.arrow_table("examples", {**columns, "adversarial": adversarial}))
    assert {check["check"]: check["holds"] for check in found} == {"finite": True, "box": False, "ball": False}
