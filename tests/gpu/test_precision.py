"""Products are exact to float32 on a GPU, too, unless the study asks for TF32; then every artefact says so."""

import json
from pathlib import Path

import pytest
import torch
from tests.project import ROOT

from advgen.core.tasks import DeviceTask
from advgen.driver.plan import build
from advgen.io import devices
from advgen.study.load import load_file


@pytest.fixture
def precision(monkeypatch: pytest.MonkeyPatch):
    """Puts back what `prepare` sets."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    deterministic = torch.are_deterministic_algorithms_enabled()
    monkeypatch.setattr(devices, "lease", lambda label: None)
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
    torch.use_deterministic_algorithms(deterministic)


@pytest.mark.usefixtures("precision")
@pytest.mark.parametrize("tf32", [False, True])
def test_a_job_rounds_as_its_spec_says(tf32: bool) -> None:
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = not tf32, not tf32
    devices.prepare("a job", tf32=tf32)
    assert torch.backends.cuda.matmul.allow_tf32 == torch.backends.cudnn.allow_tf32 == tf32


@pytest.mark.parametrize("tf32", [False, True])
def test_a_study_tells_all_that_compute_on_a_device(tf32: bool, tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text((ROOT / "tests/gpu/every.yaml").read_text() + f"tf32: {str(tf32).lower()}\n")
    jobs = build(load_file(study)).jobs
    tf32_of = {job.rule: json.loads(job.spec).get("tf32") for job in jobs}
    computing = {job.rule for job in jobs if isinstance(job.task, DeviceTask)}
    assert {rule for rule, value in tf32_of.items() if value is tf32} == computing
    assert {value for rule, value in tf32_of.items() if rule not in computing} <= {None}
    # what holds `torch = True` itself computes nowhere but on the CPU
    assert {job.rule for job in jobs if job.task.torch} - computing == {"simulate", "count_parameters", "sanity_checks"}
