"""Without a clone: the wheel, a folder made by `advgen init`, and other workflows that take ours in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tests import warm
from tests.project import PARTS, ROOT

STUDY = """title: digits
seeds: [0]
datasets: {mnist: {kind: mnist}}
figures: {digits: {kind: dataset_samples, dataset: mnist}}
"""
MODULE = """from advgen.workflow import SNAKEFILE


module advgen:
    snakefile: SNAKEFILE
    config: {"study": "small.yaml"}


use rule * from advgen as lab_*


rule mine:
    input: rules.lab_all.input
    output: "mine.txt"
    shell: "touch {output}"
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the wheel unpacks, made from a copy of the tree."""
    source, built, folder = (tmp_path_factory.mktemp(name) for name in ("source", "built", "installed"))
    for part in (*PARTS, "setup.py", "MANIFEST.in", "README.md", "LICENSE"):
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, source / part)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--quiet",
        "-w",
        built,
        source,
    ]
    made = subprocess.run(command, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    [wheel] = built.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


def ran(installed: Path, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a Python module in a folder with what is installed and no clone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SNAKEMAKE", "ADVGEN"))}
    environment = {
        **kept,
        "PYTHONPATH": str(installed),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "ADVGEN_DATA": str(ROOT / "results/datasets-for-tests"),
    }
    return warm.run(command[0], command[1:], folder, environment, timeout=600)


@pytest.fixture(scope="module")
def mine(installed: Path, tmp_path_factory: pytest.TempPathFactory, raw_mnist: Path) -> Path:
    """A folder made by `advgen init` with a small study."""
    folder = tmp_path_factory.mktemp("folders") / "my study"
    made = ran(installed, folder.parent, "advgen", "init", str(folder))
    assert made.returncode == 0, made.stderr
    (folder / "small.yaml").write_text(STUDY)
    return folder


def test_a_new_folder_has_the_whole_example(installed: Path, mine: Path) -> None:
    said = ran(installed, mine, "advgen", "run", "-n")
    assert said.returncode == 0, said.stderr
    assert " jobs would run: " in said.stdout
    assert str(ROOT) not in said.stdout + said.stderr
    assert len((mine / "README.md").read_text().splitlines()) <= 10


def test_it_runs_and_its_own_captions_are_found(installed: Path, mine: Path) -> None:
    result = ran(installed, mine, "advgen", "run", "small.yaml", "--cores", "2")
    assert result.returncode == 0, result.stderr[-3000:]
    assert (mine / "results/figures/digits.png").is_file()
    assert ran(installed, mine, "advgen", "verify", "small.yaml").returncode == 0
    assert "Nothing to be done" in ran(installed, mine, "advgen", "run", "small.yaml").stderr
    report = ran(installed, mine, "advgen", "run", "small.yaml", "--report", "report.html")
    assert report.returncode == 0, report.stderr
    assert "what to conclude from it" in (mine / "report.html").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("run", "other.yaml"),
            "advgen run: other.yaml: no such study; name one, or make a folder with one: advgen init",
        ),
        (("init", "."), "advgen init: .: is there already; name a new folder, or an empty one"),
    ],
    ids=["run", "init"],
)
def test_mistakes_end_in_one_line(installed: Path, mine: Path, words: tuple[str, ...], told: str) -> None:
    result = ran(installed, mine, "advgen", *words)
    assert result.returncode == 1
    assert result.stderr.startswith(told)
    assert result.stderr.count("\n") == 1


def test_a_cv_alone(installed: Path, tmp_path: Path) -> None:
    assert ran(installed, tmp_path, "advgen", "init", "--cv", "my-cv").returncode == 0
    words = (tmp_path / "my-cv/README.md").read_text().splitlines()[3].split()
    result = ran(installed, tmp_path / "my-cv", *words, "--formats", "md")
    assert result.returncode == 0, result.stderr
    assert "Quillåker" in (tmp_path / "my-cv/made/cv.md").read_text(encoding="utf-8")


def test_as_a_module_of_another_workflow(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(STUDY)
    (tmp_path / "Snakefile").write_text(MODULE)
    result = ran(installed, tmp_path, "snakemake", "-n", "--cores", "1", "mine")
    assert result.returncode == 0, result.stderr + result.stdout
    assert "rule lab_draw" in result.stdout + result.stderr


@pytest.mark.parametrize("snakefile", ["Snakefile", "workflow/Snakefile"])
def test_from_another_folder(installed: Path, tmp_path: Path, snakefile: str) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there/small.yaml").write_text(STUDY)
    path = str(installed / "advgen/project" / snakefile)
    result = ran(
        installed, tmp_path, "snakemake", "-n", "-s", path, "--directory", "there", "--config", "study=small.yaml"
    )
    assert result.returncode == 0, result.stderr
    assert "would run" in result.stdout + result.stderr or "draw" in result.stdout + result.stderr
