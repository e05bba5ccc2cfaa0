"""A run of Snakemake, job by job: written down while it happens, read by `advgen status` and by the runs after it.

A record is one JSON object a line below .snakemake/runs, which `make clean` leaves: what is to be done, then each job's
start and end. A job is named by its log, whose path holds rule and identity.
"""

from __future__ import annotations

import heapq
import json
import logging
import os
import socket
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

from advgen.core.paths import RESULTS
from advgen.jobs.progress import parse_progress

FOLDER = Path(".snakemake/runs")
KEPT_BYTES = 20_000_000
"""So much of the newest records is kept: a thousand runs of the default study, or some of ten thousand jobs."""
LOGS = f"{RESULTS}/logs/"
BEAT = 5.0
"""A driver touches its record every so many seconds."""
SILENT = 60.0
"""After so many seconds without that it is taken for dead."""
CACHED_SECONDS = 1.5
"""What a job takes whose results are in the cache."""
UNKNOWN_SECONDS = 5.0
FIRST = Path(__file__).with_name("seconds.json")
"""What each rule takes, for the first run: what `python -m advgen status --seconds` told after the default study."""

CAUSES = {
    "Forced execution": "asked for",
    "Missing output files": "missing",
    "Incomplete output files": "interrupted",
    "Params have changed": "settings or code changed",
    "Set of input files has changed": "other inputs",
    "Updated input files": "inputs changed",
    "Input files updated by another job": "inputs made again",
}
"""Snakemake's reasons, worst first, and what we call them."""


@dataclass
class JobState:
    """Where one job of a run stands; `after` names the jobs of the run whose files it reads."""

    log: str
    gpu: int = 0
    after: tuple[str, ...] = ()
    state: str = "waiting"
    since: float = 0.0
    seconds: float = 0.0
    cached: bool = False

    @property
    def rule(self) -> str:
        """Its rule."""
        return rule_of(self.log)

    @property
    def title(self) -> str:
        """Its rule, and what tells it from others of that rule."""
        identity = self.log.removeprefix(f"{LOGS}{self.rule}/").removesuffix(".log")
        return self.rule if identity == self.rule else f"{self.rule} {identity}"


@dataclass
class Run:
    """What is known of a run, from the events of its record in order."""

    jobs: dict[str, JobState] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    """How many jobs are in each state: waiting, running, finished or failed."""
    ended: float = 0.0
    path: Path | None = None

    def apply(self, event: Mapping[str, Any]) -> None:
        """Take note of one event."""
        what, at = event["event"], event["at"]
        if what == "begun":
            self.facts = dict(event)
            self.jobs = {one["log"]: JobState(one["log"], one["gpu"], tuple(one["after"])) for one in event["jobs"]}
            self.counts = Counter(waiting=len(self.jobs))
        elif what == "ended":
            self.ended = at
        else:
            job = self.jobs.get(event["log"])
            if job is None:
                job = self.jobs[event["log"]] = JobState(event["log"])
            else:
                self.counts[job.state] -= 1
            if what == "started":
                job.state, job.since = "running", at
            else:
                job.state, job.seconds, job.cached = what, at - job.since, event.get("cached", False)
            self.counts[job.state] += 1

    def those(self, state: str) -> list[JobState]:
        """The jobs in a state."""
        return [job for job in self.jobs.values() if job.state == state]

    @property
    def begun(self) -> float:
        """When it began, in seconds since 1970."""
        return float(self.facts.get("at", 0.0))

    def alive(self, now: float) -> bool:
        """Whether its driver works still, as far as files tell: on another host, it touched its record lately."""
        if self.ended or self.path is None or now - self.path.stat().st_mtime > SILENT:
            return False
        if self.facts.get("host") != socket.gethostname():
            return True
        try:
            os.kill(int(self.facts["process"]), 0)
        except (ProcessLookupError, KeyError):
            return False
        except PermissionError:
            return True
        return True

    def lost(self) -> set[str]:
        """The waiting jobs that cannot run any more, since what they read could not be made."""
        below: dict[str, list[str]] = {}
        for job in self.jobs.values():
            for one in job.after:
                below.setdefault(one, []).append(job.log)
        found: set[str] = set()
        queue = [job.log for job in self.those("failed")]
        while queue:
            for log in below.get(queue.pop(), ()):
                if log not in found:
                    found.add(log)
                    queue.append(log)
        return found


