"""`advgen verify`: what it finds, what --fix removes, and what a driver does about orphans at its start."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.project import Project

STUDY = "config/smoke.yaml"


@pytest.fixture
def built(smoke: Project, project: Callable[..., Project]) -> Project:
    """A copy of the finished smoke study, to be damaged."""
    copy = project()
    shutil.copytree(smoke.folder / "results", copy.folder / "results", dirs_exist_ok=True)
    shutil.copytree(smoke.folder / ".snakemake", copy.folder / ".snakemake", dirs_exist_ok=True)
    return copy


def flip(path: Path, where: float) -> None:
    """Flip one bit at a relative place in a file."""
    content = bytearray(path.read_bytes())
    content[int(len(content) * where)] ^= 1
    path.write_bytes(content)


def test_a_finished_study_agrees(smoke: Project) -> None:
    result = smoke.advgen("verify", STUDY)
    assert result.returncode == 0, result.stdout
    assert "agree with config/smoke.yaml" in result.stdout


def test_damage_is_found_and_exactly_it_is_removed(built: Project, smoke: Project) -> None:
    results = built.folder / "results"
    truncated = results / "attacks/fc100/seed0/pgd.parquet"
    truncated.write_bytes(truncated.read_bytes()[:-100])
    flipped = results / "autoencoders/tiny-ae/seed0/autoencoder.safetensors"
    flip(flipped, 0.9)
    page = results / "inversions/short-search/tiny-gan--seed0.parquet"
    flip(page, 0.3)
    raw = results / "datasets/mnist/raw/t10k-labels-idx1-ubyte"
    flip(raw, 0.5)
    damaged = {str(path.relative_to(built.folder)) for path in (truncated, flipped, page, raw)}

    found = built.advgen("verify", STUDY)
    assert found.returncode == 1
    lines = {line.split(":")[0]: line for line in found.stdout.splitlines()}
    assert "rule craft makes it again" in lines["results/attacks/fc100/seed0/pgd.parquet"]
    assert "wrong checksum" in lines["results/datasets/mnist/raw/t10k-labels-idx1-ubyte"]
    assert "damaged" in lines["results/autoencoders/tiny-ae/seed0/autoencoder.safetensors"]
    assert "damaged" in lines["results/inversions/short-search/tiny-gan--seed0.parquet"]
    # what was made from them before they were damaged is as good as it was
    assert {name for name in lines if name.startswith("results/")} == damaged

    flip(raw, 0.5)  # whole again: everything would have to be made anew
    damaged.remove(str(raw.relative_to(built.folder)))
    good = {path: (smoke.folder / path).read_bytes() for path in damaged}
    before = {path for path in results.rglob("*") if path.is_file()}
    fixed = built.advgen("verify", STUDY, "--fix")
    assert fixed.returncode == 0
    gone = {str(path.relative_to(built.folder)) for path in before if not path.exists()}
    assert gone == {line.split(":")[0] for line in fixed.stdout.splitlines() if line.startswith("results/")}
    assert damaged == gone
    assert built.snakemake(STUDY, *sorted(damaged)).returncode == 0
    assert {path: (built.folder / path).read_bytes() for path in damaged} == good


def test_the_rule_leaves_out_the_verdict_that_may_be_of_the_last_run(built: Project) -> None:
    (built.folder / "results/report/qa.md").write_text("of the last run\n")
    (built.folder / "results/report/verify.md").unlink()
    assert "qa.md: has no stamp" in built.advgen("verify", STUDY).stdout
    built.finish(STUDY, "results/report/verify.md")


def test_an_artefact_of_another_config_is_told(built: Project) -> None:
    built.edit(STUDY, "fgsm: {kind: fgsm, eps: 0.1}", "fgsm: {kind: fgsm, eps: 0.1, target: random}")
    found = built.advgen("verify", STUDY)
    assert (
        "results/attacks/fc100/seed0/fgsm.parquet: was made with another spec (attack.target: null, now random)"
        in found.stdout
    )
    assert "Traceback" not in found.stderr


def test_an_orphans_unrecorded_output_is_made_again_if_its_config_changed(built: Project) -> None:
    shutil.rmtree(built.folder / ".snakemake/metadata")
    assert "Nothing to be done" in built.snakemake(STUDY).stderr
    built.edit(STUDY, "fgsm: {kind: fgsm, eps: 0.1}", "fgsm: {kind: fgsm, eps: 0.1, target: random}")
    told = built.snakemake(STUDY, "-n")
    assert "fgsm.parquet: written by an interrupted run" in told.stderr
    stale = "results/attacks/fc100/seed0/fgsm.parquet"
    assert (built.folder / stale).exists()
    built.finish(STUDY, stale)
    assert built.advgen("verify", STUDY, "--only", stale).returncode == 0


def test_a_comparison_that_fails_stops_the_driver(project: Callable[..., Project]) -> None:
    copy = project(stubs=True)
    copy.executed("tests/spine.yaml")
    shutil.rmtree(copy.folder / ".snakemake/metadata")
    copy.append("src/advgen/commands/verify.py", "\nraise ValueError('no comparison today')\n")
    result = copy.snakemake("tests/spine.yaml", "-n")
    assert result.returncode == 1
    assert "cannot compare the files of an interrupted run with the study: " in result.stderr
    assert "no comparison today" in result.stderr
