"""A custom attack and network in a study, from files and from an installed package."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.project import ROOT, Project

from advgen.io.stamps import read_stamp

EXAMPLE = ROOT / "docs/examples/plugin"
STUDY = "studies/own.yaml"
NETWORK = '''"""Softmax regression."""

from math import prod
from typing import Literal

from pydantic import Field

from advgen.registry import register
from advgen.specs.networks import NetworkSpec


class LinearNetwork(NetworkSpec):
    """Softmax regression."""

    kind: Literal["linear"] = Field(description="one linear layer")


def linear(spec, outputs):
    """A flat layer and a head."""
    from torch import nn

    from advgen.models.networks import Network

    return Network(nn.Flatten(), nn.Linear(prod(spec.image), outputs))


register(LinearNetwork, linear)
'''

FIGURE = "figures:\n  confused: {kind: confusion, source: fc100, attack: momentum}\n"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, raw_mnist: Path, kept: Path) -> Project:
    """Return the spine study with a custom attack and network."""
    project = Project(tmp_path_factory.mktemp("own"), cache=kept)
    (project.folder / "studies").mkdir()
    for name in ("plugin/momentum.py", "plugins/confusion.py", "plugins/confusion.rst"):
        shutil.copy(EXAMPLE.parent / name, project.folder / "studies")
    (project.folder / "studies/linear.py").write_text(NETWORK)
    text = (ROOT / "tests/spine.yaml").read_text()
    for old, new in {
        "title: advgen, spine\n": "title: advgen, spine\nplugins: [momentum.py, linear.py, confusion.py]\n",
        "  cnn:\n    dataset: mnist\n    model: cnn\n": "  cnn:\n    dataset: mnist\n    model: {kind: linear}\n",
        "attacks: [pgd]": "attacks: [pgd, momentum]",
        "attacks:\n": "attacks:\n  momentum: {kind: momentum, eps: 0.1}\n",
    }.items():
        assert text.count(old) >= 1
        text = text.replace(old, new, 1)
    (project.folder / STUDY).write_text(text + FIGURE)
    project.finish(STUDY)
    return project


def test_they_are_in_tables_and_stamps(finished: Project) -> None:
    rows = pq.read_table(finished.folder / "results/tables/matrix.parquet").to_pylist()
    fooled = {row["attack"]: row["error"] for row in rows if row["target"] == "fc100"}
    assert set(fooled) >= {"pgd", "momentum"}
    assert fooled["momentum"] > 0.5
    stamp = read_stamp(finished.folder / "results/attacks/fc100/seed0/momentum.parquet")
    assert stamp is not None
    assert len(stamp.versions["momentum.py"]) == 16
    assert stamp.command.endswith(" --plugins studies/momentum.py")
    other = read_stamp(finished.folder / "results/attacks/fc100/seed0/pgd.parquet")
    assert other is not None and "momentum.py" not in other.versions


def test_a_figure_is_in_the_report_with_its_caption(finished: Project) -> None:
    page = (finished.folder / "results/report/index.html").read_text(encoding="utf-8")
    assert "Confusion matrix under attack, in percent of each true class." in page
    stamp = read_stamp(finished.folder / "results/figures/confused.png")
    assert stamp is not None and {"confusion.py", "pandas"} <= stamp.versions.keys()
    assert stamp.command.endswith(" --plugins studies/confusion.py")


def test_the_results_agree_with_the_plan(finished: Project) -> None:
    result = finished.advgen("verify", STUDY)
    assert result.returncode == 0, result.stderr
    assert "warning" not in result.stdout


def test_an_edit_reruns_only_its_users(finished: Project) -> None:
    plugin = "studies/momentum.py"
    finished.append(plugin, "\n# a remark\n")
    assert "Nothing to be done" in finished.snakemake(STUDY).stderr
    finished.edit(plugin, "clamp_min(1e-30)", "clamp_min(1e-20)")
    listed = finished.snakemake(STUDY, "-n", "--logger-advgen-plain").stdout
    crafted = [line for line in listed.splitlines() if "advgen craft" in line]
    assert len(crafted) == 1 and "momentum" in crafted[0]
    assert "advgen train-classifier" not in listed
    finished.edit(plugin, "clamp_min(1e-20)", "clamp_min(1e-30)")
    assert "Nothing to be done" in finished.snakemake(STUDY).stderr


@contextmanager
def on_path(project: Project, folder: Path) -> Iterator[None]:
    """Let commands of the project import from a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(project.environment, "PYTHONPATH", f"{project.environment['PYTHONPATH']}{os.pathsep}{folder}")
        yield


def test_an_installed_plug_in_needs_no_key(finished: Project, tmp_path: Path) -> None:
    package = tmp_path / "package"
    shutil.copytree(EXAMPLE, package)
    words = "install --no-deps --no-build-isolation --disable-pip-version-check --no-index --target"
    done = finished.run(sys.executable, "-m", "pip", *words.split(), str(tmp_path / "installed"), str(package))
    assert done.returncode == 0, done.stderr
    finished.edit(STUDY, "plugins: [momentum.py, linear.py, confusion.py]", "plugins: [linear.py, confusion.py]")
    missing = finished.advgen("plan", STUDY)
    assert "attacks.momentum.kind = 'momentum': is unknown" in missing.stderr
    try:
        with on_path(finished, tmp_path / "installed"):
            assert finished.advgen("check-plugin", "momentum").stdout.endswith("momentum: all checks pass\n")
            finished.finish(STUDY, "results/attacks/fc100/seed0/momentum.parquet")
            stamp = read_stamp(finished.folder / "results/attacks/fc100/seed0/momentum.parquet")
            assert stamp is not None and stamp.versions["advgen-momentum"] == "1.0"
            assert finished.module("tools.docs").returncode == 0
            assert "## MomentumAttack" in (finished.folder / "config/README.md").read_text()
    finally:
        finished.edit(STUDY, "plugins: [linear.py, confusion.py]", "plugins: [momentum.py, linear.py, confusion.py]")


def test_a_broken_package_is_skipped_with_one_line(finished: Project, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import no_such_module\n")
    (tmp_path / "broken-1.dist-info").mkdir()
    (tmp_path / "broken-1.dist-info/METADATA").write_text("Name: broken\nVersion: 1\n")
    (tmp_path / "broken-1.dist-info/entry_points.txt").write_text("[advgen.attacks]\nbroken = broken\n")
    with on_path(finished, tmp_path):
        result = finished.advgen("plan", STUDY)
    assert result.returncode == 0
    [line] = result.stderr.splitlines()
    assert line.startswith("advgen: advgen.attacks: broken = 'broken' is skipped: ModuleNotFoundError: ")
