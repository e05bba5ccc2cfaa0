"""Small made-up data sets in the layouts that published ones come in."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
from PIL import Image

CIFAR = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]


def faces(folder: Path, count: int) -> None:
    """CelebA's: 178×218 pictures, attributes, and a partition of which a quarter is the test split."""
    (folder / "img_align_celeba").mkdir(parents=True)
    random = np.random.default_rng(0)
    names = [f"{index + 1:06}.jpg" for index in range(count)]
    smiles = [index % 2 == 0 for index in range(count)]
    for name, smiling in zip(names, smiles, strict=True):
        pixels = random.integers(60, 120, (218, 178, 3), dtype=np.uint8)
        pixels[59:159, 39:139] = (220, 180, 150)
        pixels[130:140, 69:109] = (180, 0, 0) if smiling else (220, 180, 150)
        Image.fromarray(pixels).save(folder / "img_align_celeba" / name, quality=95)
    rows = [f"{name}  1 {1 if smiling else -1}" for name, smiling in zip(names, smiles, strict=True)]
    (folder / "list_attr_celeba.txt").write_text("\n".join([str(count), "Young Smiling ", *rows]) + "\n")
    parts = [f"{name} {2 if index % 4 == 3 else 0}" for index, name in enumerate(names)]
    (folder / "list_eval_partition.txt").write_text("\n".join(parts) + "\n")


def cifar(folder: Path, count: int) -> None:
    """CIFAR-10's six batches, `count` images each."""
    folder.mkdir(parents=True)
    for seed, name in enumerate(CIFAR):
        random = np.random.default_rng(seed)
        images, labels = random.integers(0, 256, (count, 3072), dtype=np.uint8), [row % 10 for row in range(count)]
        batch = {"data": images, "labels": labels, "filenames": ["a.png"] * count}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
