"""Where results lie: in a folder that jobs read and write by its path, with one driver at a time.

A kernel lock needs no unlocking, however the driver ends.
"""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from advgen.core.paths import RESULTS
from advgen.files.provenance import DISK_FULL_ADVICE, DISK_FULL_ERRORS

_HELD: list[int] = []


def lock_results() -> None:
    """Hold results/.lock until this process ends; exit with one line if another driver holds it.

    Called by Snakemake's `onstart`, which runs in the driver alone, not in the Snakemake that a SLURM job starts.
    """
    path = Path(RESULTS) / ".lock"
    try:
        path.parent.mkdir(exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        _stop_unwritable(path, error)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(handle, 100, 0).decode(errors="replace").strip() or "another process"
        _stop(f"another snakemake ({holder}) works in this folder; wait until it ends, or stop it")
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()}\n".encode(), 0)
    except OSError as error:
        _stop_unwritable(path, error)
    _HELD.append(handle)


def refuse_other_places(workflow: Any) -> None:
    """Exit with one line if Snakemake would keep results elsewhere: called while the Snakefile is read.

    A job's inputs are files of the package, too, and stamps, states and checks are read from results/ by their paths:
    elsewhere, `advgen verify` would find nothing, and nothing wrong.
    """
    here = f"{RESULTS}{os.sep}"
    if provider := workflow.storage_settings.default_storage_provider:
        told = f"--default-storage-provider {provider}: jobs read and write {here} on a disk that all of them see; "
        sys.exit(f"{told}leave it out, and copy {here} when the run has ended")
    if workflow.modifier.path_modifier.replace_prefix(f"{RESULTS}/report", "output") != f"{RESULTS}/report":
        told = f"module advgen: prefix and replace_prefix: results come into {here} and nowhere else; leave them out, "
        sys.exit(
            f"{told}and run a workflow with results of its own in another folder, with a copy of the files that the "
            "study names: snakemake --directory FOLDER"
        )


def _stop_unwritable(path: Path, error: OSError) -> NoReturn:
    remedy = DISK_FULL_ADVICE if error.errno in DISK_FULL_ERRORS else f"make {RESULTS}{os.sep} writable"
    _stop(f"{path}: cannot be written ({error.strerror}); {remedy}")


def _stop(message: str) -> NoReturn:
    """End now: an exception inside onstart would be printed with a traceback."""
    print(message, file=sys.stderr, flush=True)
    os._exit(1)
