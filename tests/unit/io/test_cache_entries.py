"""Entries of the cache of results."""

from pathlib import Path
from typing import Any

import pytest

from advgen.jobs import cache
from advgen.jobs.job import Job
from advgen.outcomes.sanity.outcome import Qa

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS")


@pytest.mark.parametrize(
    ("variables", "is_same"),
    [
        ({"OMP_NUM_THREADS": "1"}, True),  # what Snakemake sets
        ({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "GOTO_NUM_THREADS": "1"}, True),
        ({"OMP_NUM_THREADS": "2"}, False),
        ({"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"}, False),
        ({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "2"}, False),
        ({"OPENBLAS_NUM_THREADS": "2"}, False),
        ({"OPENBLAS_NUM_THREADS": "0", "GOTO_NUM_THREADS": "2"}, False),
    ],
)
def test_a_result_of_another_number_of_threads_is_another_entry(
    variables: dict[str, str], is_same: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.txt").write_text("input")
    job = Job("qa", Qa(), "code", {"sanity_checks": [Path("in.txt")]}, {"out": [Path("out.txt")]})
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    ordinary = cache.cache_key(job)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (cache.cache_key(job) == ordinary) is is_same


def test_what_another_process_puts_there_is_not_taken_for_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry, job = tmp_path / "ab" / "abc", Any
    monkeypatch.setattr(cache, "_find_entry", lambda job: entry)
    entry.mkdir(parents=True)
    assert not cache.restore(job)  # type: ignore[arg-type]
    assert entry.is_dir()
    (entry / cache.LIST).write_text("[")
    assert not cache.restore(job)  # type: ignore[arg-type]
    assert not entry.exists()
