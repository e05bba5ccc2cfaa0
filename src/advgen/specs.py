"""What every experiment is made of: one frozen pydantic class per thing that can be configured.

Specs hold only what changes the numbers, with every default filled in, so that their canonical JSON is what
Snakemake compares. Torch-free: the Snakefile imports this module.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializeAsAny, model_validator

from advgen.geometry import glasses_frame

Shape = tuple[int, int, int]
"""Channels, height, width."""

Activation = Literal["relu", "leaky_relu", "sigmoid", "tanh"]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Ref(NamedTuple):
    """Marks a string field as the name of a definition in one of `families` of the study."""

    families: tuple[str, ...]


DatasetName = Annotated[str, Ref(("datasets",))]
GanName = Annotated[str, Ref(("gans",))]
AutoencoderName = Annotated[str, Ref(("autoencoders",))]
ClassifierName = Annotated[str, Ref(("classifiers", "probes"))]
GeneratorName = Annotated[str, Ref(("gans", "generators"))]
EncoderName = Annotated[str, Ref(("encoders",))]
MaskName = Annotated[str, Ref(("masks",))]
AttackName = Annotated[str, Ref(("attacks",))]
InversionName = Annotated[str, Ref(("inversions",))]
InpaintingName = Annotated[str, Ref(("inpaintings",))]
InterpolationName = Annotated[str, Ref(("interpolations",))]
TransferName = Annotated[str, Ref(("transfers",))]
TruncationName = Annotated[str, Ref(("truncations",))]
LinearityName = Annotated[str, Ref(("linearities",))]
ConvergenceName = Annotated[str, Ref(("convergences",))]
SimulationName = Annotated[str, Ref(("simulations",))]


class Spec(BaseModel):
    """Base of all specs: immutable, closed to unknown keys, finite numbers only."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)

    def canonical(self) -> str:
        """One JSON string with sorted keys and every default filled in."""
        return canonical_json(self.model_dump(mode="json"))


def of_family(family: str) -> BeforeValidator:
    """Validates a nested spec as any of a family; the registry, which knows them, imports this module."""

    def parse(value: Any) -> Any:
        from advgen import registry

        return registry.parse(family, value)

    return BeforeValidator(parse)


