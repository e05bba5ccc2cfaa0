"""A study on photographs and a model of a user's own: read, attacked, a source and a target beside what is trained."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tests.project import Project
from torch import nn

import advgen

FACTORY = """from torch import nn


def net():
    return nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 15 * 15, {classes}))
"""
STUDY = """
datasets:
  photos: {kind: folder, path: photos, test_share: 0.3}
  same: {kind: npz, path: photos.npz, test_share: 0.3}
judge: {model: {kind: conv, channels: [4], hidden: [10]}, training: {epochs: 1, batch: 25}}
evaluation: {attack_examples: 20, validation: 30, gan_samples: 100}
classifiers:
  mine: {kind: file, dataset: photos, path: net.safetensors, factory: "net.py:net", mean: 0.5, std: 0.25}
  scripted: {kind: file, dataset: photos, path: net.pt, mean: 0.5, std: [0.25, 0.25, 0.25]}
  ours: {dataset: photos, model: cnn, training: {epochs: 10, batch: 25}}
  ours-too: {dataset: same, model: FC10, training: {epochs: 1, batch: 25}}
attacks:
  pgd: {kind: pgd, eps: 0.1, steps: 10}
transfers:
  all: {sources: [mine, ours], targets: [mine, ours, scripted], attacks: [pgd], rms: 0.1}
gans:
  gan: {dataset: photos, generator: dcgan-generator, discriminator: dcgan-discriminator, training: {epochs: 1, batch: 48}}
autoencoders:
  ae: {dataset: photos, model: conv-autoencoder, training: {epochs: 1, batch: 48}}
linearities:
  lines: {sources: [mine], points: 3, images: 4}
figures:
  matrix: {kind: transfer_matrix, transfer: all}
  shown: {kind: dataset_samples, dataset: photos, per_class: 5}
"""


def photographs(folder: Path, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Noise with a stripe whose place and colour are the class."""
    random, images, labels = np.random.default_rng(0), [], []
    for label in range(classes):
        (folder / f"class {label}").mkdir(parents=True)
        for row in range(60):
            image = random.integers(0, 120, (32, 32, 3), dtype=np.uint8)
            image[:, label * 10 : (label + 1) * 10, label] = 255
            Image.fromarray(image).save(folder / f"class {label}" / f"{row:03}.png")
            images.append(image)
            labels.append(label)
    return np.stack(images), np.array(labels)


def trained(images: np.ndarray, labels: np.ndarray, classes: int = 3) -> nn.Module:
    torch.manual_seed(0)
    names: dict[str, Callable[[], nn.Module]] = {}
    exec(FACTORY.format(classes=classes), names)
    net = names["net"]()
    x, y = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255, torch.from_numpy(labels)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net((x - 0.5) / 0.25), y).backward()
        optimizer.step()
    return net


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, kept: Path) -> Project:
    project = Project(tmp_path_factory.mktemp("own model"), cache=kept)
    images, labels = photographs(project.folder / "photos")
    np.savez(project.folder / "photos.npz", images=images, labels=labels)
    net = trained(images, labels)
    save_file(net.state_dict(), project.folder / "net.safetensors")
    torch.jit.trace(net.eval(), torch.rand(2, 3, 32, 32)).save(project.folder / "net.pt")
    (project.folder / "net.py").write_text(FACTORY.format(classes=3))
    (project.folder / "own.yaml").write_text(STUDY)
    project.finish("own.yaml")
    return project


def test_it_is_right_as_it_was_and_both_files_are_one_model(finished: Project) -> None:
    rows = pq.read_table(finished.folder / "results/tables/classifiers.parquet").to_pylist()
    quality = {row["classifier"]: row for row in rows}
    assert quality["mine"]["error"] == quality["scripted"]["error"] < 0.1  # without mean and std it would not be
    assert quality["mine"]["parameters"] == 8 * 3 * 9 + 8 + 3 * (8 * 15 * 15 + 1)
    assert quality["mine"]["images"] == 0
    cells = pq.read_table(finished.folder / "results/tables/all.parquet").to_pylist()
    assert {(row["source"], row["target"]) for row in cells} >= {
        ("mine", "scripted"),
        ("ours", "mine"),
        ("mine", "ours"),
    }
    by_target = {row["target"]: row["error"] for row in cells if row["source"] == "mine" and row["attack"] == "pgd"}
    assert by_target["mine"] == by_target["scripted"]


def test_a_gan_and_an_autoencoder_fit_themselves_to_them(finished: Project) -> None:
    results = finished.folder / "results"
    generator = advgen.load(results / "gans/gan/seed0/generator.safetensors")
    assert generator.image == (3, 32, 32)
    assert pq.read_metadata(results / "gans/gan/seed0/history.parquet").num_rows == 2
    samples = advgen.images(results / "gans/gan/seed0/samples.parquet")
    assert samples.shape == (100, 3, 32, 32)
    np.testing.assert_allclose(advgen.sample(generator, 100).numpy(), samples, atol=1e-6)
    assert advgen.load(results / "autoencoders/ae/seed0/autoencoder.safetensors").latent == 100


def test_the_same_images_make_the_same_data_set(finished: Project) -> None:
    folder, arrays = (
        pq.read_table(finished.folder / f"results/datasets/{name}/train.parquet") for name in ("photos", "same")
    )
    assert folder.equals(arrays)


def test_what_was_made_agrees_with_the_plan_and_nothing_runs_twice(finished: Project) -> None:
    result = finished.advgen("verify", "own.yaml")
    assert result.returncode == 0, result.stderr
    assert "Nothing to be done" in finished.snakemake("own.yaml").stderr


def planned(project: Project) -> set[str]:
    """The commands that would run next, but for those that follow every change."""
    listed = project.snakemake("own.yaml", "-n", "--logger-advgen-plain").stdout
    return {
        line.split("advgen ")[1].split(" --code")[0].split(" --spec")[0]
        for line in listed.splitlines()
        if "-m advgen" in line
    }


def test_an_edit_of_a_file_reruns_its_users_alone(finished: Project) -> None:
    finished.edit("net.py", "nn.Flatten()", "nn.Flatten(1)")
    commands = planned(finished)
    assert any("classifiers/mine" in one for one in commands)
    assert not any(one.startswith("train-classifier") and "classifiers/mine" not in one for one in commands)
    finished.edit("net.py", "nn.Flatten(1)", "nn.Flatten()")
    assert planned(finished) == set()
    image = finished.folder / "photos/class 0/000.png"
    kept = image.read_bytes()
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(image)
    assert {one for one in planned(finished) if one.startswith("make-dataset")} == {
        next(one for one in planned(finished) if "datasets/photos/" in one and one.startswith("make-dataset"))
    }
    image.write_bytes(kept)


def test_a_checkpoint_is_refused_when_the_model_is_another(finished: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.folder)
    model = advgen.load("results/classifiers/mine/seed0/classifier.safetensors")
    assert model(torch.rand(2, 3, 32, 32)).shape == (2, 3)
    finished.append("net.py", "\n# another\n")
    with pytest.raises(ValueError, match=r"net\.safetensors: is no longer the model that the study was planned with"):
        advgen.load("results/classifiers/mine/seed0/classifier.safetensors")
    finished.edit("net.py", "\n# another\n", "")
