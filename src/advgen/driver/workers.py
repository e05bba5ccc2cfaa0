"""Starts the warm server of a run, and has commands done by it. Each job begins here: next to nothing is imported."""

import json
import os
import sys
from contextlib import suppress

SERVER = os.path.join("results", ".workers")
"""The server's socket."""

LOG = os.path.join("results", "logs", "workers.log")
"""Which commands were served, and why others were not."""

WORTH = 3
"""Jobs from which on a server spares more than its own start costs."""

THREADS = (
    "OMP_NUM_THREADS",
    "GOTO_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
"""What Snakemake tells each job; ours have one thread."""


def start(jobs: int) -> None:
    """Start the server for a run of so many jobs, unless that is not worth it or ADVGEN_WORKERS is "off"."""
    if jobs < WORTH or os.environ.get("ADVGEN_WORKERS", "").lower() in ("off", "0"):
        return
    import subprocess

    try:
        os.makedirs(os.path.dirname(LOG), exist_ok=True)
        log = open(LOG, "w")  # noqa: SIM115 - closed below
    except OSError:  # the first job says why nothing can be written
        return
    with log:
        subprocess.Popen(
            [sys.executable, "-m", "advgen.server"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env={**os.environ, **dict.fromkeys(THREADS, "1")},
            start_new_session=True,  # a terminal's Ctrl-C reaches jobs through those who asked for them, once
        )


def served() -> bool:
    """Let the server do this process's command and end as its process ends; False if there is no server for it.

    The process there has this one's streams, gets its signals and does not outlive it.
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
            answers = server.makefile()
            process = int(answers.readline())
        except (OSError, ValueError):
            return False

        def relay(number: int, _: object) -> None:
            with suppress(ProcessLookupError):
                os.kill(process, number)

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, relay)
        told = answers.readline()
    status = os.waitstatus_to_exitcode(int(told)) if told else -signal.SIGKILL
    if status < 0:
        with suppress(OSError):  # nobody can catch SIGKILL
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)
