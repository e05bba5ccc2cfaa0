"""What can change a job's bytes is in its digest: edits of single lines, over all jobs of the largest study."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.project import Project

DIGESTS = """
import json
from pathlib import Path
from advgen.study.load import load_file
from advgen.driver.plan import build
jobs = build(load_file(Path("config/evening.yaml"))).jobs
print(json.dumps({f"{job.rule} {sorted(job.outputs.values())}": f"{job.code} {job.spec}" for job in jobs}))
"""
COMMAND = """
import json
from pathlib import Path
from advgen.study.load import load_file
from advgen.driver.plan import build
[job] = build(load_file(Path("one.yaml"))).jobs_of("simulate")
print(json.dumps([job.task.command, "--out", *job.outputs.values(), "--spec", job.spec, "--code", job.code]))
"""


def digests(project: Project) -> dict[str, str]:
    """The code digest and the spec of each job, by its rule and outputs."""
    result = project.run(sys.executable, "-c", DIGESTS)
    assert result.returncode == 0, result.stderr[-2000:]
    found: dict[str, str] = json.loads(result.stdout)
    return found


# file, a part of it, what becomes of it, and the rules whose jobs that changes
EDITS = {
    "the choice of a classifier's training images": (
        "src/advgen/experiments/classifiers/train.py",
        "choose(len(labels), spec.images, 0,",
        "choose(len(labels), spec.images, 1,",
        {"train_judge", "train_classifier"},
    ),
    "the training images of an autoencoder": (
        "src/advgen/experiments/autoencoders/train.py",
        "(images, _), _ = split",
        "_, (images, _) = split",
        {"train_autoencoder"},
    ),
    "the initial weights of an encoder": (
        "src/advgen/experiments/encoders/run.py",
        "generator.latent, seed=spec.seed",
        "generator.latent, seed=0",
        {"train_encoder"},
    ),
    "the initial weights of a probe": (
        "src/advgen/experiments/probes/run.py",
        "spec.classes, seed=spec.seed",
        "spec.classes, seed=0",
        {"train_probe"},
    ),
    "the detector of vanishing gradients": (
        "src/advgen/metrics/detect.py",
        "WINDOW = 50",
        "WINDOW = 60",
        {"train_gan"},
    ),
    "the architectures that are counted": (
        "src/advgen/models/autoencoders.py",
        "nn.ReLU()] if batch_norm",
        "nn.Tanh()] if batch_norm",
        {"count_parameters", "train_autoencoder"},  # what they train goes on to the rest
    ),
    "the heading of a table": (
        "src/advgen/experiments/attacks/tables.yaml",
        "title: Accuracy under attack",
        "title: Robustness",
        {"report_page"},
    ),
    "the columns that the page always shows": (
        "src/advgen/experiments/linearities/tables.yaml",
        "measured: [r_squared, r_squared_unaimed, range, range_unaimed]",
        "measured: []",
        {"report_page"},
    ),
}
UNREGISTERED = {"agree", "compare", "qa", "report_page", "summarise", "verify"}
"""Rules whose jobs resolve no spec by the registry."""
# a part of registry.py, what replaces it, and whether a job becomes stale, by its rule and outputs
REGISTRY_EDITS: dict[str, tuple[str, str, Callable[[str], bool]]] = {
    "what resolve returns": (
        "return load_target(target(spec))",
        'return load_target(target(spec).replace("pgd:pgd", "fgsm:fgsm"))',
        lambda job: job.split()[0] not in UNREGISTERED,
    ),
    "what load_target returns": (
        "getattr(importlib.import_module(module), name)",
        'getattr(importlib.import_module(module), name.replace("pgd", "fgsm"))',
        lambda job: True,
    ),
    "a statement that runs at import": (
        "_TARGETS = {spec: target for",
        '_TARGETS = {spec: target.replace("pgd:pgd", "fgsm:fgsm") for',
        lambda job: True,
    ),
    "the entry of one mask": (
        '"advgen.inpainting.masks.glasses:glasses"',
        '"advgen.inpainting.masks.square:square"',
        lambda job: job.startswith("craft ") and "glasses" in job,
    ),
    "an entry that no job uses": (
        '    datasets.NpzDataset: "advgen.data.custom_splits:custom_splits",\n',
        "",
        lambda job: False,
    ),
}
FULLY_CONNECTED = "autoencoders/ae400/"
"""Its class stands in the same file as that of the others, and is another."""
DRAWN = {
    *("make_dataset", "derive_dataset", "train_judge", "calibrate_judge", "train_gan", "evaluate_gan"),
    *("train_autoencoder", "evaluate_autoencoder", "train_encoder", "train_classifier", "train_probe"),
    *("invert", "inpaint", "interpolate", "truncate", "craft", "converge", "linearity", "simulate"),
}
"""Rules whose jobs draw random numbers."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dict[str, str]]:
    project = Project(tmp_path_factory.mktemp("digests"))
    return project, digests(project)


