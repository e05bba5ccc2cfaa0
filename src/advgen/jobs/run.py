"""What every job does: check its code, reuse a cached result or compute it, and seal the files."""

import argparse
import fcntl
import importlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from advgen.core import plugins
from advgen.core.catalog import TASKS
from advgen.core.code import edited_modules
from advgen.core.tasks import Task
from advgen.files.provenance import leftover_temporaries, sha256_text
from advgen.io import devices
from advgen.io.stamps import seal
from advgen.jobs import cache
from advgen.jobs.job import Job
from advgen.jobs.saved_state import FOLDER
from advgen.registry import load_target


def run_task(parsed: argparse.Namespace) -> None:
    """Run one job from its parsed command line: `command`, `spec`, `code`, `plugins` and one list of paths per flag.

    Raises ValueError if an input does not exist or if the code differs from `--code`.
    """
    devices.use_one_thread()
    task = TASKS[parsed.command]
    plugins.load(parsed.plugins)
    spec = task.model_validate_json(parsed.spec)
    if parsed.code not in (None, spec.code()):
        raise ValueError("the code was edited since this job was planned; run again")

    def files(flags: Iterable[str]) -> dict[str, list[Path]]:
        return {flag: getattr(parsed, flag.replace("-", "_")) for flag in flags}

    for flag, paths in files(task.reads).items():
        for path in paths:
            if not path.exists():
                raise ValueError(f"--{flag} {path}: no such file")
    job = Job(parsed.command, spec, spec.code(), files(task.reads), files(task.output_flags().values()), parsed.plugins)
    with sole_writer(job.outputs):
        # a cached result belongs to one device; on the CPU a cached result saves importing torch
        on_gpu = spec.uses_gpu() and bool(devices.gpus())
        if on_gpu:
            prepare(job)
        if not cache.restore(job):
            with check_loaded_code(spec):
                if spec.torch and not on_gpu:
                    prepare(job)
                compute(job)
            cache.store(job)


@contextmanager
def sole_writer(outputs: Mapping[str, Sequence[Path]]) -> Iterator[None]:
    """Hold a lock on the outputs, then delete temporary files that killed processes left.

    Without the lock, a job that outlived its killed driver could overwrite the file of its successor.
    """
    first = os.path.relpath(next(iter(outputs.values()))[0])
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / f"{sha256_text(first)[:16]}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{first}: waits for another process that makes it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        for path in (path for paths in outputs.values() for path in paths):
            for temporary in leftover_temporaries(path):
                temporary.unlink(missing_ok=True)
        yield


@contextmanager
def check_loaded_code(spec: Task) -> Iterator[None]:
    """Raise ValueError if a module was edited after its digest was computed and before it was imported."""
    targets = sorted(spec.code_targets())
    for target in targets:
        importlib.import_module(target.partition(":")[0])
    loaded = set(sys.modules)
    if edited_modules(*targets):
        raise ValueError("the code was edited when this job started; run again")
    yield
    if late := [module for module in edited_modules(*targets) if module in set(sys.modules) - loaded]:
        raise ValueError(f"{', '.join(late)}: edited while this job ran, before it was imported; run again")


def prepare(job: Job[Any]) -> None:
    """Choose the job's device and set torch up for it."""
    job.device = devices.prepare(job.label(), job.spec.uses_gpu(), getattr(job.spec, "tf32", False))


def compute(job: Job[Any]) -> None:
    """Compute the job's files and seal them."""
    run: Callable[[Job[Any]], None] = load_target(f"{job.spec.run_module()}:run")
    if wrapper := os.environ.get("ADVGEN_AROUND"):  # tests observe jobs this way
        run = load_target(wrapper)(run)
    run(job)
    for paths in job.outputs.values():
        for path in paths:
            seal(path)
