"""The files tables.yaml: what they leave out, what they may not leave out, and which jobs a change makes stale."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.project import ROOT

from advgen.core import tasks
from advgen.core.schema import TABLES, Image, read_tables
from advgen.driver.plan import build
from advgen.study.load import load_file

FILE = """
points:
  key: [seed, index]
  columns: {seed: , index: , image: , share: [float64, a share], share_low: , note: [string, a remark]}
points_summary:
  title: Points
  key: [seed]
  measured: [share]
  columns: {seed: , share: , share_high: }
"""


def test_columns_come_from_the_file_an_earlier_table_an_interval_or_the_shared_file(tmp_path: Path) -> None:
    path = tmp_path / "tables.yaml"
    path.write_text(FILE)
    points, summary = read_tables(path).values()
    types = {"seed": "int32", "index": "int32", "image": Image("float32"), "share": "float64", "share_low": "float64"}
    assert points.columns == {**types, "note": "string"}
    assert points.descriptions["share_low"] == "lower end of the interval of `share`"
    assert (summary.key, summary.measured, summary.title) == (("seed",), ("share",), "Points")
    assert summary.columns["share_high"] == "float64"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("note: [string, a remark]", "note: ", "column points.note needs [TYPE, DESCRIPTION]"),
        ("[string, a", "[text, a", "column points.note: type 'text' is unknown; choose one of string, bool"),
    ],
)
def test_a_column_without_a_known_type_is_an_error(old: str, new: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "tables.yaml"
    path.write_text(FILE.replace(old, new))
    with pytest.raises(TypeError) as error:
        read_tables(path)
    assert message in str(error.value)


def test_only_jobs_that_write_a_table_are_stale_when_its_columns_change(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = build(load_file(ROOT / "tests/slice.yaml")).jobs
    before = [job.task.code() for job in jobs]
    changed = dict(TABLES["training"].columns)
    changed["extra"] = changed.pop("loss")
    monkeypatch.setitem(TABLES, "training", replace(TABLES["training"], columns=changed))
    tasks._code.cache_clear()
    after = [job.task.code() for job in jobs]
    monkeypatch.undo()
    tasks._code.cache_clear()
    stale = {job.rule for job, old, new in zip(jobs, before, after, strict=True) if old != new}
    assert stale == {job.rule for job in jobs if "training" in job.task.written_tables()}
    assert "train_classifier" in stale
