"""GPU leases with two fake slots: never two jobs on one, and free again however a job dies; threads and devices."""

import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.project import ROOT

from advgen import cli
from advgen.driver.plan import build
from advgen.io import devices
from advgen.jobs import cache, run
from advgen.study.load import load_file

HOLD = "from advgen.io import devices; print(devices.lease(), flush=True); import time; time.sleep({seconds})"
Lease = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def lease(tmp_path: Path) -> Iterator[Lease]:
    """Starts processes that lease a slot and hold it."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("CUDA_VISIBLE_DEVICES", "SLURM_STEP_ID")
    }
    environment |= {"ADVGEN_GPU_SLOTS": "0,1", "ADVGEN_LEASES": str(tmp_path)}
    processes: list[subprocess.Popen[str]] = []

    def start(seconds: float = 60, **variables: str) -> subprocess.Popen[str]:
        code = HOLD.format(seconds=seconds)
        command = [sys.executable, "-c", code]
        processes.append(subprocess.Popen(command, env=environment | variables, stdout=subprocess.PIPE, text=True))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


def slot(process: subprocess.Popen[str]) -> str:
    """What a process printed as its slot."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGTERM])
def test_two_jobs_get_two_slots_and_a_third_waits(lease: Lease, death: signal.Signals) -> None:
    first, second = lease(), lease()
    assert {slot(first), slot(second)} == {"0", "1"}
    third = lease(0)
    time.sleep(1)
    assert third.poll() is None
    first.send_signal(death)
    first.wait()
    assert slot(third) in {"0", "1"}
    assert third.wait(10) == 0


def test_several_jobs_share_a_gpu_if_the_environment_allows_it(lease: Lease, tmp_path: Path) -> None:
    variables = {"ADVGEN_JOBS_PER_GPU": "2"}
    pairs = []
    for _ in range(2):  # each GPU once before one of them twice
        pairs.append([lease(**variables) for _ in range(2)])
        assert {slot(process) for process in pairs[-1]} == {"0", "1"}
    fifth = lease(0, **variables)
    time.sleep(1)
    assert fifth.poll() is None
    pairs[0][0].kill()
    assert slot(fifth) in {"0", "1"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0 (2).lock", "0.lock", "1 (2).lock", "1.lock"]


@pytest.mark.parametrize("value", ["two", "0", "-1", ""])
def test_jobs_per_gpu_must_be_a_positive_number(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADVGEN_GPU_SLOTS", "0,1")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("ADVGEN_JOBS_PER_GPU", "3")
    assert devices.slots() == ["0", "1", "0", "1", "0", "1"]
    monkeypatch.setenv("ADVGEN_JOBS_PER_GPU", value)
    with pytest.raises(SystemExit, match=f"^ADVGEN_JOBS_PER_GPU={value}: "):
        devices.slots()


def test_a_job_without_gpu_leases_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADVGEN_GPU_SLOTS", "0")
    monkeypatch.setenv("ADVGEN_LEASES", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.use_deterministic_algorithms", lambda _: None)
    assert devices.prepare("a job", gpu=False) == "cpu"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("gpus", "cached", "times"), [("0", True, 1), ("0", False, 1), ("", True, 0), ("", False, 1)])
def test_a_job_prepares_its_device_at_most_once(
    gpus: str, cached: bool, times: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With GPUs before it looks for a cached result, which depends on the GPU's name; on a CPU only to compute."""
    job = build(load_file(ROOT / "tests/gpu/every.yaml")).jobs_of("train_classifier")[0]
    spec = json.dumps({**json.loads(job.spec), "tf32": True})
    prepared: list[Any] = []
    monkeypatch.chdir(tmp_path)
    Path("data").touch()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    monkeypatch.setattr(devices, "prepare", lambda *arguments: prepared.append(arguments) or "cpu")
    for module, name, answer in ((cache, "restore", cached), (cache, "store", None), (run, "compute", None)):
        monkeypatch.setattr(module, name, lambda job, answer=answer: answer)
    outputs = [word for flag in job.task.output_flags().values() for word in (f"--{flag}", flag)]
    cli.main([job.task.command, "--traceback", "--data", "data", *outputs, "--spec", spec])
    assert prepared == [("train-classifier out-model", True, True)] * times


def test_a_command_outside_a_workflow_uses_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    with pytest.raises(SystemExit, match="spec"):
        cli.main(["qa", "--out", "qa.md", "--spec", "no JSON"])
    assert os.environ["OMP_NUM_THREADS"] == "1"  # numpy reads it when it is imported
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    devices.use_one_thread()
    assert devices.thread_counts() == {"torch": 3, "blas": 3}


@pytest.mark.parametrize("value", ["0", "2,1", "many", ""])
def test_an_invalid_number_of_threads_is_an_error(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    with pytest.raises(ValueError, match=rf"^OMP_NUM_THREADS={value}: must be a whole number, 1 or greater; unset it"):
        devices.prepare(gpu=False)


def test_tests_use_no_gpu_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho GPU 0: one of this machine\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert devices.gpus() == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert devices.gpus() == ["0"]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        *(({"CUDA_VISIBLE_DEVICES": name}, name) for name in ("7", "GPU-8f2a", "MIG-11c0", "")),
        ({"SLURM_STEP_ID": "0"}, "None"),
        ({"ADVGEN_GPU_SLOTS": ""}, "None"),
    ],
)
def test_no_lease_where_a_gpu_is_already_chosen_or_there_is_none(
    variables: dict[str, str], expected: str, lease: Lease, tmp_path: Path
) -> None:
    assert slot(lease(0, **variables)) == expected
    assert not list(tmp_path.iterdir())


def test_a_waiting_job_prints_a_line(lease: Lease) -> None:
    first = lease(ADVGEN_GPU_SLOTS="0")
    assert slot(first) == "0"
    second = lease(0, ADVGEN_GPU_SLOTS="0")
    assert slot(second) == "waits for a free GPU: all 1 of this machine are taken"
    first.kill()
    assert slot(second) == "0"


def test_each_job_takes_one_of_several_visible_devices(lease: Lease) -> None:
    pair = [lease(CUDA_VISIBLE_DEVICES="3,GPU-8f2a") for _ in range(2)]
    assert {slot(process) for process in pair} == {"3", "GPU-8f2a"}


@pytest.mark.parametrize("capability", [None, "avx2", "default"])
def test_the_cpu_capability_is_that_of_torch(capability: str | None) -> None:
    environment = {**os.environ, **({"ATEN_CPU_CAPABILITY": capability} if capability else {})}
    code = "import sys; from advgen.io import devices; ours, slow = devices.cpu_capability(), 'torch' in sys.modules"
    code += "; import torch; print(ours == torch.backends.cpu.get_cpu_capability(), slow)"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    is_equal, is_slow = done.stdout.split()
    assert is_equal == "True"
    assert is_slow == "False" or capability or platform.machine() != "x86_64"
