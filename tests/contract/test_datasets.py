"""All commands for generative models on small files in the layout of CelebA."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from advgen.cli import main
from advgen.io.tables import read_images, read_table
from advgen.specs.datasets import CelebaDataset

COUNT = 48
RAW = [f"raw/{name}" for name in CelebaDataset.raw]
GENERATOR = {"kind": "transposed_conv", "latent": 8, "start": [8, 4, 4], "channels": [8, 8, 8], "image_channels": 3}
DISCRIMINATOR = {"kind": "conv", "image": [3, 64, 64], "channels": [4, 8], "stride": 2, "pool": 2}
NAMED = {"seed": 0, "name": "faces"}
SEARCH = {"steps": 6, "starts": 2}


def command(name: str, spec: dict[str, Any], **files: str | list[str]) -> None:
    """Run a command with files by flag; _ stands for -."""
    arguments = [name, "--spec", json.dumps(spec)]
    for flag, paths in files.items():
        arguments += [f"--{flag.replace('_', '-')}", *([paths] if isinstance(paths, str) else paths)]
    main(arguments)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder in which all commands have run."""
    folder = tmp_path_factory.mktemp("faces")
    source = folder / "mine" / "celeba"
    (source / "img_align_celeba").mkdir(parents=True)
    random = np.random.default_rng(0)
    names = [f"{index + 1:06}.jpg" for index in range(COUNT)]
    for name in names:
        pixels = np.full((218, 178, 3), random.integers(0, 255, 3), dtype=np.uint8)
        pixels[80:140, 60:120] = random.integers(0, 255, 3)
        Image.fromarray(pixels).save(source / "img_align_celeba" / name)
    attributes = [f"{name} {1 if index % 2 else -1} -1" for index, name in enumerate(names)]
    (source / "list_attr_celeba.txt").write_text("\n".join([str(COUNT), "Male Smiling", *attributes]))
    parts = [f"{name} {2 if index % 3 == 0 else index % 2}" for index, name in enumerate(names)]
    (source / "list_eval_partition.txt").write_text("\n".join(parts))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("ADVGEN_DATA", str(folder / "mine"))
        before = torch.are_deterministic_algorithms_enabled()
        run_all()
        torch.use_deterministic_algorithms(before)
    return folder


def run_all() -> None:
    """Run every command for generative models on faces."""
    dataset = {"dataset": {"kind": "celeba", "attribute": "Male"}}
    command("fetch", dataset, out=RAW)
    command("make-dataset", dataset, raw=RAW, out_train="train.parquet", out_test="test.parquet")
    judge = {**NAMED, "model": DISCRIMINATOR, "classes": 2, "images": None, "defence": None, "validation": 8}
    judge |= {"training": {"epochs": 1, "batch": 8}, "second": {"kind": "fc", "image": [3, 64, 64], "hidden": [8]}}
    classifiers = {"out_model": "judge.safetensors", "out_second": "second.safetensors", "out_history": "j.parquet"}
    command("train-judge", judge, data="train.parquet", **classifiers)
    both = {"judge": "judge.safetensors", "second": "second.safetensors"}
    splits = {"train": "train.parquet", "test": "test.parquet"}
    command("calibrate-judge", {"dataset": "faces", "n": 20, "seed": 0}, **both, **splits, out="calibration.parquet")
    counted = {"second": "second.safetensors", "calibration": "calibration.parquet"}
    training = {"epochs": 2, "batch": 8, "unroll": 1, "unroll_mode": "exact", "checkpoint_selection": 2, "ema": 0.9}
    gan = {**NAMED, "generator": GENERATOR, "discriminator": DISCRIMINATOR, "training": training, "validation": 8}
    made = {"out_generator": "g.safetensors", "out_discriminator": "d.safetensors", "out_history": "h.parquet"}
    made["out_snapshots"] = "snapshots.parquet"
    command("train-gan", gan, data="train.parquet", judge="judge.safetensors", **made)
    judged = {"generator": "g.safetensors", "judge": "judge.safetensors", "data": "test.parquet"}
    command(
        "evaluate-gan",
        {**NAMED, "training": training, "n": 20, "stored": 5},
        **judged,
        **counted,
        discriminator="d.safetensors",
        history="h.parquet",
        out_samples="samples.parquet",
        out_quality="quality.parquet",
    )
    encoder = {**NAMED, "model": DISCRIMINATOR, "training": {"steps": 3, "batch": 8}}
    command("train-encoder", encoder, generator="g.safetensors", out_model="e.safetensors", out_history="e.parquet")
    searched = {**NAMED, "generator_name": "faces", "choice": 0, "search": SEARCH}
    inverting = {**judged, "train": "train.parquet", "encoder": "e.safetensors"}
    inverting |= {"out_inversion": "inversion.parquet", "out_steps": "steps.parquet"}
    command("invert", {**searched, "images": 3}, **inverting)
    masks = {"square": {"kind": "square", "size": 20}, "crosswalk": {"kind": "crosswalk"}}
    restoring = {**searched, "images": 3, "masks": masks, "methods": ["full", "contextual", "contextual_prior"]}
    known = {"train": "train.parquet", "discriminator": "d.safetensors"}
    command("inpaint", restoring, **judged, **known, out="inpainting.parquet")
    truncating = {**NAMED, "generator_name": "faces", "n": 20, "thresholds": [0.5, 2.0]}
    command("truncate", truncating, **judged, **counted, out="truncation.parquet")
    walk = {**NAMED, "model_name": "faces", "pairs": 3, "choice": 0, "frames": 9, "search": SEARCH}
    ends = {"judge": "judge.safetensors", "data": "test.parquet"}
    command("interpolate", walk, model="g.safetensors", **ends, out="walk.parquet")
    body = {"kind": "conv", "image": [3, 64, 64], "latent": 8, "channels": [4, 4]}
    moments = {"kind": "covariance"}
    compressed = {**NAMED, "model": body, "training": {"epochs": 2, "batch": 8, "moments": moments}, "validation": 8}
    kept = {"out_model": "ae.safetensors", "out_history": "ah.parquet", "out_snapshots": "as.parquet"}
    command("train-autoencoder", compressed, data="train.parquet", **kept)
    command(
        "evaluate-autoencoder",
        {**NAMED, "moments": moments, "n": 20, "stored": 5},
        **ends,
        train="train.parquet",
        calibration="calibration.parquet",
        model="ae.safetensors",
        out_reconstructions="ar.parquet",
        out_decoded="ad.parquet",
        out_quality="aq.parquet",
    )
    command("interpolate", {**walk, "search": None}, model="ae.safetensors", **ends, out="ae-walk.parquet")


