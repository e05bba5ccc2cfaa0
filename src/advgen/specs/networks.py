"""Networks from an image to logits: classifiers, discriminators, judges, encoders."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SerializeAsAny, model_validator

from advgen.geometry.convolution import conv_sizes
from advgen.specs.base import Count, Index, Shape, Spec, WrongValue, format_shape, of_family

Activation = Literal["relu", "leaky_relu", "sigmoid", "tanh"]


class NetworkSpec(Spec):
    """A network from an image to logits: discriminator (one logit), classifier or judge."""

    image: Shape | None = Field(
        None, description="channels, height, width that it is made for; null: those of the data set"
    )

    def fit(self, shape: Shape) -> NetworkSpec:
        """This spec with its image shape settled as `shape`; ValueError if it cannot take such images."""
        if self.image is not None and self.image != shape:
            raise ValueError(f"is made for {format_shape(self.image)} images, not {format_shape(shape)}")
        return self.model_copy(update={"image": shape})


SPECTRAL_NORM = Field(
    False, description="divide each layer's weights by their largest singular value, for a discriminator"
)


class FcNetwork(NetworkSpec):
    """Fully connected layers."""

    kind: Literal["fc"] = Field(description="fully connected")
    hidden: tuple[Count, ...] = Field((), description="units of each hidden layer; empty: softmax regression")
    activation: Activation = Field("relu", description="after each hidden layer")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="share of hidden units dropped in training")
    spectral_norm: bool = SPECTRAL_NORM


class ConvNetwork(NetworkSpec):
    """Convolutions, then fully connected layers."""

    kind: Literal["conv"] = Field(description="convolutional")
    threshold: Annotated[float, Field(ge=0, lt=0.5)] = Field(
        0.0, description="t of a fixed first layer, max(0, x - t) and max(0, x - (1 - t)) of each pixel; 0: none"
    )
    channels: tuple[Count, ...] = Field((32, 64), min_length=1, description="output channels of each convolution")
    kernel: Count = Field(5, description="pixels along one side of each filter")
    stride: Count = Field(1, description="step of each convolution")
    padding: Index = Field(2, description="zeros around each convolution's input")
    pool: Count = Field(2, description="max pooling after each convolution; 1: none")
    hidden: tuple[Count, ...] = Field((), description="units of each fully connected hidden layer")
    activation: Activation = Field("relu", description="after each hidden layer")
    batch_norm: bool = Field(False, description="batch normalisation after each convolution but the first")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="share of units dropped before each fully connected layer in training"
    )
    spectral_norm: bool = SPECTRAL_NORM

    @model_validator(mode="after")
    def _goes_together(self) -> ConvNetwork:
        if self.threshold and self.spectral_norm:
            raise WrongValue("threshold", self.threshold, "is a layer that spectral_norm would scale; take one out")
        return self

    def fit(self, shape: Shape) -> NetworkSpec:
        if shape[1] != shape[2]:
            raise ValueError(f"takes square images, not {format_shape(shape)}")
        window = self.kernel, self.stride, self.padding
        if min(conv_sizes(shape[1], len(self.channels), *window, pool=self.pool)) < 1:
            raise ValueError(
                f"shrinks {format_shape(shape)} images to nothing: {len(self.channels)} convolutions are too many"
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


Channels = float | tuple[float, ...] | None


class FileNetwork(Spec):
    """A user's classifier in a file and how its inputs are prepared; `content` is a digest of its files."""

    kind: Literal["file"] = "file"
    path: str
    factory: str | None
    bounds: tuple[float, float]
    mean: Channels
    std: Channels
    content: str
