"""Snakemake's own work must not grow while jobs run."""

from __future__ import annotations

from collections.abc import Callable

from tests.project import Project


def test_waiting_beside_ready_jobs_costs_nothing(project: Callable[..., Project]) -> None:
    """Each look for ready jobs prints a line; there is one at the start and about one for each job that ends."""
    copy = project(stubs=True)
    stub = copy.folder / "bin/python"
    stub.write_text(stub.read_text() + '[ "$3" != transfer ] || sleep 2\n')
    result = copy.snakemake("tests/slice.yaml", "--verbose", cores=1)
    assert result.returncode == 0, result.stderr[-3000:]
    jobs = len(copy.log.read_text().splitlines())
    assert jobs > 20
    assert result.stderr.count("Ready jobs:") <= 2 * jobs