def canonical_json(value: Any) -> str:
    """`value` as JSON with sorted keys and no spaces: equal values give equal strings."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


# --- data sets -------------------------------------------------------------------------------------------------------


class Need(NamedTuple):
    """One artefact that something reads: `role` of the job that makes `names` of `family`, over all seeds or one."""

    family: str
    names: tuple[str, ...]
    role: str
    seed: int | None = None


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


class RawDataset(DatasetSpec):
    """A published data set: its raw files are fetched and read. A subclass states shape, classes and files."""

    shape: ClassVar[Shape]
    classes: ClassVar[int]
    full: ClassVar[tuple[int, int]]
    raw: ClassVar[tuple[str, ...]]
    reader: ClassVar[str]

    train: Count | None = Field(None, description="use only this many training images (a seeded choice); null: all")
    test: Count | None = Field(None, description="use only this many test images (a seeded choice); null: all")

    def sizes(self) -> tuple[int, int]:
        """Training and test images."""
        return min(self.train or self.full[0], self.full[0]), min(self.test or self.full[1], self.full[1])

    def facts(self, base: Facts | None = None) -> Facts:
        return Facts(self.shape, self.classes, *self.sizes())


class MnistDataset(RawDataset):
    """60,000 + 10,000 handwritten digits, 28×28 grey (LeCun et al. 1998)."""

    shape: ClassVar[Shape] = (1, 28, 28)
    classes: ClassVar[int] = 10
    full: ClassVar[tuple[int, int]] = (60_000, 10_000)
    raw: ClassVar[tuple[str, ...]] = (
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    )
    reader: ClassVar[str] = "advgen.data.idx:read"
    kind: Literal["mnist"] = Field(description="MNIST digits")


class FashionMnistDataset(RawDataset):
    """60,000 + 10,000 pieces of clothing, 28×28 grey (Xiao et al. 2017)."""

    shape: ClassVar[Shape] = (1, 28, 28)
    classes: ClassVar[int] = 10
    full: ClassVar[tuple[int, int]] = (60_000, 10_000)
    raw: ClassVar[tuple[str, ...]] = MnistDataset.raw
    reader: ClassVar[str] = MnistDataset.reader
    kind: Literal["fashion_mnist"] = Field(description="Fashion-MNIST")


class Cifar10Dataset(RawDataset):
    """50,000 + 10,000 photographs of ten kinds of things, 32×32 colour (Krizhevsky 2009)."""

    shape: ClassVar[Shape] = (3, 32, 32)
    classes: ClassVar[int] = 10
    full: ClassVar[tuple[int, int]] = (50_000, 10_000)
    raw: ClassVar[tuple[str, ...]] = (
        "data_batch_1",
        "data_batch_2",
        "data_batch_3",
        "data_batch_4",
        "data_batch_5",
        "test_batch",
    )
    reader: ClassVar[str] = "advgen.data.cifar_files:read"
    kind: Literal["cifar10"] = Field(description="CIFAR-10")


class CelebaDataset(RawDataset):
    """202,599 faces of celebrities with binary attributes, cropped and resized to 64×64 colour (Liu et al. 2015)."""

    shape: ClassVar[Shape] = (3, 64, 64)
    classes: ClassVar[int] = 2
    full: ClassVar[tuple[int, int]] = (182_637, 19_962)
    raw: ClassVar[tuple[str, ...]] = ("img_align_celeba.zip", "list_attr_celeba.txt", "list_eval_partition.txt")
    reader: ClassVar[str] = "advgen.data.celeba_files:read"
    kind: Literal["celeba"] = Field(description="CelebA faces")
    attribute: str = Field("Smiling", description="the attribute that is the label: 1 where a face has it")
    crop: Annotated[int, Field(ge=8, le=178)] = Field(
        148, description="pixels along one side of the central square that is kept before resizing"
    )


class DerivedDataset(DatasetSpec):
    """A data set made from another one. `splits` are those that change; the other ones are copied."""

    splits: ClassVar[tuple[str, ...]] = ("train", "test")

    base: DatasetName = Field(description="data set it is made from")

    def facts(self, base: Facts | None = None) -> Facts:
        assert base is not None
        return base

    def needs(self) -> Iterator[Need]:
        """The trained model that it is made with, if any."""
        return iter(())


class PartDataset(DerivedDataset):
    """One of several disjoint parts of the training images, in a seeded order."""

    splits: ClassVar[tuple[str, ...]] = ("train",)
    kind: Literal["part"] = Field(description="one of several disjoint parts of the training images")
    part: Annotated[int, Field(ge=0)] = Field(description="which part, from 0")
    parts: Annotated[int, Field(ge=2, le=100)] = Field(2, description="how many parts")

    @model_validator(mode="after")
    def _exists(self) -> PartDataset:
        if self.part >= self.parts:
            raise ValueError(f"part {self.part} of {self.parts} does not exist; they are numbered from 0")
        return self

    def facts(self, base: Facts | None = None) -> Facts:
        assert base is not None
        return base._replace(train=base.train // self.parts)


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

    def needs(self) -> Iterator[Need]:
        yield Need("sources", (self.classifier,), "model", self.seed)


class AdversarialLabels(DerivedDataset):
    """Training images moved towards another class and labelled as that class (Ilyas et al. 2019: D_rand, D_det)."""

    splits: ClassVar[tuple[str, ...]] = ("train",)
    kind: Literal["adversarial_labels"] = Field(description="adversarial images labelled as their target class")
    classifier: ClassifierName = Field(description="classifier that is fooled")
    seed: Seed = Field(0, description="seed of that classifier's training")
    target: Literal["random", "next"] = Field(
        "random", description="target class: random (the paper's D_rand), or the one after the label (D_det)"
    )
    eps: Positive = Field(2.0, description="L2 radius of the ball around each image, on the [0, 1] scale of pixels")
    steps: Count = Field(100, description="gradient steps")

    def needs(self) -> Iterator[Need]:
        yield Need("sources", (self.classifier,), "model", self.seed)


class Stimuli(DerivedDataset):
    """Digits as shapes that carry textures, after the stimuli of Geirhos et al. (2019); `cue` is the texture's class.

    `original`: each shape in the texture of its own class. `grey`: the images as they are. `silhouette`: black and
    white shapes. `edges`: outlines. `texture`: the texture alone, everywhere; the label is its class. `cue_conflict`:
    the texture of another class. `random_texture`: the texture of a random class.
    """

    kind: Literal["stimuli"] = Field(description="shapes and textures that agree, disagree or stand alone")
    stimulus: Literal["original", "grey", "silhouette", "edges", "texture", "cue_conflict", "random_texture"] = Field(
        description="what is shown"
    )


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


# --- models ----------------------------------------------------------------------------------------------------------


def conv_size(size: int, kernel: int, stride: int, padding: int) -> int:
    """Pixels along one side after a convolution."""
    return (size + 2 * padding - kernel) // stride + 1


def deconv_size(size: int, kernel: int, stride: int, padding: int) -> int:
    """Pixels along one side after a transposed convolution."""
    return (size - 1) * stride - 2 * padding + kernel


class NetworkSpec(Spec):
    """A network from an image to logits: discriminator (one logit), classifier or judge."""

    image: Shape | None = Field(
        None, description="channels, height, width that it is made for; null: those of the data set"
    )

    def fit(self, shape: Shape) -> NetworkSpec:
        """This spec with its image shape settled as `shape`; ValueError if it cannot take such images."""
        if self.image is not None and self.image != shape:
            raise ValueError(f"is made for {show_shape(self.image)} images, not {show_shape(shape)}")
        return self.model_copy(update={"image": shape})


class FcNetwork(NetworkSpec):
    """Fully connected layers."""

    kind: Literal["fc"] = Field(description="fully connected")
    hidden: tuple[Count, ...] = Field((), description="units of each hidden layer; empty: softmax regression")
    activation: Activation = Field("relu", description="after each hidden layer")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="share of hidden units dropped in training")


class ConvNetwork(NetworkSpec):
    """Convolutions, then fully connected layers."""

    kind: Literal["conv"] = Field(description="convolutional")
    channels: tuple[Count, ...] = Field((32, 64), min_length=1, description="output channels of each convolution")
    kernel: Count = Field(5, description="pixels along one side of each filter")
    stride: Count = Field(1, description="step of each convolution")
    padding: Annotated[int, Field(ge=0)] = Field(2, description="zeros around each convolution's input")
    pool: Count = Field(2, description="max pooling after each convolution; 1: none")
    hidden: tuple[Count, ...] = Field((), description="units of each fully connected hidden layer")
    activation: Activation = Field("relu", description="after each hidden layer")
    batch_norm: bool = Field(False, description="batch normalisation after each convolution but the first")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="share of units dropped before each fully connected layer in training"
    )

    def sizes(self, shape: Shape) -> list[int]:
        """Side length after each convolution and its pooling, the input's first."""
        sizes = [shape[1]]
        for _ in self.channels:
            sizes.append(conv_size(sizes[-1], self.kernel, self.stride, self.padding) // self.pool)
        return sizes

    def fit(self, shape: Shape) -> NetworkSpec:
        if shape[1] != shape[2]:
            raise ValueError(f"takes square images, not {show_shape(shape)}")
        if min(self.sizes(shape)) < 1:
            raise ValueError(
                f"shrinks {show_shape(shape)} images to nothing: {len(self.channels)} convolutions are too many"
            )
        return super().fit(shape)


class EnsembleNetwork(NetworkSpec):
    """Several networks of one body; the logits are the log of their mean probability."""

    kind: Literal["ensemble"] = Field(description="the mean of several networks, as samples of a posterior")
    member: Annotated[SerializeAsAny[NetworkSpec], of_family("networks")] = Field(
        description="each member: preset name, or a network's own keys"
    )
    members: Annotated[int, Field(ge=2, le=50)] = Field(5, description="how many networks")

    def fit(self, shape: Shape) -> NetworkSpec:
        return super().fit(shape).model_copy(update={"member": self.member.fit(shape)})


class GeneratorSpec(Spec):
    """A network from a latent vector to an image in [0, 1]."""

    latent: Count = Field(50, description="numbers in a latent vector z, drawn from N(0, I)")
    initial: Literal["default", "he"] = Field(
        "default",
        description="weights before training: torch's default, or He's normal ones, which keep what z changes from "
        "shrinking with each layer before a ReLU",
    )

    def image_shape(self) -> Shape:
        """Channels, height, width of what it makes."""
        raise NotImplementedError


class FcGenerator(GeneratorSpec):
    """Fully connected layers only."""

    kind: Literal["fc"] = Field(description="fully connected")
    hidden: tuple[Count, ...] = Field((256, 512, 1024), description="units of each hidden layer")
    activation: Activation = Field("leaky_relu", description="after each hidden layer")
    image: Shape = Field((1, 28, 28), description="channels, height, width of the image it makes")

    def image_shape(self) -> Shape:
        return self.image


class DeconvGenerator(GeneratorSpec):
    """Fully connected layers to a small stack of feature maps, then transposed convolutions."""

    kind: Literal["deconv"] = Field(description="fully connected, then transposed convolutions")
    hidden: tuple[Count, ...] = Field((), description="units of the hidden layers before the feature maps")
    start: Shape = Field((64, 7, 7), description="channels, height, width of the first feature maps")
    channels: tuple[Count, ...] = Field((32,), description="channels between the transposed convolutions")
    image_channels: Count = Field(1, description="channels of the image it makes")
    kernel: Count = Field(4, description="pixels along one side of each filter")
    stride: Count = Field(2, description="step of each transposed convolution")
    padding: Annotated[int, Field(ge=0)] = Field(1, description="pixels cut from each side of its output")
    activation: Activation = Field("relu", description="after each hidden layer")
    batch_norm: bool = Field(True, description="batch normalisation after the transposed convolutions but the last")
    start_norm: bool = Field(False, description="batch normalisation of the first feature maps too")
    skip_latent: bool = Field(
        False, description="feed z to every transposed convolution, as BigGAN does, not to the first feature maps alone"
    )

    def image_shape(self) -> Shape:
        _, height, width = self.start
        for _ in (*self.channels, self.image_channels):
            height = deconv_size(height, self.kernel, self.stride, self.padding)
            width = deconv_size(width, self.kernel, self.stride, self.padding)
        return (self.image_channels, height, width)


class AutoencoderSpec(Spec):
    """An encoder and a decoder around a latent vector; the forward pass gives the image and z."""

    latent: Count = Field(100, description="numbers in a latent vector z")
    image: Shape | None = Field(
        None, description="channels, height, width that it is made for; null: those of the data set"
    )

    def fit(self, shape: Shape) -> AutoencoderSpec:
        """This spec with its image shape settled as `shape`; ValueError if it cannot take such images."""
        if self.image is not None and self.image != shape:
            raise ValueError(f"is made for {show_shape(self.image)} images, not {show_shape(shape)}")
        return self.model_copy(update={"image": shape})


class ConvAutoencoder(AutoencoderSpec):
    """Three (or more) strided convolutions and one fully connected layer, mirrored by the decoder."""

    kind: Literal["conv"] = Field(description="convolutional")
    channels: tuple[Count, ...] = Field(
        (16, 32, 64), min_length=1, description="output channels of the encoder's convolutions, mirrored by the decoder"
    )
    batch_norm: bool = Field(True, description="batch normalisation after each hidden layer")

    def sizes(self) -> list[int]:
        """Side length before and after each 3×3, stride 2 convolution."""
        assert self.image is not None, "fit() first"
        sizes = [self.image[1]]
        for _ in self.channels:
            sizes.append(conv_size(sizes[-1], 3, 2, 1))
        return sizes

    def fit(self, shape: Shape) -> AutoencoderSpec:
        if shape[1] != shape[2]:
            raise ValueError(f"takes square images, not {show_shape(shape)}")
        return super().fit(shape)


class FcAutoencoder(AutoencoderSpec):
    """One fully connected layer each way; its encoder is the body of a fully connected network."""

    kind: Literal["fc"] = Field(description="fully connected")
    activation: Activation = Field("sigmoid", description="of the latent vector")


def show_shape(shape: Shape) -> str:
    """A shape as people write it, e.g. 1×28×28."""
    return "×".join(str(side) for side in shape)


# --- training --------------------------------------------------------------------------------------------------------


class DefenceSpec(Spec):
    """Base of all defences: what training does to make a classifier robust. `label()` names it in tables."""

    stochastic: ClassVar[bool] = False

    def label(self) -> str:
        """The defence in a few words, with its budget."""
        raise NotImplementedError


class NoiseDefence(DefenceSpec):
    """Training on noisy images: the control of every adversarial training."""

    kind: Literal["noise"] = Field(description="random noise on every training image")
    noise: Literal["gaussian", "uniform", "sign"] = Field(
        "sign", description="gaussian of deviation eps, uniform within eps, or ±eps"
    )
    eps: Positive = Field(0.25, description="size of the noise, on the [0, 1] scale of pixels")

    def label(self) -> str:
        return f"{self.noise} noise {self.eps:g}"


class FgsmDefence(DefenceSpec):
    """Cross-entropy mixed with that of the FGSM examples of the moment (Goodfellow et al. 2015)."""

    kind: Literal["fgsm"] = Field(description="FGSM-regularised training")
    eps: Positive = Field(0.25, description="largest change of a pixel, on the [0, 1] scale")
    alpha: Fraction = Field(0.5, description="weight of the clean images")

    def label(self) -> str:
        return f"FGSM {self.eps:g}"


class PgdDefence(DefenceSpec):
    """Training on PGD examples alone: the saddle point of Madry et al. (2018)."""

    kind: Literal["pgd"] = Field(description="training on PGD examples")
    norm: Literal["linf", "l2"] = Field("linf", description="norm of the ball")
    eps: Positive = Field(0.3, description="radius of the ball, on the [0, 1] scale of pixels")
    steps: Count = Field(40, description="gradient steps")
    step_size: NonNegative = Field(
        default_factory=lambda given: 2.5 * given["eps"] / given["steps"] if {"eps", "steps"} <= given.keys() else 0.0,
        description="length of a step; left out: 2.5 eps / steps",
    )
    ramp: NonNegative = Field(0.0, description="epochs during which eps grows from zero")

    def label(self) -> str:
        return f"PGD-{self.steps} {self.norm} {self.eps:g}"


class FastDefence(DefenceSpec):
    """Training on single-step examples from random starts (Wong et al. 2020)."""

    kind: Literal["fast"] = Field(description="single-step training with random starts")
    eps: Positive = Field(0.3, description="radius of the L∞ ball, on the [0, 1] scale of pixels")
    step_size: NonNegative = Field(
        default_factory=lambda given: 1.25 * given["eps"] if "eps" in given else 0.0,
        description="length of the step; left out: 1.25 eps",
    )
    ramp: NonNegative = Field(0.0, description="epochs during which eps grows from zero")

    def label(self) -> str:
        return f"fast {self.eps:g}"


class PoolDefence(DefenceSpec):
    """A pool of minimum-distortion examples that is mixed into the training images (Szegedy et al. 2014)."""

    kind: Literal["pool"] = Field(description="a pool of adversarial examples, refreshed during training")
    size: Count = Field(5000, description="examples in the pool")
    share: Annotated[float, Field(gt=0, lt=1)] = Field(0.2, description="share of each batch that comes from the pool")
    largest: Positive = Field(
        1.0, description="L2 length to which a longer perturbation is cut, on the [0, 1] scale of pixels"
    )
    refresh: Positive = Field(1.0, description="epochs between two refreshments of the whole pool")
    steps: Count = Field(20, description="steps of the minimum-norm search behind each example")
    overshoot: NonNegative = Field(0.2, description="share by which each perturbation goes beyond the boundary")

    def label(self) -> str:
        return "adversarial pool"


class DeepDefence(DefenceSpec):
    """A penalty on small minimum perturbations, found by DeepFool steps (Yan et al. 2018, Deep Defense)."""

    kind: Literal["deep_defense"] = Field(description="a penalty on small minimum perturbations")
    weight: Positive = Field(15.0, description="weight of the penalty (the paper's lambda)")
    c: Positive = Field(25.0, description="slope of the penalty for rightly classified images")
    d: Positive = Field(5.0, description="slope of the penalty for wrongly classified ones")
    steps: Count = Field(3, description="DeepFool steps")

    def label(self) -> str:
        return "Deep Defense"


class BayesianDefence(DefenceSpec):
    """Posterior samples of weights, trained on samples of adversarial images (Ye and Zhu 2018)."""

    stochastic: ClassVar[bool] = True
    kind: Literal["bayesian"] = Field(description="Bayesian adversarial learning; the model must be an ensemble")
    eps: Positive = Field(0.3, description="radius of the L∞ ball, on the [0, 1] scale of pixels")
    steps: Count = Field(5, description="Langevin steps on the images")
    temperature: NonNegative = Field(1e-5, description="scale of the noise on the weights")

    def label(self) -> str:
        return f"Bayesian {self.eps:g}"


class ClassifierTraining(Spec):
    """How a classifier is trained with cross-entropy."""

    epochs: Positive = Field(5.0, description="passes over the training images")
    batch: Count = Field(100, description="images per step")
    optimizer: Literal["adam", "sgd"] = Field("adam", description="sgd uses momentum 0.9")
    lr: Positive = Field(1e-3, description="learning rate")
    weight_decay: NonNegative = Field(0.0, description="L2 penalty on the weights")
    decay: bool = Field(True, description="cosine decay of the learning rate to zero")


class EncoderTraining(Spec):
    """How an encoder learns to find z from G(z)."""

    steps: Count = Field(1000, description="batches of fresh samples")
    batch: Count = Field(128, description="samples per batch")
    lr: Positive = Field(1e-3, description="Adam learning rate")


class GanTraining(Spec):
    """How a generator and a discriminator are trained against each other."""

    loss: Literal["non_saturated", "cross_entropy", "mse"] = Field(
        "non_saturated", description="objective: non-saturating, minimax cross-entropy, or least squares"
    )
    epochs: Positive = Field(10.0, description="passes over the training images")
    batch: Count = Field(128, description="images per step")
    lr_generator: Positive = Field(1e-4, description="Adam learning rate of the generator")
    lr_discriminator: Positive = Field(4e-4, description="Adam learning rate of the discriminator")
    beta1: Fraction = Field(0.5, description="Adam's first-moment decay, both networks")
    generator_steps: Count = Field(1, description="generator updates per batch (the report's gs)")
    discriminator_steps: Count = Field(1, description="discriminator updates per batch (the report's ds)")
    unroll: Annotated[int, Field(ge=0, le=16)] = Field(
        0, description="discriminator steps to look ahead before a generator update (the report's k)"
    )
    unroll_mode: Literal["look_ahead", "exact"] = Field(
        "look_ahead", description="look_ahead: the report's; exact: the generator's gradient goes through those steps"
    )
    real_label: Annotated[float, Field(gt=0.5, le=1)] = Field(
        1.0, description="target for real images; 0.9 is one-sided label smoothing"
    )
    average: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="decay of a running average of the generator's weights that is saved instead; 0: none"
    )
    best_of: Annotated[int, Field(ge=0, le=100)] = Field(
        0, description="judge the generator so many times, evenly spaced, and keep the best; 0: keep the last"
    )


