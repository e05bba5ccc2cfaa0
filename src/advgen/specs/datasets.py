"""Data sets: published ones, and ones made from others."""

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
    """What must be known of a data set before it is made."""

    shape: Shape
    classes: int
    train: int
    test: int


class DatasetSpec(Spec):
    """Base of all data sets."""

    def facts(self, base: Facts | None = None) -> Facts:
        """Shape, classes and sizes; a data set made from another one is told the `base`'s."""
        raise NotImplementedError

    def credit(self) -> str:
        """Whose images these are, where their licence asks for it."""
        return ""


class RawDataset(DatasetSpec):
    """A published data set: its raw files are fetched and read. A subclass states shape, classes and files.

    `raw` has the checksum of each file as published, an md5 or npm's integrity; `reader` and `intact` are functions, as
    "module:name": what makes images and labels of the files, and whether one of them is what it should be. `source` are
    the keys that say which files are fetched, and `packages` those whose versions shape the images.
    """

    shape: ClassVar[Shape]
    classes: ClassVar[int]
    full: ClassVar[tuple[int, int]]
    raw: ClassVar[Mapping[str, str]]
    reader: ClassVar[str]
    intact: ClassVar[str]
    source: ClassVar[tuple[str, ...]] = ()
    packages: ClassVar[tuple[str, ...]] = ()

    train: Count | None = Field(None, description="use only this many training images (a seeded choice); null: all")
    test: Count | None = Field(None, description="use only this many test images (a seeded choice); null: all")

    @model_validator(mode="after")
    def _are_there(self) -> RawDataset:
        for key, there in zip(("train", "test"), self.full, strict=True):
            wanted = getattr(self, key)
            if wanted is not None and wanted > there:
                raise WrongValue(key, wanted, f"there are only {there} images")
        return self

    def files(self) -> tuple[str, ...]:
        """The raw files that it is made from."""
        return tuple(self.raw)

    def sizes(self) -> tuple[int, int]:
        """Training and test images."""
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
    """60,000 + 10,000 pieces of clothing, 28×28 grey (Xiao et al. 2017)."""

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
    """50,000 + 10,000 photographs of ten kinds of things, 32×32 colour (Krizhevsky 2009)."""

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
    attribute: str = Field("Smiling", description="the attribute that is the label: 1 where a face has it")
    crop: Annotated[int, Field(ge=8, le=178)] = Field(
        148, description="pixels along one side of the central square that is kept before resizing"
    )


class DrawnFacesDataset(RawDataset):
    """6,000 + 1,000 drawn faces, 64×64 colour: the design ToonHead, whose parts and colours are drawn at random.

    They are drawings, not photographs. A label is the place of the face's part among those of its attribute, in the
    alphabet; `none` is one where a face may have none.
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
        "hair", description="the attribute whose value is the label"
    )

    def facts(self, base: Facts | None = None) -> Facts:
        return Facts(self.shape, len(self.parts[self.attribute]), *self.sizes())

    def credit(self) -> str:
        return (
            "drawn faces: the design ToonHead by Johan Melin, CC BY 4.0, drawn by DiceBear 9.4.3, MIT, and scaled down"
        )


class SymbolsDataset(RawDataset):
    """3,154 + 627 colour symbols in one of two styles, 32×32 on white, in the nine categories that Unicode names.

    Activities, animals and nature, flags, food and drink, objects, people and body (six in ten), smileys and emotion,
    symbols, travel and places. All variants of a symbol stand in one split; both styles have the same symbols in the
    same order. The five plain squares that show tones of skin are left out.
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
    style: Literal["google", "twitter"] = Field(
        "google", description="who drew them: Noto (google) or Twemoji (twitter)"
    )

    def files(self) -> tuple[str, ...]:
        return "emoji.json", f"{self.style}.png"

    def credit(self) -> str:
        drawn = {
            "google": "Noto Emoji 2.048 by Google, Apache License 2.0",
            "twitter": "Twemoji 16.0.1 by Twitter and other contributors, CC BY 4.0",
        }
        return f"symbols: {drawn[self.style]}, scaled down and set on white"


