"""What was made with other packages or on another CPU: told by `verify`, and not taken from the cache."""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from tests.project import ROOT

from advgen.cli import main
from advgen.core.kinds import PlannedJob
from advgen.driver.plan import build
from advgen.files.provenance import Stamp
from advgen.io import checkpoints, devices
from advgen.io.stamps import content_digest
from advgen.io.tables import arrow_table, write_table
from advgen.jobs import cache
from advgen.jobs.job import Job
from advgen.specs.networks import FcNetwork
from advgen.study.load import load_file
from advgen.training.initial import build_seeded

STUDY = str(ROOT / "tests/spine.yaml")
DATA = Path("results/datasets/mnist/train.parquet")
HERE = {"torch": version("torch"), "numpy": version("numpy")}


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[PlannedJob]:
    """Two trainings, whose data set is there."""
    monkeypatch.chdir(tmp_path)
    images = np.zeros((2, 1, 2, 2), np.uint8)
    columns = {"index": [0, 1], "label": [0, 1], "cue": None, "image": images}
    write_table(DATA, arrow_table("dataset", columns), Stamp("advgen make-dataset", {}, "abc"))
    return build(load_file(Path(STUDY))).jobs_of("train_classifier")


def make(job: PlannedJob, versions: dict[str, str], device: str) -> list[str]:
    """Files that agree with the plan, whatever they hold."""
    spec, inputs = job.task.model_dump(mode="json"), {str(DATA): content_digest(DATA)}
    stamp = Stamp("advgen train-classifier", spec, job.code, inputs, versions, 0, device)
    rows = {"model": "one", "seed": 0, "step": [1], "epoch": [0.1], "loss": [1.0], "accuracy": [None]}
    write_table(Path(job.outputs["history"]), arrow_table("training", rows), stamp)
    network = FcNetwork(kind="fc", image=(1, 2, 2), hidden=(2,), activation="relu")
    model = build_seeded(checkpoints.build, "networks", network, 2, seed=0)
    checkpoints.save_model(Path(job.outputs["model"]), model, stamp)
    return list(job.outputs.values())


@pytest.mark.parametrize("fix", [[], ["--fix"]])
def test_verify_warns_once_of_each_difference(
    jobs: list[PlannedJob], fix: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = jobs
    here = devices.device_name("cpu")
    files = make(one, {**HERE, "numpy": "1.0.0", "nothing": "3"}, "cpu NEON")
    files += make(other, {**HERE, "torch": "2.0.0"}, "cpu NEON")
    main(["verify", STUDY, *fix, "--only", *files])
    assert capsys.readouterr().out.splitlines() == [
        f"warning: 4 artefacts were made with cpu NEON, here it is {here}",
        "warning: 2 artefacts were made with nothing 3, here it is not installed",
        f"warning: 2 artefacts were made with numpy 1.0.0, here it is {HERE['numpy']}",
        f"warning: 2 artefacts were made with torch 2.0.0, here it is {HERE['torch']}",
        f"4 artefacts agree with {STUDY}: spec, code, inputs and content.",
    ]
    assert all(Path(path).is_file() for path in files)


def test_verify_does_not_warn_of_this_machine_or_of_a_gpu(
    jobs: list[PlannedJob], capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = jobs
    files = [*make(one, HERE, devices.device_name("cpu")), *make(other, HERE, "NVIDIA H100")]
    main(["verify", STUDY, "--only", *files])
    assert "warning" not in capsys.readouterr().out


def test_the_cache_holds_another_cpus_results_apart(jobs: list[PlannedJob], monkeypatch: pytest.MonkeyPatch) -> None:
    def job(planned: PlannedJob) -> Job[object]:
        outputs = {f"out-{role}": [Path(path)] for role, path in planned.outputs.items()}
        return Job("train-classifier", planned.task, planned.code, {"data": [DATA]}, outputs)  # type: ignore[type-var]

    here = job(jobs[0])
    assert here.stamp.device == f"cpu {devices.cpu_capability()}"
    assert cache.cache_key(job(jobs[0])) == cache.cache_key(here)
    monkeypatch.setattr(devices, "cpu_capability", lambda: "NEON")
    assert cache.cache_key(job(jobs[0])) != cache.cache_key(here)
