"""A lock on results/, so that only one driver at a time works there.

It is a kernel lock: it ends with the process, however that ends, and nothing needs to be unlocked.
"""

import fcntl
import os
import sys
from pathlib import Path
from typing import NoReturn

from advgen.core.paths import RESULTS
from advgen.files.provenance import DISK_FULL_ADVICE, DISK_FULL_ERRORS

_HELD: list[int] = []


def lock_results() -> None:
    """Hold results/.lock until this process ends; exit with a message if another driver holds it."""
    path = Path(RESULTS) / ".lock"
    try:
        path.parent.mkdir(exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        _exit_unwritable(path, error)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(handle, 100, 0).decode(errors="replace").strip() or "another process"
        exit_now(f"another Snakemake ({holder}) runs in this folder; wait until it ends, or stop it")
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()}\n".encode(), 0)
    except OSError as error:
        _exit_unwritable(path, error)
    _HELD.append(handle)


def _exit_unwritable(path: Path, error: OSError) -> NoReturn:
    remedy = DISK_FULL_ADVICE if error.errno in DISK_FULL_ERRORS else f"make {RESULTS}{os.sep} writable"
    exit_now(f"{path}: cannot be written ({error.strerror}); {remedy}")


def exit_now(message: str) -> NoReturn:
    """Print a message and end the process: Snakemake would print an exception inside `onstart` with a traceback."""
    print(message, file=sys.stderr, flush=True)
    os._exit(1)
