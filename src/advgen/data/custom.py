"""Images and labels of somebody else's: a folder of class folders, .npz, Parquet of ours, or a data set's name."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from advgen import registry
from advgen.data.choice import choose
from advgen.files.image_files import (
    Classes,
    ImageFacts,
    check_image,
    describe_classes,
    describe_images,
    describe_skipped,
    list_folder,
    read_image,
)
from advgen.files.provenance import sha256_file
from advgen.io.tables import read_images, read_table, table_kind
from advgen.specs.datasets import RawDataset

Array = np.ndarray[Any, Any]
Progress = Callable[[int, int], None]
SHOWN = 5


class CustomData(NamedTuple):
    """Images (N, C, H, W), uint8 or float32 in [0, 1], labels (N,) int64, what they are called, the classes' names.

    `indices` (N,) int64 are each image's place in the whole, of which they are a choice; `total` is how many there are.
    `notes` are lines about a folder: which label each class has, what was skipped.
    """

    images: Array
    labels: Array
    indices: Array
    names: tuple[str, ...]
    total: int
    notes: tuple[str, ...] = ()


def read_custom(
    data: str,
    n: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    classes: Classes = None,
) -> CustomData:
    """All images of a data set, or a seeded choice of n, in order of their indices.

    `data` is a folder whose folders are the classes, an .npz file with the arrays `images` and `labels`, a Parquet file
    of ours, or the name of a data set (mnist, fashion_mnist: the test split). ValueError in one line for anything else.
    Of a folder that is divided into train and test (or val), the test images are read. `classes` is for a folder alone:
    the class folders in order of their labels, or a JSON file with ImageFolder's class_to_idx.
    """
    path = Path(data)
    if path.is_dir():
        return _folder(path, n, seed, progress, classes)
    if classes is not None:
        raise ValueError(f"classes = {classes!r}: is for a folder of class folders, and {data} is none; leave it out")
    if path.suffix == ".npz":
        return _npz(path, n, seed)
    if path.suffix == ".parquet":
        return _parquet(path, n, seed)
    known = list_published_datasets()
    if data in known:
        return _published(data, n, seed)
    what = "no such file or folder" if not path.exists() else "is no data"
    raise ValueError(
        f"{data}: {what}; give a folder of class folders, .npz, .parquet, or a name ({', '.join(sorted(known))})"
    )


def list_published_datasets() -> list[str]:
    """The data sets that are known by name alone: all that their files must be told is in their spec."""
    kinds = registry.kinds("datasets").items()
    return [kind for kind, spec in kinds if issubclass(spec, RawDataset)]


def _folder(folder: Path, n: int | None, seed: int, progress: Progress | None, classes: Classes) -> CustomData:
    found = list_folder(folder, classes, "test")
    rows = _rows(len(found.paths), n, seed)
    images, facts = read_files([found.paths[row] for row in rows], progress=progress)
    labels = np.array(found.labels, np.int64)[rows]
    files = [
        (found.paths[row], found.labels[row], sha256_file(found.paths[row]), one)
        for row, one in zip(rows, facts, strict=True)
    ]
    notes = (
        describe_classes(folder, found.names),
        *describe_skipped(folder, found.skipped),
        *describe_images(folder, files),
    )
    return CustomData(images, labels, np.array(rows, np.int64), found.names, len(found.paths), notes)


def read_files(
    paths: Sequence[Path],
    background: str = "white",
    channels: int | None = None,
    progress: Progress | None = None,
) -> tuple[Array, list[ImageFacts]]:
    """Images of one size (N, C, H, W) uint8, and what each file holds; ValueError names the file.

    `channels` is 1, which refuses colours, 3, or None: one if all images are stored in grey.
    """
    images: list[Array] = []
    facts: list[ImageFacts] = []
    for path in paths:
        image, found = read_image(path, background)
        facts.append(found)
        check_image(path, found, (paths[0], facts[0]), channels)
        images.append(np.asarray(image))
        if progress is not None:
            progress(len(images), len(paths))
    if (channels or max(one.channels for one in facts)) == 1:
        return np.stack([image if image.ndim == 2 else image[:, :, 0] for image in images])[:, None], facts
    coloured = [image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2) for image in images]
    return np.ascontiguousarray(np.stack(coloured).transpose(0, 3, 1, 2)), facts


def _npz(path: Path, n: int | None, seed: int) -> CustomData:
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    try:
        with np.load(path, allow_pickle=False) as file:
            if not {"images", "labels"} <= set(file.files):
                there = ", ".join(file.files[:SHOWN]) or "nothing"
                raise ValueError(f"holds {there}; save the arrays as images and labels")
            images, labels = file["images"], file["labels"]
    except (ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: {str(error).splitlines()[0]}") from None
    images, labels = as_images(images, f"{path}: images"), as_labels(labels, f"{path}: labels")
    if len(images) != len(labels):
        raise ValueError(f"{path}: has {len(images)} images and {len(labels)} labels; give one for each")
    rows = _rows(len(labels), n, seed)
    names = tuple(str(label) for label in range(int(labels.max()) + 1))
    return CustomData(images[rows], labels[rows], np.array(rows, np.int64), names, len(labels))


def as_images(images: Any, what: str = "images") -> Array:
    """Images as (N, C, H, W), uint8 or float32 in [0, 1], from (N, H, W), (N, H, W, C) or (N, C, H, W)."""
    try:
        array = np.asarray(images)
    except ValueError:
        raise ValueError(f"{what} of several sizes cannot be used; bring all to one size") from None
    if 0 in array.shape:
        raise ValueError(f"{what} of shape {array.shape} are empty; give at least one image")
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise ValueError(f"{what} of {array.dtype} cannot be used; give uint8, or floats from 0 to 1")
    if array.ndim == 3:
        array = array[:, None]
    if array.ndim == 4 and array.shape[1] not in (1, 3) and array.shape[3] in (1, 3):
        array = array.transpose(0, 3, 1, 2)
    if array.ndim != 4:
        shape = tuple(np.shape(images))
        raise ValueError(f"{what} of shape {shape} cannot be used; give (images, channels, height, width)")
    return np.ascontiguousarray(array if array.dtype == np.uint8 else array.astype(np.float32))


def as_labels(labels: Any, what: str = "labels") -> Array:
    """Labels as (N,) int64, from integers (N,) or (N, 1)."""
    array = np.asarray(labels)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(f"{what} are of shape {np.shape(labels)}; give one whole number for each image")
    if array.dtype.kind not in "iu":
        raise ValueError(f"{what} of {array.dtype} are no classes; give integers from 0 on")
    return array.astype(np.int64)


def _parquet(path: Path, n: int | None, seed: int) -> CustomData:
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    table = read_table(path)
    if table_kind(table) != "dataset":
        kind = table_kind(table)
        told = f"holds a {kind!r} table" if kind else "is no table of advgen, or pandas wrote it again without its kind"
        raise ValueError(
            f"{path}: {told}; give a file of results/datasets/, or an .npz with the arrays images and labels"
        )
    index, labels = (table.column(name).to_numpy().astype(np.int64) for name in ("index", "label"))
    rows = _rows(len(labels), n, seed)
    names = tuple(str(label) for label in range(int(labels.max()) + 1))
    return CustomData(read_images(table)[rows], labels[rows], index[rows], names, len(labels))


def _published(name: str, n: int | None, seed: int) -> CustomData:
    """The test split of a data set known by its name, from its raw files."""
    spec = registry.parse("datasets", {"kind": name})
    with tempfile.TemporaryDirectory() as folder:
        raw = [Path(folder) / file for file in spec.files()]
        registry.resolve(spec)(spec).fetch(raw)
        _, (images, labels) = registry.load_target(spec.reader)(raw, spec)
        rows = _rows(len(labels), n, seed)
        chosen = np.asarray(images[rows])
    names = tuple(str(label) for label in range(spec.classes))
    return CustomData(chosen, np.asarray(labels)[rows].astype(np.int64), np.array(rows, np.int64), names, len(labels))


def _rows(count: int, n: int | None, seed: int) -> list[int]:
    return list(range(count)) if n is None or n >= count else choose(count, n, seed)
