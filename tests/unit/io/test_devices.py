"""GPU leases with two fake slots: never two jobs on one, free again however a job dies."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.project import ROOT

from advgen import cli
from advgen.driver.plan import build
from advgen.io import devices
from advgen.jobs import cache, run
from advgen.study.load import load_file

HOLD = "from advgen.io import devices; print(devices.lease(), flush=True); import time; time.sleep({seconds})"


def start(folder: Path, seconds: float, **extra: str) -> subprocess.Popen[str]:
    """A process that leases a slot and holds it."""
    kept = {name: value for name, value in os.environ.items() if name not in ("CUDA_VISIBLE_DEVICES", "SLURM_STEP_ID")}
    environment = {**kept, "ADVGEN_GPU_SLOTS": "0,1", "ADVGEN_LEASES": str(folder), **extra}
    code = HOLD.format(seconds=seconds)
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)


def slot(process: subprocess.Popen[str]) -> str:
    """What a process printed as its slot."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM])
def test_two_jobs_get_two_slots_and_a_third_waits(tmp_path: Path, death: signal.Signals) -> None:
    first, second = start(tmp_path, 60), start(tmp_path, 60)
    try:
        assert {slot(first), slot(second)} == {"0", "1"}
        third = start(tmp_path, 0)
        time.sleep(1)
        assert third.poll() is None
        first.send_signal(death)
        first.wait()
        assert slot(third) in {"0", "1"}
        assert third.wait(10) == 0
    finally:
        for process in (first, second):
            process.kill()
            process.wait()


def test_a_gpu_takes_as_many_jobs_as_it_is_told(tmp_path: Path) -> None:
    told = {"ADVGEN_JOBS_PER_GPU": "2"}
    held = []
    try:
        for expected in ({"0", "1"}, {"0", "1"}):  # both once before one of them again
            pair = [start(tmp_path, 60, **told) for _ in range(2)]
            held += pair
            assert {slot(process) for process in pair} == expected
        fifth = start(tmp_path, 0, **told)
        held.append(fifth)
        time.sleep(1)
        assert fifth.poll() is None
        held[0].kill()
        assert slot(fifth) in {"0", "1"}
        assert sorted(path.name for path in tmp_path.iterdir()) == ["0 (2).lock", "0.lock", "1 (2).lock", "1.lock"]
    finally:
        for process in held:
            process.kill()
            process.wait()


