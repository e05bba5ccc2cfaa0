"""What files of a user's own hold, as far as a plan must know: shape, classes, count, and a digest of the content.

Images are opened by Pillow, arrays by their headers, Parquet by its footer: no numpy or torch, as everywhere in a plan.
What was read of a file is kept by its size and time of change, so that it is read once.
"""

from __future__ import annotations

import array
import ast
import importlib
import json
import os
import struct
import sys
import time
import zipfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any, NamedTuple

from advgen.files.image_files import (
    Classes,
    ImageFacts,
    check_image,
    describe_classes,
    describe_images,
    describe_skipped,
    find_splits,
    list_folder,
    read_classes,
    read_image,
)
from advgen.files.provenance import sha256_file, sha256_text, write_bytes
from advgen.specs.base import MAX_COUNT, Shape, format_shape
from advgen.specs.datasets import CustomDataset, Facts, FolderDataset

CACHE_FILE = Path("results/state/files.json")
PROGRESS_SECONDS = 5
WHERE = "the folder that snakemake runs in"
READER = 2
"""Version of what is kept of an image file; raise it when the facts or their meaning change."""


class Contents(NamedTuple):
    """What one file or folder of images holds: `names` are the classes', `digest` is of images and labels.

    Of a folder, `skipped` has pairs of a reason and a path, and `notes` are lines about its images.
    """

    shape: Shape
    names: tuple[str, ...]
    images: int
    digest: str
    skipped: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


def dataset_facts(spec: CustomDataset) -> Facts:
    """Shape, classes and sizes of a data set of one's own; ValueError says in one line what is wrong with its files."""
    train, test = dataset_contents(spec)
    count, left = (train.images, test.images) if test else _split(train.images, spec.test_share)
    if not left or not count:
        raise ValueError(f"{train.images} images are too few to set test images apart; name those with test_path")
    return Facts(train.shape, len(train.names), min(spec.train or count, count), min(spec.test or left, left))


def _split(count: int, share: float) -> tuple[int, int]:
    test = round(count * share)
    return count - test, test


def dataset_contents(spec: CustomDataset) -> tuple[Contents, Contents | None]:
    """What its file or folder holds, and that of its test images if they have one of their own."""
    train = _contents_of(spec, spec.path, "train")
    divided = isinstance(spec, FolderDataset) and bool(find_splits(Path(spec.path), read_classes(spec.classes)))
    if spec.test_path is None and not divided:
        return train, None
    test_path = spec.test_path or spec.path
    test = _contents_of(spec, test_path, "test")
    if spec.kind == "folder" and train.shape[1:] == test.shape[1:]:  # colour if either is
        shape = max(train.shape, test.shape)
        train, test = train._replace(shape=shape), test._replace(shape=shape)
    if test.shape != train.shape:
        told = f"{format_shape(test.shape)} images, and {spec.path} {format_shape(train.shape)}"
        raise ValueError(f"{test_path}: holds {told}; bring all to one size")
    if spec.kind == "folder" and test.names != train.names:
        other = sorted({*test.names} ^ {*train.names})[0]
        raise ValueError(f"{test_path}: the class {other!r} is not in both folders; give both the same classes")
    if len(test.names) > len(train.names):
        told = f"{len(test.names)} classes, and {spec.path} {len(train.names)}"
        raise ValueError(f"{test_path}: has labels of {told}; give both the same classes")
    return train, test


def _contents_of(spec: CustomDataset, path: str, split: str) -> Contents:
    if isinstance(spec, FolderDataset):
        return read_contents(spec.kind, path, split, spec.classes, spec.background, spec.channels)
    return read_contents(spec.kind, path)


