"""Small synthetic data sets in the layouts that published ones come in."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from advgen.data.cifar import MD5


def celeba(folder: Path, faces: Sequence[Image.Image], smiles: Sequence[bool], parts: Sequence[int]) -> None:
    """CelebA's folder: aligned faces, attributes, and 0, 1 or 2 for train, validation or test."""
    (folder / "img_align_celeba").mkdir(parents=True)
    names = [f"{index + 1:06}.jpg" for index in range(len(faces))]
    for name, face in zip(names, faces, strict=True):
        face.save(folder / "img_align_celeba" / name, quality=95)
    rows = [f"{name}  1 {1 if smiling else -1}" for name, smiling in zip(names, smiles, strict=True)]
    (folder / "list_attr_celeba.txt").write_text("\n".join([str(len(faces)), "Young Smiling ", *rows]) + "\n")
    lines = [f"{name} {part}" for name, part in zip(names, parts, strict=True)]
    (folder / "list_eval_partition.txt").write_text("\n".join(lines) + "\n")


def objects(count: int, seed: int) -> tuple[np.ndarray, list[int]]:
    """Images (count, 3072) of noise and their classes."""
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, 3072), dtype=np.uint8), random.integers(0, 10, count).tolist()


def cifar_batch(count: int = 7, seed: int = 0, protocol: int = 2) -> bytes:
    """One of CIFAR-10's batches."""
    images, labels = objects(count, seed)
    return pickle.dumps({"data": images, "labels": labels, "filenames": ["a.png"] * count}, protocol=protocol)


def cifar(folder: Path, count: int = 7, **changes: bytes) -> Path:
    """CIFAR-10's folder: six batches, of which some may have another content."""
    folder.mkdir(parents=True)
    for seed, name in enumerate(MD5):
        (folder / name).write_bytes(changes.get(name, cifar_batch(count, seed)))
    return folder
