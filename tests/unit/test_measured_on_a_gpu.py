"""`make gpu-test`, as far as it can be tried without a GPU: its table, its tolerances, and what it says without one."""

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.on_a_gpu import run
from tests.on_a_gpu.comparison import TOLERANCES, compare
from tests.on_a_gpu.page import HEADING, Row, section, with_section
from tests.project import ROOT

from advgen.core.schema import TABLES
from advgen.driver.plan import build
from advgen.files.provenance import Stamp
from advgen.io import devices
from advgen.io.tables import arrow_table, write_table
from advgen.study.load import load_file

ROWS = [Row("the same bytes", "312 files", True), Row("a rate", "5 images/s"), Row("a table", "far off", False)]


def test_the_section_has_a_line_for_each_row() -> None:
    text = section(ROWS, "1 × GPU", "torch 2")
    assert text.startswith(f"{HEADING}\n\nBy `make gpu-test`, on 1 × GPU, torch 2.\n")
    assert text.endswith(
        "| the same bytes | 312 files | yes |\n| a rate | 5 images/s |  |\n| a table | far off | **no** |\n"
    )


@pytest.mark.parametrize("before", ["# Page\n\ntext\n", f"# Page\n\ntext\n\n{HEADING}\n\nold\n"])
@pytest.mark.parametrize("after", ["", "## Another\n\nmore\n"])
def test_the_section_takes_the_place_of_the_old_one(before: str, after: str) -> None:
    page = with_section(before + (f"\n{after}" if HEADING in before else ""), f"{HEADING}\n\nnew\n")
    rest = f"\n{after}" if after and HEADING in before else ""
    assert page == f"# Page\n\ntext\n\n{HEADING}\n\nnew\n{rest}"
    assert with_section(page, f"{HEADING}\n\nnew\n") == page


def test_the_page_has_one_such_section() -> None:
    assert (ROOT / "docs/gpu.md").read_text(encoding="utf-8").count(f"{HEADING}\n") == 1


def table(path: Path, kind: str, **columns: list[Any]) -> Path:
    """A table of a kind with some columns; the others are empty, or a row's number where they are part of its key."""
    n = len(next(iter(columns.values())))
    empty: dict[str, Any] = dict.fromkeys(TABLES[kind].columns)
    keyed = {name: [f"{row}" for row in range(n)] for name in TABLES[kind].key if name not in columns}
    numbers = {name: list(range(n)) for name in keyed if name.endswith("seed")}
    write_table(path, arrow_table(kind, {**empty, **keyed, **numbers, **columns}), Stamp("made up", {}, ""))
    return path


SHARES = [([0.5, 0.5], 0.0), ([0.5, 0.5625], 0.5), ([0.5, 0.64], 1.12)]


@pytest.mark.parametrize(("error", "share"), [*SHARES, ([0.5, math.nan], math.inf), ([math.nan, 0.5], math.inf)])
def test_numbers_may_differ_by_their_tolerance(error: list[float], share: float, tmp_path: Path) -> None:
    assert TOLERANCES["transfer"] == (0.05, 0.1)
    cpu = table(tmp_path / "cpu.parquet", "transfer", error=[0.5, 0.5], clean_error=[math.nan, 0.1])
    gpu = table(tmp_path / "gpu.parquet", "transfer", error=error, clean_error=[math.nan, 0.1])
    found = compare(gpu, cpu)
    assert found.share == pytest.approx(share)
    assert share == 0 or "`error` of row" in found.where


def test_rows_that_only_one_has_are_told(tmp_path: Path) -> None:
    cpu = table(tmp_path / "cpu.parquet", "transfer", error=[0.5, 0.5])
    gpu = table(tmp_path / "gpu.parquet", "transfer", error=[0.5])
    assert compare(gpu, cpu) == ("cpu", math.inf, "has other rows")


def test_what_is_made_without_a_device_must_be_equal(tmp_path: Path) -> None:
    cpu = table(tmp_path / "cpu.parquet", "simulation", x=[1.0], y=[0.5])
    assert compare(table(tmp_path / "same.parquet", "simulation", x=[1.0], y=[0.5]), cpu).share == 0
    assert compare(table(tmp_path / "other.parquet", "simulation", x=[1.0], y=[0.5 + 1e-9]), cpu).share == math.inf


def test_every_table_of_the_study_has_its_tolerance() -> None:
    jobs = build(load_file(ROOT / run.STUDY)).jobs
    made = {
        kind
        for job in jobs
        if any("results/tables/" in path for path in job.outputs.values())
        for kind in job.task.written_tables()
    }
    assert made - TOLERANCES.keys() == {"model", "simulation", "training"}  # the last stands beside the models
    assert TOLERANCES.keys() <= made


@pytest.mark.parametrize(("gpus", "said"), [([], "no GPU here"), (["0"], f"torch {torch.__version__} finds no GPU")])
def test_without_a_gpu_it_says_so_in_a_line(
    gpus: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = run.PAGE.read_bytes()
    monkeypatch.setattr(sys, "argv", ["gpu-test"])
    monkeypatch.setattr(devices, "gpus", lambda: gpus)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    run.main()
    assert capsys.readouterr().out == f"gpu-test: {said}; nothing was measured, and docs/gpu.md stays as it is\n"
    assert run.PAGE.read_bytes() == before


def test_a_part_that_fails_or_has_no_time_left_is_a_row(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def failing(bench: run.Bench) -> Iterator[Row]:
        yield Row("first", "done", True)
        raise ValueError("a reason\nin two lines")

    for part in ("on_both", "two_leases", "killed", "recorded", "rates", "deepfool"):
        monkeypatch.setattr(run, part, failing)
    monkeypatch.setattr(run.Bench, "project", lambda bench, name: bench.left())
    rows = list(run.measured(run.Bench(tmp_path, 0, 1)))
    assert rows[0] == ("the smoke study, twice", "not measured: the time was over", None)
    assert rows[1:3] == [("first", "done", True), ("GPU and CPU", "failed: ValueError: a reason in two lines", False)]


def test_a_command_of_the_plan_with_other_keys(tmp_path: Path) -> None:
    job = run.planned("config/paper.yaml", "train_gan", gan="report-mnist", seed="0")
    words = run.command(job, tmp_path, {"training.epochs": 0.5, "validation": 7}, data="here.parquet")
    assert words[3:6] == ["train-gan", "--data", "here.parquet"]
    task = type(job.task).model_validate_json(words[-1])
    assert (task.training.epochs, task.validation, task.training.unroll) == (0.5, 7, 4)  # type: ignore[attr-defined]
    assert str(tmp_path / "history.parquet") in words