class MomentMatching(Spec):
    """A penalty that makes latent vectors look normal: mean, variance and kurtosis against 0, 1 and 3."""

    kind: Literal["pooled", "covariance"] = Field(
        "pooled",
        description="pooled: over all numbers of a batch together, as the report; covariance: per dimension, and the "
        "correlations between dimensions too",
    )
    first: Positive = Field(0.001, description="factor in the first epoch; it doubles with each epoch")
    constant_from: Count = Field(12, description="epoch from which the factor stays")


class AutoencoderTraining(Spec):
    """How an autoencoder is trained with mean squared error."""

    epochs: Positive = Field(20.0, description="passes over the training images")
    batch: Count = Field(128, description="images per step")
    lr: Positive = Field(1e-3, description="Adam learning rate")
    moments: MomentMatching | None = Field(None, description="moment matching of the latent vectors; null: none")


# --- masks -----------------------------------------------------------------------------------------------------------


class MaskSpec(Spec):
    """Base of all masks."""

    def lost(self, shape: Shape) -> int:
        """How many pixels of an image it blackens; must be some and not all."""
        raise NotImplementedError


class PepperMask(MaskSpec):
    """Blackens a random share of the pixels."""

    kind: Literal["pepper"] = Field(description="random pixels are lost")
    fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.3, description="share of pixels lost, rounded to whole ones"
    )

    def lost(self, shape: Shape) -> int:
        return round(self.fraction * shape[1] * shape[2])