def dataset_notes(spec: CustomDataset) -> list[str]:
    """Which label each class folder has, what was skipped, and what else of its images is worth a line."""
    if not isinstance(spec, FolderDataset):
        return []
    train, test = dataset_contents(spec)
    parts = [(spec.path, [train])]
    if test is not None and spec.test_path is None:
        parts = [(spec.path, [train, test])]
    elif test is not None:
        parts += [(str(spec.test_path), [test])]
    lines = [describe_classes(spec.path, train.names)]
    for path, found in parts:
        lines += describe_skipped(path, [one for part in found for one in part.skipped])
        lines += [line for part in found for line in part.notes]
    return lines


def print_notes_once(spec: CustomDataset) -> None:
    """Print the notes of a data set on stderr, unless an earlier plan in this folder has printed the same ones."""
    notes = dataset_notes(spec)
    if not notes:
        return
    known, digest = _kept(), sha256_text("\n".join(notes))[:16]
    printed = known.get(spec.path, {}).get("printed", [])
    if digest not in printed:
        print("\n".join(notes), file=sys.stderr, flush=True)
        _keep(known, {spec.path: {"printed": [*printed, digest]}})


def user_file_digest(spec: CustomDataset) -> str:
    """Of all images and labels, by content."""
    train, test = dataset_contents(spec)
    return sha256_text(f"{train.digest} {test.digest if test else ''}")[:16]


@cache
def read_contents(
    kind: str,
    path: str,
    split: str = "train",
    classes: Classes = None,
    background: str = "white",
    channels: int | None = None,
) -> Contents:
    """What a file or folder holds; what follows the path is for a folder alone."""
    there = Path(path).is_dir() if kind == "folder" else Path(path).is_file()
    if not there:
        what = {"folder": "folder of class folders", "npz": ".npz file", "parquet": "Parquet file"}[kind]
        raise ValueError(f"no such {what}; paths are relative to {WHERE}")
    if kind == "folder":
        found = _folder(Path(path), split, classes, background, channels)
    else:
        found = {"npz": _npz, "parquet": _parquet}[kind](Path(path))
    if found.images > MAX_COUNT:
        raise ValueError(f"{path}: holds {found.images:,} images, and {MAX_COUNT:,} is the most; give a part of them")
    return found


def clear_cache() -> None:
    """Look at the files again: another study is read."""
    read_contents.cache_clear()


def _folder(folder: Path, split: str, classes: Classes, background: str, channels: int | None) -> Contents:
    found = list_folder(folder, classes, split)
    known, seen = _kept(), dict[str, Any]()
    files: list[tuple[Path, int, str, ImageFacts]] = []
    last = time.monotonic()
    for path, label in zip(found.paths, found.labels, strict=True):
        if time.monotonic() - last >= PROGRESS_SECONDS:
            last = time.monotonic()
            print(f"{folder}: {len(files):,} of {len(found.paths):,} images looked at", file=sys.stderr, flush=True)
        digest, facts = _look_at(path, known, seen)
        files.append((path, label, digest, facts))
        check_image(path, facts, (files[0][0], files[0][3]), channels)
    _keep(known, seen)
    first = files[0][3]
    shape = (channels or max(facts.channels for *_, facts in files), first.height, first.width)
    digest = sha256_text("\n".join(f"{label} {digest}" for _, label, digest, _ in files))
    notes = describe_images(folder, files, background)
    return Contents(shape, found.names, len(files), digest, tuple(found.skipped), tuple(notes))


def _look_at(path: Path, known: dict[str, Any], seen: dict[str, Any]) -> tuple[str, ImageFacts]:
    """The digest of an image file and what it holds, from what is `known` if the file has not changed."""
    status = path.stat()
    at = [status.st_size, status.st_mtime_ns, READER]
    entry = known.get(str(path))
    if not entry or entry.get("at") != at:
        facts = read_image(path)[1]  # neither the background nor the number of channels changes the facts
        entry = {"at": at, "digest": sha256_file(path), "facts": list(facts)}
    seen[str(path)] = entry
    return entry["digest"], ImageFacts(*entry["facts"])