def rows(folder: Path, name: str, kind: str) -> list[dict[str, Any]]:
    table: list[dict[str, Any]] = read_table(folder / f"{name}.parquet", kind, images=False).to_pylist()
    return table


def test_the_data_set_is_written_as_parquet(folder: Path) -> None:
    train, test = (read_table(folder / f"{split}.parquet", "dataset") for split in ("train", "test"))
    assert read_images(train).shape == (32, 3, 64, 64)
    assert read_images(test).shape == (16, 3, 64, 64)
    assert set(train.column("label").to_pylist()) == {0, 1}


def test_a_generator_of_faces_is_trained_and_evaluated(folder: Path) -> None:
    assert len(rows(folder, "h", "gan_history")) == 6
    [quality] = rows(folder, "quality", "gan_quality")
    assert quality["frechet_distance"] > 0
    assert sum(quality["class_share"]) == pytest.approx(1)
    assert read_images(read_table(folder / "samples.parquet")).shape == (5, 3, 64, 64)
    assert {row["step"] for row in rows(folder, "snapshots", "gan_snapshots")} == {0, 1, 2, 3, 6}
    assert read_images(read_table(folder / "snapshots.parquet")).shape == (5 * 16, 3, 64, 64)


def test_faces_are_inverted_from_an_encoder(folder: Path) -> None:
    found = rows(folder, "inversion", "inversion")
    assert len(found) == 6
    assert {row["first_start"] for row in found} == {"encoder"}
    assert sum(row["best"] for row in found) == 3
    assert all(row["history_step"] == [0, 6] for row in found)
    on_the_way = rows(folder, "steps", "inversion_steps")
    assert [row["mse"] for row in on_the_way if row["step"] == 0] == [row["history_mse"][0] for row in found]
    assert {row["step"] for row in on_the_way} == {0, 1, 2, 3}


def test_faces_are_inpainted_by_every_method(folder: Path) -> None:
    found = rows(folder, "inpainting", "inpainting")
    assert len(found) == 2 * 3 * (3 + 2)  # and two fills without a generator
    assert {row["missing"] for row in found} == {400, 2048}
    table = read_table(folder / "inpainting.parquet")
    original, masked, restored = (read_images(table, name) for name in ("image", "masked", "restored"))
    assert original.shape == masked.shape == restored.shape == (len(found), 3, 64, 64)
    assert restored.min() >= 0
    assert restored.max() <= 1


def test_truncation_has_a_row_per_threshold(folder: Path) -> None:
    found = rows(folder, "truncation", "truncation")
    assert [row["threshold"] for row in found] == [0.5, 2.0]
    assert all(row["n"] == 20 for row in found)


@pytest.mark.parametrize("name", ["walk", "ae-walk"])
def test_walks_have_nine_frames_between_different_classes(folder: Path, name: str) -> None:
    found = rows(folder, name, "interpolation")
    assert len(found) == 27
    for row in found:
        assert row["label_from"] != row["label_to"]
        assert (row["change"] is None or np.isnan(row["change"])) == (row["frame"] == 0)
    for pair in range(3):
        shares = [row["change"] for row in found if row["pair"] == pair and row["frame"] > 0]
        assert sum(shares) == pytest.approx(1, abs=1e-5)


def test_the_autoencoder_of_faces_is_evaluated(folder: Path) -> None:
    [quality] = rows(folder, "aq", "autoencoder_quality")
    assert quality["moments"] == "covariance"
    assert len(quality["spectrum"]) == 8
    assert quality["spectrum"] == sorted(quality["spectrum"], reverse=True)
    assert quality["frechet_distance_decoded"] > 0
    assert len(rows(folder, "as", "latent_snapshots")) == 2 * 99
    assert [row["moment_factor"] for row in rows(folder, "ah", "autoencoder_history")] == pytest.approx(
        [0.001] * 3 + [0.002] * 3
    )