class CrosswalkMask(MaskSpec):
    """Blackens every n-th row."""

    kind: Literal["crosswalk"] = Field(description="every n-th row is lost")
    period: Annotated[int, Field(ge=2)] = Field(2, description="one row in this many is lost")

    def lost(self, shape: Shape) -> int:
        return shape[1] // self.period * shape[2]


class SquareMask(MaskSpec):
    """Blackens one square at a random place."""

    kind: Literal["square"] = Field(description="one square is lost")
    size: Count = Field(8, description="pixels along one side of the square")

    def lost(self, shape: Shape) -> int:
        return self.size**2 if self.size <= min(shape[1:]) else 0


class GlassesMask(MaskSpec):
    """The frame of a pair of glasses in the upper half of the image (Sharif et al. 2016)."""

    kind: Literal["glasses"] = Field(description="the frame of a pair of glasses")
    thickness: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.07, description="of the frame, as a share of the image's width"
    )

    def lost(self, shape: Shape) -> int:
        return len(glasses_frame(shape, self.thickness))


# --- attacks ---------------------------------------------------------------------------------------------------------

Knowledge = Literal["gradient", "scores", "none"]
Target = Annotated[int, Field(ge=0)] | Literal["random", "nearest"] | None


class Threat(NamedTuple):
    """The threat model of one attack, as columns. `eps` is None where the attack seeks the smallest change.

    `loss` is what the attack climbs: two attacks that climb different ones are different attacks.
    """

    norm: str
    eps: float | None
    steps: int
    restarts: int
    step_size: float
    knowledge: Knowledge
    target: str
    loss: str = "none"


class AttackSpec(Spec):
    """Base of all attacks. `threat()` is what stands in every table beside a robustness number."""

    def threat(self) -> Threat:
        """Norm, budget and effort of the attack."""
        raise NotImplementedError


