"""What the next run would do, and why, without asking Snakemake: from its records and the files as they are."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from advgen.core.kinds import PlannedJob
from advgen.core.paths import log_file
from advgen.driver.plan import Plan
from advgen.driver.recovery import record_path
from advgen.files.provenance import sha256_file


class Due(NamedTuple):
    """A job that the next run does, and why; where its settings changed, the old spec."""

    job: PlannedJob
    cause: str
    spec: str = ""


def due(plan: Plan) -> Iterator[Due]:
    """The jobs that the next run does, each after those that it reads from."""
    made_again: set[str] = set()
    for job in ordered(plan):
        found = _cause(job, made_again)
        if found is not None:
            made_again.update(job.outputs.values())
            yield found


def log_of(job: PlannedJob) -> str:
    """The log of a job, which names it among all jobs."""
    if job.rule == "fetch":  # whose files differ from data set to data set
        return f"results/logs/fetch/{job.wildcards['dataset']}.log"
    return log_file(job.rule, type(job.task).outputs).format(**job.wildcards)


def ordered(plan: Plan) -> Iterator[PlannedJob]:
    """All jobs, each after those whose files it reads."""
    makers = {path: job for job in plan.jobs for path in job.outputs.values()}
    told: set[int] = set()
    for wanted in plan.jobs:
        waiting = [(wanted, iter(inputs(wanted)))]
        while waiting:
            job, rest = waiting[-1]
            path = next(rest, None)
            if path is None:
                waiting.pop()
                if id(job) not in told:
                    told.add(id(job))
                    yield job
            elif path in makers and id(makers[path]) not in told:
                waiting.append((makers[path], iter(inputs(makers[path]))))


def inputs(job: PlannedJob) -> list[str]:
    """All files that a job reads."""
    return [path for files in job.inputs.values() for path in ([files] if isinstance(files, str) else files)]


def _cause(job: PlannedJob, made_again: set[str]) -> Due | None:
    outputs = list(job.outputs.values())
    if not all(os.path.exists(path) for path in outputs):
        return Due(job, "missing")
    record = _record(outputs[0])
    if record.get("incomplete"):
        return Due(job, "interrupted")
    params = record.get("params")
    if params is not None and job.rule != "verify" and repr(job.spec) not in params:
        return Due(job, "settings changed", _spec(params))
    if params is not None and repr(job.code) not in params:
        return Due(job, "code changed")
    read = inputs(job)
    if "input" in record and set(record["input"]) != {os.path.normpath(path) for path in read}:
        return Due(job, "other inputs")
    written = min(os.stat(path).st_mtime for path in outputs)
    sums = record.get("input_checksums") or {}
    for path in read:
        if path in made_again or os.path.relpath(path) in job.task.input_digests():
            continue
        if os.stat(path).st_mtime > written and sums.get(path) != f"sha256:{sha256_file(Path(path))}":
            return Due(job, "inputs changed")
    return Due(job, "inputs made again") if made_again.intersection(read) else None


def _record(path: str) -> dict[str, Any]:
    with suppress(OSError, ValueError):
        return dict(json.loads(record_path(path).read_bytes()))
    return {}


def _spec(params: list[str]) -> str:
    """The spec among the params that Snakemake keeps, as it writes them."""
    return next((ast.literal_eval(text) for text in params if text.startswith(("'{", '"{'))), "")
