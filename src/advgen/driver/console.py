"""The console output of a run: one line per finished job, failures with their log, and on a terminal a live block.

Snakemake's own output, with every job's command and reason, is in the full log below .snakemake/log.
"""

import os
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from errno import ENOSPC
from logging import LogRecord
from pathlib import Path
from typing import Any, TextIO

from advgen.core.paths import RESULTS
from advgen.driver.estimates import History, estimate_remaining
from advgen.driver.run_records import JobState, RecordWriter, Run, read_error, read_progress, read_records, was_cached
from advgen.driver.snakemake_adapter import Event, EventReader, Kind
from advgen.files.provenance import DISK_FULL_ADVICE, DISK_FULL_ERRORS
from advgen.jobs.progress import format_duration

MAX_SILENCE = 60.0
"""Without a terminal: after so many seconds without a line, one lists the running jobs."""
VERDICT = Path(RESULTS) / "report" / "qa.md"
MAX_WARNINGS = 5

FULL_DISK = re.compile(rf"({'|'.join(map(os.strerror, DISK_FULL_ERRORS))})(?:: '([^'\n]*)')?")
"""How an error message says that the disk is full, and for which file."""

RED, YELLOW, DIM = "31", "33", "2"


class Console:
    """Prints the events of a run to a stream and writes its record.

    `quiet` has the values of Snakemake's `--quiet`; `silent` prints nothing and only writes the record.
    """

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
        self.reader, self.run, self.history = EventReader(), Run(), History()
        self.record: RecordWriter | None = None
        self.logs: dict[int, str] = {}
        self.counts: Mapping[str, int] = {}
        self.planned: list[tuple[JobState, str]] = []
        self.farewell = self.full_log = self.full_disk = ""
        self.interrupted = self.closed = False
        self.block_height = self.title_width = 0
        self.last_print = now()
        self.remaining = self.estimated_at = 0.0

    def handle(self, record: LogRecord) -> None:
        """Print what one record of Snakemake's logger reports."""
        if event := self.reader.read(record):
            self._show(event)

    def _show(self, event: Event) -> None:
        match event.kind:
            case Kind.RUN_PLANNED:
                self._begin(event.facts)
            case Kind.FAREWELL:
                self.farewell = event.text
            case Kind.JOB_COUNTS:
                self.counts = event.facts
            case Kind.JOB_STARTED:
                self._start_job(event)
            case Kind.JOB_FINISHED:
                self._finish_job(self.logs.get(event.job))
            case Kind.JOB_FAILED:
                self._fail_job(event)
            case Kind.PROBLEM:
                self._print_problem(event)
            case Kind.LOG_FILE:
                self.full_log = event.text
            case Kind.INTERRUPTED | Kind.REMARK:
                self.interrupted |= event.kind is Kind.INTERRUPTED
                self._print_remark(event.text)

    def _begin(self, facts: Mapping[str, Any]) -> None:
        self.history = History(read_records(), facts["study"])
        self.record = RecordWriter()
        self.run.path = self.record.path
        self._event("begun", process=os.getpid(), host=socket.gethostname(), **facts)
        self.title_width = min(max((len(job.title) for job in self.run.jobs.values()), default=0), 60)
        if "all" not in self.quiet and facts["jobs"]:
            remaining = format_duration(estimate_remaining(self.run, self.history, self.now()))
            causes = count_words(job["cause"] for job in facts["jobs"])
            self.print(f"{plural(len(facts['jobs']), 'job')} to run, about {remaining}: {causes}")

    def _start_job(self, event: Event) -> None:
        if not event.logs:  # the rules all, figures and cv
            return
        log = event.logs[0]
        self.logs[event.job] = log
        if self.dryrun:
            self.planned.append((JobState(log), event.cause))
        else:
            self._event("started", log=log)

    def _finish_job(self, log: str | None) -> None:
        if log is None or self.dryrun:
            return
        self._event("finished", log=log, cached=was_cached(log))
        job = self.run.jobs[log]
        if not self.quiet:
            seconds = "cache" if job.cached else format_duration(job.seconds)
            remaining = "" if self.live else f"  {self._format_remaining()}"
            self.print(f"{self._count()}  {job.title:<{self.title_width}}  {seconds:>7}{remaining}")

    def _fail_job(self, event: Event) -> None:
        log = event.logs[0] if event.logs else ""
        self._event("failed", log=log)
        job = self.run.jobs[log]
        self.print(self._colour(f"FAILED {job.title} after {format_duration(job.seconds)}", RED))
        for path in event.logs:
            lines = read_error(path)
            self.print(*(f"    {line}" for line in lines))
            self._note_full_disk("\n".join(lines))
        if not has_disk_space():
            self._note_full_disk(os.strerror(ENOSPC))
        self.print(f"  log:      {' '.join(event.logs)}", f"  command:  {event.command}")
        for name, value in event.facts.items():
            self.print(f"  {name}: {value}")

    def _print_problem(self, event: Event) -> None:
        if not self._note_full_disk(event.text):  # a full disk is reported once, at the end
            colour = RED if event.is_error else YELLOW
            self.print(*(self._colour(line, colour) for line in event.text.splitlines()))

    def _note_full_disk(self, text: str) -> bool:
        match = FULL_DISK.search(text)
        if match and not self.full_disk:
            self.full_disk = ": ".join(filter(None, (match[2], match[1])))
        return match is not None

    def _print_remark(self, text: str) -> None:
        if "all" not in self.quiet:
            self.print(text)

    def _print_dry_run(self) -> None:
        width = max((len(job.title) for job, _ in self.planned), default=0)
        if not self.quiet:
            self.print(*(f"{job.title:<{width}}  {cause}" for job, cause in self.planned), "")
        width = max(map(len, self.counts), default=0)
        self.print(*(f"{rule:<{width}} {count:>6}" for rule, count in self.counts.items()))
        if causes := count_words(cause for _, cause in self.planned):
            self.print("", f"{plural(len(self.planned), 'job')} would run: {causes}")
        self.print("Dry run: nothing was changed. Add --logger-advgen-plain to see each job's files and command.")

    def close(self) -> None:
        """Print the summary; called when no more records come."""
        if self.closed:
            return
        self.closed = True
        self._erase_block()
        if self.dryrun and self.counts:
            self._print_dry_run()
        if self.run.facts:
            self._event("ended")
        if self.run.facts and "all" not in self.quiet:
            self.print(*summarise(self.run, self.history, self.interrupted), *find_warnings(self.run))
            if not self.full_disk or self.full_log:  # with a full disk there may be no log
                self.print(self.farewell or f"Full log with all commands: {self.full_log}")
        if self.full_disk:
            self.print(self._colour(f"{self.full_disk}; {DISK_FULL_ADVICE}", RED))

    def tick(self) -> None:
        """Update the heartbeat and the live block; without a terminal, print a line after a long silence."""
        if self.closed or not self.run.facts:
            return
        if self.record:
            self.record.update_heartbeat(self.now())
        if self.live:
            self.print()
        elif not self.quiet and self.now() - self.last_print > MAX_SILENCE:
            running = self.run.jobs_in("running")
            titles = [f"{job.title} {read_progress(job.log).text.partition('  ')[0]}".rstrip() for job in running[:3]]
            more = f" and {len(running) - 3} more" if len(running) > 3 else ""
            self.print(f"{self._count()}  running: {'; '.join(titles)}{more}  {self._format_remaining()}")

    def estimate_remaining(self) -> float:
        """Return the remaining seconds; the estimate is updated once a second, in large studies less often."""
        now = self.now()
        if now - self.estimated_at > 1 + len(self.run.jobs) / 200:
            self.remaining, self.estimated_at = estimate_remaining(self.run, self.history, now), now
        return max(self.remaining - (now - self.estimated_at), 0.0)

    def _format_remaining(self) -> str:
        return f"{format_duration(self.estimate_remaining())} left"

    def _event(self, kind: str, **facts: Any) -> None:
        event = {"event": kind, "at": round(self.now(), 2), **facts}
        self.run.apply(event)
        if kind == "finished":
            event["left"] = round(self.estimate_remaining(), 1)  # recorded to measure the quality of estimates
        if self.record:
            self.record.write(event)

    def _count(self) -> str:
        total = str(len(self.run.jobs))
        return f"{self.run.counts['finished']:>{len(total)}}/{total}"

    def _colour(self, text: str, colour: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if self.colour else text

    def print(self, *lines: str) -> None:
        """Print whole lines, above the live block if there is one, and draw the block again."""
        if self.silent:
            return
        self.last_print = self.now()
        block = self._build_block() if self.live and not self.closed else []
        erase = f"\033[{self.block_height}F\033[J" if self.block_height else ""
        self.block_height = len(block)
        try:
            self.stream.write(erase + "".join(f"{line}\n" for line in [*lines, *block]))
            self.stream.flush()
        except (OSError, ValueError) as error:  # a closed pipe or a full disk must not end the run
            self.silent = getattr(error, "errno", None) not in DISK_FULL_ERRORS

    def _erase_block(self) -> None:
        if self.block_height:
            self.live = False
            self.print()

    def _build_block(self) -> list[str]:
        if not self.run.jobs:
            return []
        columns = rows = 0
        with suppress(OSError, ValueError):
            columns, rows = os.get_terminal_size(self.stream.fileno())
        columns, rows = columns or 80, rows or 24  # some terminals report 0
        running = self.run.jobs_in("running")
        failed = f", {self.run.counts['failed']} failed" if self.run.counts["failed"] else ""
        lines = [f"{self._count()} done{failed}, {len(running)} running, {self._format_remaining()}"]
        width = max((len(job.title) for job in running), default=0)
        for job in running[: max(rows - 4, 1)]:
            elapsed = format_duration(self.now() - job.started)
            lines.append(f"  {job.title:<{width}}  {elapsed:>7}  {read_progress(job.log).text}")
        return [self._colour(line[: columns - 1].rstrip(), DIM) for line in lines]


def has_disk_space() -> bool:
    """Whether the file system of results/ can hold another file; True if it cannot be found out."""
    with suppress(OSError):
        disk = os.statvfs(RESULTS)
        return disk.f_bavail > 0 and (disk.f_favail > 0 or not disk.f_files)
    return True


def plural(count: int, noun: str) -> str:
    """Return "1 job" or "2 jobs"."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def count_words(words: Iterable[str]) -> str:
    """Return words with their counts, the most frequent first: "3 missing, 1 interrupted"."""
    return ", ".join(f"{count} {word}" for word, count in Counter(words).most_common())


def summarise(run: Run, history: History, interrupted: bool = False) -> list[str]:
    """Return lines on what a run computed, what failed, and how its time compares with earlier runs."""
    finished, failed = run.jobs_in("finished"), run.jobs_in("failed")
    cached = sum(job.cached for job in finished)
    split = f" ({len(finished) - cached} computed, {cached} from the cache)" if cached else ""
    time = f"{format_duration(run.ended - run.begun)}{_compare_times(run, history)}"
    lines = [f"{len(finished)} of {len(run.jobs)} jobs done{split} in {time}"]
    lines += [f"  failed: {job.title}, {job.log}" for job in failed]
    if blocked := run.find_blocked():
        lines.append(f"  not run because an input failed: {len(blocked)}")
    if failed:
        lines.append("  python -m advgen so-far  writes a report of the finished part")
    if interrupted:
        lines.append("Interrupted. Run the same command again to continue.")
    return lines


def find_warnings(run: Run) -> list[str]:
    """Return the sanity checks with a warning, if this run has made them."""
    if not any(job.rule == "qa" for job in run.jobs_in("finished")) or not VERDICT.is_file():
        return []
    lines = VERDICT.read_text().splitlines()
    warnings = [line.removeprefix("- ").replace(": warning. ", ": ") for line in lines if "): warning. " in line]
    more = len(warnings) - MAX_WARNINGS
    return [
        f"Sanity checks: {lines[0].removeprefix('# ')}",
        *(f"  {warning}" for warning in warnings[:MAX_WARNINGS]),
        *([f"  and {more} more in {VERDICT}"] if more > 0 else []),
    ]


def _compare_times(run: Run, history: History) -> str:
    """Return the total time of the jobs that an earlier run computed too, now and then."""
    known = [job for job in run.jobs_in("finished") if not job.cached and job.log in history.seconds]
    if not known:
        return ""
    now, then = sum(job.seconds for job in known), sum(history.seconds[job.log] for job in known)
    which = "job time" if len(known) == len(run.jobs) else f"time of {plural(len(known), 'job')}"
    return f"; total {which} {format_duration(now)}, before {format_duration(then)}"


class Ticker(threading.Thread):
    """Calls a function every second until the process ends."""

    def __init__(self, call: Callable[[], None]):
        super().__init__(daemon=True)
        self.call = call

    def run(self) -> None:
        while True:
            time.sleep(1)
            self.call()