class Past:
    """How long jobs took in earlier runs of a study, those whose results came from the cache left out.

    Jobs of other studies may have the same names and a hundredth of the work.
    """

    def __init__(self, runs: Iterable[Run] = (), study: str | None = None):
        self.seconds: dict[str, float] = {}
        for run in runs:  # the newest last
            for job in run.those("finished"):
                if not job.cached and study in (None, run.facts.get("study")):
                    self.seconds[job.log] = job.seconds

    @cached_property
    def rules(self) -> dict[str, float]:
        """The median of each rule; where nothing was run yet, what came with the package."""
        found: dict[str, list[float]] = {}
        for log, seconds in self.seconds.items():
            found.setdefault(rule_of(log), []).append(seconds)
        return {**json.loads(FIRST.read_text()), **{rule: median(some) for rule, some in found.items()}}

    def expected(self, log: str) -> float:
        """What a job will take if it is computed."""
        return self.seconds.get(log) or self.rules.get(rule_of(log), UNKNOWN_SECONDS)


def rule_of(log: str) -> str:
    """The rule of the job that a log belongs to."""
    return log.removeprefix(LOGS).partition("/")[0]


def time_left(run: Run, past: Past, now: float) -> float:
    """Seconds until a run ends: its jobs are laid on its cores and GPUs in order, each as soon as it can start.

    What a job takes is told by the past, by the machine's pace today, and by how many came from the cache.
    """
    finished = run.those("finished")
    hits = sum(job.cached for job in finished) / len(finished) if finished else 0.0
    pace = _pace(run, past, now)

    def cost(log: str) -> float:
        return hits * CACHED_SECONDS + (1 - hits) * pace * past.expected(log)

    running, lost = run.those("running"), run.lost()
    cores = int(run.facts.get("cores") or 1) - len(running)
    gpus = float("inf") if run.facts.get("gpus") is None else run.facts["gpus"] - sum(job.gpu for job in running)
    ends = [(_rest(job, pace * past.expected(job.log), now), job.log) for job in running]
    heapq.heapify(ends)
    waiting = [job for job in run.those("waiting") if job.log not in lost]
    open_ = {job.log for job in [*waiting, *running]}
    missing = {job.log: sum(log in open_ for log in job.after) for job in waiting}
    below: dict[str, list[JobState]] = {}
    for job in waiting:
        for log in job.after:
            below.setdefault(log, []).append(job)
    ready: tuple[deque[JobState], deque[JobState]] = (deque(), deque())  # on a core alone, and with a GPU
    for job in waiting:
        if not missing[job.log]:
            ready[job.gpu > 0].append(job)
    clock_ = 0.0
    while True:
        while cores > 0 and (ready[0] or (ready[1] and gpus > 0)):
            job = ready[1 if ready[1] and gpus > 0 else 0].popleft()
            cores, gpus = cores - 1, gpus - job.gpu
            heapq.heappush(ends, (clock_ + cost(job.log), job.log))
        if not ends:
            return clock_
        clock_, log = heapq.heappop(ends)
        cores, gpus = cores + 1, gpus + run.jobs[log].gpu
        for job in below.get(log, ()):
            missing[job.log] -= 1
            if not missing[job.log]:
                ready[job.gpu > 0].append(job)


def _pace(run: Run, past: Past, now: float) -> float:
    """How many times longer jobs take than before; those that run count once they are late."""
    took = {job.log: job.seconds for job in run.those("finished") if not job.cached}
    took |= {job.log: now - job.since for job in run.those("running") if now - job.since > past.expected(job.log)}
    grace = 10.0  # after so many seconds of work it counts for half
    return (grace + sum(took.values())) / (grace + sum(past.expected(log) for log in took))


