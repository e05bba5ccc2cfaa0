"""Training and test images of a custom data set."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from advgen.data.choice import choose
from advgen.data.custom import Progress, read_custom, read_files
from advgen.files.image_files import list_folder
from advgen.files.user_files import dataset_contents, dataset_facts, dataset_notes, user_file_digest
from advgen.specs.datasets import CustomDataset, FolderDataset

Array = np.ndarray[Any, Any]
Arrays = tuple[Array, Array]


def custom_splits(spec: CustomDataset, content: str, progress: Progress | None = None) -> tuple[Arrays, Arrays]:
    """Images (N, C, H, W) uint8 and labels (N,) for training and for test; ValueError if the files have changed."""
    if user_file_digest(spec) != content:
        raise ValueError(f"{spec.path}: was changed since this job was planned; run again")
    for note in dataset_notes(spec):
        print(note, file=sys.stderr)
    images, labels = _read(spec, spec.path, "train", progress)
    if dataset_contents(spec)[1] is not None:
        return (images, labels), _read(spec, spec.test_path or spec.path, "test", progress)
    whole = spec.model_copy(update={"train": None, "test": None})
    test = choose(len(labels), dataset_facts(whole).test, 0, "test images")
    train = np.setdiff1d(np.arange(len(labels)), test)
    return (images[train], labels[train]), (images[test], labels[test])


def _read(spec: CustomDataset, path: str, split: str, progress: Progress | None) -> Arrays:
    if isinstance(spec, FolderDataset):
        listing = list_folder(Path(path), spec.classes, split)
        channels = dataset_contents(spec)[0].shape[0]
        images, _ = read_files(listing.paths, spec.background, channels, progress)
        return images, np.array(listing.labels, np.int64)
    images, labels, *_ = read_custom(path, progress=progress)
    if images.dtype != np.uint8:
        low, high = float(images.min()), float(images.max())
        if not 0 <= low <= high <= 1:
            raise ValueError(f"{path}: pixels are from {low:g} to {high:g}; give uint8, or floats from 0 to 1")
        images = np.round(images * 255).astype(np.uint8)
    return images, labels
