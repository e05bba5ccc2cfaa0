"""Time and memory of jobs."""

import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from advgen.io.benchmarks import record_benchmark


def test_time_and_memory_in_snakemakes_columns(tmp_path: Path) -> None:
    from snakemake.benchmark import BenchmarkRecord

    with record_benchmark(tmp_path / "deep" / "b.tsv"):
        time.sleep(0.3)
        subprocess.run([sys.executable, "-c", "x = bytearray(400_000_000); x[::4096] = x[::4096]"], check=True)
    [row] = pd.read_csv(tmp_path / "deep" / "b.tsv", sep="\t").to_dict("records")
    assert set(row) < set(BenchmarkRecord.get_header())
    assert 0.3 < row["s"] < 60
    assert 400 < row["max_rss"] < 24_000
    assert row["cpu_time"] > 0
    assert row["mean_load"] == pytest.approx(100 * row["cpu_time"] / row["s"], rel=0.1)


def test_a_failed_job_writes_no_benchmark(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="failed"), record_benchmark(tmp_path / "b.tsv"):
        raise ValueError("failed")
    assert not (tmp_path / "b.tsv").exists()
