"""A job that uses each registered kind."""

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from advgen import registry
from advgen.cli import main
from advgen.files.provenance import Stamp
from advgen.files.user_files import user_file_digest
from advgen.io.tables import arrow_table, write_table
from advgen.specs.datasets import CustomDataset, DrawnFacesDataset, FashionMnistDataset, MnistDataset, SymbolsDataset
from tests import layouts

NAMED = {"name": "one", "seed": 0}
FLAT = {"kind": "conv", "image": [1, 28, 28], "channels": [4], "hidden": [10]}
DEEP = {"kind": "transposed_conv", "latent": 4, "start": [4, 7, 7], "channels": [4], "image_channels": 1}
SMALL = {
    "fc": {"kind": "fc", "latent": 4, "hidden": [9], "image": [1, 28, 28]},
    "transposed_conv": DEEP,
    "ensemble": {"kind": "ensemble", "member": FLAT, "members": 2},
}
# settings for fast tests; other kinds run with their defaults
FAST: dict[str, dict[str, Any]] = {
    "apgd": {"steps": 2},
    "adversarial_labels": {"classifier": "one", "steps": 2},
    "bayesian": {"steps": 1},
    "bernoulli_model": {"dimension": 20, "sizes": [2], "trials": 2},
    "carlini_wagner": {"steps": 3, "searches": 2},
    "ensemble": {"effort": "quick"},
    "fab": {"steps": 2, "targets": 2},
    "fmn": {"steps": 2},
    "gaussian_model": {"dimension": 20, "sizes": [2], "trials": 2},
    "hop_skip_jump": {"queries": 60, "draws": 4},
    "lbfgs": {"steps": 3, "searches": 2},
    "jsma": {"share": 0.02},
    "one_pixel": {"population": 10, "generations": 2},
    "part": {"part": 0},
    "pgd": {"steps": 2},
    "pool": {"size": 20, "refresh": 0.3, "steps": 3},
    "real_fake": {"gan": "one"},
    "region": {"region": {"kind": "square", "size": 5}, "steps": 2},
    "robust_features": {"classifier": "one", "steps": 2},
    "spatial": {"angles": 3, "shifts": 3, "tries": 2},
    "spheres": {"dimensions": [5], "hidden": 8, "steps": 3, "points": 40},
    "square": {"queries": 5},
    "universal": {"images": 6, "epochs": 1},
    "stimuli": {"stimulus": "cue_conflict"},
}


def command(name: str, spec: dict[str, Any], **files: str | list[str]) -> None:
    """Run a command; files are given by flag, with _ for -."""
    words = [name, "--traceback", "--spec", json.dumps(spec)]
    for flag, paths in files.items():
        words += [f"--{flag.replace('_', '-')}", *([paths] if isinstance(paths, str) else paths)]
    main(words)


def one_of(kind: str, **keys: Any) -> dict[str, Any]:
    """Return the keys of a spec."""
    return {"kind": kind, **FAST.get(kind, {}), **keys}


@contextmanager
def jobs_in(folder: Path, around: str) -> Iterator[None]:
    """Run jobs in this folder, wrapped by `around`, and restore the state of the process."""
    before = torch.are_deterministic_algorithms_enabled(), signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("ADVGEN_CACHE", "off")
        patch.setenv("ADVGEN_AROUND", around)
        patch.setenv("ADVGEN_DATA", str(folder / "mine"))
        yield
    torch.use_deterministic_algorithms(before[0])
    signal.signal(signal.SIGTERM, before[1])


@contextmanager
def workplace(folder: Path, around: str) -> Iterator[None]:
    """Run jobs in a folder with images of three classes, a classifier and a GAN."""
    with jobs_in(folder, around):
        write_images(Path("train.parquet"), Path("test.parquet"))
        train("model.safetensors", "model.parquet", training={"epochs": 8, "lr": 0.01})
        train_gan(DEEP)
        yield


