"""Every command that computes on a device does so on the pretended GPU, from spec to artefact, and resumes."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.entries import jobs_in, write_images
from tests.project import ROOT
from tests.same import payload

from advgen.cli import main
from advgen.core import catalog
from advgen.core.kinds import PlannedJob
from advgen.driver.plan import build
from advgen.jobs import saved_state
from advgen.study.load import load_file

pytestmark = pytest.mark.xdist_group("every command")  # each reads what those before it have made

JOBS = [job for job in build(load_file(ROOT / "tests/gpu/every.yaml")).jobs if job.task.torch]
TRAININGS = [
    job for job in JOBS if job.task.command.startswith("train-") and getattr(job.task, "part", "") != "decision"
]


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("every-command")
    with jobs_in(folder, "tests.gpu.device:computing"):
        write_images(Path("results/datasets/mnist/train.parquet"), Path("results/datasets/mnist/test.parquet"))
        yield folder


def words(job: PlannedJob) -> list[str]:
    """A job's command."""
    inputs = {flag: [files] if isinstance(files, str) else list(files) for flag, files in job.inputs.items()}
    flags = job.task.output_flags()
    outputs = {flag: [job.outputs[role]] for role, flag in flags.items()}
    files = [word for flag, some in {**inputs, **outputs}.items() for word in (f"--{flag}", *some)]
    return [job.task.command, "--traceback", *files, "--spec", job.spec]


def name(job: PlannedJob) -> str:
    return " ".join([job.task.command, *map(str, job.wildcards.values())])


def test_the_study_has_every_command_that_computes_on_a_device() -> None:
    assert {job.task.command for job in JOBS} == {task.command for task in catalog.RULES.values() if task.torch}


@pytest.mark.parametrize("job", JOBS, ids=name)
def test_a_command_makes_its_artefacts(job: PlannedJob) -> None:
    main(words(job))
    assert all(Path(path).is_file() for path in job.outputs.values())


@pytest.mark.parametrize("job", TRAININGS, ids=name)
def test_a_training_that_was_stopped_goes_on_to_the_same_weights(
    job: PlannedJob, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [Path(path) for path in job.outputs.values()]
    before = [payload(path, {}) for path in files]
    steps = []

    def stop(state: saved_state.SavedState, take: Callable[[], dict]) -> None:
        steps.append(1)
        if len(steps) == 2:
            state.signal_name = "SIGTERM"
        save(state, take)

    save = saved_state.SavedState.save
    monkeypatch.setattr(saved_state.SavedState, "save", stop)
    for path in files:
        path.unlink()
    with pytest.raises(SystemExit, match="state saved"):
        main(words(job))
    main(words(job))
    assert "continues from a saved state" in capsys.readouterr().out
    assert [payload(path, {}) for path in files] == before
