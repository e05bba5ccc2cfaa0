"""What is printed for Snakemake's events: through a pipe, on a terminal, quietly, and in a dry run."""

import io
import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from advgen.driver import console
from advgen.driver.console import Console
from advgen.driver.run_records import list_records
from advgen.files.provenance import DISK_FULL_ADVICE

JOBS = ["train_gan/dcgan/seed0", "craft/fc/seed0/pgd", "qa/qa"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1


class Watched:
    """A console in an empty folder with a clock that is set by hand."""

    def __init__(self, stream: io.StringIO | None = None, **options: Any):
        self.time = 0.0
        self.stream = stream or io.StringIO()
        self.console = Console(self.stream, now=lambda: self.time, **options)

    def tell(self, event: str | None = None, text: str = "", level: int = logging.INFO, **facts: Any) -> str:
        """Hand over one record; what was printed for it."""
        before = len(self.stream.getvalue())
        record = logging.LogRecord("snakemake", level, "", 0, text, None, None)
        record.__dict__.update(facts, **({"event": event} if event else {}))
        self.console.handle(record)
        return self.stream.getvalue()[before:]

    def begin(self, *jobs: str, cause: str = "missing") -> str:
        told = [{"log": f"results/logs/{job}.log", "gpu": 0, "after": [], "cause": cause} for job in jobs]
        self.tell("workflow_started")
        return self.tell(run_planned={"study": "s.yaml", "cores": 2, "gpus": None, "jobs": told})

    def start(self, job: str, number: int, said: str = "", **facts: Any) -> str:
        log = Path(f"results/logs/{job}.log")
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(said)
        return self.tell("job_info", jobid=number, log=[str(log)], reason="Missing output files: x", **facts)

    def finish(self, number: int) -> str:
        return self.tell("job_finished", job_id=number)

    def end(self) -> str:
        before = len(self.stream.getvalue())
        self.console.close()
        self.console.close()  # Snakemake does, too
        return self.stream.getvalue()[before:]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def ran(told: Watched, *, seconds: float = 12.0) -> None:
    """All three jobs, one after the other; the second comes from the cache."""
    told.begin(*JOBS)
    for number, job in enumerate(JOBS):
        told.start(job, number, "x y: result reused from the cache in results/cache\n" if number == 1 else "")
        told.time += seconds
        told.finish(number)


def test_a_whole_run_through_a_pipe() -> None:
    told = Watched()
    assert told.begin(*JOBS) == "3 jobs to run, about 1:47: 3 missing\n"
    assert told.tell("job_info", jobid=9, log=[], reason="") == ""  # rule all
    assert told.start(JOBS[0], 0) == ""
    told.time = 65.0
    assert told.finish(0) == "1/3  train_gan dcgan/seed0     1:05  0:04 left\n"
    assert told.finish(9) == ""
    told.start(JOBS[1], 1, "craft x: result reused from the cache in results/cache\n")
    told.time = 67.0
    assert told.finish(1).split() == ["2/3", "craft", "fc/seed0/pgd", "cache", "0:01", "left"]
    told.start(JOBS[2], 2)
    told.time = 69.0
    assert told.finish(2).split() == ["3/3", "qa", "0:02", "0:00", "left"]
    told.tell(None, "Results:\n  results/x", farewell=True)
    assert told.end().splitlines() == [
        "3 of 3 jobs done (2 computed, 1 from the cache) in 1:09",
        "Results:",
        "  results/x",
    ]


def test_the_next_run_knows_how_long_it_took_and_says_so() -> None:
    ran(Watched())
    told = Watched()
    assert "about 0:13" in told.begin(JOBS[0], JOBS[2]).replace("0:12", "0:13")
    told.start(JOBS[0], 0)
    told.start(JOBS[2], 1)
    told.time = 20.0
    told.finish(0)
    told.finish(1)
    assert told.end().startswith("2 of 2 jobs done in 0:20; total job time 0:40, before 0:24\n")


def test_checks_with_a_warning_are_flagged() -> None:
    told = Watched()
    ran(told)
    Path("results/report").mkdir()
    lines = ["- robust (cnn): holds. yes", *(f"- stronger (a{number}): warning. 3 < 4" for number in range(7))]
    Path("results/report/qa.md").write_text("\n".join(["# 8 checks, none failed, 7 with a warning", "", *lines]))
    said = told.end().splitlines()
    assert said[1:3] == ["Sanity checks: 8 checks, none failed, 7 with a warning", "  stronger (a0): 3 < 4"]
    assert said[7] == "  and 2 more in results/report/qa.md"


def test_a_failure_is_told_whole_and_again_at_the_end() -> None:
    told = Watched()
    told.begin(*JOBS)
    told.console.run.jobs["results/logs/qa/qa.log"].after = (f"results/logs/{JOBS[0]}.log",)
    told.start(JOBS[0], 0, "".join(f"line {number}\n" for number in range(20)))
    told.time = 3.0
    command = "python -m advgen train-gan --spec '{\"a\":\"b > c\"}' --out 'results/a b'"
    log = f"results/logs/{JOBS[0]}.log"
    noise = {"event": "error", "exception": "RuleException", "level": logging.ERROR}
    assert told.tell(text="RuleException:\nCalledProcessError in file x", **noise) == ""
    said = told.tell(
        "job_error", "Error", logging.ERROR, jobid=0, log=[log], shellcmd=f"{command} > {log} 2>&1", aux={"job": "77"}
    ).splitlines()
    assert said[0] == "FAILED train_gan dcgan/seed0 after 0:03"
    assert said[1:13] == [f"    line {number}" for number in range(8, 20)]
    assert said[13:] == [f"  log:      {log}", f"  command:  {command}", "  job: 77"]
    text = "WorkflowError:\nAt least one job did not complete successfully."
    assert told.tell("error", text, logging.ERROR, exception="WorkflowError") == ""
    told.tell(None, f"Complete log(s): {Path.cwd()}/.snakemake/log/x.log")
    assert told.end().splitlines() == [
        "0 of 3 jobs done in 0:03",
        f"  failed: train_gan dcgan/seed0, {log}",
        "  not run because an input failed: 1",
        "  python -m advgen so-far  writes a report of the finished part",
        "Full log with all commands: .snakemake/log/x.log",
    ]


def test_what_snakemake_says_by_the_way_is_left_out_and_its_warnings_are_not() -> None:
    told = Watched()
    assert told.tell(None, "Building DAG of jobs...") == ""
    assert told.tell(None, "Unlocked working directory.") == "Unlocked working directory.\n"  # --unlock
    told.tell("workflow_started")
    assert told.tell(None, "Using shell: /usr/bin/bash") == told.tell(None, "Select jobs to execute...") == ""
    assert told.tell(None, "Nothing to be done (all …).") == "Nothing to be done (all …).\n"
    assert told.tell(None, "no account\ngiven", logging.WARNING) == "no account\ngiven\n"
    assert told.tell("error", "IncompleteFilesException: x", logging.ERROR, exception="I") != ""
    assert told.end() == ""  # no run, no summary
    assert not list_records()


def test_interrupted() -> None:
    told = Watched()
    told.begin(*JOBS)
    assert told.tell(None, "Terminating processes on user request, this might take some time.") != ""
    assert "Interrupted. Run the same command again to continue." in told.end()


@pytest.mark.parametrize(
    ("quiet", "wanted"),
    [
        (
            ("progress", "rules"),
            "3 jobs to run|FAILED qa|  log:|  command:|2 of 3|  failed|  python -m advgen so-far|Full log",
        ),
        (("all",), "FAILED qa|  log:|  command:"),
    ],
)
def test_quiet(quiet: tuple[str, ...], wanted: str) -> None:
    told = Watched(quiet=quiet)
    ran(told)
    told.tell("job_error", level=logging.ERROR, jobid=2, log=["results/logs/qa/qa.log"], shellcmd="x", aux={})
    told.time += 1000
    told.console.tick()
    told.end()
    lines = told.stream.getvalue().splitlines()
    assert all(line.startswith(one) for line, one in zip(lines, wanted.split("|"), strict=True)), lines


def test_a_pipe_hears_of_long_jobs_once_a_minute() -> None:
    told = Watched()
    told.begin(*JOBS)
    told.start(JOBS[0], 0, "train-gan x: 5/10 (50%)  loss 0.3  1:00 left\n")
    for second in range(130):
        told.time = float(second)
        told.console.tick()
    lines = told.stream.getvalue().splitlines()[1:]
    assert len(lines) == 2 and lines[0] == "0/3  running: train_gan dcgan/seed0 5/10 (50%)  1:00 left"


def test_on_a_terminal_a_block_is_drawn_over_and_lines_go_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.os, "get_terminal_size", lambda *_: (40, 6))
    told = Watched(Terminal(), colour=False)
    names = [f"craft/source/seed0/attack{number}" for number in range(9)]
    told.begin(*names)
    for number, name in enumerate(names):
        told.start(name, number, "craft x: 5/10 (50%)  distance 0.123456  1:00 left\n")
    told.time = 4.0
    assert told.finish(0).startswith("\033[1F\033[J1/9  craft source/seed0/attack0     0:04\n1/9 done, 8 running, ")
    screen = shown(told.stream.getvalue())
    assert screen[-3].startswith("1/9 done, 8 running, 1:")
    assert len(screen) == 2 + 3 and all(len(line) < 40 for line in screen[-3:])  # no more than the window holds
    assert told.end().startswith("\033[3F\033[J1 of 9 jobs done in 0:04\n")
    assert not any("running" in line for line in shown(told.stream.getvalue()))


