"""Data sets: published, custom, and derived from others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from advgen.specs.base import (
    ClassifierName,
    Count,
    DatasetName,
    GanName,
    Index,
    Need,
    Positive,
    Seed,
    Shape,
    Spec,
    WrongValue,
    check_radius,
)


class Facts(NamedTuple):
    """Properties of a data set that are known before it is made."""

    shape: Shape
    classes: int
    train: int
    test: int


class DatasetSpec(Spec):
    """Base of all data sets."""

    def facts(self, base: Facts | None = None) -> Facts:
        """Return shape, classes and sizes; for a derived data set, from those of its `base`."""
        raise NotImplementedError

    def credit(self) -> str:
        """Return the attribution that the licence of the images requires, if any."""
        return ""


class RawDataset(DatasetSpec):
    """Base of published data sets, whose raw files are downloaded.

    A subclass sets the class variables:

    - shape, classes: of the images.
    - full: numbers of training and test images.
    - raw: published checksum of each file, md5 or npm's integrity.
    - reader: function that reads images and labels from the files, as "module:name".
    - intact: function that checks one file, as "module:name".
    - source: keys that determine which files are downloaded.
    - packages: packages whose versions affect the images.
    """

    shape: ClassVar[Shape]
    classes: ClassVar[int]
    full: ClassVar[tuple[int, int]]
    raw: ClassVar[Mapping[str, str]]
    reader: ClassVar[str]
    intact: ClassVar[str]
    source: ClassVar[tuple[str, ...]] = ()
    packages: ClassVar[tuple[str, ...]] = ()

    train: Count | None = Field(
        None, description="number of training images used (a random subset with a fixed seed); null: all"
    )
    test: Count | None = Field(
        None, description="number of test images used (a random subset with a fixed seed); null: all"
    )

    @model_validator(mode="after")
    def _check_sizes(self) -> RawDataset:
        for key, available in zip(("train", "test"), self.full, strict=True):
            requested = getattr(self, key)
            if requested is not None and requested > available:
                raise WrongValue(key, requested, f"there are only {available} images")
        return self

    def files(self) -> tuple[str, ...]:
        """Return the names of the raw files."""
        return tuple(self.raw)

    def sizes(self) -> tuple[int, int]:
        """Return the numbers of training and test images."""
        return self.train or self.full[0], self.test or self.full[1]

    def facts(self, base: Facts | None = None) -> Facts:
        return Facts(self.shape, self.classes, *self.sizes())


class MnistDataset(RawDataset):
    """60,000 + 10,000 handwritten digits, 28×28 grey (LeCun et al. 1998)."""

    shape: ClassVar[Shape] = (1, 28, 28)
    classes: ClassVar[int] = 10
    full: ClassVar[tuple[int, int]] = (60_000, 10_000)
    raw: ClassVar[Mapping[str, str]] = {  # of the unpacked files
        "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
        "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
        "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
        "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
    }
    reader: ClassVar[str] = "advgen.data.idx:read"
    intact: ClassVar[str] = "advgen.data.checksum:intact"
    kind: Literal["mnist"] = Field(description="MNIST digits")


class FashionMnistDataset(RawDataset):
    """60,000 + 10,000 images of clothing, 28×28 grey (Xiao et al. 2017)."""

    shape: ClassVar[Shape] = (1, 28, 28)
    classes: ClassVar[int] = 10
    full: ClassVar[tuple[int, int]] = (60_000, 10_000)
    raw: ClassVar[Mapping[str, str]] = {
        "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
        "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
        "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
    }
    reader: ClassVar[str] = MnistDataset.reader
    intact: ClassVar[str] = MnistDataset.intact
    kind: Literal["fashion_mnist"] = Field(description="Fashion-MNIST")


class Cifar10Dataset(RawDataset):
    """50,000 + 10,000 photographs of ten classes, 32×32 colour (Krizhevsky 2009)."""

    shape: ClassVar[Shape] = (3, 32, 32)
    classes: ClassVar[int] = 10
    full: ClassVar[tuple[int, int]] = (50_000, 10_000)
    raw: ClassVar[Mapping[str, str]] = {
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
    }
    reader: ClassVar[str] = "advgen.data.cifar:read"
    intact: ClassVar[str] = "advgen.data.cifar:intact"
    kind: Literal["cifar10"] = Field(description="CIFAR-10")


class CelebaDataset(RawDataset):
    """202,599 faces of celebrities with binary attributes, cropped and resized to 64×64 colour (Liu et al. 2015)."""

    shape: ClassVar[Shape] = (3, 64, 64)
    classes: ClassVar[int] = 2
    full: ClassVar[tuple[int, int]] = (182_637, 19_962)
    raw: ClassVar[Mapping[str, str]] = {
        "img_align_celeba.zip": "00d2c5bc6d35e252742224ab0c1e8fcb",
        "list_attr_celeba.txt": "75e246fa4810816ffd6ee81facbd244c",
        "list_eval_partition.txt": "d32c9cbf5e040fd4025c592c306e6668",
    }
    reader: ClassVar[str] = "advgen.data.celeba:read"
    intact: ClassVar[str] = "advgen.data.celeba:intact"
    kind: Literal["celeba"] = Field(description="CelebA faces")
    attribute: str = Field("Smiling", description="attribute used as the label: 1 for faces that have it")
    crop: Annotated[int, Field(ge=8, le=178)] = Field(
        148, description="side of the central square that is cropped before resizing, in pixels"
    )


class DrawnFacesDataset(RawDataset):
    """6,000 + 1,000 drawn faces, 64×64 colour: the design ToonHead with random parts and colours.

    They are drawings, not photographs. The label is the index of the face's part among all parts of the attribute, in
    alphabetical order; `none` is one of them where a face may have no such part.
    """

    shape: ClassVar[Shape] = (3, 64, 64)
    full: ClassVar[tuple[int, int]] = (6_000, 1_000)
    raw: ClassVar[Mapping[str, str]] = {
        "dicebear-core-9.4.3.tgz": (
            "sha512-9ITrQI57k3p5hKuU8HZJ1d0kPdrmTKEJDOdlKQ8CpaChbtmnD1R+dtWmNz5IesYThXM8F64pJ0ZvJ2rsY8Hciw=="
        ),
        "dicebear-toon-head-9.4.3.tgz": (
            "sha512-NcXfUWk0pjMsh2xe4L8PLNQowdPsC5FCIJ2OO1CCebAaV40f3O6xsRcvgHtrore3V1433B6ENRxwPMgOkwWnDw=="
        ),
    }
    reader: ClassVar[str] = "advgen.data.drawn_faces:read"
    intact: ClassVar[str] = "advgen.data.checksum:intact"
    packages: ClassVar[tuple[str, ...]] = ("resvg-py",)
    parts: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "beard": ("chin", "chinMoustache", "fullBeard", "longBeard", "moustacheTwirl", "none"),
        "clothes": ("dress", "openJacket", "shirt", "tShirt", "turtleNeck"),
        "eyebrows": ("angry", "happy", "neutral", "raised", "sad"),
        "eyes": ("bow", "happy", "humble", "wide", "wink"),
        "hair": ("bun", "sideComed", "spiky", "undercut"),
        "mouth": ("agape", "angry", "laugh", "sad", "smile"),
        "rearHair": ("longStraight", "longWavy", "neckHigh", "none", "shoulderHigh"),
    }
    kind: Literal["drawn_faces"] = Field(description="drawn faces")
    attribute: Literal["beard", "clothes", "eyebrows", "eyes", "hair", "mouth", "rearHair"] = Field(
        "hair", description="attribute used as the label"
    )

    def facts(self, base: Facts | None = None) -> Facts:
        return Facts(self.shape, len(self.parts[self.attribute]), *self.sizes())

    def credit(self) -> str:
        return (
            "drawn faces: the design ToonHead by Johan Melin, CC BY 4.0, drawn by DiceBear 9.4.3, MIT, and scaled down"
        )


class SymbolsDataset(RawDataset):
    """3,154 + 627 colour symbols (emoji) in one of two styles, 32×32 on white, in the nine Unicode categories.

    Activities, animals and nature, flags, food and drink, objects, people and body (six in ten), smileys and emotion,
    symbols, travel and places. All variants of a symbol are in the same split; both styles have the same symbols in the
    same order. The five squares that show skin tones are not included.
    """

    shape: ClassVar[Shape] = (3, 32, 32)
    classes: ClassVar[int] = 9
    full: ClassVar[tuple[int, int]] = (3_154, 627)
    raw: ClassVar[Mapping[str, str]] = {
        "emoji.json": "7e30bda40874fcf27782e58a438784ea",
        "google.png": "cfda460b5b19d9d45810ed146b4f1c56",
        "twitter.png": "ac756e3426f2e8ba827215092be89c77",
    }
    reader: ClassVar[str] = "advgen.data.symbols:read"
    intact: ClassVar[str] = "advgen.data.checksum:intact"
    source: ClassVar[tuple[str, ...]] = ("style",)
    kind: Literal["symbols"] = Field(description="colour symbols")
    style: Literal["google", "twitter"] = Field("google", description="design: Noto (google) or Twemoji (twitter)")

    def files(self) -> tuple[str, ...]:
        return "emoji.json", f"{self.style}.png"

    def credit(self) -> str:
        drawn = {
            "google": "Noto Emoji 2.048 by Google, Apache License 2.0",
            "twitter": "Twemoji 16.0.1 by Twitter and other contributors, CC BY 4.0",
        }
        return f"symbols: {drawn[self.style]}, scaled down and set on white"


class CustomDataset(DatasetSpec):
    """Base of custom data sets. Shape, classes and sizes are read from the files."""

    kind: str = Field(description="type of the files")
    path: str = Field(min_length=1, description="path of the images, relative to the folder in which snakemake runs")
    test_path: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="path of the test images; null: a fraction `test_share` of the others"
    )
    test_share: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.2,
        description="fraction of the images in the test split if test_path is null (a fixed random subset)",
    )
    train: Count | None = Field(
        None, description="number of training images used (a random subset with a fixed seed); null: all"
    )
    test: Count | None = Field(
        None, description="number of test images used (a random subset with a fixed seed); null: all"
    )


class FolderDataset(CustomDataset):
    """A folder with one folder of images per class, as for torchvision's ImageFolder. All images have the same size.

    Labels are those of ImageFolder, which sorts the class folders as text: "10" comes before "2". If the folder has
    `train` and `test` (or `val`) folders of class folders, these are the splits. PNG, JPEG and other formats are
    supported; the EXIF orientation is applied. Grey values of 16 or 32 bits are scaled by the range of their type;
    floats must be from 0 to 1. Hidden files and other formats are skipped with a note.
    """

    kind: Literal["folder"] = Field(description="a folder of class folders")
    classes: Annotated[str, Field(min_length=1)] | Annotated[tuple[str, ...], Field(min_length=2)] | None = Field(
        None,
        description="class folders in the order of their labels, or a JSON file that maps folders to labels, such as "
        "ImageFolder's class_to_idx; null: sorted as text",
    )
    background: Literal["white", "black"] = Field("white", description="background of transparent pixels")
    channels: Literal[1, 3] | None = Field(
        None,
        description="1: grey, and images with colours are an error; 3: colour, grey images get three equal channels; "
        "null: 1 if all images are stored in grey, else 3",
    )


class NpzDataset(CustomDataset):
    """A NumPy .npz file with `images` (uint8, or floats from 0 to 1) and `labels` (integers, starting at 0).

    Images have the shape (N, H, W), (N, C, H, W) or (N, H, W, C). Floats are rounded to 255 grey levels.
    """

    kind: Literal["npz"] = Field(description="arrays of images and labels")


class ParquetDataset(CustomDataset):
    """A data set made by another study: its train.parquet or test.parquet."""

    kind: Literal["parquet"] = Field(description="a Parquet file written by advgen")


class DerivedDataset(DatasetSpec):
    """Base of data sets made from another one. `splits` are those that change; others are copied."""

    splits: ClassVar[tuple[str, ...]] = ("train", "test")

    base: DatasetName = Field(description="data set it is made from")

    def facts(self, base: Facts | None = None) -> Facts:
        assert base is not None
        return base

    def source(self, split: str) -> str:
        """Return the split of the base from which a split is made."""
        return split

    def needs(self) -> Iterator[Need]:
        """Yield the trained model that is needed to make it, if any."""
        return iter(())

    def check(self, shape: Shape) -> None:
        """Raise WrongValue if it cannot be made from images of this shape."""


class PartDataset(DerivedDataset):
    """One of several disjoint random parts of the training images."""

    splits: ClassVar[tuple[str, ...]] = ("train",)
    kind: Literal["part"] = Field(description="one of several disjoint parts of the training images")
    part: Index = Field(description="index of the part, from 0")
    parts: Annotated[int, Field(ge=2, le=100)] = Field(2, description="number of parts")

    @model_validator(mode="after")
    def _exists(self) -> PartDataset:
        if self.part >= self.parts:
            raise WrongValue("part", self.part, f"does not exist; the {self.parts} parts are numbered from 0")
        return self

    def facts(self, base: Facts | None = None) -> Facts:
        assert base is not None
        return base._replace(train=base.train // self.parts)


class LearntImages(DerivedDataset):
    """Training images of the classifiers, used as test images: the accuracy on them shows how much a model overfits."""

    splits: ClassVar[tuple[str, ...]] = ("test",)
    kind: Literal["learnt_images"] = Field(description="training images as test images")
    images: Count = Field(
        500, description="number of images; every model that was trained on at least as many has seen all of them"
    )

    def facts(self, base: Facts | None = None) -> Facts:
        assert base is not None
        return base._replace(test=self.images)

    def source(self, split: str) -> str:
        return "train"


class ShuffledLabels(DerivedDataset):
    """The training images with shuffled labels: the control for data sets with unusual labels."""

    splits: ClassVar[tuple[str, ...]] = ("train",)
    kind: Literal["shuffled_labels"] = Field(description="shuffled training labels")


class RobustFeatures(DerivedDataset):
    """Training images with only the features that a classifier uses (Ilyas et al. 2019).

    Each starts from another image and is optimised until its features in the classifier equal those of the original.
    A robust classifier gives the paper's robust data set, a standard one the non-robust data set.
    """

    splits: ClassVar[tuple[str, ...]] = ("train",)
    kind: Literal["robust_features"] = Field(description="images with only the features that a classifier uses")
    classifier: ClassifierName = Field(description="classifier whose features are used")
    seed: Seed = Field(0, description="seed with which this classifier was trained")
    steps: Count = Field(100, description="normalised gradient steps")
    step_size: Positive = Field(0.1, description="L2 length of a step, on the [0, 1] scale of pixels")

    def check(self, shape: Shape) -> None:
        check_radius("step_size", self.step_size, shape)

    def needs(self) -> Iterator[Need]:
        yield Need("", (self.classifier,), "model", self.seed)


class AdversarialLabels(DerivedDataset):
    """Adversarial training images, labelled as their target class (Ilyas et al. 2019: D_rand, D_det)."""

    splits: ClassVar[tuple[str, ...]] = ("train",)
    kind: Literal["adversarial_labels"] = Field(description="adversarial images labelled as their target class")
    classifier: ClassifierName = Field(description="classifier that is attacked")
    seed: Seed = Field(0, description="seed with which this classifier was trained")
    target: Literal["random", "next"] = Field(
        "random", description="target class: random (the paper's D_rand), or the one after the label (D_det)"
    )
    eps: Positive = Field(2.0, description="L2 radius of the ball around each image, on the [0, 1] scale of pixels")
    steps: Count = Field(100, description="gradient steps")

    def check(self, shape: Shape) -> None:
        check_radius("eps", self.eps, shape)

    def needs(self) -> Iterator[Need]:
        yield Need("", (self.classifier,), "model", self.seed)


class Stimuli(DerivedDataset):
    """Digits as shapes with textures, after the stimuli of Geirhos et al. (2019). `cue` is the class of the texture.

    - `original`: each shape with the texture of its class.
    - `grey`: the unchanged images.
    - `silhouette`: black and white shapes.
    - `edges`: outlines.
    - `texture`: a texture in the whole image; the label is its class.
    - `cue_conflict`: each shape with the texture of another class.
    - `random_texture`: each shape with the texture of a random class.

    If the cues conflict, `label` selects which of them is the correct class.
    """

    kind: Literal["stimuli"] = Field(description="shapes and textures that agree, conflict, or occur alone")
    stimulus: Literal["original", "grey", "silhouette", "edges", "texture", "cue_conflict", "random_texture"] = Field(
        description="type of the images"
    )
    label: Literal["shape", "texture"] = Field("shape", description="the cue whose class is the label")

    @model_validator(mode="after")
    def _check_label(self) -> Stimuli:
        if self.label == "texture" and self.stimulus not in ("cue_conflict", "random_texture"):
            message = f"is not allowed with stimulus: {self.stimulus}; use it with cue_conflict or random_texture"
            raise WrongValue("label", self.label, message)
        return self


class RealFake(DerivedDataset):
    """Real images (class 1) and as many samples of a generator (class 0): the task of a discriminator."""

    kind: Literal["real_fake"] = Field(description="real images and samples of a generator")
    gan: GanName = Field(description="GAN whose generator makes the samples")
    seed: Seed = Field(0, description="seed with which this GAN was trained")

    def facts(self, base: Facts | None = None) -> Facts:
        assert base is not None
        return Facts(base.shape, 2, 2 * base.train, 2 * base.test)

    def needs(self) -> Iterator[Need]:
        yield Need("gans", (self.gan,), "generator", self.seed)