class TargetedAttack(AttackSpec):
    """Base of attacks that can aim at a class."""

    target: Target = Field(
        None, description="class to reach: a number, random, nearest (the likeliest wrong one); null: any wrong one"
    )

    def _target(self) -> str:
        return "none" if self.target is None else str(self.target)


class FgsmAttack(TargetedAttack):
    """One step of size eps along the sign of the input gradient (Goodfellow et al. 2015)."""

    kind: Literal["fgsm"] = Field(description="fast gradient sign method")
    eps: Fraction = Field(0.25, description="largest change of a pixel, on the [0, 1] scale")

    def threat(self) -> Threat:
        return Threat("linf", self.eps, 1, 1, self.eps, "gradient", self._target(), "cross_entropy")


class PgdAttack(TargetedAttack):
    """Projected gradient steps inside a ball around the image (Madry et al. 2018)."""

    kind: Literal["pgd"] = Field(description="projected gradient descent")
    eps: NonNegative = Field(0.3, description="radius of the ball, on the [0, 1] scale of pixels")
    norm: Literal["linf", "l2"] = Field("linf", description="norm of the ball")
    steps: Count = Field(40, description="gradient steps per restart")
    step_size: NonNegative = Field(
        default_factory=lambda given: 2.5 * given["eps"] / given["steps"] if {"eps", "steps"} <= given.keys() else 0.0,
        description="length of a step; left out: 2.5 eps / steps",
    )
    restarts: Count = Field(1, description="random starts; a point counts as safe only if all fail")
    random_start: bool = Field(True, description="start at a random point of the ball")
    loss: Literal["cross_entropy", "margin", "dlr"] = Field(
        "cross_entropy",
        description="what is climbed: cross-entropy, the margin of Carlini and Wagner, or the difference of logits "
        "ratio of Croce and Hein",
    )
    active_set: bool = Field(
        False, description="stop working on an image as soon as it is fooled: faster, but the last iterate is lost"
    )

    @model_validator(mode="after")
    def _restarts_differ(self) -> PgdAttack:
        if self.restarts > 1 and not self.random_start:
            raise ValueError("restarts > 1 without random_start would repeat the same attack; set random_start: true")
        return self

    def threat(self) -> Threat:
        effort = self.steps, self.restarts, self.step_size
        return Threat(self.norm, self.eps, *effort, "gradient", self._target(), self.loss)


class RegionAttack(TargetedAttack):
    """Projected gradient steps that change only the pixels of a region, as much as they like (Sharif et al. 2016)."""

    kind: Literal["region"] = Field(description="changes only pixels of a region, such as glasses")
    region: Annotated[SerializeAsAny[MaskSpec], of_family("masks")] = Field(
        description="a mask's own keys; the pixels that it blackens may change"
    )
    steps: Count = Field(100, description="gradient steps")
    step_size: Positive = Field(0.1, description="length of a step")

    def threat(self) -> Threat:
        return Threat("region", 1.0, self.steps, 1, self.step_size, "gradient", self._target(), "cross_entropy")


class LbfgsAttack(TargetedAttack):
    """The smallest change that misleads, by box-constrained L-BFGS and a search over c (Szegedy et al. 2014)."""

    kind: Literal["lbfgs"] = Field(description="box-constrained L-BFGS")
    target: Target = Field(
        "nearest",
        description="class to reach: a number, random, nearest (the likeliest wrong one); null: any wrong one",
    )
    steps: Count = Field(30, description="iterations for each c")
    searches: Count = Field(8, description="values of c tried for each image")
    memory: Count = Field(8, description="pairs that the approximation of the Hessian keeps")

    def threat(self) -> Threat:
        return Threat("l2", None, self.steps * self.searches, 1, 0.0, "gradient", self._target(), "cross_entropy")


class DeepFoolAttack(AttackSpec):
    """Steps to the nearest linearised boundary until the label changes (Moosavi-Dezfooli et al. 2016)."""

    kind: Literal["deepfool"] = Field(description="DeepFool, L2")
    steps: Count = Field(50, description="most steps")
    overshoot: NonNegative = Field(0.02, description="share by which the change goes beyond the boundary")

    def threat(self) -> Threat:
        return Threat("l2", None, self.steps, 1, 0.0, "gradient", "none")


class JsmaAttack(TargetedAttack):
    """Pixels changed to the extreme one pair after the other, by a saliency map (Papernot et al. 2016)."""

    kind: Literal["jsma"] = Field(description="Jacobian saliency map attack")
    target: Annotated[int, Field(ge=0)] | Literal["random", "nearest"] = Field(
        "nearest", description="class to reach: a number, random, nearest (the likeliest wrong one)"
    )
    share: Annotated[float, Field(gt=0, le=1)] = Field(0.15, description="largest share of the pixels changed")
    theta: Annotated[float, Field(gt=0, le=1)] = Field(1.0, description="change of each chosen pixel")

    def threat(self) -> Threat:
        return Threat("l0", None, 0, 1, self.theta, "gradient", self._target())


class CarliniWagnerAttack(TargetedAttack):
    """The smallest L2 change in tanh space with a binary search over c (Carlini and Wagner 2017)."""

    kind: Literal["carlini_wagner"] = Field(description="Carlini and Wagner's L2 attack")
    steps: Count = Field(200, description="Adam steps for each c")
    searches: Count = Field(5, description="values of c tried for each image")
    lr: Positive = Field(0.05, description="Adam learning rate in tanh space")
    confidence: NonNegative = Field(0.0, description="margin that the wrong class must reach")
    initial_c: Positive = Field(0.1, description="first weight of the margin")

    def threat(self) -> Threat:
        return Threat("l2", None, self.steps * self.searches, 1, self.lr, "gradient", self._target(), "margin")


class SquareAttack(AttackSpec):
    """Random squares of ±eps, kept when they raise the loss; sees scores alone (Andriushchenko et al. 2020)."""

    kind: Literal["square"] = Field(description="Square attack, L∞, from scores alone")
    eps: Fraction = Field(0.3, description="largest change of a pixel, on the [0, 1] scale")
    queries: Count = Field(1000, description="most queries per image")
    initial: Annotated[float, Field(gt=0, le=1)] = Field(0.8, description="share of the image in the first squares")

    def threat(self) -> Threat:
        return Threat("linf", self.eps, self.queries, 1, 0.0, "scores", "none", "margin")