def file_digest(path: Path) -> str:
    """Of a file's content, made again when its size or time of change is another."""
    known, status = _kept(), path.stat()
    at = [status.st_size, status.st_mtime_ns]
    before = known.get(str(path))
    if before and before.get("at") == at:
        return str(before["digest"])
    digest = sha256_file(path)
    _keep(known, {str(path): {"at": at, "digest": digest}})
    return digest


def _kept() -> dict[str, Any]:
    try:
        entries = json.loads(CACHE_FILE.read_text())
        return entries if isinstance(entries, dict) else {}
    except (OSError, ValueError):
        return {}


def _keep(known: dict[str, Any], seen: dict[str, Any]) -> None:
    entries = {path: told for path, told in (known | seen).items() if path in seen or os.path.exists(path)}
    if entries != known:
        with suppress(OSError):
            write_bytes(CACHE_FILE, json.dumps(entries).encode())


def model_digest(path: str, factory: str | None) -> str:
    """Of a model's file, and of the files of the code that its weights fit; ValueError if one is not there."""
    if not Path(path).is_file():
        raise ValueError(f"no such file; paths are relative to {WHERE}")
    code = " ".join(file_digest(one) for one in factory_files(factory)) or factory
    return sha256_text(f"{file_digest(Path(path))} {code}")[:16]


def is_checkpoint(path: Path) -> bool:
    """Whether a safetensors file says by itself how its model is built."""
    with suppress(OSError, ValueError, KeyError, TypeError, struct.error), path.open("rb") as file:
        [size] = struct.unpack("<Q", file.read(8))
        return "advgen" in json.loads(file.read(size))["__metadata__"]
    return False


def factory_files(factory: str | None) -> list[Path]:
    """The file of "path.py:function", or of "module:function" below the working folder, and what it imports from there.

    What is imported from anywhere else is installed, and does not count. ValueError if the file is not there, or if one
    is no Python.
    """
    if factory is None:
        return []
    place, colon, name = factory.rpartition(":")
    if not colon or not name.isidentifier():
        raise ValueError("write module:function, or path.py:function")
    if place.endswith(".py"):
        if not Path(place).is_file():
            raise ValueError(f"no such file as {place}; paths are relative to {WHERE}")
        folder, todo = Path(place).parent, [Path(place)]
    else:
        folder, todo = Path(), _modules(Path(), place)
    found: list[Path] = []
    while todo:
        file = todo.pop(0)
        if file not in found:
            found.append(file)
            todo += _imported(file, folder)
    return found


