"""Jobs forked from a warm server: as cold ones in all but time."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.interruption import processes
from tests.project import ROOT, Project

from advgen.driver.workers import LOG, MIN_JOBS, SERVER, THREADS
from advgen.jobs.job import Job

START = f"""
import sys, time
from advgen.driver import workers
workers.start({MIN_JOBS})
sys.stdin.read()
"""

FETCH = ("fetch", "--spec", '{"dataset": {"kind": "mnist"}}', "--out", "a", "b", "c", "d")


def sleeping(run: Callable[[Job], None]) -> Callable[[Job], None]:
    """A job that tells its process and sleeps."""

    def asleep(job: Job) -> None:
        Path("asleep").write_text(str(os.getpid()))
        time.sleep(600)

    return asleep


def until(true: Callable[[], bool], seconds: float = 120) -> None:
    """Wait for something."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def lives(process: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False


@contextmanager
def driver(project: Project) -> Iterator[subprocess.Popen[str]]:
    """Something that has a server and does nothing else."""
    project.environment.update(dict.fromkeys(THREADS, "1"))
    project.environment["ADVGEN_AROUND"] = "tests.integration.test_workers:sleeping"
    command = [sys.executable, "-c", START]
    there = project.folder / SERVER
    with subprocess.Popen(command, cwd=project.folder, env=project.environment, stdin=-1, text=True) as process:
        until(there.exists)
        yield process
        process.kill()
        process.wait()
        until(lambda: not there.exists())


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project with a server."""
    project = Project(tmp_path_factory.mktemp("warm"))
    with driver(project):
        yield project


def log(project: Project) -> list[str]:
    """What the server said."""
    return (project.folder / LOG).read_text().splitlines()


@pytest.mark.parametrize(
    "words", [("--version",), ("fetch",), ("nonsense",), ("trace", "nowhere"), ("plan", "none.yaml")]
)
def test_output_and_exit_status(shared: Project, words: tuple[str, ...]) -> None:
    before = len(log(shared))
    warm = shared.advgen(*words)
    assert log(shared)[before:] == [words[0]]
    shared.environment["OMP_NUM_THREADS"] = "2"
    cold = shared.advgen(*words)
    shared.environment["OMP_NUM_THREADS"] = "1"
    assert log(shared)[before + 1 :] == [f"{words[0]}: not run in the server: different environment"]
    assert (warm.returncode, warm.stdout, warm.stderr) == (cold.returncode, cold.stdout, cold.stderr)


def test_strangers_do_no_harm(shared: Project) -> None:
    for said in (b"", b"GET / HTTP/1.1\n", b"{}\n", b'{"argv": 1, "path": [], "environment": {}}\n'):
        with socket.socket(socket.AF_UNIX) as stranger:
            os.chdir(shared.folder)
            stranger.connect(SERVER)
            os.chdir(ROOT)
            stranger.sendall(said)
            if said:
                assert stranger.recv(1) == b""
    assert shared.advgen("--version").returncode == 0
    assert log(shared)[-1] == "--version"


def started(project: Project) -> tuple[subprocess.Popen[str], int]:
    """A job that sleeps: who asked for it, and its process."""
    told = project.folder / "asleep"
    told.unlink(missing_ok=True)
    command = [sys.executable, "-m", "advgen", *FETCH]
    client = subprocess.Popen(command, cwd=project.folder, env=project.environment, stderr=-1, text=True)
    until(lambda: told.exists() and told.read_text() != "")
    job = int(told.read_text())
    assert job != client.pid
    return client, job


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 1)])
def test_signals_reach_the_job(shared: Project, sent: int, status: int) -> None:
    client, job = started(shared)
    client.send_signal(sent)
    _, said = client.communicate(timeout=60)
    assert client.returncode == status
    assert said == ("advgen fetch: interrupted\n" if sent == signal.SIGINT else "")
    assert not lives(job)


def test_a_job_ends_with_who_asked_for_it(shared: Project) -> None:
    client, job = started(shared)
    client.kill()
    client.wait()
    until(lambda: not lives(job))


def test_a_killed_job_is_told(shared: Project) -> None:
    client, job = started(shared)
    os.kill(job, signal.SIGKILL)
    assert client.wait(timeout=60) == -signal.SIGKILL


def test_edited_code_starts_cold(shared: Project) -> None:
    shared.append("src/advgen/__init__.py", '\n__version__ = "edited"\n')
    assert shared.advgen("--version").stdout.strip() == "edited"
    assert log(shared)[-1] == "--version: not run in the server: different code"


def test_a_server_that_was_killed_is_missed_by_nobody(tmp_path: Path) -> None:
    project = Project(tmp_path / "copy")
    with driver(project):
        [server] = [one for one, words in processes(project.folder).items() if "advgen.server" in " ".join(words)]
        client, job = started(project)
        os.kill(server, signal.SIGKILL)
        assert project.advgen("--version").returncode == 0
        client.terminate()
        assert client.wait(timeout=60) == -signal.SIGTERM
        assert not lives(job)
        (project.folder / SERVER).unlink()


def test_few_jobs_and_off_have_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from advgen.driver import workers

    monkeypatch.chdir(tmp_path)
    workers.start(MIN_JOBS - 1)
    monkeypatch.setenv("ADVGEN_WORKERS", "off")
    workers.start(1000)
    assert not (tmp_path / LOG).exists()
