"""Custom data and models: the properties that planning needs, such as shape, classes, count and a content digest.

Planning never imports numpy or torch: Pillow opens images, and only headers of arrays and Parquet files are read.
Results are cached by size and modification time of a file, so that each file is read once.
"""

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
BASE_FOLDER = "the folder in which snakemake runs"
READER = 2
"""Version of the cached properties of an image file; increase it when they change."""


class Contents(NamedTuple):
    """The content of one file or folder of images: `names` of the classes, and a `digest` of images and labels.

    For a folder, `skipped` has pairs of the reason and the path, and `notes` are lines about its images.
    """

    shape: Shape
    names: tuple[str, ...]
    images: int
    digest: str
    skipped: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()


def dataset_facts(spec: CustomDataset) -> Facts:
    """Return shape, classes and sizes of a custom data set; ValueError if its files cannot be used."""
    train, test = dataset_contents(spec)
    test_count = test.images if test else round(train.images * spec.test_share)
    train_count = train.images if test else train.images - test_count
    if not test_count or not train_count:
        raise ValueError(f"{train.images} images are too few for a test split; set test_path")
    sizes = min(spec.train or train_count, train_count), min(spec.test or test_count, test_count)
    return Facts(train.shape, len(train.names), *sizes)


def dataset_contents(spec: CustomDataset) -> tuple[Contents, Contents | None]:
    """Return the content of the training files, and of the test files if they are separate."""
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
        shapes = f"{format_shape(test.shape)} images, but {spec.path} has {format_shape(train.shape)}"
        raise ValueError(f"{test_path}: has {shapes}; resize all images to one size")
    if spec.kind == "folder" and test.names != train.names:
        other = sorted({*test.names} ^ {*train.names})[0]
        raise ValueError(f"{test_path}: the class {other!r} is not in both folders; use the same classes in both")
    if len(test.names) > len(train.names):
        counts = f"{len(test.names)} classes, but {spec.path} has {len(train.names)}"
        raise ValueError(f"{test_path}: has {counts}; use the same classes in both")
    return train, test


def _contents_of(spec: CustomDataset, path: str, split: str) -> Contents:
    if isinstance(spec, FolderDataset):
        return read_contents(spec.kind, path, split, spec.classes, spec.background, spec.channels)
    return read_contents(spec.kind, path)


def dataset_notes(spec: CustomDataset) -> list[str]:
    """Return lines with the labels of class folders, skipped files, and conversions of images."""
    if not isinstance(spec, FolderDataset):
        return []
    train, test = dataset_contents(spec)
    parts = {spec.path: [train]}
    if test is not None:
        parts.setdefault(spec.test_path or spec.path, []).append(test)
    lines = [describe_classes(spec.path, train.names)]
    for path, found in parts.items():
        lines += describe_skipped(path, [one for part in found for one in part.skipped])
        lines += [line for part in found for line in part.notes]
    return lines


def print_notes_once(spec: CustomDataset) -> None:
    """Print the notes of a data set on stderr, unless they have been printed before in this folder."""
    notes = dataset_notes(spec)
    if not notes:
        return
    known, digest = _read_cache(), sha256_text("\n".join(notes))[:16]
    printed = known.get(spec.path, {}).get("printed", [])
    if digest not in printed:
        print("\n".join(notes), file=sys.stderr, flush=True)
        _update_cache(known, {spec.path: {"printed": [*printed, digest]}})


def user_file_digest(spec: CustomDataset) -> str:
    """Return the digest of all images and labels of a custom data set."""
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
    """Return the content of a file or folder; the arguments after `path` only apply to folders."""
    exists = Path(path).is_dir() if kind == "folder" else Path(path).is_file()
    if not exists:
        what = {"folder": "folder of class folders", "npz": ".npz file", "parquet": "Parquet file"}[kind]
        raise ValueError(f"no such {what}; paths are relative to {BASE_FOLDER}")
    if kind == "folder":
        found = _folder(Path(path), split, classes, background, channels)
    else:
        found = {"npz": _npz, "parquet": _parquet}[kind](Path(path))
    if found.images > MAX_COUNT:
        raise ValueError(f"{path}: has {found.images:,} images, but the maximum is {MAX_COUNT:,}; use a part of them")
    return found


def clear_cache() -> None:
    """Read the files again when the next study is loaded."""
    read_contents.cache_clear()