class OnePixelAttack(AttackSpec):
    """One pixel set to any value (Su et al. 2019)."""

    kind: Literal["one_pixel"] = Field(description="one pixel, by differential evolution or exhaustively")
    search: Literal["evolution", "exhaustive"] = Field(
        "evolution", description="evolution: as published; exhaustive: every pixel at every level, a proof for those"
    )
    population: Count = Field(100, description="candidates of the evolution")
    generations: Count = Field(20, description="generations of the evolution")
    levels: Annotated[int, Field(ge=2, le=256)] = Field(2, description="grey levels per channel tried exhaustively")

    def threat(self) -> Threat:
        steps = self.generations if self.search == "evolution" else self.levels
        return Threat("l0", 1.0, steps, 1, 0.0, "scores", "none", "margin")


class SpatialAttack(AttackSpec):
    """A rotation and a translation of the whole image (Engstrom et al. 2019)."""

    kind: Literal["spatial"] = Field(description="rotation and translation")
    search: Literal["grid", "random", "first_order"] = Field(
        "grid", description="grid: the worst of all combinations; random: the worst of some; first_order: by gradient"
    )
    degrees: NonNegative = Field(30.0, description="largest rotation to either side")
    pixels: NonNegative = Field(3.0, description="largest shift in each direction")
    angles: Annotated[int, Field(ge=1)] = Field(31, description="angles in the grid")
    shifts: Annotated[int, Field(ge=1)] = Field(5, description="shifts in each direction in the grid")
    tries: Count = Field(10, description="random transformations, or gradient steps")

    def threat(self) -> Threat:
        steps = self.angles * self.shifts**2 if self.search == "grid" else self.tries
        knowledge: Knowledge = "gradient" if self.search == "first_order" else "scores"
        return Threat("spatial", None, steps, 1, 0.0, knowledge, "none", "cross_entropy")


class GaussianNoise(AttackSpec):
    """Gaussian noise of a given RMS: the control that every attack must beat."""

    kind: Literal["gaussian_noise"] = Field(description="Gaussian noise, clipped to the box; no gradient is used")
    sd: NonNegative = Field(0.3, description="standard deviation, on the [0, 1] scale of pixels")

    def threat(self) -> Threat:
        return Threat("none", self.sd, 0, 1, 0.0, "none", "none")


# --- searches in a generator's latent space --------------------------------------------------------------------------


class LatentSearch(Spec):
    """Gradient search for the latent vector whose image is nearest to a target, from several starts at once."""

    optimizer: Literal["adam", "sgd"] = Field("adam", description="what moves z")
    lr: Positive = Field(0.15, description="learning rate; sgd wants about 1 to 30, adam about 0.15")
    steps: Count = Field(200, description="gradient steps")
    starts: Count = Field(5, description="starts per image, random or around an encoder's; the best one is kept")
    prior: NonNegative = Field(
        0.003, description="weight of the discriminator's opinion where a method uses it (Yeh et al. 2017)"
    )


# --- simulations -----------------------------------------------------------------------------------------------------


class SimulationSpec(Spec):
    """Base of all simulations on made-up distributions; each gives series of points with intervals."""


class GaussianModel(SimulationSpec):
    """Two Gaussians at ±theta: test error, plain and robust, of the mean classifier by sample size (Schmidt 2018)."""

    kind: Literal["gaussian_model"] = Field(description="two Gaussian classes, a linear classifier")
    dimension: Count = Field(500, description="dimensions; theta has length sqrt(dimension)")
    deviation: Positive = Field(
        1.5, description="standard deviation of each coordinate, in units of dimension to the power 1/4"
    )
    sizes: tuple[Count, ...] = Field((1, 3, 10, 30, 100, 300), min_length=1, description="training examples")
    eps: tuple[NonNegative, ...] = Field((0.0, 0.25, 0.5), min_length=1, description="L∞ radii; 0: plain error")
    trials: Count = Field(50, description="training sets drawn for each size and seed")


class BernoulliModel(SimulationSpec):
    """Two classes of signs with bias tau: linear classifiers against thresholding by sample size (Schmidt 2018)."""

    kind: Literal["bernoulli_model"] = Field(description="two Bernoulli classes, with and without thresholding")
    dimension: Count = Field(500, description="coordinates, each ±1")
    bias: Annotated[float, Field(gt=0, lt=0.5)] = Field(0.1, description="tau: how far the signs lean to the class")
    sizes: tuple[Count, ...] = Field((1, 3, 10, 30, 100, 300), min_length=1, description="training examples")
    eps: tuple[NonNegative, ...] = Field((0.0, 0.1, 0.5), min_length=1, description="L∞ radii; 0: plain error")
    trials: Count = Field(50, description="training sets drawn for each size and seed")


class Spheres(SimulationSpec):
    """Two concentric spheres: error rate of a trained net and distance to its nearest error (Gilmer et al. 2018)."""

    kind: Literal["spheres"] = Field(description="two concentric spheres in high dimension")
    dimensions: tuple[Count, ...] = Field((20, 100, 200, 500), min_length=1, description="dimensions of the space")
    radius: Positive = Field(1.3, description="of the outer sphere; the inner one has radius 1")
    hidden: Count = Field(500, description="units of each of two hidden layers")
    steps: Count = Field(1000, description="training steps")
    batch: Count = Field(100, description="fresh points per step")
    points: Annotated[int, Field(ge=20)] = Field(5000, description="points tested, and a tenth of them attacked")


# --- figures ---------------------------------------------------------------------------------------------------------


class FigureSpec(Spec):
    """Base of all figures. `needs()` names the tables that it is drawn from; `group` is its part of the report."""

    group: ClassVar[Literal["Data and judge", "Generative lab", "Adversarial lab"]] = "Generative lab"

    width_mm: Annotated[float, Field(ge=60, le=400)] = Field(180.0, description="width on paper")

    def needs(self) -> Iterator[Need]:
        """The tables that the figure is drawn from."""
        raise NotImplementedError


class DatasetSamplesFigure(FigureSpec):
    """Images of each class of a data set."""

    group = "Data and judge"
    kind: Literal["dataset_samples"] = Field(description="images of each class")
    dataset: DatasetName = Field(description="data set shown")
    per_class: Count = Field(12, description="images per class")

    def needs(self) -> Iterator[Need]:
        yield Need("datasets", (self.dataset,), "test")


class JudgeLadderFigure(FigureSpec):
    """The judge's Fréchet distance for images of known quality, and where the generators stand on that ladder."""

    group = "Data and judge"
    kind: Literal["judge_ladder"] = Field(description="calibration ladder of the Fréchet distance")
    dataset: DatasetName = Field(description="data set whose judge is shown")
    gans: tuple[GanName, ...] = Field((), description="generators marked on the ladder")

    def needs(self) -> Iterator[Need]:
        yield Need("judges", (self.dataset,), "ladder")
        for gan in self.gans:
            yield Need("gans", (gan,), "quality")


