"""Records of runs: the console writes one event per line while jobs run; `advgen status` and later runs read them.

A record is a file of JSON lines below .snakemake/runs, which `make clean` does not delete: first the jobs to run, then
the start and the end of each. A job is identified by the path of its log, which contains its rule and wildcards.
"""

import json
import os
import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from advgen.core.paths import RESULTS
from advgen.jobs.progress import CACHE_HIT, ParsedProgress, parse_progress

FOLDER = Path(".snakemake/runs")
MAX_BYTES = 20_000_000
"""Older records are deleted beyond this total: about 1,000 runs of the default study, or some of 10,000 jobs."""
LOGS = f"{RESULTS}/logs/"
HEARTBEAT_SECONDS = 5.0
"""How often a running driver updates the modification time of its record."""
DEAD_SECONDS = 60.0
"""A driver whose record is older than this is considered dead."""


@dataclass
class JobState:
    """The state of one job of a run; `after` has the logs of the jobs that it depends on."""

    log: str
    gpu: int = 0
    after: tuple[str, ...] = ()
    state: str = "waiting"
    started: float = 0.0
    seconds: float = 0.0
    cached: bool = False

    @property
    def rule(self) -> str:
        """The rule's name."""
        return rule_of(self.log)

    @property
    def title(self) -> str:
        """The rule's name and the wildcards, for example "craft cnn/seed0/pgd"."""
        identity = self.log.removeprefix(f"{LOGS}{self.rule}/").removesuffix(".log")
        return self.rule if identity == self.rule else f"{self.rule} {identity}"


@dataclass
class Run:
    """The state of a run after the events of its record."""

    jobs: dict[str, JobState] = field(default_factory=dict)
    """By log."""
    facts: dict[str, Any] = field(default_factory=dict)
    """The first event: study, cores, gpus, process, host."""
    counts: Counter[str] = field(default_factory=Counter)
    """Number of jobs in each state: waiting, running, finished or failed."""
    ended: float = 0.0
    path: Path | None = None

    def apply(self, event: Mapping[str, Any]) -> None:
        """Update the state with one event; events must come in order."""
        kind, at = event["event"], event["at"]
        if kind == "begun":
            self.facts = dict(event)
            self.jobs = {job["log"]: JobState(job["log"], job["gpu"], tuple(job["after"])) for job in event["jobs"]}
            self.counts = Counter(waiting=len(self.jobs))
        elif kind == "ended":
            self.ended = at
        else:
            job = self.jobs.get(event["log"])
            if job is None:
                job = self.jobs[event["log"]] = JobState(event["log"])
            else:
                self.counts[job.state] -= 1
            if kind == "started":
                job.state, job.started = "running", at
            else:
                job.state, job.seconds, job.cached = kind, at - job.started, event.get("cached", False)
            self.counts[job.state] += 1

    def jobs_in(self, state: str) -> list[JobState]:
        """Return the jobs in a state."""
        return [job for job in self.jobs.values() if job.state == state]

    @property
    def begun(self) -> float:
        """Start time in seconds since 1970."""
        return float(self.facts.get("at", 0.0))

    def is_alive(self, now: float) -> bool:
        """Whether the driver still works: its record is recent and, on this host, its process exists."""
        if self.ended or self.path is None or now - self.path.stat().st_mtime > DEAD_SECONDS:
            return False
        if self.facts.get("host") != socket.gethostname():
            return True
        try:
            os.kill(int(self.facts["process"]), 0)
        except PermissionError:
            return True
        except (ProcessLookupError, KeyError):
            return False
        return True

    def find_blocked(self) -> set[str]:
        """Return the logs of waiting jobs that cannot run because a job that they depend on failed."""
        dependents = self.find_dependents()
        blocked: set[str] = set()
        queue = [job.log for job in self.jobs_in("failed")]
        while queue:
            for job in dependents.get(queue.pop(), ()):
                if job.log not in blocked:
                    blocked.add(job.log)
                    queue.append(job.log)
        return blocked

    def find_dependents(self) -> dict[str, list[JobState]]:
        """Return for each log the jobs that depend directly on its job."""
        dependents: dict[str, list[JobState]] = {}
        for job in self.jobs.values():
            for log in job.after:
                dependents.setdefault(log, []).append(job)
        return dependents


def rule_of(log: str) -> str:
    """Return the rule of the job that writes a log."""
    return log.removeprefix(LOGS).partition("/")[0]


class RecordWriter:
    """Writes the record of a new run; failures to write are ignored, since a run does not need its record."""

    def __init__(self) -> None:
        with suppress(OSError):
            FOLDER.mkdir(parents=True, exist_ok=True)
        total = 0
        for old in reversed(list_records()):
            total += old.stat().st_size
            if total > MAX_BYTES:
                old.unlink(missing_ok=True)
        self.path = FOLDER / f"{datetime.now():%Y%m%dT%H%M%S.%f}.jsonl"

    def write(self, event: Mapping[str, Any]) -> None:
        """Append one event."""
        with suppress(OSError), self.path.open("a") as file:
            file.write(json.dumps(event) + "\n")

    def update_heartbeat(self, now: float) -> None:
        """Update the record's modification time every HEARTBEAT_SECONDS."""
        with suppress(OSError):
            if now - self.path.stat().st_mtime > HEARTBEAT_SECONDS:
                os.utime(self.path)


def list_records() -> list[Path]:
    """Return the records of earlier runs, the oldest first."""
    return sorted(FOLDER.glob("*.jsonl"))


def read_record(path: Path) -> Run:
    """Read the record of a run; an incomplete last line is skipped."""
    run = Run(path=path)
    for line in path.read_text().splitlines():
        with suppress(ValueError, KeyError):
            run.apply(json.loads(line))
    return run


def read_records() -> Iterator[Run]:
    """Yield all recorded runs, the oldest first."""
    for path in list_records():
        with suppress(OSError):
            yield read_record(path)


# --- the logs of jobs ------------------------------------------------------------------------------------------------


def read_progress(log: str) -> ParsedProgress:
    """Return the latest progress in a job's log; empty if there is none."""
    found = (parse_progress(line) for line in reversed(read_tail(Path(log))))
    return next(filter(None, found), ParsedProgress("", None))


def read_tail(path: Path, lines: int = 20) -> list[str]:
    """Return the last lines of a file, or none if it cannot be read."""
    with suppress(OSError), path.open("rb") as file:
        file.seek(max(file.seek(0, os.SEEK_END) - 16384, 0))
        return file.read().decode(errors="replace").splitlines()[-lines:]
    return []


def read_error(log: str, lines: int = 12) -> list[str]:
    """Return the last lines of a failed job's log, with only the latest progress line."""
    tail = read_tail(Path(log), 200)
    progress = [index for index, line in enumerate(tail) if parse_progress(line)]
    return [line for index, line in enumerate(tail) if index not in progress[:-1]][-lines:]


def was_cached(log: str) -> bool:
    """Whether a job reused a cached result, according to its log."""
    return any(CACHE_HIT in line for line in read_tail(Path(log)))