def _rest(job: JobState, expected: float, now: float) -> float:
    """What a running job still takes: what it says itself, or else what is left of what it took before."""
    _, left = progress(job.log)
    return max(expected - (now - job.since), 0.1 * (now - job.since)) if left is None else left


def progress(log: str) -> tuple[str, float | None]:
    """How far a job says that it is, and the seconds that it says are left; nothing if it has said nothing yet."""
    for line in reversed(tail(Path(log))):
        if found := parse_progress(line):
            return found
    return "", None


def tail(path: Path, lines: int = 20) -> list[str]:
    """The last lines of a file; none if it cannot be read."""
    with suppress(OSError), path.open("rb") as file:
        file.seek(max(file.seek(0, os.SEEK_END) - 16384, 0))
        return file.read().decode(errors="replace").splitlines()[-lines:]
    return []


def last_words(log: str, lines: int = 12) -> list[str]:
    """The last lines of a log, of those that tell progress only the latest."""
    said = tail(Path(log), 200)
    told = [place for place, line in enumerate(said) if parse_progress(line)]
    return [line for place, line in enumerate(said) if place not in told[:-1]][-lines:]


def taken_from_cache(log: str) -> bool:
    """Whether a job's results came from the cache, which its log says."""
    return any(": computed before, taken from " in line for line in tail(Path(log)))


def number(count: int, thing: str) -> str:
    """1 job, 2 jobs."""
    return f"{count} {thing}{'' if count == 1 else 's'}"


def cause(reason: str) -> str:
    """Why Snakemake runs a job, in a word or two."""
    return next((ours for theirs, ours in CAUSES.items() if theirs in reason), "other reasons")


def announce(workflow: Any, study: str) -> None:
    """Tell the console what is to be done: every job with those that it waits for. Called by `onstart`.

    It goes through Snakemake's logger, so that it stands in order with all the rest.
    """
    workflow.scheduler.print_progress = True  # with --quiet it would not tell which jobs have ended
    dag = workflow.dag
    needed = [job for job in dag.needrun_jobs() if job.log]
    logs = {job: str(next(iter(job.log))) for job in needed}
    jobs = [
        {
            "log": logs[job],
            "gpu": int(job.resources.get("gpu") or 0),
            "after": sorted(logs[other] for other in dag.dependencies[job] if other in logs),
            "cause": cause(str(dag.reason(job))),
        }
        for job in needed
    ]
    limit = workflow.global_resources.get("gpu")
    facts = {
        "study": study,
        "cores": workflow.cores if workflow.local_exec else workflow.nodes,
        "gpus": None if limit is None or limit.value is None else int(limit.value),
        "jobs": jobs,
    }
    logging.getLogger("snakemake.logging").info(f"{number(len(jobs), 'job')} to do.", extra={"begun": facts})


def records() -> list[Path]:
    """The records of earlier runs, the oldest first."""
    return sorted(FOLDER.glob("*.jsonl"))


def read(path: Path) -> Run:
    """A run from its record; a last line that is half written is left out."""
    run = Run(path=path)
    for line in path.read_text().splitlines():
        with suppress(ValueError, KeyError):
            run.apply(json.loads(line))
    return run


def read_all() -> Iterator[Run]:
    """All runs that are on record, the oldest first."""
    for path in records():
        with suppress(OSError):
            yield read(path)


class Record:
    """The record of a run, written event by event."""

    def __init__(self) -> None:
        with suppress(OSError):  # without a record, a run only lacks its times
            FOLDER.mkdir(parents=True, exist_ok=True)
        total = 0
        for old in reversed(records()):
            total += old.stat().st_size
            if total > KEPT_BYTES:
                old.unlink(missing_ok=True)
        self.path = FOLDER / f"{datetime.now():%Y%m%dT%H%M%S.%f}.jsonl"

    def write(self, event: Mapping[str, Any]) -> None:
        """Add one event."""
        with suppress(OSError), self.path.open("a") as file:
            file.write(json.dumps(event) + "\n")

    def beat(self, now: float) -> None:
        """Show that the driver lives."""
        with suppress(OSError):
            if now - self.path.stat().st_mtime > BEAT:
                os.utime(self.path)