def _imported(file: Path, folder: Path) -> list[Path]:
    """The files below a folder that a file of code imports."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) else ""
        raise ValueError(f"{file}{line} is no Python: {getattr(error, 'msg', error)}") from None
    found: list[Path] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                found += _modules(folder, one.name)
        elif isinstance(node, ast.ImportFrom):
            base = file.parents[min(node.level, len(file.parents)) - 1] if node.level else folder
            origin = f"{node.module}." if node.module else ""
            for one in node.names if base.is_relative_to(folder) else ():
                found += _modules(base, f"{origin}{one.name}")
    return found


def _modules(folder: Path, dotted: str) -> list[Path]:
    """The files of a module and of the packages that it stands in, as far as they lie below a folder."""
    parts = dotted.split(".")
    places = [folder.joinpath(*parts[:size]) for size in range(1, len(parts) + 1)]
    return [
        file
        for place in places
        for file in (place / "__init__.py", place.parent / f"{place.name}.py")
        if file.is_file()
    ]


# --- arrays ----------------------------------------------------------------------------------------------------------

CODES = {"u1": "B", "i1": "b", "u2": "H", "i2": "h", "u4": "I", "i4": "i", "u8": "Q", "i8": "q"}
"""numpy's words for whole numbers, and Python's."""


def _npz(path: Path) -> Contents:
    try:
        with zipfile.ZipFile(path) as archive:
            there = [name.removesuffix(".npy") for name in archive.namelist()]
            if not {"images", "labels"} <= set(there):
                raise ValueError(f"holds {', '.join(there[:5]) or 'nothing'}; save the arrays as images and labels")
            with archive.open("images.npy") as file:
                dtype, size = _array_header(file)
            with archive.open("labels.npy") as file:
                lowest, highest, labels = _labels(file)
    except (ValueError, OSError, EOFError, SyntaxError, KeyError, struct.error, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: {str(error).splitlines()[0] if str(error) else 'is damaged'}") from None
    shape = _shape(path, dtype, size)
    if size[0] != labels:
        raise ValueError(f"{path}: has {size[0]} images and {labels} labels; give one for each")
    return Contents(shape, _names(path, lowest, highest), labels, file_digest(path))


def _array_header(file: IO[bytes]) -> tuple[str, tuple[int, ...]]:
    """The type and the shape of an array, which the file goes on with."""
    magic = file.read(8)
    if magic[:6] != b"\x93NUMPY":
        raise ValueError("holds what numpy.savez does not write")
    size = struct.unpack("<H", file.read(2))[0] if magic[6] == 1 else struct.unpack("<I", file.read(4))[0]
    told = ast.literal_eval(file.read(size).decode())
    if "O" in told["descr"]:
        raise ValueError("holds Python objects, which are pickled; save arrays of numbers")
    return str(told["descr"]), tuple(told["shape"])


def _labels(file: IO[bytes]) -> tuple[int, int, int]:
    """The lowest and the highest label, and how many there are."""
    dtype, size = _array_header(file)
    if dtype[1:] not in CODES or len(size) not in (1, 2) or (len(size) == 2 and size[1] != 1):
        raise ValueError(f"labels of {dtype} and shape {size} are no classes; give integers from 0 on, one for each")
    values = array.array(CODES[dtype[1:]])
    values.frombytes(file.read())
    if dtype[0] == ">":
        values.byteswap()
    if not values:
        raise ValueError("holds no images")
    return min(values), max(values), len(values)


def _shape(path: Path, dtype: str, size: tuple[int, ...]) -> Shape:
    """Channels, height, width of images (N, H, W), (N, C, H, W) or (N, H, W, C)."""
    if dtype != "|u1" and dtype[1] != "f":
        raise ValueError(f"{path}: images of {dtype} are no images; give uint8, or floats from 0 to 1")
    if len(size) == 3:
        size = (size[0], 1, *size[1:])
    if len(size) == 4 and size[1] not in (1, 3) and size[3] in (1, 3):
        size = (size[0], size[3], size[1], size[2])
    if len(size) != 4 or 0 in size or size[1] not in (1, 3):
        raise ValueError(f"{path}: images of shape {size}; give (images, channels, height, width), grey or colour")
    return size[1], size[2], size[3]


def _names(path: Path, lowest: int, highest: int) -> tuple[str, ...]:
    if lowest < 0:
        raise ValueError(f"{path}: has the label {lowest}; classes count from 0")
    if lowest > 0:
        raise ValueError(
            f"{path}: labels are from {lowest} to {highest}, and classes count from 0; save labels - {lowest}"
        )
    if highest == 0:
        raise ValueError(f"{path}: has one class alone; give images of at least two")
    return tuple(map(str, range(highest + 1)))


def _parquet(path: Path) -> Contents:
    parquet = importlib.import_module("pyarrow.parquet")  # only who has such a file pays for it
    try:
        field = parquet.read_schema(path).field("image")
        labels = parquet.read_table(path, columns=["label"]).column("label").to_pylist()
        if field.metadata[b"dtype"] != b"uint8":
            raise ValueError(f"images of {field.metadata[b'dtype'].decode()}; give uint8")
        channels, height, width = json.loads(field.metadata[b"shape"])
    except (OSError, ValueError, KeyError, TypeError) as error:  # Arrow's own are ValueError or OSError
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"{path}: is no data set of advgen ({reason}); name a train.parquet or test.parquet") from None
    if not labels:
        raise ValueError(f"{path}: holds no images")
    return Contents((channels, height, width), _names(path, min(labels), max(labels)), len(labels), file_digest(path))
