"""Reading of CelebA: a zip of JPEG files, their attributes, and the official partition."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from advgen.data.checksum import md5
from advgen.specs.datasets import CelebaDataset

Labels = np.ndarray[Any, Any]
PUBLISHED = 202_599
"""Faces in the published files."""
TEST = 2
"""The part of the partition that is the test split; 0 is training and 1 validation, which are training images here."""


def intact(path: Path, spec: CelebaDataset) -> bool:
    """Whether a raw file is the published one, or a sound one from a folder of one's own."""
    if path.suffix == ".zip":  # packed again from a folder, it has other bytes; the checksums inside it tell
        return sound(path)
    return md5(path) == spec.raw[path.name] or len(path.read_text(errors="replace").splitlines()) < PUBLISHED


def sound(path: Path) -> bool:
    """Whether a file is a zip whose members agree with their checksums."""
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, zlib.error, RuntimeError, OSError, EOFError):
        return False


class Faces:
    """Images in a zip, decoded when they are asked for: `faces[rows]` is an array (rows, 3, H, W) of bytes."""

    def __init__(self, path: Path, names: list[str], spec: CelebaDataset):
        self.path, self.names, self.crop, self.side = path, names, spec.crop, spec.shape[1]

    def __len__(self) -> int:
        """How many faces there are."""
        return len(self.names)

    def __getitem__(self, rows: Sequence[int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Some faces as bytes (rows, 3, H, W); ValueError if one is missing or damaged."""
        faces = np.empty((len(rows), 3, self.side, self.side), np.uint8)
        with zipfile.ZipFile(self.path) as archive:
            places = {Path(name).name: name for name in archive.namelist()}
            for place, row in enumerate(rows):
                try:
                    with Image.open(io.BytesIO(archive.read(places[self.names[row]]))) as face:
                        faces[place] = central(face.convert("RGB"), self.crop, self.side).transpose(2, 0, 1)
                except KeyError:
                    raise ValueError(f"{self.path}: {self.names[row]} is missing; delete it and run again") from None
                except (UnidentifiedImageError, OSError, zipfile.BadZipFile) as error:
                    raise ValueError(f"{self.path}: {self.names[row]} cannot be read ({error})") from None
        return faces


def central(face: Image.Image, crop: int, side: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The central square of `crop` pixels, or of the shorter side if that is less, resized to (side, side, 3)."""
    crop = min(crop, *face.size)
    left, top = (face.width - crop) // 2, (face.height - crop) // 2
    square = face.crop((left, top, left + crop, top + crop))
    return np.asarray(square.resize((side, side), Image.Resampling.BILINEAR))


def read(raw: Sequence[Path], spec: CelebaDataset) -> tuple[tuple[Faces, Labels], tuple[Faces, Labels]]:
    """Faces and labels (N,) uint8 for training (the official train and valid parts) and for test."""
    images, attributes, partition = raw
    label, part = read_attribute(attributes, spec.attribute), read_partition(partition)
    unknown = [name for name in part if name not in label]
    if unknown:
        raise ValueError(f"{attributes}: {unknown[0]} of {partition.name} is missing; delete both and run again")
    splits = []
    for test in (False, True):
        names = [name for name in part if (part[name] == TEST) == test]
        labels = np.array([label[name] for name in names], dtype=np.uint8)
        splits.append((Faces(images, names, spec), labels))
    return splits[0], splits[1]


def read_attribute(path: Path, attribute: str) -> dict[str, int]:
    """1 for each image that has an attribute, 0 for each that has not; ValueError if the file has no such column."""
    lines = path.read_text().splitlines()
    known = lines[1].split() if len(lines) > 1 else []
    if attribute not in known:
        raise ValueError(f"{path}: no attribute {attribute!r}; it has {', '.join(known) or 'none'}")
    column = 1 + known.index(attribute)
    return {row[0]: int(row[column] == "1") for row in _rows(path, lines[2:], 1 + len(known))}


def read_partition(path: Path) -> dict[str, int]:
    """The part, 0, 1 or 2, of each image."""
    rows = dict(_rows(path, path.read_text().splitlines(), 2))
    if not {"0", "2"} <= set(rows.values()) <= {"0", "1", "2"}:
        raise ValueError(f"{path}: parts must be 0, 1 and 2, with some training (0) and some test images (2)")
    return {name: int(part) for name, part in rows.items()}


def _rows(path: Path, lines: list[str], width: int) -> list[list[str]]:
    rows = [line.split() for line in lines if line.strip()]
    bad = next((row for row in rows if len(row) != width), None)
    if bad is not None:
        raise ValueError(f"{path}: {bad[0]} has {len(bad)} columns instead of {width}; delete it and run again")
    return rows
