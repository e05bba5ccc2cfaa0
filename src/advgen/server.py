"""A warm server for the jobs of a run: it has imported torch and the package, and forks a process for each job.

`advgen.driver.workers` starts it and asks it. It ends with the driver, however that ends: it waits for the end of its
standard input, whose other end the driver alone holds. It takes only commands that would start with its own code,
search path and environment: a forked process differs from a cold one in nothing but the time that it takes.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from advgen.cli import main
from advgen.core.code import package_folder
from advgen.driver.workers import SERVER

LATE = ("torch._dynamo", "scipy.stats", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_pdf")
"""What libraries import only when they need it first."""

PASSING = {"_", "SHLVL", "PWD", "OLDPWD", "TMPDIR", "TMP", "TEMPDIR", "TEMP"}
"""Variables that nothing reads while it is imported, and that differ between the driver and its jobs."""


def serve() -> None:
    """Import everything, then fork for each who asks, until the driver has ended."""
    own = beginnings(sys.path, os.environ)  # before anything is imported, which may change it
    warm_up()
    with socket.socket(socket.AF_UNIX) as server:
        with suppress(FileNotFoundError):
            os.unlink(SERVER)  # of a driver that was killed
        mask = os.umask(0o077)  # nobody else may connect
        server.bind(SERVER)
        os.umask(mask)
        server.listen(64)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while sys.stdin not in select.select([server, sys.stdin], [], [])[0]:
            asked, _ = server.accept()
            if os.fork() == 0:
                server.close()
                keep(asked, own)
            asked.close()
    os.unlink(SERVER)


def beginnings(path: Sequence[str], variables: Mapping[str, str]) -> dict[str, Any]:
    """What a process of the package begins with: where it looks for modules, its environment, the package's files."""
    files = {str(file): file.stat() for file in package_folder().rglob("*.py")}
    return {
        "search path": list(path),
        "environment": {name: value for name, value in variables.items() if name not in PASSING},
        "code": {file: (status.st_mtime_ns, status.st_size) for file, status in files.items()},
    }


def warm_up() -> None:
    """Import what jobs may need. What is missing or broken is left to the job that needs it."""
    names = [one.name for one in pkgutil.walk_packages([str(package_folder())], "advgen.")]
    for name in (*names, *LATE):
        if not name.endswith("__main__"):
            with suppress(Exception):
                importlib.import_module(name)
    gc.collect()
    gc.freeze()  # else the first collection in each process would copy all of it


def keep(asked: socket.socket, own: Mapping[str, Any]) -> NoReturn:
    """In a process of its own: fork the job, kill it if who asked for it is gone, and tell how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(asked, 1, 3)
    request = json.loads(asked.makefile().readline())
    its = beginnings(request["path"], request["environment"])
    if others := [name for name in its if its[name] != own[name]]:
        print(f"{' '.join(request['argv'][:1])}: starts cold, for it has another {', '.join(others)}", flush=True)
        os._exit(0)
    print(" ".join(request["argv"][:1]), flush=True)
    ended, alive = os.pipe()  # the job holds `alive` open as long as it lives
    process = os.fork()
    if process == 0:
        asked.close()
        work(request, streams)
    os.close(alive)
    asked.sendall(b"%d\n" % process)
    watched: list[Any] = [asked, ended]
    if asked in select.select(watched, [], [])[0]:
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    with suppress(OSError):
        asked.sendall(b"%d\n" % status)
    os._exit(0)


def work(request: Mapping[str, Any], streams: list[int]) -> NoReturn:
    """Be the process that asked."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdout.reconfigure(line_buffering=os.isatty(1))  # type: ignore[union-attr]
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv[1:] = request["argv"]
    status = 0
    try:
        main(request["argv"])
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    serve()