@pytest.mark.parametrize("told", ["two", "0", "-1", ""])
def test_jobs_on_a_gpu_are_a_number(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADVGEN_GPU_SLOTS", "0,1")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("ADVGEN_JOBS_PER_GPU", "3")
    assert devices.slots() == ["0", "1", "0", "1", "0", "1"]
    monkeypatch.setenv("ADVGEN_JOBS_PER_GPU", told)
    with pytest.raises(SystemExit, match=f"^ADVGEN_JOBS_PER_GPU={told}: "):
        devices.slots()


def test_a_job_that_asks_for_no_gpu_takes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADVGEN_GPU_SLOTS", "0")
    monkeypatch.setenv("ADVGEN_LEASES", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.use_deterministic_algorithms", lambda _: None)
    assert devices.prepare("a job", gpu=False) == "cpu"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("gpus", "kept", "told"), [("0", True, 1), ("0", False, 1), ("", True, 0), ("", False, 1)])
def test_a_job_chooses_its_device_once(
    gpus: str, kept: bool, told: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Before it asks for what is kept where there are GPUs, whose names are part of the question; else if it must."""
    job = build(load_file(ROOT / "tests/gpu/every.yaml")).of("train_classifier")[0]
    spec = json.dumps({**json.loads(job.spec), "tf32": True})
    given: list[Any] = []
    monkeypatch.chdir(tmp_path)
    Path("data").touch()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    monkeypatch.setattr(devices, "prepare", lambda *one: given.append(one) or "cpu")
    for module, name, answer in ((cache, "restore", kept), (cache, "store", None), (run, "compute", None)):
        monkeypatch.setattr(module, name, lambda job, answer=answer: answer)
    outputs = [word for flag in job.task.output_flags().values() for word in (f"--{flag}", flag)]
    cli.main([job.task.command, "--traceback", "--data", "data", *outputs, "--spec", spec])
    assert given == [("train-classifier out-model", True, True)] * told


def test_a_command_by_hand_uses_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    with pytest.raises(SystemExit, match="spec"):
        cli.main(["qa", "--out", "qa.md", "--spec", "no JSON"])
    assert os.environ["OMP_NUM_THREADS"] == "1"  # numpy reads it when it is imported
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    devices.use_one_thread()
    assert devices.thread_counts() == {"torch": 3, "blas": 3}


@pytest.mark.parametrize("value", ["0", "2,1", "many", ""])
def test_what_is_no_number_of_threads_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    with pytest.raises(ValueError, match=rf"^OMP_NUM_THREADS={value}: must be a whole number from 1 on; unset it"):
        devices.prepare(gpu=False)


def test_tests_use_no_gpu_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho GPU 0: one of this machine\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert devices.gpus() == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert devices.gpus() == ["0"]


def test_no_gpus_are_told_to_all_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    devices.limit_gpus(promising(1))
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"
    devices.limit_gpus(promising(0))
    assert devices.gpus() == []


def test_the_choice_of_others_is_respected(tmp_path: Path) -> None:
    for name in ("7", "GPU-8f2a", "MIG-11c0", ""):
        process = start(tmp_path, 0, CUDA_VISIBLE_DEVICES=name)
        assert slot(process) == name
        process.wait()
    process = start(tmp_path, 0, SLURM_STEP_ID="0")
    assert slot(process) == "None"
    process.wait()
    assert not list(tmp_path.iterdir())


def test_no_gpu_means_no_lease(tmp_path: Path) -> None:
    process = start(tmp_path, 0, ADVGEN_GPU_SLOTS="")
    assert slot(process) == "None"
    process.wait()


def test_a_job_that_waits_says_so(tmp_path: Path) -> None:
    first = start(tmp_path, 60, ADVGEN_GPU_SLOTS="0")
    try:
        assert slot(first) == "0"
        second = start(tmp_path, 0, ADVGEN_GPU_SLOTS="0")
        assert slot(second) == "waits for a free GPU: all 1 of this machine are taken"
    finally:
        first.kill()
        first.wait()
    assert slot(second) == "0"


def promising(count: int) -> SimpleNamespace:
    """As much of a Snakemake workflow as the warning looks at."""
    return SimpleNamespace(local_exec=True, global_resources={"gpu": SimpleNamespace(value=count)})


def test_more_gpus_promised_than_present_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ADVGEN_GPU_SLOTS", "0")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    devices.limit_gpus(promising(2))
    assert capsys.readouterr().err.startswith("--resources gpu=2, but this machine has 1")
    devices.limit_gpus(promising(1))
    monkeypatch.setenv("ADVGEN_GPU_SLOTS", "")
    devices.limit_gpus(promising(2))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("python", "local", "refused"),
    [
        ("/home/a b/.venv/bin/python", False, True),
        ("/home/$a/.venv/bin/python", False, True),
        ("/home/a b/.venv/bin/python", True, False),
        ("/home/müller-1/~x/.venv/bin/python3.11", False, False),
    ],
)
def test_a_python_that_a_job_script_cannot_call_is_refused(
    python: str, local: bool, refused: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(sys, "executable", python)
    monkeypatch.setattr(os, "_exit", ended.append)
    devices.refuse_unquoted_python(SimpleNamespace(local_exec=local))
    told = capsys.readouterr().err
    assert (ended, told.count("\n")) == (([1], 1) if refused else ([], 0))
    assert not refused or told.startswith(f"{python}: ")


def test_of_several_given_devices_each_job_takes_one(tmp_path: Path) -> None:
    pair = [start(tmp_path, 60, CUDA_VISIBLE_DEVICES="3,GPU-8f2a") for _ in range(2)]
    try:
        assert {slot(process) for process in pair} == {"3", "GPU-8f2a"}
    finally:
        for process in pair:
            process.kill()
            process.wait()


@pytest.mark.parametrize("told", [None, "avx2", "default"])
def test_the_cpus_capability_is_what_torch_says(told: str | None) -> None:
    environment = {**os.environ, **({"ATEN_CPU_CAPABILITY": told} if told else {})}
    code = "import sys; from advgen.io import devices; ours, slow = devices.cpu_capability(), 'torch' in sys.modules"
    code += "; import torch; print(ours == torch.backends.cpu.get_cpu_capability(), slow)"
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True).stdout.split()
    assert said[0] == "True"
    assert said[1] == "False" or told or platform.machine() != "x86_64"