class CustomDataset(DatasetSpec):
    """Images and labels of the user's own, in files. Shape, classes and sizes are what the files hold."""

    kind: str = Field(description="what they are in")
    path: str = Field(min_length=1, description="where they are, relative to the folder that snakemake runs in")
    test_path: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="where the test images are; null: `test_share` of the others"
    )
    test_share: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.2,
        description="share of the images that become the test split, a fixed choice, if no test images are given",
    )
    train: Count | None = Field(None, description="use only this many training images (a seeded choice); null: all")
    test: Count | None = Field(None, description="use only this many test images (a seeded choice); null: all")


class FolderDataset(CustomDataset):
    """A folder with a folder of images for each class, as torchvision's ImageFolder; PNG, JPEG and others, one size.

    Labels are those of ImageFolder, which sorts the class folders as text: "10" comes before "2". If the folder has
    `train` and `test` (or `val`) folders of class folders, these are the splits. Images are turned as their EXIF
    orientation says. Grey values of 16 or 32 bits are scaled by the range of their type; floats must be from 0 to 1.
    Hidden files and other formats are skipped and named.
    """

    kind: Literal["folder"] = Field(description="a folder of class folders")
    classes: Annotated[str, Field(min_length=1)] | Annotated[tuple[str, ...], Field(min_length=2)] | None = Field(
        None,
        description="the class folders in order of their labels, or a JSON file with a map of folder to label, such as "
        "ImageFolder's class_to_idx; null: sorted as text",
    )
    background: Literal["white", "black"] = Field("white", description="what transparent pixels are set on")
    channels: Literal[1, 3] | None = Field(
        None,
        description="1: grey, and an image with colours is refused; 3: colour, grey images in three equal channels; "
        "null: 1 if all images are stored in grey, else 3",
    )


class NpzDataset(CustomDataset):
    """numpy's arrays `images`, uint8 or floats from 0 to 1, and `labels`, whole numbers from 0 on, in one .npz file.

    Images are (N, H, W), (N, C, H, W) or (N, H, W, C). Floats are rounded to 255 grey levels.
    """

    kind: Literal["npz"] = Field(description="arrays of images and labels")


class ParquetDataset(CustomDataset):
    """A data set that a study has made: its train.parquet, or its test.parquet."""

    kind: Literal["parquet"] = Field(description="a Parquet file of advgen")


class DerivedDataset(DatasetSpec):
    """A data set made from another one. `splits` are those that change; the other ones are copied."""

    splits: ClassVar[tuple[str, ...]] = ("train", "test")

    base: DatasetName = Field(description="data set it is made from")

    def facts(self, base: Facts | None = None) -> Facts:
        assert base is not None
        return base

    def source(self, split: str) -> str:
        """The split of the base that one is made from."""
        return split

    def needs(self) -> Iterator[Need]:
        """The trained model that it is made with, if any."""
        return iter(())

    def check(self, shape: Shape) -> None:
        """WrongValue if it cannot be made from images of a shape."""


