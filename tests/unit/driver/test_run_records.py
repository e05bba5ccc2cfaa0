"""What is known of a run from its record, how long it still takes, and what the past says."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from tests.project import ROOT

from advgen.core.catalog import RULES
from advgen.driver import estimates, run_records
from advgen.driver.estimates import DEFAULTS, History, estimate_remaining
from advgen.driver.plan import build
from advgen.driver.run_records import (
    DEAD_SECONDS,
    JobState,
    RecordWriter,
    Run,
    list_records,
    read_error,
    read_progress,
    read_record,
    was_cached,
)
from advgen.study.load import load_file


def log(name: str) -> str:
    return f"results/logs/{name}.log"


def begun(*jobs: tuple[str, int, tuple[str, ...]], cores: int = 2, gpus: int | None = None, at: float = 0.0) -> Any:
    told = [{"log": log(name), "gpu": gpu, "after": [log(one) for one in after]} for name, gpu, after in jobs]
    facts = {"cores": cores, "gpus": gpus, "process": os.getpid(), "host": socket.gethostname(), "study": "s.yaml"}
    return {"event": "begun", "at": at, "jobs": told, **facts}


def event(what: str, name: str, at: float, **facts: Any) -> Any:
    return {"event": what, "log": log(name), "at": at, **facts}


def past(**seconds: float) -> History:
    found = History()
    found.seconds = {log(name.replace("_of_", "/")): one for name, one in seconds.items()}
    return found


def test_a_run_is_what_its_events_say() -> None:
    run = Run()
    run.apply(begun(("train/a", 1, ()), ("craft/a", 1, ("train/a",)), ("qa/qa", 0, ("craft/a",))))
    assert [job.title for job in run.jobs_in("waiting")] == ["train a", "craft a", "qa"]
    run.apply(event("started", "train/a", 10.0))
    assert (run.counts["running"], run.counts["waiting"]) == (1, 2)
    run.apply(event("failed", "train/a", 12.5))
    assert run.jobs[log("train/a")].seconds == 2.5
    assert run.find_blocked() == {log("craft/a"), log("qa/qa")}
    run.apply(event("started", "train/a", 20.0))  # its next turn, on a cluster
    assert not run.find_blocked()
    run.apply(event("finished", "train/a", 25.0, cached=True))
    assert run.jobs[log("train/a")].cached
    assert run.counts["finished"] == 1 and run.counts["running"] == run.counts["failed"] == 0
    run.apply({"event": "ended", "at": 30.0})
    assert run.ended == 30.0


@pytest.mark.parametrize(
    ("cores", "gpus", "wanted"),
    [(1, None, 60.0), (2, None, 30.0), (3, None, 30.0), (3, 1, 50.0), (9, 0, 10.0)],
)
def test_jobs_are_laid_on_cores_and_gpus(cores: int, gpus: int | None, wanted: float) -> None:
    """Three trainings of 10 s that want a GPU, something of 10 s beside them, and two that wait for the first."""
    run, known = Run(), past(a_of_1=10, a_of_2=10, a_of_3=10, b_of_1=10, c_of_1=10, c_of_2=10)
    jobs = [("a/1", 1, ()), ("a/2", 1, ()), ("a/3", 1, ()), ("b/1", 0, ())]
    chain = [("c/1", 1, ("a/1",)), ("c/2", 0, ("c/1",))]
    run.apply(begun(*jobs, *chain, cores=cores, gpus=gpus))
    assert estimate_remaining(run, known, 0.0) == wanted


def test_what_runs_counts_for_what_is_left_of_it_and_what_is_lost_not_at_all(tmp_path: Path) -> None:
    run, known = Run(), past(a_of_1=30, b_of_1=100, c_of_1=7)
    run.apply(begun(("a/1", 0, ()), ("b/1", 0, ("c/1",)), ("c/1", 0, ())))
    run.apply(event("started", "a/1", 0.0))
    run.apply(event("started", "c/1", 0.0))
    run.apply(event("failed", "c/1", 1.0))
    assert estimate_remaining(run, known, 10.0) == 20.0
    assert estimate_remaining(run, known, 29.999) == pytest.approx(2.9999)  # overdue soon: a tenth of what it has taken


def test_the_pace_of_today_and_the_cache_count() -> None:
    run, known = Run(), past(a_of_1=50, a_of_2=50, a_of_3=50)
    run.apply(begun(("a/1", 0, ()), ("a/2", 0, ()), ("a/3", 0, ()), cores=1))
    run.apply(event("started", "a/1", 0.0))
    run.apply(event("finished", "a/1", 100.0))
    assert estimate_remaining(run, known, 100.0) == pytest.approx(
        2 * 50 * 110 / 60
    )  # ten expected seconds, then twice as slow
    run.jobs[log("a/1")].cached = True
    assert estimate_remaining(run, known, 100.0) == 2 * estimates.CACHED_SECONDS


def test_what_a_job_says_of_itself_counts_more_than_the_past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run, known = Run(), past(a_of_1=30)
    run.apply(begun(("a/1", 0, ())))
    run.apply(event("started", "a/1", 0.0))
    Path(log("a/1")).parent.mkdir(parents=True)
    Path(log("a/1")).write_text("warming up\na results/x: 5/10 (50%)  loss 0.3  1:05 left\nUserWarning: so: what\n")
    assert read_progress(log("a/1")) == ("5/10 (50%)  loss 0.3", 65.0)
    assert estimate_remaining(run, known, 1.0) == 65.0
    Path(log("a/1")).write_text("results/x: waits for another process that makes it\n")
    assert read_progress(log("a/1")) == ("waits for another process that makes it", None)
    Path(log("a/1")).write_text("waits for a free GPU: all 2 of this machine are taken\n")
    assert read_progress(log("a/1"))[0] == "waits for a free GPU: all 2 of this machine are taken"
    assert read_progress(log("a/2")) == ("", None)


def test_of_progress_a_failure_shows_the_latest_line_alone(tmp_path: Path) -> None:
    path = tmp_path / "one.log"
    path.write_text("begins\n" + "".join(f"a b: {step}/90 ({step}%)  0:10 left\n" for step in range(90)) + "breaks\n")
    assert read_error(str(path)) == ["begins", "a b: 89/90 (89%)  0:10 left", "breaks"]
    assert not was_cached(str(path))
    path.write_text("craft results/x: result reused from the cache in results/cache\n")
    assert was_cached(str(path))


def test_the_past_is_the_newest_time_of_a_job_then_its_rules_then_what_was_shipped() -> None:
    old, new = Run(), Run()
    for run, seconds, cached in ((old, 10.0, False), (new, 20.0, False), (Run(), 1.0, True)):
        run.apply(event("started", "craft/a", 0.0))
        run.apply(event("finished", "craft/a", seconds, cached=cached))
    found = History([old, new])
    assert found.expect(log("craft/a")) == 20.0
    assert found.expect(log("craft/other")) == 20.0
    assert found.expect(log("train_gan/x")) == json.loads(DEFAULTS.read_text())["train_gan"]
    assert found.expect(log("of_a_user/x")) == estimates.UNKNOWN_SECONDS
    shipped = json.loads(DEFAULTS.read_text())
    assert shipped.keys() == {job.rule for job in build(load_file(ROOT / "config/config.yaml")).jobs} <= RULES.keys()


def test_another_study_tells_nothing() -> None:
    run = Run()
    run.apply(event("begun", "", 0.0) | {"study": "tiny.yaml", "jobs": []})
    run.apply(event("started", "craft/a", 0.0))
    run.apply(event("finished", "craft/a", 0.001))
    assert History([run], "tiny.yaml").expect(log("craft/a")) == 0.001
    assert History([run], "large.yaml").expect(log("craft/a")) == json.loads(DEFAULTS.read_text())["craft"]


def test_records_are_read_back_even_half_written_and_old_ones_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    record = RecordWriter()
    record.write(begun(("a/1", 0, ())))
    record.write(event("started", "a/1", 1.0))
    with record.path.open("a") as file:
        file.write('{"event": "finis')
    run = read_record(record.path)
    assert run.jobs == {log("a/1"): JobState(log("a/1"), state="running", started=1.0)}
    monkeypatch.setattr(run_records, "MAX_BYTES", record.path.stat().st_size + 5)
    for number in range(9):
        (run_records.FOLDER / f"20000101T00000{number}.jsonl").write_text("..")
    RecordWriter().write({"event": "ended", "at": 1.0})
    assert [path.stem for path in list_records()[:3]] == ["20000101T000007", "20000101T000008", record.path.stem]
    assert len(list_records()) == 4


def test_a_driver_lives_while_its_process_does_or_elsewhere_while_it_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    record = RecordWriter()
    record.write(begun(("a/1", 0, ())))
    run, now = read_record(record.path), record.path.stat().st_mtime
    assert run.is_alive(now) and not run.is_alive(now + 2 * DEAD_SECONDS)
    record.update_heartbeat(now + 2 * DEAD_SECONDS)
    assert record.path.stat().st_mtime >= now
    run.facts["process"] = 2**22 + 1  # more than there can be
    assert not run.is_alive(now)
    run.facts["host"] = "elsewhere"
    assert run.is_alive(now) and not run.is_alive(now + 2 * DEAD_SECONDS)
    run.ended = now
    assert not run.is_alive(now)
