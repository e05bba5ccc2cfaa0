"""Which jobs the next run does, and why, from Snakemake's records and the files; Snakemake itself does not run."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from advgen.core.kinds import PlannedJob
from advgen.core.paths import log_file
from advgen.driver.plan import Plan
from advgen.driver.snakemake_adapter import read_output_record
from advgen.files.provenance import sha256_file


class PendingJob(NamedTuple):
    """A job that the next run does, and why; if its settings changed, also the old spec."""

    job: PlannedJob
    cause: str
    old_spec: str = ""


def find_pending(plan: Plan) -> Iterator[PendingJob]:
    """Yield the jobs that the next run does, each after the jobs that it depends on."""
    updated: set[str] = set()
    for job in sort_by_dependency(plan):
        pending = _check(job, updated)
        if pending is not None:
            updated.update(job.outputs.values())
            yield pending


def log_path(job: PlannedJob) -> str:
    """Return the path of a job's log, which identifies the job in run records."""
    if job.rule == "fetch":  # its outputs differ between data sets
        return f"results/logs/fetch/{job.wildcards['dataset']}.log"
    return log_file(job.rule, type(job.task).outputs).format(**job.wildcards)


def sort_by_dependency(plan: Plan) -> Iterator[PlannedJob]:
    """Yield all jobs, each after the jobs whose files it reads. Not recursive, since chains of jobs can be long."""
    makers = {path: job for job in plan.jobs for path in job.outputs.values()}
    done: set[int] = set()
    for target in plan.jobs:
        stack = [(target, iter(input_files(target)))]
        while stack:
            job, inputs = stack[-1]
            path = next(inputs, None)
            if path is None:
                stack.pop()
                if id(job) not in done:
                    done.add(id(job))
                    yield job
            elif path in makers and id(makers[path]) not in done:
                stack.append((makers[path], iter(input_files(makers[path]))))


def input_files(job: PlannedJob) -> list[str]:
    """Return all files that a job reads."""
    return [path for files in job.inputs.values() for path in ([files] if isinstance(files, str) else files)]


def _check(job: PlannedJob, updated: set[str]) -> PendingJob | None:
    outputs, inputs = list(job.outputs.values()), input_files(job)
    if not all(os.path.exists(path) for path in outputs):
        return PendingJob(job, "missing")
    record = read_output_record(outputs[0])
    if record.incomplete:
        return PendingJob(job, "interrupted")
    if job.rule != "verify" and record.differs_in(job.spec):
        return PendingJob(job, "settings changed", record.spec())
    if record.differs_in(job.code):
        return PendingJob(job, "code changed")
    if record.inputs is not None and record.inputs != {os.path.normpath(path) for path in inputs}:
        return PendingJob(job, "other inputs")
    written = min(os.stat(path).st_mtime for path in outputs)
    for path in inputs:
        if path in updated or os.path.relpath(path) in job.task.input_digests():
            continue
        is_newer = os.stat(path).st_mtime > written
        if is_newer and record.checksums.get(path) != f"sha256:{sha256_file(Path(path))}":
            return PendingJob(job, "inputs changed")
    return PendingJob(job, "inputs updated by another job") if updated.intersection(inputs) else None