class PartDataset(DerivedDataset):
    """One of several disjoint parts of the training images, in a seeded order."""

    splits: ClassVar[tuple[str, ...]] = ("train",)
    kind: Literal["part"] = Field(description="one of several disjoint parts of the training images")
    part: Index = Field(description="which part, from 0")
    parts: Annotated[int, Field(ge=2, le=100)] = Field(2, description="how many parts")

    @model_validator(mode="after")
    def _exists(self) -> PartDataset:
        if self.part >= self.parts:
            raise WrongValue("part", self.part, f"does not exist; the {self.parts} parts are numbered from 0")
        return self

    def facts(self, base: Facts | None = None) -> Facts:
        assert base is not None
        return base._replace(train=base.train // self.parts)


class LearntImages(DerivedDataset):
    """Images that classifiers have learnt on, as test images: how well they do there tells how much they overfit."""

    splits: ClassVar[tuple[str, ...]] = ("test",)
    kind: Literal["learnt_images"] = Field(description="training images as test images")
    images: Count = Field(
        500, description="how many (a seeded choice); whoever learns on so many images or more has learnt on these"
    )

    def facts(self, base: Facts | None = None) -> Facts:
        assert base is not None
        return base._replace(test=self.images)

    def source(self, split: str) -> str:
        return "train"


class ShuffledLabels(DerivedDataset):
    """The same training images with labels in a random order: the control of every data set with odd labels."""

    splits: ClassVar[tuple[str, ...]] = ("train",)
    kind: Literal["shuffled_labels"] = Field(description="training labels in a random order")


class RobustFeatures(DerivedDataset):
    """Training images that only have the features that a classifier uses (Ilyas et al. 2019).

    Each starts from another image and is changed until the classifier's features are those of the original. From a
    robust classifier this gives the robust data set, from a standard one the non-robust one.
    """

    splits: ClassVar[tuple[str, ...]] = ("train",)
    kind: Literal["robust_features"] = Field(description="images that have only a classifier's features")
    classifier: ClassifierName = Field(description="classifier whose features are kept")
    seed: Seed = Field(0, description="seed of that classifier's training")
    steps: Count = Field(100, description="normalised gradient steps")
    step_size: Positive = Field(0.1, description="L2 length of a step, on the [0, 1] scale of pixels")

    def check(self, shape: Shape) -> None:
        check_radius("step_size", self.step_size, shape)

    def needs(self) -> Iterator[Need]:
        yield Need("", (self.classifier,), "model", self.seed)


class AdversarialLabels(DerivedDataset):
    """Adversarial training images, targeted at another class and labelled as it (Ilyas et al. 2019: D_rand, D_det)."""

    splits: ClassVar[tuple[str, ...]] = ("train",)
    kind: Literal["adversarial_labels"] = Field(description="adversarial images labelled as their target class")
    classifier: ClassifierName = Field(description="classifier that is fooled")
    seed: Seed = Field(0, description="seed of that classifier's training")
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
    """Digits as shapes that carry textures, after the stimuli of Geirhos et al. (2019); `cue` is the texture's class.

    `original`: each shape in the texture of its own class. `grey`: the images as they are. `silhouette`: black and
    white shapes. `edges`: outlines. `texture`: the texture alone, everywhere; the label is its class. `cue_conflict`:
    the texture of another class. `random_texture`: the texture of a random class. Where both cues disagree, the label
    may be either: right is whoever names the shape, or the texture.
    """

    kind: Literal["stimuli"] = Field(description="shapes and textures that agree, disagree or stand alone")
    stimulus: Literal["original", "grey", "silhouette", "edges", "texture", "cue_conflict", "random_texture"] = Field(
        description="what is shown"
    )
    label: Literal["shape", "texture"] = Field("shape", description="the cue whose class is the label")

    @model_validator(mode="after")
    def _disagree(self) -> Stimuli:
        if self.label == "texture" and self.stimulus not in ("cue_conflict", "random_texture"):
            message = f"says nothing where stimulus is {self.stimulus!r}; it is for cue_conflict and random_texture"
            raise WrongValue("label", self.label, message)
        return self


class RealFake(DerivedDataset):
    """Real images (class 1) and as many samples of a generator (class 0): the discriminator's task, frozen."""

    kind: Literal["real_fake"] = Field(description="real images and a generator's samples")
    gan: GanName = Field(description="GAN whose generator makes the fakes")
    seed: Seed = Field(0, description="seed of that GAN's training")

    def facts(self, base: Facts | None = None) -> Facts:
        assert base is not None
        return Facts(base.shape, 2, 2 * base.train, 2 * base.test)

    def needs(self) -> Iterator[Need]:
        yield Need("gans", (self.gan,), "generator", self.seed)