def shown(text: str) -> list[str]:
    """The lines that stay on a terminal."""
    lines: list[str] = []
    for part in text.split("\033["):
        up, over, rest = part.partition("F")
        if over and up.isdigit():
            del lines[-int(up) :]
        else:
            rest = part
        lines += rest.removeprefix("J").splitlines()
    return lines


@pytest.mark.parametrize(
    ("colour", "no_colour", "term", "dyed", "block"),
    [
        (True, None, "xterm", True, True),
        (False, None, "xterm", False, True),
        (True, "1", "xterm", False, True),
        (True, None, "dumb", False, False),
    ],
)
def test_colours_and_block(
    colour: bool, no_colour: str | None, term: str, dyed: bool, block: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", term)
    if no_colour:
        monkeypatch.setenv("NO_COLOR", no_colour)
    told = Watched(Terminal(), colour=colour)
    ran(told)
    text = told.stream.getvalue()
    assert ("\033[2m" in text, "\033[J" in text) == (dyed, block)
    assert ("\033[31m" in told.tell(None, "broken", logging.ERROR)) == dyed


def test_a_dry_run_lists_jobs_and_counts_causes() -> None:
    told = Watched(dryrun=True)
    told.tell("workflow_started")
    told.tell("run_info", stats={"craft": 1, "qa": 1, "all": 1, "total": 3})
    told.start(JOBS[1], 1)
    told.tell("job_info", jobid=2, log=["results/logs/qa/qa.log"], reason="Input files updated by another job: x")
    told.tell("job_finished", job_id=1)
    assert told.end().splitlines() == [
        "craft fc/seed0/pgd  missing",
        "qa                  inputs updated by another job",
        "",
        *["craft      1", "qa         1", "all        1", "total      3"],
        "",
        "2 jobs would run: 1 missing, 1 inputs updated by another job",
        "Dry run: nothing was changed. Add --logger-advgen-plain to see each job's files and command.",
    ]
    assert not list_records()


def test_who_reads_no_more_does_not_end_the_run() -> None:
    told = Watched(SimpleNamespace(isatty=lambda: False, write=_broken, getvalue=str))  # type: ignore[arg-type]
    ran(told)
    told.end()
    assert json.loads(list_records()[0].read_text().splitlines()[-1])["event"] == "ended"


def _broken(text: str) -> None:
    raise BrokenPipeError


def test_silence_keeps_the_record_alone() -> None:
    told = Watched(silent=True)
    ran(told)
    told.end()
    assert told.stream.getvalue() == ""
    events = [json.loads(line)["event"] for line in list_records()[0].read_text().splitlines()]
    assert events == ["begun", *["started", "finished"] * 3, "ended"]


def test_a_full_disk_ends_in_one_line_with_the_remedy() -> None:
    told = Watched()
    told.begin(*JOBS)
    told.start(JOBS[0], 0, "advgen train-gan: results/gans/x: No space left on device; free disk space and run again\n")
    told.tell("job_error", jobid=0, log=[f"results/logs/{JOBS[0]}.log"], shellcmd="", aux={})
    for trouble in (
        "Traceback (most recent call last):\n\nOSError: [Errno 28] No space left on device: 'results/logs/a.log'",
        "WorkflowError:\nError recording metadata ([Errno 28] No space left on device: '/x/metadata').",
        "OSError in file Snakefile, line 90:\n[Errno 122] Disk quota exceeded\n  File locking.py, line 36",
    ):
        assert told.tell("error", trouble, logging.ERROR, exception="OSError") == ""
    assert told.end().splitlines()[-1] == f"No space left on device; {DISK_FULL_ADVICE}"


def test_a_full_disk_before_there_are_jobs() -> None:
    told = Watched()
    told.tell("error", "OSError: [Errno 28] No space left on device: '.snakemake/shadow'", logging.ERROR)
    assert told.end() == f".snakemake/shadow: No space left on device; {DISK_FULL_ADVICE}\n"


def test_a_job_without_room_for_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Watched()
    told.begin(*JOBS)
    told.start(JOBS[0], 0)
    monkeypatch.setattr(console, "has_disk_space", lambda: False)
    told.tell("job_error", jobid=0, log=[f"results/logs/{JOBS[0]}.log"], shellcmd="", aux={})
    assert told.end().splitlines()[-1] == f"No space left on device; {DISK_FULL_ADVICE}"


def test_a_full_disk_where_the_output_goes_costs_only_lines() -> None:
    class Full(io.StringIO):
        full = True

        def write(self, text: str) -> int:
            if self.full:
                raise OSError(28, "No space left on device")
            return super().write(text)

    stream = Full()
    told = Watched(stream)
    assert told.begin(*JOBS) == ""
    stream.full = False
    assert "jobs done" in told.end()


def test_a_record_that_cannot_be_written_costs_only_the_record() -> None:
    Path(".snakemake").write_text("a file where the folder should be")
    told = Watched()
    assert told.begin(*JOBS).startswith("3 jobs to run")
    assert "0 of 3 jobs done" in told.end()