def write_images(*paths: Path) -> None:
    """Write data sets of 60 noise images, whose class is the position of a white region."""
    images = np.random.default_rng(0).integers(0, 256, (60, 1, 28, 28), dtype=np.uint8)
    labels = np.arange(60) % 3
    images[labels == 0, :, :9] = images[labels == 1, :, 9:18] = images[labels == 2, :, 18:] = 255
    columns = {"index": np.arange(60), "label": labels, "cue": None, "image": images}
    for path in paths:
        write_table(path, arrow_table("dataset", columns), Stamp("made up", {}, ""))


def train(out_model: str = "other.safetensors", out_history: str = "other.parquet", **keys: Any) -> None:
    """Train a classifier for a few steps."""
    spec = {**NAMED, "model": FLAT, "classes": 3, "images": None, "defence": None, "validation": 10, **keys}
    spec["training"] = {"epochs": 1, "batch": 25, **keys.get("training", {})}
    command("train-classifier", spec, data="train.parquet", out_model=out_model, out_history=out_history)


def train_gan(generator: dict[str, Any], **training: Any) -> None:
    """Train a GAN for a few steps."""
    spec = {**NAMED, "generator": generator, "discriminator": FLAT, "validation": 10}
    spec["training"] = {"loss": "non_saturating", "epochs": 1, "batch": 25, **training}
    made = {"out_generator": "generator.safetensors", "out_discriminator": "discriminator.safetensors"}
    made |= {"out_history": "gan.parquet", "out_snapshots": "snapshots.parquet"}
    command("train-gan", spec, data="train.parquet", judge="model.safetensors", **made)


def attack(kind: str, **keys: Any) -> None:
    """Attack the classifier."""
    origin = {"dataset": "one", "tested_on": "one", "images": 50, "defence": "none"}
    spec = {"source": "one", "source_seed": 0, "attack_name": "one", "origin": origin, "examples": 4, "choice": 0}
    command(
        "craft",
        {**spec, "attack": one_of(kind, **keys)},
        model="model.safetensors",
        data="test.parquet",
        out="examples.parquet",
    )


def autoencoder(kind: str, moments: dict[str, Any] | None = None, **keys: Any) -> None:
    """Train an autoencoder."""
    spec = {**NAMED, "model": {"kind": kind, "image": [1, 28, 28], "latent": 4, **keys}, "validation": 10}
    made = {"out_model": "ae.safetensors", "out_history": "ah.parquet", "out_snapshots": "as.parquet"}
    training = {"epochs": 1, "batch": 25, "moments": moments}
    command("train-autoencoder", {**spec, "training": training}, data="train.parquet", **made)


def dataset(kind: str, **keys: Any) -> None:
    """Make a data set: from raw files in their published layout, from custom files, or from another data set."""
    cls, made = registry.kinds("datasets")[kind], {"out_train": "made-train.parquet", "out_test": "made-test.parquet"}
    keys = one_of(kind, **keys)
    if issubclass(cls, CustomDataset):
        spec = cls(path=custom_files(kind), **keys)
        command("make-dataset", {"dataset": spec.model_dump(), "content": user_file_digest(spec)}, raw=[], **made)
    elif kind in LAYOUTS:
        with pytest.MonkeyPatch.context() as patch:
            LAYOUTS[kind](Path("mine") / kind, patch)
            raw = [f"{kind}/{name}" for name in cls(kind=kind).files()]  # type: ignore[attr-defined, call-arg]
            command("fetch", {"dataset": keys}, out=raw)
            command("make-dataset", {"dataset": keys}, raw=raw, **made)
    else:
        keys["base"] = "other"
        models = [f"{need.role}.safetensors" for need in cls(**keys).needs()]  # type: ignore[attr-defined]
        splits = {"train": "train.parquet", "test": "test.parquet"}
        command("derive-dataset", {**NAMED, "dataset": keys}, **splits, model=models, **made)


