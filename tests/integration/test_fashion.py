"""Fashion-MNIST in place of MNIST by one line of a config: fetched, trained on, sampled, restored, attacked."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tests.project import Project

STUDY = "tests/slice.yaml"
TARGETS = [
    *(f"results/figures/{name}.png" for name in ("samples", "restored", "adversarial")),
    *(f"results/tables/{name}.parquet" for name in ("classifiers", "robustness", "inpaintings")),
]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, raw_fashion_mnist: Path) -> Project:
    """A generative and an adversarial branch of the slice, with clothes for digits."""
    project = Project(tmp_path_factory.mktemp("fashion"))
    project.edit(STUDY, "kind: mnist,", "kind: fashion_mnist,")
    result = project.snakemake(STUDY, *TARGETS)
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


def test_the_branches_reach_their_figures(finished: Project) -> None:
    assert all((finished.folder / path).is_file() for path in TARGETS)
