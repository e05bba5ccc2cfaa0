"""Estimates of the remaining time of a run, from the times of earlier runs."""

import heapq
import json
from collections import deque
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from statistics import median

from advgen.driver.run_records import JobState, Run, read_progress, rule_of

CACHED_SECONDS = 1.5
"""Time of a job whose result is cached."""
UNKNOWN_SECONDS = 5.0
"""Time of a job of a rule without any measurement."""
DEFAULTS = Path(__file__).with_name("seconds.json")
"""Seconds per rule for the first run: printed by `advgen status --seconds` after the default study."""


class History:
    """Times of jobs in earlier runs of a study, without those that reused a cached result.

    Other studies do not count: their jobs may have the same names and a hundredth of the work.
    """

    def __init__(self, runs: Iterable[Run] = (), study: str | None = None):
        self.seconds: dict[str, float] = {}
        for run in runs:  # the newest last
            for job in run.jobs_in("finished"):
                if not job.cached and study in (None, run.facts.get("study")):
                    self.seconds[job.log] = job.seconds

    @cached_property
    def rules(self) -> dict[str, float]:
        """Median seconds per rule; for rules that never ran, the package's defaults."""
        found: dict[str, list[float]] = {}
        for log, seconds in self.seconds.items():
            found.setdefault(rule_of(log), []).append(seconds)
        return {**json.loads(DEFAULTS.read_text()), **{rule: median(values) for rule, values in found.items()}}

    def expect(self, log: str) -> float:
        """Return the expected seconds of a job that is not cached."""
        return self.seconds.get(log) or self.rules.get(rule_of(log), UNKNOWN_SECONDS)


def estimate_remaining(run: Run, history: History, now: float) -> float:
    """Return the seconds until a run ends, by simulating its schedule on its cores and GPUs.

    A job's time comes from the history, scaled by how fast this run has been and by its share of cached results.
    """
    finished = run.jobs_in("finished")
    hits = sum(job.cached for job in finished) / len(finished) if finished else 0.0
    pace = _measure_pace(run, history, now)

    def duration(log: str) -> float:
        return hits * CACHED_SECONDS + (1 - hits) * pace * history.expect(log)

    running, blocked = run.jobs_in("running"), run.find_blocked()
    cores = int(run.facts.get("cores") or 1) - len(running)
    gpus = float("inf") if run.facts.get("gpus") is None else run.facts["gpus"] - sum(job.gpu for job in running)
    ends = [(_remaining_of(job, pace * history.expect(job.log), now), job.log) for job in running]
    heapq.heapify(ends)
    waiting = {job.log: job for job in run.jobs_in("waiting") if job.log not in blocked}
    unfinished = {*waiting, *(job.log for job in running)}
    missing = {job.log: sum(log in unfinished for log in job.after) for job in waiting.values()}
    dependents = run.find_dependents()
    ready: tuple[deque[JobState], deque[JobState]] = (deque(), deque())  # jobs on a core only, and with a GPU
    for job in waiting.values():
        if not missing[job.log]:
            ready[job.gpu > 0].append(job)
    time = 0.0
    while True:
        while cores > 0 and (ready[0] or (ready[1] and gpus > 0)):
            job = ready[1 if ready[1] and gpus > 0 else 0].popleft()
            cores, gpus = cores - 1, gpus - job.gpu
            heapq.heappush(ends, (time + duration(job.log), job.log))
        if not ends:
            return time
        time, log = heapq.heappop(ends)
        cores, gpus = cores + 1, gpus + run.jobs[log].gpu
        for job in dependents.get(log, ()):
            if job.log in waiting:
                missing[job.log] -= 1
                if not missing[job.log]:
                    ready[job.gpu > 0].append(job)


def _measure_pace(run: Run, history: History, now: float) -> float:
    """Return the ratio of actual to expected times; running jobs count once they are late."""
    actual = {job.log: job.seconds for job in run.jobs_in("finished") if not job.cached}
    running = {job.log: now - job.started for job in run.jobs_in("running")}
    actual |= {log: seconds for log, seconds in running.items() if seconds > history.expect(log)}
    prior = 10.0  # seconds of work at the expected pace, so that the first jobs do not dominate
    return (prior + sum(actual.values())) / (prior + sum(history.expect(log) for log in actual))


def _remaining_of(job: JobState, expected: float, now: float) -> float:
    """Return the remaining seconds of a running job: from its progress line, or else from the expected time."""
    remaining, elapsed = read_progress(job.log).remaining, now - job.started
    return max(expected - elapsed, 0.1 * elapsed) if remaining is None else remaining
