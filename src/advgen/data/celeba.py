"""CelebA in torchvision's layout: a zip of JPEG files, their attributes, and the official partition."""

import io
import shutil
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from advgen.data import checksum
from advgen.data.download import local_folder
from advgen.files.provenance import atomic_write
from advgen.specs.datasets import CelebaDataset, DatasetSpec

Labels = np.ndarray[Any, Any]

IMAGES, ATTRIBUTES, PARTITION = CelebaDataset.raw
ADDRESS = "mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
FIXED_DATE = (1980, 1, 1, 0, 0, 0)
PUBLISHED = 202_599
"""Faces in the published files."""
TEST = 2
"""The test split of the partition; 0 is training and 1 validation, which are both used for training here."""


class Celeba:
    """The raw files of CelebA. The user's own folder may have fewer faces in the same layout."""

    def fetch(self, targets: Sequence[Path]) -> None:
        """Write the raw files, from a local folder; ValueError names what is missing."""
        folder = local_folder("celeba")
        zipped, loose = folder / IMAGES, folder / "img_align_celeba"
        if not folder.is_dir():
            raise ValueError(
                f"{folder}: no such folder; CelebA cannot be downloaded automatically, so put {IMAGES} or "
                f"{loose.name}/, {ATTRIBUTES} and {PARTITION} there and run again ({ADDRESS})"
            )
        for target in targets:
            if target.name == IMAGES and not zipped.is_file():
                if not loose.is_dir():
                    raise ValueError(f"{folder}: has neither {IMAGES} nor a folder {loose.name}/ with the faces")
                _pack(loose, target)
            elif not (folder / target.name).is_file():
                raise ValueError(f"{folder}: {target.name} is missing; CelebA needs it as well as the faces")
            else:
                with atomic_write(target) as temporary:
                    shutil.copyfile(folder / target.name, temporary)
        _check({target.name: target for target in targets}, folder)


def celeba(spec: DatasetSpec) -> Celeba:
    """CelebA (liu2015deep): a folder in torchvision's layout; a full set is verified by checksum."""
    return Celeba()


def _pack(folder: Path, target: Path) -> None:
    """Write a zip of all faces in a folder; the same faces give the same bytes."""
    with atomic_write(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for path in sorted(folder.glob("*.jpg")):
            archive.writestr(zipfile.ZipInfo(f"{folder.name}/{path.name}", FIXED_DATE), path.read_bytes())


def _check(files: dict[str, Path], folder: Path) -> None:
    """Delete the copies if one is damaged; a full set must be the published one, however it is zipped."""
    try:
        full = len(read_partition(files[PARTITION])) >= PUBLISHED
        for name in (ATTRIBUTES, PARTITION):
            if full and not checksum.intact(files[name], CelebaDataset):
                raise ValueError(f"{folder / name}: a full set, but not the published one (wrong checksum)")
        if not is_sound_zip(files[IMAGES]):
            raise ValueError(f"{folder / IMAGES}: damaged")
    except ValueError:
        for path in files.values():
            path.unlink()
        raise


def intact(path: Path, spec: CelebaDataset) -> bool:
    """Whether a raw file is the published one, or a sound one with fewer faces."""
    if path.suffix == ".zip":  # packed from a folder it has other bytes; the checksums inside it are compared
        return is_sound_zip(path)
    return checksum.intact(path, spec) or len(path.read_text(errors="replace").splitlines()) < PUBLISHED


def is_sound_zip(path: Path) -> bool:
    """Whether a file is a zip whose members have the checksums stored in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, zlib.error, RuntimeError, OSError, EOFError):
        return False


class Faces:
    """Images in a zip, decoded on access: `faces[rows]` is a uint8 array (rows, 3, H, W)."""

    def __init__(self, path: Path, names: list[str], spec: CelebaDataset):
        self.path, self.names, self.crop, self.side = path, names, spec.crop, spec.shape[1]

    def __len__(self) -> int:
        """The number of faces."""
        return len(self.names)

    def __getitem__(self, rows: Sequence[int]) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Some faces, uint8 (rows, 3, H, W); ValueError if one is missing or damaged."""
        faces = np.empty((len(rows), 3, self.side, self.side), np.uint8)
        with zipfile.ZipFile(self.path) as archive:
            members = {Path(name).name: name for name in archive.namelist()}
            for position, row in enumerate(rows):
                try:
                    with Image.open(io.BytesIO(archive.read(members[self.names[row]]))) as face:
                        faces[position] = crop_centre(face.convert("RGB"), self.crop, self.side).transpose(2, 0, 1)
                except KeyError:
                    raise ValueError(f"{self.path}: {self.names[row]} is missing; delete it and run again") from None
                except (UnidentifiedImageError, OSError, zipfile.BadZipFile) as error:
                    raise ValueError(f"{self.path}: {self.names[row]} cannot be read ({error})") from None
        return faces


def crop_centre(face: Image.Image, crop: int, side: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The central square of at most `crop` pixels, resized to (side, side, 3)."""
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
    """1 for each image that has an attribute, 0 for the others; ValueError if the file has no such column."""
    lines = path.read_text().splitlines()
    known = lines[1].split() if len(lines) > 1 else []
    if attribute not in known:
        raise ValueError(f"{path}: no attribute {attribute!r}; it has {', '.join(known) or 'none'}")
    column = 1 + known.index(attribute)
    return {row[0]: int(row[column] == "1") for row in _rows(path, lines[2:], 1 + len(known))}


def read_partition(path: Path) -> dict[str, int]:
    """The part (0, 1 or 2) of each image."""
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