def _folder(folder: Path, split: str, classes: Classes, background: str, channels: int | None) -> Contents:
    found = list_folder(folder, classes, split)
    known, seen = _read_cache(), dict[str, Any]()
    files: list[tuple[Path, int, str, ImageFacts]] = []
    last = time.monotonic()
    for path, label in zip(found.paths, found.labels, strict=True):
        if time.monotonic() - last >= PROGRESS_SECONDS:
            last = time.monotonic()
            print(f"{folder}: {len(files):,} of {len(found.paths):,} images checked", file=sys.stderr, flush=True)
        digest, facts = _read_properties(path, known, seen)
        files.append((path, label, digest, facts))
        check_image(path, facts, (files[0][0], files[0][3]), channels)
    _update_cache(known, seen)
    first = files[0][3]
    shape = (channels or max(facts.channels for *_, facts in files), first.height, first.width)
    digest = sha256_text("\n".join(f"{label} {digest}" for _, label, digest, _ in files))
    notes = describe_images(folder, files, background)
    return Contents(shape, found.names, len(files), digest, tuple(found.skipped), tuple(notes))


def _read_properties(path: Path, known: dict[str, Any], seen: dict[str, Any]) -> tuple[str, ImageFacts]:
    """Return the digest and the properties of an image file, from `known` if the file has not changed."""
    status = path.stat()
    at = [status.st_size, status.st_mtime_ns, READER]
    entry = known.get(str(path))
    if not entry or entry.get("at") != at:
        facts = read_image(path)[1]  # independent of background and channels
        entry = {"at": at, "digest": sha256_file(path), "facts": list(facts)}
    seen[str(path)] = entry
    return entry["digest"], ImageFacts(*entry["facts"])


def file_digest(path: Path) -> str:
    """Return the digest of a file, from the cache if size and modification time are unchanged."""
    known, status = _read_cache(), path.stat()
    at = [status.st_size, status.st_mtime_ns]
    before = known.get(str(path))
    if before and before.get("at") == at:
        return str(before["digest"])
    digest = sha256_file(path)
    _update_cache(known, {str(path): {"at": at, "digest": digest}})
    return digest


def _read_cache() -> dict[str, Any]:
    try:
        entries = json.loads(CACHE_FILE.read_text())
        return entries if isinstance(entries, dict) else {}
    except (OSError, ValueError):
        return {}


def _update_cache(known: dict[str, Any], seen: dict[str, Any]) -> None:
    entries = {path: entry for path, entry in (known | seen).items() if path in seen or os.path.exists(path)}
    if entries != known:
        with suppress(OSError):
            write_bytes(CACHE_FILE, json.dumps(entries).encode())


def model_digest(path: str, factory: str | None) -> str:
    """Return the digest of a model's file and of the files of its factory; ValueError if one does not exist."""
    if not Path(path).is_file():
        raise ValueError(f"no such file; paths are relative to {BASE_FOLDER}")
    code = " ".join(file_digest(one) for one in factory_files(factory)) or factory
    return sha256_text(f"{file_digest(Path(path))} {code}")[:16]


def is_checkpoint(path: Path) -> bool:
    """Return whether a safetensors file is a checkpoint of advgen, which describes its model."""
    with suppress(OSError, ValueError, KeyError, TypeError, struct.error), path.open("rb") as file:
        [size] = struct.unpack("<Q", file.read(8))
        return "advgen" in json.loads(file.read(size))["__metadata__"]
    return False


