"""One cluster for all tests here, the study run on this machine for comparison, and drivers that use the cluster."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from tests.interruption import STUDY, digests
from tests.project import Project
from tests.slurm.cluster import Cluster, Process, wait_for


@pytest.fixture(scope="session", autouse=True)
def _terminate_tidily() -> None:
    """Clean up on SIGTERM, too."""

    def stop(number: int, frame: FrameType | None) -> None:
        pytest.exit("stopped by SIGTERM")

    signal.signal(signal.SIGTERM, stop)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Three nodes, two of them with two fake GPUs."""
    one = Cluster()
    try:
        one.start()
        yield one
    finally:
        one.stop()


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory, raw_mnist: Path) -> Project:
    """The study, run on this machine."""
    project = Project(tmp_path_factory.mktemp("local"))
    result = project.snakemake(STUDY)
    assert result.returncode == 0, result.stderr[-5000:]
    return project


class Driver:
    """A Snakemake that sends its jobs to the cluster."""

    def __init__(self, project: Project, *arguments: str, python: str = sys.executable):
        self.output = project.folder / "driver.log"
        command = [python, "-m", "snakemake", "--workflow-profile", "profiles/slurm", *arguments]
        # polled sooner than on a real cluster, and the logs of jobs are kept for the tests to read
        command += ["--slurm-init-seconds-before-status-checks", "6", "--slurm-keep-successful-logs"]
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [*command, "--config", f"study={STUDY}"],
                cwd=project.folder,
                env=project.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def kill(self) -> None:
        """SIGKILL: it can do nothing more."""
        self.process.kill()
        self.process.wait()

    def finish(self) -> None:
        """Wait until the study is complete."""
        assert self.process.wait(600) == 0, self.output.read_text()[-5000:]


class Site:
    """A copy of the project on the cluster."""

    def __init__(self, cluster: Cluster, project: Project):
        self.cluster, self.project = cluster, project
        ours = ("ADVGEN_TEST_CLUSTER", "SLURM_CONF")
        project.environment = {
            **{name: value for name, value in project.environment.items() if not name.startswith("SLURM")},
            **{name: cluster.environment[name] for name in ours},
            "PATH": f"{cluster.state / 'bin'}:{project.environment['PATH']}",
            "ADVGEN_SAVE_SECONDS": "0.2",
        }
        self.drivers: list[Driver] = []
        self.before = set(cluster.seen)

    def start(self, *arguments: str, python: str = sys.executable) -> Driver:
        """Start a driver."""
        self.drivers.append(Driver(self.project, *arguments, python=python))
        return self.drivers[-1]

    def training_in_full_swing(self) -> Process:
        """The process that trains the CNN, stopped by SIGSTOP once it has saved its state."""
        state = self.project.folder / "results" / "state"

        def caught() -> Process | None:
            found = self.cluster.working("train-classifier", "cnn") if any(state.glob("[!.]*.safetensors")) else []
            for process in found:
                process.send(signal.SIGSTOP)
            return found[0] if found else None

        process = wait_for("a training with saved state", caught)
        assert process is not None
        wait_for("the training to stop", lambda: process.status("State").startswith("T"), 10)
        return process

    def jobs(self, rule: str) -> list[str]:
        """Ids of the SLURM jobs of one rule that were submitted from here, in order."""
        ids = [
            job for job, seen in list(self.cluster.seen.items()) if seen.comment.startswith(f"rule_{rule}_wildcards")
        ]
        return sorted(set(ids) - self.before, key=int)

    def said(self, job: str) -> str:
        """What a job of SLURM printed, and what the jobs of its rule have in their logs."""
        logs = self.project.folder / "results/logs"
        printed = list((logs / "slurm").rglob(f"{job}.log"))
        rules = {part.removeprefix("rule_") for path in printed for part in path.parts if part.startswith("rule_")}
        return "".join(
            path.read_text() for path in [*printed, *(one for rule in rules for one in (logs / rule).rglob("*.log"))]
        )

    def close(self) -> None:
        """End drivers and their jobs."""
        for driver in self.drivers:
            driver.kill()
        self.cluster.run("scancel", "--user=root")
        for process in self.cluster.processes():
            process.send(signal.SIGCONT)
        wait_for("an empty queue", lambda: not self.cluster.run("squeue", "--noheader"))


@pytest.fixture
def site(cluster: Cluster, tmp_path: Path) -> Iterator[Site]:
    """An empty copy of the project."""
    one = Site(cluster, Project(tmp_path / "a site"))
    try:
        yield one
    finally:
        one.close()


@pytest.fixture
def half_done(site: Site, local: Project) -> Site:
    """A copy of the project in which the CNN and what follows from it are missing, so that only they are made."""
    for part in ("results/datasets", "results/classifiers/fc100", "results/attacks", ".snakemake/metadata"):
        shutil.copytree(local.folder / part, site.project.folder / part)
    return site


@pytest.fixture
def same_tables(local: Project) -> Callable[[Project], None]:
    """Compares all tables and weights with those of the local run, byte by byte."""

    def compare(project: Project) -> None:
        here = digests(local)
        assert len(here) > 10
        assert digests(project) == here

    return compare