class LossCurvesFigure(FigureSpec):
    """Losses of generator and discriminator per iteration, with epoch ticks."""

    kind: Literal["loss_curves"] = Field(description="losses per iteration")
    gans: tuple[GanName, ...] = Field(min_length=1, description="GANs shown, one panel each")
    smooth: Count = Field(25, description="iterations in the running mean drawn over the raw losses")

    def needs(self) -> Iterator[Need]:
        for gan in self.gans:
            yield Need("gans", (gan,), "history")


class GanSamplesFigure(FigureSpec):
    """Samples of each generator, unselected, and the share of each class in many samples."""

    kind: Literal["gan_samples"] = Field(description="samples and class shares")
    gans: tuple[GanName, ...] = Field(min_length=1, description="GANs shown")
    samples: Count = Field(80, description="samples shown for each, the first ones drawn")

    def needs(self) -> Iterator[Need]:
        for gan in self.gans:
            yield Need("gans", (gan,), "samples")
            yield Need("gans", (gan,), "quality")


class ReconstructionsFigure(FigureSpec):
    """Test images and what autoencoders make of them."""

    kind: Literal["reconstructions"] = Field(description="test images and their reconstructions")
    autoencoders: tuple[AutoencoderName, ...] = Field(min_length=1, description="autoencoders shown, a row each")
    images: Count = Field(16, description="test images shown")

    def needs(self) -> Iterator[Need]:
        for name in self.autoencoders:
            yield Need("autoencoders", (name,), "reconstructions")


class InversionCurvesFigure(FigureSpec):
    """Loss of each random start while a latent vector is searched."""

    kind: Literal["inversion_curves"] = Field(description="loss by start during inversion")
    inversion: InversionName = Field(description="inversion shown")
    images: Count = Field(6, description="images shown, one panel each")

    def needs(self) -> Iterator[Need]:
        yield Need("inversions", (self.inversion,), "inversion")


class InversionGalleryFigure(FigureSpec):
    """Test images and the nearest images that the generator can make."""

    kind: Literal["inversion_gallery"] = Field(description="targets and the best image found")
    inversion: InversionName = Field(description="inversion shown")
    images: Count = Field(16, description="images shown")

    def needs(self) -> Iterator[Need]:
        yield Need("inversions", (self.inversion,), "inversion")


class InpaintingGalleryFigure(FigureSpec):
    """Original, masked and restored images for each mask and method."""

    kind: Literal["inpainting_gallery"] = Field(description="original, masked, restored")
    inpainting: InpaintingName = Field(description="inpainting shown")
    images: Count = Field(5, description="images shown per mask")

    def needs(self) -> Iterator[Need]:
        yield Need("inpaintings", (self.inpainting,), "inpainting")


class InpaintingErrorsFigure(FigureSpec):
    """Error of each method under each mask, with intervals."""

    kind: Literal["inpainting_errors"] = Field(description="error by mask and method")
    inpainting: InpaintingName = Field(description="inpainting shown")

    def needs(self) -> Iterator[Need]:
        yield Need("inpaintings", (self.inpainting,), "inpainting")


class InterpolationStripsFigure(FigureSpec):
    """Frames between two test images, in an autoencoder and in a GAN."""

    kind: Literal["interpolation_strips"] = Field(description="frames between two images")
    interpolation: InterpolationName = Field(description="interpolation shown")
    pairs: Count = Field(4, description="pairs shown per model")

    def needs(self) -> Iterator[Need]:
        yield Need("interpolations", (self.interpolation,), "interpolation")


class AttackedFigure(FigureSpec):
    """Base of figures about attacked classifiers: the examples of every source and attack."""

    group = "Adversarial lab"
    sources: tuple[ClassifierName, ...] = Field(min_length=1, description="attacked classifiers")
    attacks: tuple[AttackName, ...] = Field(min_length=1, description="attacks shown")

    def needs(self) -> Iterator[Need]:
        for source in self.sources:
            for attack in self.attacks:
                yield Need("attacks", (source, attack), "examples")


class AttackGalleryFigure(AttackedFigure):
    """Images, the perturbation magnified, and the adversarial examples."""

    kind: Literal["attack_gallery"] = Field(description="adversarial examples with their perturbations")
    images: Count = Field(6, description="images shown")
    magnify: Positive = Field(1.0, description="factor on the perturbation in the picture")


class RobustnessFigure(AttackedFigure):
    """Accuracy of each classifier unattacked and under each attack, with intervals."""

    kind: Literal["robustness"] = Field(description="accuracy under attack")


class TransferMatrixFigure(FigureSpec):
    """Error of each target on the examples crafted on each source, one heat map per attack."""

    group = "Adversarial lab"
    kind: Literal["transfer_matrix"] = Field(description="heat map of transfer errors")
    transfer: TransferName = Field(description="transfer study shown")
    colormap: Literal["Blues", "Purples", "Greens", "Oranges", "viridis", "magma"] = Field(
        "Blues", description="colours from no error to all wrong"
    )

    def needs(self) -> Iterator[Need]:
        yield Need("transfers", (self.transfer,), "table")


# --- figures of the generative lab: comparisons -------------------------------------------------------------------


class GanComparisonFigure(FigureSpec):
    """Measures of several GANs side by side, a dot per seed, means with intervals over seeds."""

    kind: Literal["gan_comparison"] = Field(description="measures of several GANs side by side")
    gans: tuple[GanName, ...] = Field(min_length=1, description="GANs compared, a row each")
    measures: tuple[
        Literal[
            "fid",
            "inception_score",
            "precision",
            "recall",
            "classes",
            "total_variation",
            "vanishing",
            "isolated_energy",
            "sharpness",
        ],
        ...,
    ] = Field(("fid", "recall", "classes", "vanishing"), min_length=1, description="measures shown, a panel each")

    def needs(self) -> Iterator[Need]:
        for gan in self.gans:
            yield Need("gans", (gan,), "quality")


class TruncationFigure(FigureSpec):
    """Precision, recall and Fréchet distance against the truncation of z."""

    kind: Literal["truncation"] = Field(description="quality against the truncation of z")
    truncation: TruncationName = Field(description="truncation study shown")

    def needs(self) -> Iterator[Need]:
        yield Need("truncations", (self.truncation,), "quality")


class InversionComparisonFigure(FigureSpec):
    """Error of several inversions against the number of starts that the best one is chosen from."""

    kind: Literal["inversion_comparison"] = Field(description="best of n starts, by optimiser and kind of start")
    inversions: tuple[InversionName, ...] = Field(min_length=1, description="inversions compared")

    def needs(self) -> Iterator[Need]:
        for name in self.inversions:
            yield Need("inversions", (name,), "inversion")


class InversionKeepsFigure(FigureSpec):
    """What inversion keeps and loses: extent and ink of the found image against the given one, error by class."""

    kind: Literal["inversion_keeps"] = Field(description="extent, ink and class before and after inversion")
    inversion: InversionName = Field(description="inversion shown")

    def needs(self) -> Iterator[Need]:
        yield Need("inversions", (self.inversion,), "inversion")


