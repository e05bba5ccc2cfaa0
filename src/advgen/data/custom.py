"""The user's images and labels: a folder of class folders, .npz, Parquet of a study, or the name of a data set."""

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
MAX_NAMES = 5
"""Arrays of an .npz file that a message lists."""


class CustomData(NamedTuple):
    """Images (N, C, H, W) uint8 or float32 in [0, 1], labels (N,) int64, and the names of the classes.

    `indices` (N,) int64 are the positions of the images among the `total` images of the data. `notes` are lines about a
    folder: the label of each class, and what was skipped.
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

    Args:
        data: a folder of class folders, an .npz file with the arrays `images` and `labels`, a Parquet file of a study,
            or the name of a data set that needs no settings (mnist, fashion_mnist, …: the test split). Of a folder with
            train and test (or val), the test images are read.
        classes: for a folder only: the class folders in order of their labels, or a JSON file with ImageFolder's
            class_to_idx.

    Raises:
        ValueError: `data` is anything else; the message is one line.
    """
    path = Path(data)
    if path.is_dir():
        return _read_folder(path, n, seed, progress, classes)
    if classes is not None:
        raise ValueError(
            f"classes = {classes!r}: is only for a folder of class folders, and {data} is not one; leave it out"
        )
    readers = {".npz": _read_npz, ".parquet": _read_parquet}
    if path.suffix in readers:
        if not path.is_file():
            raise ValueError(f"{path}: no such file")
        return _choose(*readers[path.suffix](path), n, seed)
    published = list_published_datasets()
    if data in published:
        return _read_published(data, n, seed)
    problem = "is not a data set" if path.exists() else "no such file or folder"
    raise ValueError(
        f"{data}: {problem}; give a folder of class folders, .npz, .parquet, or a name ({', '.join(sorted(published))})"
    )


def list_published_datasets() -> list[str]:
    """The data sets that need no settings, so that their name is enough."""
    kinds = registry.kinds("datasets").items()
    return [kind for kind, spec in kinds if issubclass(spec, RawDataset)]


def _read_folder(folder: Path, n: int | None, seed: int, progress: Progress | None, classes: Classes) -> CustomData:
    listing = list_folder(folder, classes, "test")
    rows = _rows(len(listing.paths), n, seed)
    images, facts = read_files([listing.paths[row] for row in rows], progress=progress)
    labels = np.array(listing.labels, np.int64)[rows]
    files = [
        (listing.paths[row], listing.labels[row], sha256_file(listing.paths[row]), one)
        for row, one in zip(rows, facts, strict=True)
    ]
    notes = (
        describe_classes(folder, listing.names),
        *describe_skipped(folder, listing.skipped),
        *describe_images(folder, files),
    )
    return CustomData(images, labels, np.array(rows, np.int64), listing.names, len(listing.paths), notes)


def read_files(
    paths: Sequence[Path],
    background: str = "white",
    channels: int | None = None,
    progress: Progress | None = None,
) -> tuple[Array, list[ImageFacts]]:
    """Images of one size (N, C, H, W) uint8, and the facts of each file; ValueError names the file.

    `channels` is 1 (a coloured image is an error), 3, or None: 1 if all images are stored in grey, else 3.
    """
    images: list[Array] = []
    facts: list[ImageFacts] = []
    for path in paths:
        image, of_file = read_image(path, background)
        facts.append(of_file)
        check_image(path, of_file, (paths[0], facts[0]), channels)
        images.append(np.asarray(image))
        if progress is not None:
            progress(len(images), len(paths))
    if (channels or max(one.channels for one in facts)) == 1:
        return np.stack([image if image.ndim == 2 else image[:, :, 0] for image in images])[:, None], facts
    coloured = [image if image.ndim == 3 else np.repeat(image[:, :, None], 3, axis=2) for image in images]
    return np.ascontiguousarray(np.stack(coloured).transpose(0, 3, 1, 2)), facts


def _read_npz(path: Path) -> tuple[Array, Array, Array]:
    """Images, labels and indices."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if not {"images", "labels"} <= set(file.files):
                names = ", ".join(file.files[:MAX_NAMES]) or "nothing"
                raise ValueError(f"holds {names}; save the arrays as images and labels")
            images, labels = file["images"], file["labels"]
    except (ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: {str(error).splitlines()[0]}") from None
    images, labels = as_images(images, f"{path}: images"), as_labels(labels, f"{path}: labels")
    if len(images) != len(labels):
        raise ValueError(f"{path}: has {len(images)} images and {len(labels)} labels; give one for each")
    return images, labels, np.arange(len(labels), dtype=np.int64)


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
        raise ValueError(f"{what} are of shape {np.shape(labels)}; give one integer for each image")
    if array.dtype.kind not in "iu":
        raise ValueError(f"{what} of {array.dtype} are no classes; give integers from 0 on")
    return array.astype(np.int64)


def _read_parquet(path: Path) -> tuple[Array, Array, Array]:
    """Images, labels and indices."""
    table = read_table(path)
    if table_kind(table) != "dataset":
        kind = table_kind(table)
        problem = (
            f"holds a {kind!r} table" if kind else "is not a table of advgen, or pandas wrote it again without its kind"
        )
        raise ValueError(
            f"{path}: {problem}; give a file of results/datasets/, or an .npz with the arrays images and labels"
        )
    index, labels = (table.column(name).to_numpy().astype(np.int64) for name in ("index", "label"))
    return read_images(table), labels, index


def _read_published(name: str, n: int | None, seed: int) -> CustomData:
    """The test split of a published data set, from its raw files."""
    spec = registry.parse("datasets", {"kind": name})
    with tempfile.TemporaryDirectory() as folder:
        raw = [Path(folder) / file for file in spec.files()]
        registry.resolve(spec)(spec).fetch(raw)
        _, (images, labels) = registry.load_target(spec.reader)(raw, spec)
        labels = np.asarray(labels, np.int64)
        return _choose(images, labels, np.arange(len(labels)), n, seed, spec.classes)


def _choose(
    images: Array, labels: Array, index: Array, n: int | None, seed: int, classes: int | None = None
) -> CustomData:
    rows = _rows(len(labels), n, seed)
    names = tuple(str(label) for label in range(classes or int(labels.max()) + 1))
    return CustomData(images[rows], labels[rows], index[rows], names, len(labels))


def _rows(count: int, n: int | None, seed: int) -> list[int]:
    return list(range(count)) if n is None or n >= count else choose(count, n, seed)
