"""What the Snakefile calls at the start of a run: GPU limits, and a Python that job scripts cannot call."""

import os
import sys
from types import SimpleNamespace

import pytest

from advgen.driver.hooks import check_python_path, limit_gpus
from advgen.io import devices


def workflow(gpus: int = 0, local: bool = True) -> SimpleNamespace:
    """The attributes of a Snakemake workflow that the hooks read."""
    return SimpleNamespace(local_exec=local, global_resources={"gpu": SimpleNamespace(value=gpus)})


def test_gpu_0_hides_gpus_from_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    limit_gpus(workflow(1))
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"
    limit_gpus(workflow(0))
    assert devices.gpus() == []


@pytest.mark.parametrize(("slots", "gpus", "warns"), [("0", 2, True), ("0", 1, False), ("", 2, False)])
def test_more_gpus_than_the_machine_has_is_a_warning(
    slots: str, gpus: int, warns: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ADVGEN_GPU_SLOTS", slots)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    limit_gpus(workflow(gpus))
    warning = "--resources gpu=2, but this machine has 1: further jobs wait for a free GPU; use --resources gpu=1\n"
    assert capsys.readouterr().err == (warning if warns else "")


@pytest.mark.parametrize(
    ("python", "local", "refused"),
    [
        ("/home/a b/.venv/bin/python", False, True),
        ("/home/$a/.venv/bin/python", False, True),
        ("/home/a b/.venv/bin/python", True, False),
        ("/home/müller-1/~x/.venv/bin/python3.11", False, False),
    ],
)
def test_a_python_that_a_job_script_cannot_call_is_an_error(
    python: str, local: bool, refused: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    exits: list[int] = []
    monkeypatch.setattr(sys, "executable", python)
    monkeypatch.setattr(os, "_exit", exits.append)
    check_python_path(workflow(local=local))
    printed = capsys.readouterr().err
    assert (exits, printed.count("\n")) == (([1], 1) if refused else ([], 0))
    assert not refused or printed.startswith(f"{python}: job scripts cannot call")
