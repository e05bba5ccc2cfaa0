"""Python commands of tests in processes forked from one that has imported other people's packages for all of them.

A fork begins as a new process would: with its own environment, search path, folder and streams, and without a module of
ours. It only does not import Snakemake, pandas and their like again, which takes longer than most of what is tested.
"""

import atexit
import gc
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing.context import ForkServerContext
from pathlib import Path

SNAKEMAKE = ["snakemake.cli", "snakemake.executors.local", "snakemake.report.html_reporter", "smart_open"]
OURS = ("advgen", "tests", "snakemake_logger_plugin_advgen")


@cache
def context() -> ForkServerContext:
    """One server for each process of tests; it ends with it."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload([*SNAKEMAKE, "pyarrow.parquet"])
    return found


@cache
def installed() -> list[str]:
    """Where Python looks for modules besides PYTHONPATH."""
    told = "import sys; print(*sys.path[1:], sep='\\n')"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.check_output([sys.executable, "-c", told], env=environment, text=True).splitlines()


def run(
    module: str, words: Sequence[str], folder: Path, environment: Mapping[str, str], timeout: float
) -> subprocess.CompletedProcess[str]:
    """`python -m module words`, as subprocess.run would do it; TimeoutExpired after so many seconds."""
    with tempfile.TemporaryDirectory() as told:
        streams = [os.path.join(told, name) for name in ("out", "err")]
        search = [str(folder), *environment.get("PYTHONPATH", "").split(os.pathsep), *installed()]
        arguments = ([module, *words], str(folder), dict(environment), search, streams)
        process = context().Process(target=be, args=arguments)
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired([module, *words], timeout)
        out, err = (Path(stream).read_text(encoding="utf-8") for stream in streams)
        return subprocess.CompletedProcess([sys.executable, "-m", module, *words], process.exitcode, out, err)


def be(command: list[str], folder: str, environment: dict[str, str], search: list[str], streams: list[str]) -> None:
    """Become the process that was asked for."""
    for number, stream in enumerate(streams, 1):
        file = os.open(stream, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    gc.freeze()  # else each collection would go through all that was imported
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[name]
    sys.path[:] = search
    sys.argv = command
    try:
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()