def custom_files(kind: str) -> str:
    """Write a few images of two classes in a file or folder of this kind."""
    if kind == "parquet":
        return "train.parquet"
    images, labels = np.random.default_rng(0).integers(0, 256, (8, 9, 9, 3), dtype=np.uint8), np.arange(8) % 2
    if kind == "npz":
        np.savez("own.npz", images=images, labels=labels)
        return "own.npz"
    for row, image in enumerate(images):
        Path(f"own/{labels[row]}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(f"own/{labels[row]}/{row}.png")
    return "own"


def digits(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Write short versions of MNIST's four files."""
    folder.mkdir(parents=True)
    for name, shape in zip(MnistDataset.raw, [(9, 28, 28), (9,), (5, 28, 28), (5,)], strict=True):
        header = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()
        (folder / name).write_bytes(header + np.arange(np.prod(shape)).astype(np.uint8).tobytes())
    sums = layouts.checksums(folder, MnistDataset.raw)
    patch.setattr(MnistDataset, "raw", sums)
    patch.setattr(FashionMnistDataset, "raw", sums)


def symbols(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Write a few simple symbols."""
    layouts.symbols(folder)
    patch.setattr(SymbolsDataset, "raw", {**SymbolsDataset.raw, **layouts.checksums(folder, SymbolsDataset.raw)})


def drawn_faces(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Write a few simple faces; skip if they cannot be drawn."""
    pytest.importorskip("resvg_py", reason="resvg-py is not installed")
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed")
    layouts.drawn_faces(folder)
    patch.setattr(DrawnFacesDataset, "raw", layouts.checksums(folder, DrawnFacesDataset.raw))
    patch.setattr(DrawnFacesDataset, "full", (5, 2))


LAYOUTS: dict[str, Callable[[Path, pytest.MonkeyPatch], Any]] = {
    "mnist": digits,
    "fashion_mnist": digits,
    "cifar10": lambda folder, _: layouts.cifar(folder / "cifar-10-batches-py"),
    "celeba": lambda folder, _: layouts.celeba(
        folder, 6 * [Image.new("RGB", (178, 218))], 6 * [True], [0, 0, 0, 0, 2, 2]
    ),
    "drawn_faces": drawn_faces,
    "symbols": symbols,
}


def mask(kind: str, method: str = "full", search: dict[str, Any] | None = None, **keys: Any) -> None:
    """Inpaint images behind a mask."""
    spec = {**NAMED, "generator_name": "one", "images": 2, "choice": 0, "methods": [method]}
    command(
        "inpaint",
        {**spec, "masks": {"one": {"kind": kind, **keys}}, "search": {"steps": 2, "starts": 1, **(search or {})}},
        generator="generator.safetensors",
        judge="model.safetensors",
        data="test.parquet",
        train="train.parquet",
        discriminator="discriminator.safetensors",
        out="inpainting.parquet",
    )


def defence(kind: str, **keys: Any) -> None:
    """Train a classifier."""
    train(defence=one_of(kind, **keys), model=SMALL["ensemble"] if kind == "bayesian" else FLAT)


def generator(kind: str, **keys: Any) -> None:
    """Train a GAN with this generator."""
    train_gan({**(SMALL[kind] if kind == "fc" else DEEP), **keys})


def network(kind: str, **keys: Any) -> None:
    """Train a classifier."""
    known = {"fc": {"kind": "fc", "image": [1, 28, 28]}, "conv": FLAT}
    train(model={**known.get(kind, SMALL["ensemble"]), **keys})


def simulation(kind: str, **keys: Any) -> None:
    """Run a simulation."""
    command("simulate", {"name": "one", "seeds": [0], "simulation": one_of(kind, **keys)}, out="simulation.parquet")


USES: dict[str, Callable[..., None]] = {
    "attacks": attack,
    "autoencoders": autoencoder,
    "datasets": dataset,
    "defences": defence,
    "generators": generator,
    "masks": mask,
    "networks": network,
    "simulations": simulation,
}
"""The function that runs a job with a kind of each family; its keywords are keys of the spec."""
