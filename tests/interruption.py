"""Killing drivers and jobs of a running study, and comparing what comes out in the end."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from tests.project import Project

STUDY = "tests/spine.yaml"
KINDS = ("kill driver", "kill job", "terminate job", "terminate driver", "interrupt driver")


def digests(project: Project) -> dict[str, str]:
    """Content of every table and checkpoint below results/, in the cache, too, but for states and half-written ones."""
    results = project.folder / "results"
    paths = [path for kind in ("*.parquet", "*.safetensors") for path in results.rglob(kind)]
    return {
        str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
        if path.relative_to(results).parts[0] != "state"
        and not any(part.startswith(".") for part in path.relative_to(results).parts)
    }


def started(project: Project) -> subprocess.Popen[str]:
    """A driver of the study in a process group of its own, as a shell starts it; trainings save their state often."""
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "2", "--config", f"study={STUDY}"],
        cwd=project.folder,
        env={**project.environment, "ADVGEN_SAVE_SECONDS": "0.5"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def disturb(project: Project, kind: str, moment: float, chance: random.Random) -> str:
    """Start the study, do something cruel to it after `moment` seconds, wait until the driver is gone."""
    driver = started(project)
    try:
        driver.wait(moment)
    except subprocess.TimeoutExpired:
        number = signal.SIGKILL if kind.startswith("kill") else signal.SIGTERM
        jobs = running_jobs(project.folder)
        if kind.startswith("interrupt"):  # as a terminal does: the driver and all its jobs
            os.killpg(driver.pid, signal.SIGINT)
        elif kind.endswith("driver"):
            driver.send_signal(number)
        elif jobs:
            os.kill(chance.choice(jobs), number)
        # a driver that lost a job ends when its other jobs end
    _, said = driver.communicate(timeout=200)
    return said


def processes(folder: Path) -> dict[int, list[str]]:
    """Return the processes in a folder, each with the words of its command."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").resolve() == folder.resolve():
                found[int(process.name)] = (process / "cmdline").read_bytes().decode().split("\0")
    return found


def running_jobs(folder: Path) -> list[int]:
    """Return the processes of our commands that work in a folder."""
    return [process for process, words in processes(folder).items() if "advgen" in words[:4]]


def wait_for_orphans(folder: Path) -> None:
    """Wait until no job of a killed driver is left."""
    for _ in range(300):
        if not running_jobs(folder):
            return
        time.sleep(0.2)
    raise AssertionError("orphans did not end")
