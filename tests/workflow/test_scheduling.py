"""Snakemake's own work must not grow while jobs run."""

import sys
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


IMPATIENT = """import os, signal
from snakemake.scheduling.greedy import Scheduler
choose = Scheduler.select_jobs
def interrupted(*arguments):
    os.kill(os.getpid(), signal.SIGTERM)
    return choose(*arguments)
Scheduler.select_jobs = interrupted
"""


def test_sigterm_while_jobs_are_chosen_ends_the_driver(project: Callable[..., Project]) -> None:
    """Snakemake's handler wants a lock that is held just then; in a large sweep that is most of the time."""
    copy = project(stubs=True)
    (copy.folder / "src/sitecustomize.py").write_text(IMPATIENT)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--config", "study=tests/slice.yaml"]
    assert copy.run(*command, timeout=60).returncode == 1
    (copy.folder / "src/sitecustomize.py").unlink()
    assert copy.snakemake("tests/slice.yaml", cores=4).returncode == 0
