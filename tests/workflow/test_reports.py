"""What Snakemake shows of the workflow: `--report` and `--rulegraph`."""

import re
from collections.abc import Callable

import pytest
from tests.project import ROOT, Project

from advgen.driver.plan import build
from advgen.study.load import load_file

STUDY = "config/smoke.yaml"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished study on stubs."""
    project = Project(tmp_path_factory.mktemp("reports"), stubs=True)
    project.executed(STUDY)
    return project


def test_rulegraph(project: Callable[..., Project]) -> None:
    result = project(stubs=True).snakemake(STUDY, "--rulegraph")
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.startswith("digraph snakemake_dag {")
    labels = dict(re.findall(r'(\d+)\[label = "(\w+)"', result.stdout))
    rules = {job.rule for job in build(load_file(ROOT / STUDY)).jobs} - {"fetch"} | {"fetch_mnist"}
    assert set(labels.values()) == {"all", *rules}
    arrows = {(labels[one], labels[other]) for one, other in re.findall(r"(\d+) -> (\d+)", result.stdout)}
    assert {
        ("fetch_mnist", "make_dataset"),
        ("make_dataset", "train_gan"),
        ("craft", "transfer"),
        ("qa", "all"),
    } <= arrows


def test_report(finished: Project) -> None:
    result = finished.snakemake(STUDY, "--report", "report.html")
    assert result.returncode == 0, result.stderr[-3000:]
    assert "Traceback" not in result.stderr
    page = (finished.folder / "report.html").read_text(encoding="utf-8")
    assert len(page) > 10_000
    for job in build(load_file(ROOT / STUDY)).jobs:
        assert job.rule in page
