"""Start the warm server of a run, and run commands in it. Every job starts here, so this imports almost nothing."""

import json
import os
import sys
from contextlib import suppress

SERVER = os.path.join("results", ".workers")
"""The server's socket."""
LOG = os.path.join("results", "logs", "workers.log")
"""Which commands the server ran, and why it did not run others."""
MIN_JOBS = 2
"""With fewer jobs, starting the server costs more than it saves."""

THREADS = (
    "OMP_NUM_THREADS",
    "GOTO_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
"""Variables that Snakemake sets to the number of threads of a job; all jobs of advgen have one thread."""


def start(jobs: int) -> None:
    """Start the server for a run of `jobs` jobs, unless they are few or ADVGEN_WORKERS is "off"."""
    if jobs < MIN_JOBS or os.environ.get("ADVGEN_WORKERS", "").lower() in ("off", "0"):
        return
    import subprocess

    try:
        os.makedirs(os.path.dirname(LOG), exist_ok=True)
        log = open(LOG, "w")  # noqa: SIM115 - closed below
    except OSError:  # the first job reports why nothing can be written
        return
    with log:
        subprocess.Popen(
            [sys.executable, "-m", "advgen.server"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env={**os.environ, **dict.fromkeys(THREADS, "1")},
            start_new_session=True,  # Ctrl-C reaches jobs only once, through their clients
        )


def run_in_server() -> bool:
    """Run this process's command in the server, and exit with its status; False if no server accepts it.

    The server's process uses this one's standard streams, receives its signals and ends with it.
    """
    if not os.path.exists(SERVER):
        return False
    import signal
    import socket

    with socket.socket(socket.AF_UNIX) as server:
        request = {"argv": sys.argv[1:], "path": sys.path, "environment": dict(os.environ)}
        try:
            server.connect(SERVER)
            socket.send_fds(server, [b"\n"], [0, 1, 2])
            server.sendall(json.dumps(request).encode() + b"\n")
            replies = server.makefile()
            process = int(replies.readline())
        except (OSError, ValueError):
            return False

        def forward(number: int, _: object) -> None:
            with suppress(ProcessLookupError):
                os.kill(process, number)

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, forward)
        reply = replies.readline()
    status = os.waitstatus_to_exitcode(int(reply)) if reply else -signal.SIGKILL
    if status < 0:
        with suppress(OSError):  # SIGKILL has no handler
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)
