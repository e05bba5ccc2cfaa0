"""Faces and objects in colour, from folders in the published layouts to figures, in one run."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tests import layouts
from tests.project import Project

import advgen

STUDY = "tests/colour.yaml"


def face(smiling: bool) -> Image.Image:
    """178×218 with a light middle, in which a smile is red."""
    pixels = np.full((218, 178, 3), 90, dtype=np.uint8)
    pixels[59:159, 39:139] = (220, 180, 150)
    if smiling:
        pixels[130:140, 69:109] = (180, 0, 0)
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The study on 80 synthetic faces and 6 × 20 synthetic objects."""
    project = Project(tmp_path_factory.mktemp("colour"))
    project.environment["ADVGEN_DATA"] = str(project.folder / "data")
    smiles, parts = [index % 2 == 0 for index in range(80)], [2 * (index % 4 == 3) for index in range(80)]
    layouts.celeba(project.folder / "data/celeba", [face(smiling) for smiling in smiles], smiles, parts)
    layouts.cifar(project.folder / "data/cifar10/cifar-10-batches-py", 20)
    result = project.snakemake(STUDY)
    assert result.returncode == 0, result.stderr[-5000:]
    return project


def test_faces_are_cropped_trained_on_sampled_and_restored(finished: Project) -> None:
    results = finished.folder / "results"
    assert pq.read_metadata(results / "datasets/celeba/train.parquet").num_rows == 60
    generator = advgen.load(results / "gans/faces/seed0/generator.safetensors")
    assert generator.image == (3, 64, 64)
    table = pq.read_table(results / "tables/inpaintings.parquet").to_pandas()
    assert set(table["mask"]) == {"pepper", "square"}
    assert set(table["method"]) == {"full", "contextual", "contextual_prior"}
    assert table["mean"].notna().all()


def test_objects_go_through_robust_features(finished: Project) -> None:
    results = finished.folder / "results"
    assert pq.read_metadata(results / "datasets/cifar-robust/train.parquet").num_rows == 100
    table = pq.read_table(results / "tables/robustness.parquet").to_pandas()
    assert set(table["source"]) == {"robust", "trained-on"}


def test_every_figure_is_drawn(finished: Project) -> None:
    figures = {path.stem for path in (finished.folder / "results/figures").glob("*.png")}
    assert figures == {"faces-shown", "samples", "restored", "features"}