def factory_files(factory: str | None) -> list[Path]:
    """Return the file of "path.py:function" or "module:function", and the files that it imports from the same folder.

    Imports from elsewhere are installed packages and are not included.

    Raises:
        ValueError: the factory has another form, the file does not exist, or a file is not valid Python.
    """
    if factory is None:
        return []
    place, colon, name = factory.rpartition(":")
    if not colon or not name.isidentifier():
        raise ValueError("write module:function, or path.py:function")
    if place.endswith(".py"):
        if not Path(place).is_file():
            raise ValueError(f"no such file as {place}; paths are relative to {BASE_FOLDER}")
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
    """Return the files below a folder that a Python file imports."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError) as error:
        line = f":{error.lineno}" if isinstance(error, SyntaxError) else ""
        raise ValueError(f"{file}{line} is not valid Python: {getattr(error, 'msg', error)}") from None
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
    """Return the files of a module and of its parent packages that exist below a folder."""
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
"""NumPy's codes of integer types, and those of Python's array module."""


def _npz(path: Path) -> Contents:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            if not {"images", "labels"} <= set(names):
                raise ValueError(f"has {', '.join(names[:5]) or 'no arrays'}; save the arrays as images and labels")
            with archive.open("images.npy") as file:
                dtype, size = _array_header(file)
            with archive.open("labels.npy") as file:
                lowest, highest, labels = _labels(file)
    except (ValueError, OSError, EOFError, SyntaxError, KeyError, struct.error, zipfile.BadZipFile) as error:
        raise ValueError(f"{path}: {str(error).splitlines()[0] if str(error) else 'is damaged'}") from None
    shape = _shape(path, dtype, size)
    if size[0] != labels:
        raise ValueError(f"{path}: has {size[0]} images, but {labels} labels; save one label per image")
    return Contents(shape, _names(path, lowest, highest), labels, file_digest(path))


def _array_header(file: IO[bytes]) -> tuple[str, tuple[int, ...]]:
    """Read the dtype and the shape of an array from a .npy file."""
    magic = file.read(8)
    if magic[:6] != b"\x93NUMPY":
        raise ValueError("was not written by numpy.savez")
    size = struct.unpack("<H", file.read(2))[0] if magic[6] == 1 else struct.unpack("<I", file.read(4))[0]
    header = ast.literal_eval(file.read(size).decode())
    if "O" in header["descr"]:
        raise ValueError("has pickled Python objects; save arrays of numbers")
    return str(header["descr"]), tuple(header["shape"])


def _labels(file: IO[bytes]) -> tuple[int, int, int]:
    """Read the lowest and the highest label, and their number."""
    dtype, size = _array_header(file)
    if dtype[1:] not in CODES or len(size) not in (1, 2) or (len(size) == 2 and size[1] != 1):
        raise ValueError(f"labels have dtype {dtype} and shape {size}; save integers from 0, one per image")
    values = array.array(CODES[dtype[1:]])
    values.frombytes(file.read())
    if dtype[0] == ">":
        values.byteswap()
    if not values:
        raise ValueError("has no images")
    return min(values), max(values), len(values)


def _shape(path: Path, dtype: str, size: tuple[int, ...]) -> Shape:
    """Return channels, height and width of images (N, H, W), (N, C, H, W) or (N, H, W, C)."""
    if dtype != "|u1" and dtype[1] != "f":
        raise ValueError(f"{path}: images have dtype {dtype}; save uint8, or floats from 0 to 1")
    if len(size) == 3:
        size = (size[0], 1, *size[1:])
    if len(size) == 4 and size[1] not in (1, 3) and size[3] in (1, 3):
        size = (size[0], size[3], size[1], size[2])
    if len(size) != 4 or 0 in size or size[1] not in (1, 3):
        raise ValueError(
            f"{path}: images have shape {size}; save (images, channels, height, width) with 1 or 3 channels"
        )
    return size[1], size[2], size[3]


def _names(path: Path, lowest: int, highest: int) -> tuple[str, ...]:
    if lowest < 0:
        raise ValueError(f"{path}: has the label {lowest}; labels must start at 0")
    if lowest > 0:
        raise ValueError(f"{path}: labels are {lowest} to {highest}, but must start at 0; save labels - {lowest}")
    if highest == 0:
        raise ValueError(f"{path}: has only one class; save images of at least two")
    return tuple(map(str, range(highest + 1)))


def _parquet(path: Path) -> Contents:
    parquet = importlib.import_module("pyarrow.parquet")  # only for such files
    try:
        field = parquet.read_schema(path).field("image")
        labels = parquet.read_table(path, columns=["label"]).column("label").to_pylist()
        if field.metadata[b"dtype"] != b"uint8":
            raise ValueError(f"images have dtype {field.metadata[b'dtype'].decode()}; save uint8")
        channels, height, width = json.loads(field.metadata[b"shape"])
    except (OSError, ValueError, KeyError, TypeError) as error:  # Arrow's errors are ValueError or OSError
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"{path}: is not a data set of advgen ({reason}); use a train.parquet or test.parquet"
        ) from None
    if not labels:
        raise ValueError(f"{path}: has no images")
    return Contents((channels, height, width), _names(path, min(labels), max(labels)), len(labels), file_digest(path))
