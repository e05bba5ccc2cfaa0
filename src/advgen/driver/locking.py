"""One driver per results folder: a kernel lock that needs no unlocking, however the driver ends."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

from advgen.core.paths import RESULTS

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
        _stop(f"{path}: cannot be written ({error.strerror}); make {RESULTS}{os.sep} writable")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(handle, 100, 0).decode(errors="replace").strip() or "another process"
        _stop(f"another snakemake ({holder}) works in this folder; wait until it ends, or stop it")
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"process {os.getpid()}\n".encode(), 0)
    _HELD.append(handle)


def _stop(message: str) -> None:
    """End now: an exception inside onstart would be printed with a traceback."""
    print(message, file=sys.stderr, flush=True)
    os._exit(1)