def changed(copy: tuple[Project, dict[str, str]], path: str, edit: Callable[[str], str]) -> set[str]:
    """The jobs whose digest or spec an edit of one file changes."""
    project, before = copy
    file = project.folder / path
    text = file.read_text(encoding="utf-8")
    file.write_text(edit(text), encoding="utf-8")
    try:
        after = digests(project)
    finally:
        file.write_text(text, encoding="utf-8")
    assert after.keys() == before.keys()
    return {job for job in before if after[job] != before[job]}


def rules(jobs: set[str]) -> set[str]:
    return {job.split()[0] for job in jobs}


def edited(old: str, new: str) -> Callable[[str], str]:
    def edit(text: str) -> str:
        assert text.count(old) == 1, f"{text.count(old)} times {old!r}"
        return text.replace(old, new)

    return edit


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_makes_its_jobs_stale_and_no_others(copy: tuple[Project, dict[str, str]], name: str) -> None:
    path, old, new, expected = EDITS[name]
    found = changed(copy, path, edited(old, new))
    apart = FULLY_CONNECTED if "architectures" in name else "nothing"
    assert found == {job for job in copy[1] if job.split()[0] in expected and apart not in job}


@pytest.mark.parametrize("name", REGISTRY_EDITS)
def test_an_edit_of_the_registry_makes_stale_what_uses_it(copy: tuple[Project, dict[str, str]], name: str) -> None:
    old, new, is_stale = REGISTRY_EDITS[name]
    found = changed(copy, "src/advgen/registry.py", edited(old, new))
    assert found == set(filter(is_stale, copy[1]))


def test_an_edit_of_the_catalog_makes_all_jobs_stale(copy: tuple[Project, dict[str, str]]) -> None:
    found = changed(copy, "src/advgen/core/catalog.py", edited("if _summary.module:", "if str(_summary.module):"))
    assert found == set(copy[1])


def test_verify_and_the_job_refuse_what_another_registry_made(tmp_path: Path) -> None:
    project = Project(tmp_path)
    study, made = "one.yaml", "results/simulations/balls.parquet"
    balls = "{kind: spheres, dimensions: [5], hidden: 8, steps: 3, points: 40}"
    (tmp_path / study).write_text(f"datasets: {{mnist: {{kind: mnist}}}}\nsimulations: {{balls: {balls}}}\n")
    planned = project.run(sys.executable, "-c", COMMAND)
    command = [sys.executable, "-m", "advgen", *json.loads(planned.stdout)]
    assert project.run(*command).returncode == 0
    assert project.advgen("verify", study, "--only", made).returncode == 0
    project.edit("src/advgen/registry.py", *REGISTRY_EDITS["what resolve returns"][:2])
    found = project.advgen("verify", study, "--only", made)
    assert found.stdout == f"{made}: was made by other code; rule simulate makes it again\n"
    refused = project.run(*command)
    assert refused.returncode == 1
    assert refused.stderr == "advgen simulate: the code was edited since this job was planned; run again\n"


def test_the_random_streams_belong_to_all_who_draw_from_them(copy: tuple[Project, dict[str, str]]) -> None:
    found = rules(changed(copy, "src/advgen/seeds.py", edited('"big") >> 1', '"big") >> 2')))
    assert found >= DRAWN
    assert not found & {"fetch", "count_parameters", "cv_data", "cv_render"}


def test_the_frame_of_the_glasses_belongs_to_those_who_wear_them(copy: tuple[Project, dict[str, str]]) -> None:
    found = changed(copy, "src/advgen/geometry/glasses.py", edited("round(0.2 * height)", "round(0.25 * height)"))
    assert rules(found) == {"craft"}
    assert all("glasses" in job for job in found)
