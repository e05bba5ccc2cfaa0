"""Sources of CIFAR-10: the six batches of its Python version."""

from __future__ import annotations

import io
import tarfile
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from advgen.data.checksum import md5
from advgen.data.cifar_files import PUBLISHED, read_batch
from advgen.data.download import LARGEST_BYTES, TIMEOUT_SECONDS, Source, fetch, local, local_folder
from advgen.files.provenance import write_bytes
from advgen.specs.datasets import Cifar10Dataset, DatasetSpec

ADDRESS = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
FOLDER, TARBALL = "cifar-10-batches-py", "cifar-10-python.tar.gz"
MD5 = Cifar10Dataset.raw


class Cifar10:
    """Where the batches come from. A folder of one's own may hold smaller batches in the same layout."""

    def fetch(self, targets: Sequence[Path]) -> None:
        """Write the raw files; ValueError lists every source tried."""
        folder = local_folder("cifar10")
        if (folder / FOLDER).is_dir():
            for target in targets:
                _copy(folder / FOLDER / target.name, target)
            return
        tarballs = [Source(f"file {folder / TARBALL}", Tarball((folder / TARBALL).read_bytes))]
        fetch(MD5, targets, [local(folder), *tarballs, Source(ADDRESS, Tarball(_download))], "cifar10")


def cifar10(spec: DatasetSpec) -> Cifar10:
    """CIFAR-10 (krizhevsky2009learning): a folder in torchvision's layout, the tarball, or its official address."""
    return Cifar10()


def _copy(source: Path, target: Path) -> None:
    """Take over a batch from a folder; ValueError if it is missing, no batch, or a damaged copy of a published one."""
    if not source.is_file():
        raise ValueError(f"{source}: not there; a folder {FOLDER}/ holds {', '.join(MD5)}")
    write_bytes(target, source.read_bytes())
    try:
        images, _ = read_batch(target)
        published = md5(target) == MD5[target.name]
        if len(images) >= PUBLISHED and not published:
            raise ValueError(f"{source}: {len(images)} images, but not the published ones (wrong checksum)")
    except ValueError:
        target.unlink()
        raise


class Tarball:
    """The batches in cifar-10-python.tar.gz, which is read once."""

    def __init__(self, get: Callable[[], bytes]):
        self.get, self.files = get, dict[str, bytes]()

    def __call__(self, name: str) -> bytes:
        if not self.files:
            with tarfile.open(fileobj=io.BytesIO(self.get()), mode="r:gz") as archive:
                for member in archive:
                    file = archive.extractfile(member) if Path(member.name).name in MD5 else None
                    if file is not None:
                        self.files[Path(member.name).name] = file.read()
        return self.files[name]


def _download() -> bytes:
    request = urllib.request.Request(ADDRESS, headers={"User-Agent": "advgen"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
        content: bytes = answer.read(LARGEST_BYTES)
    return content
