"""Images in colour to figures, each study in one run: folders in the published layouts, and real drawings from npm."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from tests import layouts
from tests.project import Project

import advgen
from advgen.io.tables import read_images, read_table

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
    project.finish(STUDY)
    return project


def test_faces_are_cropped_trained_on_sampled_and_restored(finished: Project) -> None:
    results = finished.folder / "results"
    assert pq.read_metadata(results / "datasets/celeba/train.parquet").num_rows == 60
    generator = advgen.load(results / "gans/faces/seed0/generator.safetensors")
    assert generator.image == (3, 64, 64)
    table = pq.read_table(results / "tables/inpaintings.parquet").to_pandas()
    assert set(table["mask"]) == {"pepper", "square"}
    assert set(table["method"]) == {"full", "contextual", "contextual_prior", "harmonic", "poisson"}
    assert table["mean"].notna().all()


def test_objects_go_through_robust_features(finished: Project) -> None:
    results = finished.folder / "results"
    assert pq.read_metadata(results / "datasets/cifar-robust/train.parquet").num_rows == 100
    table = pq.read_table(results / "tables/robustness.parquet").to_pandas()
    assert set(table["source"]) == {"robust", "trained-on"}


def test_every_figure_is_drawn(finished: Project) -> None:
    figures = {path.stem for path in (finished.folder / "results/figures").glob("*.pdf")}
    assert figures == {"faces-shown", "samples", "restored", "features"}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory, raw_drawn_faces: Path, raw_symbols: Path) -> Project:
    """The study on real drawings: faces and symbols."""
    project = Project(tmp_path_factory.mktemp("drawn"))
    project.finish("tests/drawn.yaml")
    return project


def test_a_gan_learns_to_draw_faces(drawn: Project) -> None:
    results = drawn.folder / "results"
    facts = pq.read_table(results / "datasets/faces/test.parquet", columns=["label"]).to_pandas()
    assert set(facts["label"]) == {0, 1, 2, 3}
    samples = read_images(read_table(results / "gans/drawn/seed0/samples.parquet"))
    real = read_images(read_table(results / "datasets/faces/test.parquet")) / 255
    # on white, and darker where the face is
    assert samples[:, :, :6, :6].mean() > samples[:, :, 24:40, 24:40].mean() + 0.1
    assert real[:, :, :6, :6].mean() > real[:, :, 24:40, 24:40].mean() + 0.1


def test_examples_transfer_between_two_styles_of_the_same_symbols(drawn: Project) -> None:
    table = pq.read_table(drawn.folder / "results/tables/between-styles.parquet").to_pandas()
    assert set(zip(table["source.dataset"], table["target.dataset"], strict=True)) == {
        (f"symbols-{one}", f"symbols-{other}") for one in ("google", "twitter") for other in ("google", "twitter")
    }
    own = table["source"] == table["target"]
    assert (table["error"] >= table["clean_error"])[own].all()
    assert table["error"][own].mean() > table["clean_error"][own].mean() + 0.1


def test_the_report_names_whose_drawings_it_shows(drawn: Project) -> None:
    page = (drawn.folder / "results/report/index.html").read_text()
    assert "ToonHead by Johan Melin, CC BY 4.0" in page
    assert "Noto Emoji 2.048 by Google, Apache License 2.0" in page
    assert "Twemoji 16.0.1 by Twitter and other contributors, CC BY 4.0" in page


def test_the_report_of_other_images_names_nobody(finished: Project) -> None:
    assert "CC BY" not in (finished.folder / "results/report/index.html").read_text()