class SquarePositionFigure(FigureSpec):
    """Error of inpainting against where the square lies and how much ink it covers."""

    kind: Literal["square_position"] = Field(description="error against the square's position and the ink it covers")
    inpainting: InpaintingName = Field(description="inpainting shown")
    mask: MaskName = Field(description="a square mask of that inpainting")

    def needs(self) -> Iterator[Need]:
        yield Need("inpaintings", (self.inpainting,), "inpainting")


class MomentCurvesFigure(FigureSpec):
    """Reconstruction error, moment loss and its factor over training, on a logarithmic axis."""

    kind: Literal["moment_curves"] = Field(description="the three series of moment matching")
    autoencoders: tuple[AutoencoderName, ...] = Field(min_length=1, description="autoencoders shown, a panel each")

    def needs(self) -> Iterator[Need]:
        for name in self.autoencoders:
            yield Need("autoencoders", (name,), "history")


class LatentDistributionFigure(FigureSpec):
    """Distribution of latent numbers over training against the normal one, pooled and per dimension."""

    kind: Literal["latent_distribution"] = Field(description="distribution functions of z over training")
    autoencoders: tuple[AutoencoderName, ...] = Field(min_length=1, description="autoencoders shown, a row each")

    def needs(self) -> Iterator[Need]:
        for name in self.autoencoders:
            yield Need("autoencoders", (name,), "snapshots")


class LatentSpectrumFigure(FigureSpec):
    """Eigenvalues of the covariance of z, and what the decoder makes of N(0, I)."""

    kind: Literal["latent_spectrum"] = Field(description="covariance spectrum and decoded normal draws")
    autoencoders: tuple[AutoencoderName, ...] = Field(min_length=1, description="autoencoders shown")
    samples: Count = Field(24, description="decoded draws shown for each")

    def needs(self) -> Iterator[Need]:
        for name in self.autoencoders:
            yield Need("autoencoders", (name,), "quality")
            yield Need("autoencoders", (name,), "decoded")


class ThirdClassFigure(FigureSpec):
    """Rate of a third class halfway between two images, and the most surprising pairs."""

    kind: Literal["third_class"] = Field(description="a third class in the middle of interpolations")
    interpolation: InterpolationName = Field(description="interpolation shown")
    pairs: Count = Field(6, description="pairs shown per model, the judge's surest third classes")

    def needs(self) -> Iterator[Need]:
        yield Need("interpolations", (self.interpolation,), "interpolation")


class SmoothnessFigure(FigureSpec):
    """Smoothness of paths by the classes of their ends, a matrix per model."""

    kind: Literal["smoothness"] = Field(description="smoothness of paths between each pair of classes")
    interpolation: InterpolationName = Field(description="interpolation shown")

    def needs(self) -> Iterator[Need]:
        yield Need("interpolations", (self.interpolation,), "interpolation")


# --- figures of the adversarial lab: comparisons ------------------------------------------------------------------


class AccuracyCurvesFigure(AttackedFigure):
    """Accuracy under attack against the attack's budget, a curve per classifier."""

    kind: Literal["accuracy_curves"] = Field(description="accuracy against eps")


class ComplexityCurvesFigure(AttackedFigure):
    """Accuracy unattacked and attacked against the number of training images or of parameters."""

    kind: Literal["complexity_curves"] = Field(description="accuracy against training images or parameters")
    x: Literal["images", "parameters"] = Field("images", description="horizontal axis")


class AttackComparisonFigure(AttackedFigure):
    """Success, distortion and effort of attacks on the same classifiers and images."""

    kind: Literal["attack_comparison"] = Field(description="success against distortion and effort")


class ConfidenceFigure(AttackedFigure):
    """How sure classifiers are of their mistakes."""

    kind: Literal["confidence"] = Field(description="histograms of the confidence on mistakes")


class DefenceTableFigure(AttackedFigure):
    """Accuracy of each classifier, unattacked and under each attack, as a table with its defence."""

    kind: Literal["defence_table"] = Field(description="classifiers by attacks, in numbers")


class DiscriminatorsFigure(FigureSpec):
    """Are discriminators robust? Accuracy against eps beside classifiers of the same body, for each question asked."""

    group = "Adversarial lab"
    kind: Literal["discriminators"] = Field(description="robustness of discriminators beside classifiers")
    panels: dict[str, dict[str, tuple[ClassifierName, ...]]] = Field(
        min_length=1, description="panel title: {line label: classifiers or probes pooled, one per seed or more}"
    )
    attacks: tuple[AttackName, ...] = Field(min_length=1, description="attacks shown, of several eps")

    def needs(self) -> Iterator[Need]:
        sources = [one for lines in self.panels.values() for names in lines.values() for one in names]
        for source in dict.fromkeys(sources):
            for attack in self.attacks:
                yield Need("attacks", (source, attack), "examples")


class PublishedTransferFigure(FigureSpec):
    """A transfer study beside a published table, and the difference of each cell."""

    group = "Adversarial lab"
    kind: Literal["published_transfer"] = Field(description="transfer beside a published table")
    transfer: TransferName = Field(description="transfer study shown")
    published: Literal["szegedy2014-table-2", "szegedy2014-table-4", "szegedy2014-table-4-amplified"] = Field(
        description="published table"
    )
    names: dict[str, str] = Field(
        min_length=2, description="published row or column: our classifier, or our attack for a control"
    )

    def needs(self) -> Iterator[Need]:
        yield Need("transfers", (self.transfer,), "table")


class LinearityFigure(FigureSpec):
    """Logits along the sign of the input gradient."""

    group = "Adversarial lab"
    kind: Literal["linearity"] = Field(description="logits along the gradient's sign")
    linearity: LinearityName = Field(description="linearity study shown")

    def needs(self) -> Iterator[Need]:
        yield Need("linearities", (self.linearity,), "logits")


class ConvergenceFigure(FigureSpec):
    """Accuracy against steps and against restarts, and the spread of final losses over restarts."""

    group = "Adversarial lab"
    kind: Literal["convergence"] = Field(description="what more steps and restarts still find")
    convergence: ConvergenceName = Field(description="convergence study shown")

    def needs(self) -> Iterator[Need]:
        yield Need("convergences", (self.convergence,), "steps")


class SimulationFigure(FigureSpec):
    """The series of simulations with their intervals, a panel each."""

    group = "Adversarial lab"
    kind: Literal["simulation"] = Field(description="series of simulations")
    simulations: tuple[SimulationName, ...] = Field(min_length=1, description="simulations shown, a panel each")

    def needs(self) -> Iterator[Need]:
        for name in self.simulations:
            yield Need("simulations", (name,), "series")
