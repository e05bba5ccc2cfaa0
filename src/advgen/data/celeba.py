"""Sources of CelebA: a zip of faces and two text files, in the layout of torchvision."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

from advgen.data.celeba_files import PUBLISHED, read_partition, sound
from advgen.data.checksum import md5
from advgen.data.download import local_folder
from advgen.files.provenance import atomic_write
from advgen.specs.datasets import CelebaDataset, DatasetSpec

IMAGES, ATTRIBUTES, PARTITION = CelebaDataset.raw
MD5 = CelebaDataset.raw
ADDRESS = "mmlab.ie.cuhk.edu.hk/projects/CelebA.html"
LONG_AGO = (1980, 1, 1, 0, 0, 0)


class Celeba:
    """Where the files come from. A folder of one's own may hold fewer faces in the same layout."""

    def fetch(self, targets: Sequence[Path]) -> None:
        """Write the raw files, from a local folder; ValueError says what is missing."""
        folder = local_folder("celeba")
        zipped, loose = folder / IMAGES, folder / "img_align_celeba"
        if not folder.is_dir():
            raise ValueError(
                f"{folder}: not there; CelebA is given out by its authors by hand, so put {IMAGES} or {loose.name}/, "
                f"{ATTRIBUTES} and {PARTITION} there and run again ({ADDRESS})"
            )
        for target in targets:
            if target.name == IMAGES and not zipped.is_file():
                if not loose.is_dir():
                    raise ValueError(f"{folder}: has neither {IMAGES} nor a folder {loose.name}/ with the faces")
                _pack(loose, target)
            elif not (folder / target.name).is_file():
                raise ValueError(f"{folder}: {target.name} is not there; it belongs to CelebA as its faces do")
            else:
                _copy(folder / target.name, target)
        _check({target.name: target for target in targets}, folder)


def celeba(spec: DatasetSpec) -> Celeba:
    """CelebA (liu2015deep): a folder in torchvision's layout; a full set by checksum."""
    return Celeba()


def _copy(source: Path, target: Path) -> None:
    with atomic_write(target) as temporary:
        shutil.copyfile(source, temporary)


def _pack(folder: Path, target: Path) -> None:
    """A zip of all faces in a folder; the same faces give the same bytes."""
    with atomic_write(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for path in sorted(folder.glob("*.jpg")):
            archive.writestr(zipfile.ZipInfo(f"{folder.name}/{path.name}", LONG_AGO), path.read_bytes())


def _check(files: dict[str, Path], folder: Path) -> None:
    """Remove what was copied if it is damaged; a full set must be the published one, but for how it is zipped."""
    try:
        full = len(read_partition(files[PARTITION])) >= PUBLISHED
        for name in (ATTRIBUTES, PARTITION):
            if full and md5(files[name]) != MD5[name]:
                raise ValueError(f"{folder / name}: as long as the published file, but another one (wrong checksum)")
        if not sound(files[IMAGES]):
            raise ValueError(f"{folder / IMAGES}: damaged")
    except ValueError:
        for path in files.values():
            path.unlink()
        raise
