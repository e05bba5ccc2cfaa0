"""The warm server of a run: it imports what jobs need once, and forks a process for each job.

`advgen.driver.workers` starts it and sends it commands. It ends with the driver, however that ends: it watches its
standard input, whose other end only the driver holds. It refuses commands whose code, search path or environment
differ from its own, so a forked process gives the same results as a new one.
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

LAZY_MODULES = {"matplotlib": ("matplotlib.backends.backend_agg", "matplotlib.backends.backend_pdf")}
"""Modules that a library imports only at its first use."""

IGNORED_VARIABLES = {"_", "SHLVL", "PWD", "OLDPWD", "PS1", "TMPDIR", "TMP", "TEMPDIR", "TEMP"}
"""Variables that no import reads, and that differ between the driver and its jobs. Bash removes PS1 in scripts, and an
activated virtual environment exports it."""


def serve() -> None:
    """Fork a process for each client until the driver has ended."""
    state = describe_process(sys.path, os.environ)  # before further imports, which may change it
    with socket.socket(socket.AF_UNIX) as server:
        with suppress(FileNotFoundError):
            os.unlink(SERVER)  # left by a killed driver
        mask = os.umask(0o077)  # only this user may connect
        server.bind(SERVER)
        os.umask(mask)
        server.listen(64)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while sys.stdin not in select.select([server, sys.stdin], [], [])[0]:
            client, _ = server.accept()
            with client, suppress(OSError, ValueError, KeyError, TypeError):  # the client ended, or is not advgen
                handle(client, state, server)
    os.unlink(SERVER)


def handle(client: socket.socket, state: Mapping[str, Any], server: socket.socket) -> None:
    """Fork for a client's command; only close the connection if its code, search path or environment differ."""
    client.settimeout(10)
    _, streams, _, _ = socket.recv_fds(client, 1, 3)
    try:
        request = json.loads(client.makefile().readline())
        client.settimeout(None)
        command = " ".join(request["argv"][:1])
        client_state = describe_process(request["path"], request["environment"])
        if differences := [name for name in client_state if client_state[name] != state[name]]:
            print(f"{command}: not run in the server: different {', '.join(differences)}", flush=True)
            return
        print(command, flush=True)
        import_modules(request["argv"])
        if os.fork() == 0:
            server.close()
            try:
                supervise(client, request, streams)
            finally:
                os._exit(1)
    finally:
        for stream in streams:
            os.close(stream)


def describe_process(path: Sequence[str], variables: Mapping[str, str]) -> dict[str, Any]:
    """Return what a new process depends on: its module search path, its environment, and the package's files."""
    files = {str(file): file.stat() for file in package_folder().rglob("*.py")}
    return {
        "search path": list(path),
        "environment": {name: value for name, value in variables.items() if name not in IGNORED_VARIABLES},
        "code": {file: (status.st_mtime_ns, status.st_size) for file, status in files.items()},
    }


def import_modules(argv: Sequence[str]) -> None:
    """Import what a job needs, also for all later jobs. Errors are left to the job, which reports them."""
    before = len(sys.modules)
    with suppress(Exception):
        task = TASKS[argv[0]].model_validate_json(argv[argv.index("--spec") + 1])
        for target in sorted(task.code_targets()):
            importlib.import_module(target.partition(":")[0])
        for module in (module for library, names in LAZY_MODULES.items() if library in sys.modules for module in names):
            importlib.import_module(module)
    if len(sys.modules) > before:
        gc.collect()
        gc.freeze()  # otherwise the first collection in each forked process copies all objects


def supervise(client: socket.socket, request: Mapping[str, Any], streams: Sequence[int]) -> None:
    """In a forked process: fork the job, kill it if the client ends, and send the client its exit status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    ended, alive = os.pipe()  # the job holds `alive` open until it ends
    process = os.fork()
    if process == 0:
        client.close()
        run_job(request, streams)
    os.close(alive)
    with suppress(OSError):
        client.sendall(b"%d\n" % process)
    watched: list[Any] = [client, ended]
    if client in select.select(watched, [], [])[0]:
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    with suppress(OSError):
        client.sendall(b"%d\n" % status)


def run_job(request: Mapping[str, Any], streams: Sequence[int]) -> NoReturn:
    """Run a command with the client's streams and environment, then end the process."""
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
