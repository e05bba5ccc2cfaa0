"""Networks from an image to logits: classifiers, discriminators, reference classifiers, encoders."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SerializeAsAny, model_validator

from advgen.geometry.convolution import conv_sizes
from advgen.specs.base import Count, Index, Shape, Spec, WrongValue, format_shape, of_family

Activation = Literal["relu", "leaky_relu", "sigmoid", "tanh"]


class NetworkSpec(Spec):
    """Base of all networks from an image to logits: one for a discriminator, else one per class."""

    image: Shape | None = Field(None, description="channels, height, width of its images; null: those of the data set")

    def fit(self, shape: Shape) -> NetworkSpec:
        """Return this spec for images of `shape`; ValueError if it does not support them."""
        if self.image is not None and self.image != shape:
            raise ValueError(f"has image: {format_shape(self.image)}, not {format_shape(shape)}")
        return self.model_copy(update={"image": shape})


SPECTRAL_NORM = Field(
    False, description="divide each layer's weights by their largest singular value, for a discriminator"
)


class FcNetwork(NetworkSpec):
    """Fully connected layers."""

    kind: Literal["fc"] = Field(description="fully connected")
    hidden: tuple[Count, ...] = Field((), description="units of each hidden layer; empty: softmax regression")
    activation: Activation = Field("relu", description="activation after each hidden layer")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="dropout probability of hidden units")
    spectral_norm: bool = SPECTRAL_NORM


class ConvNetwork(NetworkSpec):
    """Convolutions, then fully connected layers."""

    kind: Literal["conv"] = Field(description="convolutional")
    threshold: Annotated[float, Field(ge=0, lt=0.5)] = Field(
        0.0, description="t of a fixed first layer with max(0, x - t) and max(0, x - (1 - t)) of each pixel; 0: none"
    )
    channels: tuple[Count, ...] = Field((32, 64), min_length=1, description="output channels of each convolution")
    kernel: Count = Field(5, description="pixels along one side of each filter")
    stride: Count = Field(1, description="stride of each convolution")
    padding: Index = Field(2, description="zero padding of each convolution")
    pool: Count = Field(2, description="size of the max pooling after each convolution; 1: none")
    hidden: tuple[Count, ...] = Field((), description="units of each fully connected hidden layer")
    activation: Activation = Field("relu", description="activation after each hidden layer")
    batch_norm: bool = Field(False, description="batch normalisation after each convolution except the first")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="dropout probability before each fully connected layer"
    )
    spectral_norm: bool = SPECTRAL_NORM

    @model_validator(mode="after")
    def _check_keys_fit(self) -> ConvNetwork:
        if self.threshold and self.spectral_norm:
            raise WrongValue(
                "threshold",
                self.threshold,
                "cannot be combined with spectral_norm, which would scale this layer; remove one of them",
            )
        return self

    def fit(self, shape: Shape) -> NetworkSpec:
        if shape[1] != shape[2]:
            raise ValueError(f"needs square images, not {format_shape(shape)}")
        window = self.kernel, self.stride, self.padding
        if min(conv_sizes(shape[1], len(self.channels), *window, pool=self.pool)) < 1:
            raise ValueError(f"{len(self.channels)} convolutions are too many for {format_shape(shape)} images")
        return super().fit(shape)


class EnsembleNetwork(NetworkSpec):
    """Several networks of the same architecture; the logits are the logarithm of their mean probability."""

    kind: Literal["ensemble"] = Field(description="mean of several networks, such as posterior samples")
    member: Annotated[SerializeAsAny[NetworkSpec], of_family("networks")] = Field(
        description="each member: name of a preset, or keys of a network"
    )
    members: Annotated[int, Field(ge=2, le=50)] = Field(5, description="number of networks")

    def fit(self, shape: Shape) -> NetworkSpec:
        return super().fit(shape).model_copy(update={"member": self.member.fit(shape)})


Channels = float | tuple[float, ...] | None


class FileNetwork(Spec):
    """A custom classifier in a file, and the preprocessing of its inputs. `content` is a digest of its files."""

    kind: Literal["file"] = "file"
    path: str
    factory: str | None
    bounds: tuple[float, float]
    mean: Channels
    std: Channels
    content: str
