"""Small synthetic data sets in the layouts that published ones come in, and pickles with code."""

import io
import json
import os
import pickle
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from advgen.data.checksum import checksum
from advgen.data.cifar import MD5
from advgen.specs.datasets import DrawnFacesDataset


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


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


CATEGORIES = tuple(f"category {number}" for number in range(9))
PARTS = json.dumps({attribute: parts[0] for attribute, parts in DrawnFacesDataset.parts.items()})
CORE = f"""export const createAvatar = (design, {{ seed }}) => ({{
  toString: () => design.draw(seed), toJson: () => ({{ extra: {{ ...{PARTS}, seed }} }})
}});
"""
DESIGN = """export const draw = (seed) =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 2 2">
    <rect width="1" height="2" fill="#${seed.slice(0, 6)}"/></svg>`;
"""


def symbols(folder: Path, style: str = "google") -> None:
    """A page of plain squares, four times each category and once the one left out; the second has two variants."""
    folder.mkdir(parents=True, exist_ok=True)
    page = np.zeros((34 * 7, 34 * 7, 4), np.uint8)
    places = iter([(column, row) for column in range(7) for row in range(7)])

    def square(name: str) -> dict[str, object]:
        column, row = next(places)
        page[34 * row + 9 : 34 * row + 25, 34 * column + 9 : 34 * column + 25] = (*name.encode()[:3], 255)
        return {"unified": name, "sheet_x": column, "sheet_y": row}

    listed = [
        {**square(f"{place:03}-{style}"), "category": category}
        for place, category in enumerate([*(4 * CATEGORIES), "Component"])
    ]
    listed[1]["skin_variations"] = {tone: square(f"{tone}-{style}") for tone in ("1F3", "1F4")}
    (folder / "emoji.json").write_text(json.dumps(listed))
    Image.fromarray(page, "RGBA").save(folder / f"{style}.png")


def drawn_faces(folder: Path) -> None:
    """The two packages that draw, with a rectangle for a face."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, code in (("core", CORE), ("toon-head", DESIGN)):
        about = json.dumps({"name": f"@dicebear/{name}", "type": "module", "exports": "./index.js"})
        with tarfile.open(folder / f"dicebear-{name}-9.4.3.tgz", "w:gz") as archive:
            for path, text in (("package/package.json", about), ("package/index.js", code)):
                member = tarfile.TarInfo(path)
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text.encode()))


def checksums(folder: Path, published: Mapping[str, str]) -> dict[str, str]:
    """The checksums of the files in a folder that are among the published ones."""
    there = {name: sum_ for name, sum_ in published.items() if (folder / name).is_file()}
    return {name: checksum((folder / name).read_bytes(), sum_) for name, sum_ in there.items()}
