"""Progress lines, saved state, the command line's errors, the lock."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from advgen import cli
from advgen.cli import main
from advgen.jobs import progress as progress_lines
from advgen.jobs import saved_state
from advgen.jobs.job import Job
from advgen.jobs.progress import Progress, format_duration, parse_duration
from advgen.jobs.saved_state import SavedState
from advgen.outcomes.sanity.outcome import Qa
from advgen.outcomes.verify.outcome import Verify


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Job[Qa]]:
    monkeypatch.chdir(tmp_path)
    Path("in.txt").write_text("input")
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield Job("qa", Qa(), "code", {"sanity_checks": [Path("in.txt")]}, {"out": [Path("out.txt")]})
    for number, handler in before.items():
        signal.signal(number, handler)


def test_progress_is_sparse_whole_lines_with_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(progress_lines.time, "monotonic", lambda: now)
    progress = Progress("work")
    for step in range(1, 101):
        now += 1.0
        progress(step, 100, {"loss": 0.5})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 20
    assert lines[0] == "work: 5/100 (5%)  loss 0.5  1:35 left"
    assert lines[-1].endswith("0:00 left")
    now += 10
    progress(100, 100, {"loss": 0.5, "accuracy": float("nan")})
    assert capsys.readouterr().out == "work: 100/100 (100%)  loss 0.5  0:00 left\n"


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (65, "1:05"), (7800, "2:10:00")])
def test_durations_are_formatted_and_parsed(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
    assert parse_duration(text) == seconds


@pytest.fixture
def save_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_state, "SAVE_SECONDS", 0.0)


def save(job: Job[Any], step: int = 1) -> SavedState:
    """Save a state with one number."""
    state = SavedState(job)
    state.save(lambda: {"step": torch.tensor(step)})
    return state


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_state_is_saved_at_intervals_and_at_once_after_a_signal(
    number: signal.Signals, job: Job[Qa], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.getsignal(number)
    saved = save(job)
    assert not saved.path.exists()
    monkeypatch.setattr(saved_state, "SAVE_SECONDS", 0.0)
    saved.save(lambda: {"step": torch.tensor(2)})
    assert saved.load()["step"] == 2  # type: ignore[index]
    monkeypatch.setattr(saved_state, "SAVE_SECONDS", 1e9)
    signal.raise_signal(number)
    with pytest.raises(SystemExit, match=f"stopped by {number.name}, state saved"):
        saved.save(lambda: {"step": torch.tensor(3)})
    assert saved.load()["step"] == 3  # type: ignore[index]
    saved.delete()
    assert signal.getsignal(number) == before


@pytest.mark.parametrize("change", ["nothing", "input", "code", "spec", "threads"])
@pytest.mark.usefixtures("save_often")
def test_a_state_is_loaded_only_by_an_equal_job(change: str, job: Job[Qa], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    save(job)
    if change == "input":
        Path("in.txt").write_text("changed")
    monkeypatch.setenv("OMP_NUM_THREADS", "1" if change == "threads" else "2")
    spec = Verify(study="x") if change == "spec" else job.spec
    other: Job[Any] = Job(job.command, spec, "other" if change == "code" else job.code, job.inputs, job.outputs)
    assert (SavedState(other).load() is not None) == (change == "nothing")
    other.finish()
    assert list(Path("results/state").iterdir()) == []


@pytest.mark.usefixtures("save_often")
def test_a_state_that_a_killed_run_wrote_in_part_is_deleted(job: Job[Qa]) -> None:
    saved = save(job)
    half = saved.path.with_name(f".{saved.path.stem}.partial.xyz.safetensors")
    half.write_bytes(saved.path.read_bytes()[:-1])
    other = saved.path.with_name(".another.partial.xyz.safetensors")
    other.touch()
    state = SavedState(job).load()
    assert state is not None and state["step"] == 1
    assert set(saved.path.parent.iterdir()) == {saved.path, other}


def on(device: str, job: Job[Qa], monkeypatch: pytest.MonkeyPatch) -> Job[Qa]:
    """The same job on another device."""
    monkeypatch.setattr("advgen.io.devices.device_name", lambda _: device)
    return Job(job.command, job.spec, job.code, job.inputs, job.outputs)


@pytest.mark.usefixtures("save_often")
def test_a_state_of_another_model_is_taken_with_a_warning_and_the_stamp_names_both(
    job: Job[Qa], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Qa, "torch", True)
    save(on("GPU A", job, monkeypatch))
    second = on("GPU B", job, monkeypatch)
    assert second.stamp.device == "GPU B"  # as the cache asks for it before anything is loaded
    saved = SavedState(second)
    assert saved.load() is not None
    assert (
        "continues on GPU B from a state saved on GPU A: the result may differ in its last bits"
        in capsys.readouterr().out
    )
    assert second.stamp.device == "GPU A, GPU B"
    saved.save(lambda: {"step": torch.tensor(2)})
    third = on("GPU B", job, monkeypatch)
    assert SavedState(third).load() is not None
    assert "continues from a saved state" in capsys.readouterr().out
    assert third.stamp.device == "GPU A, GPU B"


@pytest.mark.usefixtures("save_often")
@pytest.mark.parametrize(("one", "other"), [("cpu AVX2", "GPU A"), ("GPU A", "cpu AVX2")])
def test_a_state_of_a_cpu_is_not_continued_on_a_gpu(
    one: str, other: str, job: Job[Qa], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save(on(one, job, monkeypatch))
    refused = on(other, job, monkeypatch)
    assert SavedState(refused).load() is None
    assert f"ignores a state saved on {one}, since this is {other}; starts again" in capsys.readouterr().out
    assert refused.previous_devices == ""


def test_stamp_has_relative_paths_only(job: Job[Qa]) -> None:
    absolute = Job(
        "qa", Qa(), "code", {"sanity_checks": [Path("in.txt").absolute()]}, {"out": [Path("out.txt").absolute()]}
    )
    assert absolute.stamp == job.stamp
    assert str(Path.cwd()) not in job.stamp.to_json()


def advgen(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "advgen", *arguments], cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["trace", "nothing.parquet"], "nothing.parquet: no such file"),
        (["qa", "--checks", "nothing.parquet", "--spec", "{}", "--out", "x"], "--checks nothing.parquet: no such file"),
        (["qa", "--checks", "bad.parquet", "--spec", "{}", "--out", "x"], "cannot be read as Parquet"),
        (["qa", "--checks", "bad.parquet", "--spec", "{", "--out", "x"], "--spec: "),
        (["summarise", "--tables", "bad.parquet", "--spec", '{"tabel":"x"}', "--out", "x"], "--spec: "),
        (["plan", "nothing.yaml"], "nothing.yaml: no such study"),
    ],
)
def test_mistakes_end_in_one_line(arguments: list[str], expected: str, tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_text("nonsense")
    result = advgen(*arguments, folder=tmp_path)
    assert result.returncode == 1
    assert expected in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_help_teaches(tmp_path: Path) -> None:
    text = advgen("--help", folder=tmp_path).stdout
    assert "trace" in text
    assert "Attack one source model with one attack." in text
    assert re.search(r"keys:.*attack", advgen("craft", "--help", folder=tmp_path).stdout, flags=re.DOTALL)


@pytest.mark.parametrize(
    "error",
    [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("can't allocate memory: 8 bytes")],
)
def test_out_of_memory_is_one_line(error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(job: object) -> None:
        raise error

    monkeypatch.chdir(tmp_path)
    Path("in.txt").touch()
    monkeypatch.setattr("advgen.outcomes.sanity.verdict.run", fail)
    with pytest.raises(SystemExit, match="out of memory; give the job more"):
        cli.main(["qa", "--checks", "in.txt", "--spec", "{}", "--out", "x"])


def test_one_process_at_a_time_makes_an_artefact(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from advgen.jobs.run import sole_writer\n"
        "with sole_writer({'out': [Path('a.parquet')]}):\n"
        "    print('in', time.monotonic(), flush=True); time.sleep(0.6); print('out', time.monotonic(), flush=True)"
    )
    (tmp_path / ".a.partial.xyz.parquet").touch()
    both = [
        subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    spans = []
    for process in both:
        lines = [line.split() for line in process.communicate()[0].splitlines()]
        spans.append(sorted(float(line[1]) for line in lines if line[0] in ("in", "out")))
    first, second = sorted(spans)
    assert first[1] <= second[0]
    assert not list(tmp_path.glob(".a.*"))


@pytest.mark.parametrize(
    "error",
    [
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        ImportError("libc10.so: cannot allocate memory in static TLS block"),
        OSError("/lib/libgomp.so: failed to map segment from shared object"),
    ],
)
def test_too_little_address_space_is_one_line(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr("advgen.commands.plan.run", fail)
    with pytest.raises(SystemExit) as caught:
        main(["plan"])
    assert str(caught.value.code).startswith("advgen plan: out of memory; give the job more")


def test_the_old_module_of_jobs_still_works() -> None:
    from advgen.io import jobs

    with pytest.warns(DeprecationWarning, match=r"advgen.io.jobs.Job is deprecated .* use advgen.jobs.job.Job$"):
        assert jobs.Job is Job
    with pytest.raises(AttributeError, match="no attribute 'clock'"):
        jobs.__getattr__("clock")
