"""Fashion-MNIST in place of MNIST by one line of a config, through the whole chain."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.project import Project

STUDY = "tests/slice.yaml"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, raw_fashion_mnist: Path) -> Project:
    """The slice, with clothes for digits."""
    project = Project(tmp_path_factory.mktemp("fashion"))
    project.edit(STUDY, "kind: mnist,", "kind: fashion_mnist,")
    result = project.snakemake(STUDY)
    assert result.returncode == 0, result.stderr[-5000:]
    return project


def test_what_is_trained_on_is_fashion_mnist(finished: Project, raw_fashion_mnist: Path) -> None:
    images = pq.read_table(finished.folder / "results/datasets/mnist/test.parquet", columns=["index", "label"])
    raw_labels = (raw_fashion_mnist / "t10k-labels-idx1-ubyte").read_bytes()[8:]
    assert images["label"].to_pylist() == [raw_labels[index] for index in images["index"].to_pylist()]


def test_nets_learn_clothes_and_attacks_fool_them(finished: Project) -> None:
    table = pq.read_table(finished.folder / "results/tables/classifiers.parquet").to_pandas()
    assert (table["error"] < 0.4).all()
    robustness = pq.read_table(finished.folder / "results/tables/robustness.parquet").to_pandas()
    assert (robustness["accuracy"] < robustness["clean_accuracy"] - 0.2).all()


def test_figures_report_and_cv_are_there(finished: Project) -> None:
    figures = {path.stem for path in (finished.folder / "results/figures").glob("*.png")}
    assert {"images", "samples", "restored", "adversarial", "strips"} <= figures
    assert (finished.folder / "results/report/index.html").is_file()
    assert (finished.folder / "results/cv/cv.pdf").is_file()
