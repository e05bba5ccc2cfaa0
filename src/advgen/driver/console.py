"""What a run prints: a line per finished job, failures in full, and on a terminal a block with what runs now.

Snakemake's own output, every job with its command and reason, is in the full log below .snakemake/log.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from errno import ENOSPC
from logging import ERROR, WARNING, LogRecord
from pathlib import Path
from typing import Any, TextIO

from advgen.core.paths import RESULTS
from advgen.driver.runs import (
    JobState,
    Past,
    Record,
    Run,
    cause,
    last_words,
    number,
    progress,
    read_all,
    taken_from_cache,
    time_left,
)
from advgen.files.provenance import DISK_FULL_ADVICE, DISK_FULL_ERRORS
from advgen.jobs.progress import format_duration

SILENCE = 60.0
"""Through a pipe: after so many seconds without a line, one says what runs."""
SHOWN = ("Nothing to be done", "Terminating processes", "Will exit after", "Trying to restart")
"""What Snakemake says by the way that is worth a line."""
KNOWN = ("Building DAG", "Assuming unrestricted shared", "Config file ", "Using shell", "host: ")
"""What it says before a run that is not."""
VERDICT = Path(RESULTS) / "report" / "qa.md"
FULL_LOG = "Complete log(s): "
OURS = ("At least one job did not complete", "Exiting because a job execution failed")
"""What the end of a run says better."""

FULL_DISK = re.compile(rf"({'|'.join(map(os.strerror, DISK_FULL_ERRORS))})(?:: '([^'\n]*)')?")
"""How an error says that there is no more room, and for which file."""

RED, YELLOW, DIM = "31", "33", "2"


class Console:
    """Prints the events of a run to a stream, and keeps its record."""

    def __init__(
        self,
        stream: TextIO,
        *,
        quiet: Iterable[str] = (),
        dryrun: bool = False,
        silent: bool = False,
        colour: bool = True,
        now: Callable[[], float] = time.time,
    ):
        self.stream, self.dryrun, self.silent, self.now = stream, dryrun, silent, now
        self.quiet = set(quiet)
        terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
        self.colour = colour and terminal and not os.environ.get("NO_COLOR")
        self.live = terminal and not self.quiet and not dryrun and not silent
        self.run, self.past = Run(), Past()
        self.record: Record | None = None
        self.logs: dict[int, str] = {}
        self.stats: dict[str, int] = {}
        self.planned: list[tuple[JobState, str]] = []
        self.farewell = self.full_log = self.full_disk = ""
        self.executing = self.interrupted = self.closed = False
        self.block = self.width = 0
        self.said = now()
        self.left = self.reckoned = 0.0

    def handle(self, record: LogRecord) -> None:
        """Take one record of Snakemake's logger."""
        event = str(getattr(record, "event", None) or "")
        if hasattr(record, "begun"):
            self._begin(record.begun)
        elif hasattr(record, "farewell"):
            self.farewell = record.getMessage()
        elif event == "workflow_started":
            self.executing = True
        elif event == "run_info":
            self.stats = record.stats  # type: ignore[attr-defined]
        elif event == "job_info":
            self._job_info(record)
        elif event == "job_finished" and not self.dryrun:
            self._job_finished(self.logs.get(record.job_id))  # type: ignore[attr-defined]
        elif event == "job_error":
            self._job_error(record)
        elif getattr(record, "exception", None) == "RuleException" and "CalledProcessError" in record.getMessage():
            pass  # the job's own error comes with its log
        elif event == "group_error" or record.levelno >= WARNING:
            self._trouble(record)
        elif not event:
            self._remark(record.getMessage())

    def _begin(self, facts: Mapping[str, Any]) -> None:
        self.past = Past(read_all(), facts["study"])
        self.record = Record()
        self.run.path = self.record.path
        self._event("begun", process=os.getpid(), host=socket.gethostname(), **facts)
        self.width = min(max((len(job.title) for job in self.run.jobs.values()), default=0), 60)
        causes = counted(job["cause"] for job in facts["jobs"])
        if "all" not in self.quiet and facts["jobs"]:
            left = format_duration(time_left(self.run, self.past, self.now()))
            self.say(f"{number(len(facts['jobs']), 'job')} to do, about {left}: {causes}")

    def _job_info(self, record: Any) -> None:
        log = next(iter(record.log), None)
        if log is None:  # rule all and the like
            return
        self.logs[record.jobid] = log
        if self.dryrun:
            self.planned.append((JobState(log), cause(record.reason)))
        else:
            self._event("started", log=log)

    def _job_finished(self, log: str | None) -> None:
        if log is None:
            return
        self._event("finished", log=log, cached=taken_from_cache(log))
        job = self.run.jobs[log]
        if not self.quiet:
            took = "cache" if job.cached else format_duration(job.seconds)
            left = "" if self.live else f"  {format_duration(self.time_left())} left"
            self.say(f"{self._count()}  {job.title:<{self.width}}  {took:>7}{left}")

    def _job_error(self, record: Any) -> None:
        log = next(iter(record.log), "")
        command = re.sub(r" > [^>]+ 2>&1$", "", (record.shellcmd or "").strip())
        self._event("failed", log=log)
        job = self.run.jobs[log]
        self.say(self._dyed(f"FAILED {job.title} after {format_duration(job.seconds)}", RED))
        for path in record.log:
            lines = last_words(path)
            self.say(*(f"    {line}" for line in lines))
            self._note_full_disk("\n".join(lines))
        if not has_room():
            self._note_full_disk(os.strerror(ENOSPC))
        self.say(f"  its log:  {' '.join(record.log)}", f"  by hand:  {command}")
        for name, value in record.aux.items():
            self.say(f"  {name}: {value}")

    def _trouble(self, record: LogRecord) -> None:
        text = record.getMessage().strip()
        if self._note_full_disk(text):
            return  # said once, when the run has ended
        if text and text != "None" and not (self.run.facts and any(one in text for one in OURS)):
            self.say(*(self._dyed(line, RED if record.levelno >= ERROR else YELLOW) for line in text.splitlines()))

    def _note_full_disk(self, text: str) -> bool:
        found = FULL_DISK.search(text)
        if found and not self.full_disk:
            self.full_disk = ": ".join(filter(None, (found[2], found[1])))
        return found is not None

    def _remark(self, text: str) -> None:
        self.interrupted |= text.startswith(("Terminating processes", "Will exit after"))
        if text.startswith(FULL_LOG):
            self.full_log = os.path.relpath(text.removeprefix(FULL_LOG))
        shown = text.startswith(SHOWN) if self.executing else not text.startswith(KNOWN)
        if shown and "all" not in self.quiet:
            self.say(text)

    def _dry_end(self) -> None:
        width = max((len(job.title) for job, _ in self.planned), default=0)
        if not self.quiet:
            self.say(*(f"{job.title:<{width}}  {why}" for job, why in self.planned), "")
        width = max(map(len, self.stats), default=0)
        self.say(*(f"{rule:<{width}} {count:>6}" for rule, count in self.stats.items()))
        if causes := counted(why for _, why in self.planned):
            self.say("", f"{number(len(self.planned), 'job')} would run: {causes}")
        self.say("Nothing was done (-n). With --logger-advgen-plain every job is shown with its files and command.")

    def close(self) -> None:
        """Say how the run ended; called once nothing more comes."""
        if self.closed:
            return
        self.closed = True
        self._erase()
        if self.dryrun and self.stats:
            self._dry_end()
        if self.run.facts:
            self._event("ended")
        if self.run.facts and "all" not in self.quiet:
            self.say(*summary(self.run, self.past, self.interrupted), *flagged(self.run))
            if not self.full_disk or self.full_log:  # else there is no log either
                self.say(self.farewell or f"The full log, with every command: {self.full_log}")
        if self.full_disk:
            self.say(self._dyed(f"{self.full_disk}; {DISK_FULL_ADVICE}", RED))

    def tick(self) -> None:
        """Draw the block again, or through a pipe say what runs if nothing was said for long; show that we live."""
        if self.closed or not self.run.facts:
            return
        if self.record:
            self.record.beat(self.now())
        if self.live:
            self.say()
        elif not self.quiet and self.now() - self.said > SILENCE:
            running = self.run.those("running")
            inside = [progress(job.log)[0].partition("  ")[0] for job in running[:3]]
            told = "; ".join(f"{job.title} {far}".rstrip() for job, far in zip(running, inside, strict=False))
            more = f" and {len(running) - 3} more" if len(running) > 3 else ""
            self.say(f"{self._count()}  runs: {told}{more}  {format_duration(self.time_left())} left")

    def time_left(self) -> float:
        """Seconds until the end, reckoned again once a second, in large studies less often."""
        now = self.now()
        if now - self.reckoned > 1 + len(self.run.jobs) / 200:
            self.left, self.reckoned = time_left(self.run, self.past, now), now
        return max(self.left - (now - self.reckoned), 0.0)

    def _event(self, what: str, **facts: Any) -> None:
        event = {"event": what, "at": round(self.now(), 2), **facts}
        self.run.apply(event)
        if what == "finished":
            event["left"] = round(self.time_left(), 1)  # kept to see how good it was
        if self.record:
            self.record.write(event)

    def _count(self) -> str:
        total = str(len(self.run.jobs))
        return f"{self.run.counts['finished']:>{len(total)}}/{total}"

    def _dyed(self, text: str, colour: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if self.colour else text

    def say(self, *lines: str) -> None:
        """Print whole lines, above the block where there is one."""
        if self.silent:
            return
        self.said = self.now()
        block = self._block() if self.live and not self.closed else []
        text = (f"\033[{self.block}F\033[J" if self.block else "") + "".join(f"{line}\n" for line in [*lines, *block])
        self.block = len(block)
        try:
            self.stream.write(text)
            self.stream.flush()
        except (OSError, ValueError) as error:  # nobody reads any more, or the disk is full: the run goes on
            self.silent = getattr(error, "errno", None) not in DISK_FULL_ERRORS

    def _erase(self) -> None:
        if self.block:
            self.live = False
            self.say()

    def _block(self) -> list[str]:
        if not self.run.jobs:
            return []
        columns = rows = 0
        with suppress(OSError, ValueError):
            columns, rows = os.get_terminal_size(self.stream.fileno())
        columns, rows = columns or 80, rows or 24  # some terminals do not tell
        running = self.run.those("running")
        bad = f", {self.run.counts['failed']} failed" if self.run.counts["failed"] else ""
        lines = [f"{self._count()} done{bad}, {len(running)} running, {format_duration(self.time_left())} left"]
        width = max((len(job.title) for job in running), default=0)
        for job in running[: max(rows - 4, 1)]:
            inside = progress(job.log)[0]
            lines.append(f"  {job.title:<{width}}  {format_duration(self.now() - job.since):>7}  {inside}")
        return [self._dyed(line[: columns - 1].rstrip(), DIM) for line in lines]


def has_room() -> bool:
    """Whether a file can still be written where results lie, as far as the file system says."""
    with suppress(OSError):
        disk = os.statvfs(RESULTS)
        return disk.f_bavail > 0 and (disk.f_favail > 0 or not disk.f_files)
    return True


def counted(words: Iterable[str]) -> str:
    """Words with how often each comes, the most frequent first."""
    return ", ".join(f"{count} {word}" for word, count in Counter(words).most_common())


def summary(run: Run, past: Past, interrupted: bool = False) -> list[str]:
    """What a run made, what failed, and how long it took against the last time."""
    finished, failed = run.those("finished"), run.those("failed")
    cached = sum(job.cached for job in finished)
    taken = f" ({len(finished) - cached} computed, {cached} taken from the cache)" if cached else ""
    took = f"{format_duration(run.ended - run.begun)}{_against(run, past)}"
    lines = [f"{len(finished)} of {len(run.jobs)} jobs done{taken} in {took}"]
    for job in failed:
        lines.append(f"  failed: {job.title}, {job.log}")
    if lost := run.lost():
        lines.append(f"  not made, since they read what failed: {len(lost)}")
    if failed:
        lines.append("  python -m advgen so-far  writes a report of what was made")
    if interrupted:
        lines.append("Interrupted: the same command goes on from here.")
    return lines


def flagged(run: Run) -> list[str]:
    """The checks with a warning, if a run has judged them."""
    judged = [job for job in run.those("finished") if job.rule == "qa"]
    if not judged or not VERDICT.is_file():
        return []
    lines = VERDICT.read_text().splitlines()
    warnings = [line.removeprefix("- ").replace(": warning. ", ": ") for line in lines if "): warning. " in line]
    more = [f"  and {len(warnings) - 5} more in {VERDICT}"] if len(warnings) > 5 else []
    return [f"Flagged: {lines[0].removeprefix('# ')}", *(f"  {line}" for line in warnings[:5]), *more]


def _against(run: Run, past: Past) -> str:
    """The work of the jobs that an earlier run computed, too, beside what they took there."""
    known = [job for job in run.those("finished") if not job.cached and job.log in past.seconds]
    if not known:
        return ""
    now, then = sum(job.seconds for job in known), sum(past.seconds[job.log] for job in known)
    which = "they" if len(known) == len(run.jobs) else f"{len(known)} of them"
    return f"; {which} took {format_duration(now)} of work, {format_duration(then)} the last time"


class Ticker(threading.Thread):
    """Calls a function every second until the process ends."""

    def __init__(self, call: Callable[[], None]):
        super().__init__(daemon=True)
        self.call = call

    def run(self) -> None:
        while True:
            time.sleep(1)
            self.call()
