"""A warm server for the jobs of a run: it imports what they need once, and forks a process for each.

`advgen.driver.workers` starts it and asks it. It ends with the driver, however that ends: it waits for the end of its
standard input, whose other end the driver alone holds. It takes only commands that would start with its own code,
search path and environment: a forked process differs from a cold one in nothing but the time that it takes.
"""

import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from advgen.cli import main
from advgen.core.catalog import TASKS
from advgen.core.code import package_folder
from advgen.driver.workers import SERVER

LATE = {"matplotlib": ("matplotlib.backends.backend_agg", "matplotlib.backends.backend_pdf")}
"""What libraries import only when they need it first."""

PASSING = {"_", "SHLVL", "PWD", "OLDPWD", "TMPDIR", "TMP", "TEMPDIR", "TEMP"}
"""Variables that nothing reads while it is imported, and that differ between the driver and its jobs."""


def serve() -> None:
    """Fork for each who asks, until the driver has ended."""
    own = beginnings(sys.path, os.environ)  # before more is imported, which may change it
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
            with asked, suppress(OSError, ValueError, KeyError, TypeError):  # who asked so is gone, or none of ours
                answer(asked, own, server)
    os.unlink(SERVER)


def answer(asked: socket.socket, own: Mapping[str, Any], server: socket.socket) -> None:
    """Fork for a command, unless a process of its own would begin in another way; then only close the connection."""
    asked.settimeout(10)
    _, streams, _, _ = socket.recv_fds(asked, 1, 3)
    try:
        request = json.loads(asked.makefile().readline())
        asked.settimeout(None)
        command = " ".join(request["argv"][:1])
        its = beginnings(request["path"], request["environment"])
        if others := [name for name in its if its[name] != own[name]]:
            print(f"{command}: starts cold, for it has another {', '.join(others)}", flush=True)
            return
        print(command, flush=True)
        warm_up(request["argv"])
        if os.fork() == 0:
            server.close()
            try:
                keep(asked, request, streams)
            finally:
                os._exit(1)
    finally:
        for stream in streams:
            os.close(stream)


def beginnings(path: Sequence[str], variables: Mapping[str, str]) -> dict[str, Any]:
    """What a process of the package begins with: where it looks for modules, its environment, the package's files."""
    files = {str(file): file.stat() for file in package_folder().rglob("*.py")}
    return {
        "search path": list(path),
        "environment": {name: value for name, value in variables.items() if name not in PASSING},
        "code": {file: (status.st_mtime_ns, status.st_size) for file, status in files.items()},
    }


def warm_up(argv: Sequence[str]) -> None:
    """Import what a job needs, for all that come after it. What cannot be imported is left to the job."""
    before = len(sys.modules)
    with suppress(Exception):
        task = TASKS[argv[0]].model_validate_json(argv[argv.index("--spec") + 1])
        for target in sorted(task.code_targets()):
            importlib.import_module(target.partition(":")[0])
        for late in (late for library, names in LATE.items() if library in sys.modules for late in names):
            importlib.import_module(late)
    if len(sys.modules) > before:
        gc.collect()
        gc.freeze()  # else the first collection in each process would copy all of it


def keep(asked: socket.socket, request: Mapping[str, Any], streams: Sequence[int]) -> None:
    """In a process of its own: fork the job, kill it if who asked for it is gone, and tell how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    ended, alive = os.pipe()  # the job holds `alive` open as long as it lives
    process = os.fork()
    if process == 0:
        asked.close()
        work(request, streams)
    os.close(alive)
    with suppress(OSError):
        asked.sendall(b"%d\n" % process)
    watched: list[Any] = [asked, ended]
    if asked in select.select(watched, [], [])[0]:
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    with suppress(OSError):
        asked.sendall(b"%d\n" % status)


def work(request: Mapping[str, Any], streams: Sequence[int]) -> NoReturn:
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
