"""CIFAR-10: its sources, and the six batches of its Python version, which are pickles."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from advgen.data import checksum
from advgen.data.download import RawFiles, archived, download, local_folder
from advgen.data.pickle_literals import Call, literal
from advgen.files.provenance import write_bytes
from advgen.specs.datasets import Cifar10Dataset, DatasetSpec, RawDataset

Arrays = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]

ADDRESS = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
FOLDER, TARBALL = "cifar-10-batches-py", "cifar-10-python.tar.gz"
MD5 = Cifar10Dataset.raw
PUBLISHED = 10_000
"""Images in each published batch."""
PIXELS = 3 * 32 * 32


class Cifar10:
    """The raw files of CIFAR-10. The user's own folder may have smaller batches in the same layout."""

    def fetch(self, targets: Sequence[Path]) -> None:
        """Write the raw files; ValueError lists all sources tried."""
        folder = local_folder("cifar10")
        if (folder / FOLDER).is_dir():
            for target in targets:
                _copy_batch(folder / FOLDER / target.name, target)
            return
        tarballs = {f"file {folder / TARBALL}": (folder / TARBALL).read_bytes, ADDRESS: lambda: download(ADDRESS)}
        names = {name: name for name in MD5}
        RawFiles("cifar10", MD5, [archived(name, get, names) for name, get in tarballs.items()]).fetch(targets)


def cifar10(spec: DatasetSpec) -> Cifar10:
    """CIFAR-10 (krizhevsky2009learning): a folder in torchvision's layout, the tarball, or its official address."""
    return Cifar10()


def _copy_batch(source: Path, target: Path) -> None:
    """Copy a batch; ValueError if it is missing, not a batch, or as large as the published one but different."""
    if not source.is_file():
        raise ValueError(f"{source}: no such file; the folder {FOLDER}/ must have {', '.join(MD5)}")
    write_bytes(target, source.read_bytes())
    try:
        images, _ = read_batch(target)
        if len(images) >= PUBLISHED and not checksum.intact(target, Cifar10Dataset):
            raise ValueError(f"{source}: {len(images)} images, but not the published ones (wrong checksum)")
    except ValueError:
        target.unlink()
        raise


def read(raw: Sequence[Path], spec: RawDataset | None = None) -> tuple[Arrays, Arrays]:
    """Images (N, 3, 32, 32) uint8 and labels (N,) uint8 for training and for test (the last file)."""
    batches = [read_batch(path) for path in raw]
    images, labels = (np.concatenate([batch[part] for batch in batches[:-1]]) for part in (0, 1))
    return (images, labels), batches[-1]


def intact(path: Path, spec: RawDataset) -> bool:
    """Whether a raw file is the published one, or a readable one with fewer images."""
    try:
        return checksum.intact(path, spec) or len(read_batch(path)[0]) < PUBLISHED
    except ValueError:
        return False


def read_batch(path: Path) -> Arrays:
    """Images and labels of one batch as torchvision stores it; ValueError if it is anything else."""
    try:
        batch = {_text(key): value for key, value in literal(path.read_bytes()).items()}
        labels = np.array(batch["labels"], dtype=np.uint8)
        images = np.frombuffer(_array_bytes(batch["data"]), np.uint8).reshape(len(labels), 3, 32, 32)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path}: not a batch of CIFAR-10 ({reason}); delete it and run again") from None
    if len(labels) == 0 or labels.max() > 9:
        raise ValueError(f"{path}: not a batch of CIFAR-10 (labels must be 0 to 9); delete it and run again")
    return images, labels


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _array_bytes(value: Any) -> bytes:
    """The content of a pickled uint8 array in C order, from the record of the call that would have made it."""
    name = value.name.rpartition(".")[2]
    if name == "_reconstruct":  # its state: version, shape, type, Fortran order, content
        _, shape, kind, fortran, content = value.state
    elif name == "_frombuffer":
        content, kind, shape, order = value.arguments
        fortran = order != "C"
    else:
        raise ValueError(f"its images are made by {value.name}")
    if kind.arguments[0] not in ("u1", "uint8") or fortran or shape[1:] != (PIXELS,):
        raise ValueError("its images are not rows of 3072 bytes")
    if isinstance(content, Call) and content.name == "_codecs.encode":  # how Python 3 writes bytes for Python 2
        return str(content.arguments[0]).encode("latin-1")
    return content if isinstance(content, bytes) else content.encode("latin-1")
