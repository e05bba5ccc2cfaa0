"""Generators: networks from a latent vector to an image."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from advgen.geometry.convolution import transposed_sizes, transposed_start
from advgen.specs.base import Count, Index, Shape, Spec, format_shape
from advgen.specs.networks import Activation


class GeneratorSpec(Spec):
    """A network from a latent vector to an image in [0, 1]."""

    latent: Count = Field(50, description="size of a latent vector z, drawn from N(0, I)")
    initial: Literal["default", "he"] = Field(
        "default",
        description="initial weights: torch's default, or He's normal initialisation, which keeps the variance "
        "of activations constant across ReLU layers",
    )

    def image_shape(self) -> Shape | None:
        """Return channels, height and width of its images; None if they follow from the data set."""
        raise NotImplementedError

    def fit(self, shape: Shape) -> GeneratorSpec:
        """Return this spec for images of `shape`; ValueError if it cannot make them."""
        own = self.image_shape()
        if own is not None and own != shape:
            raise ValueError(f"makes {format_shape(own)} images, not {format_shape(shape)}")
        return self


class FcGenerator(GeneratorSpec):
    """Fully connected layers."""

    kind: Literal["fc"] = Field(description="fully connected")
    hidden: tuple[Count, ...] = Field((256, 512, 1024), description="units of each hidden layer")
    activation: Activation = Field("leaky_relu", description="activation after each hidden layer")
    image: Shape | None = Field(None, description="channels, height, width of its images; null: those of the data set")

    def image_shape(self) -> Shape | None:
        return self.image

    def fit(self, shape: Shape) -> GeneratorSpec:
        return super().fit(shape).model_copy(update={"image": shape})


class TransposedConvGenerator(GeneratorSpec):
    """Fully connected layers to small feature maps, then transposed convolutions."""

    kind: Literal["transposed_conv"] = Field(description="fully connected layers, then transposed convolutions")
    hidden: tuple[Count, ...] = Field((), description="units of the hidden layers before the feature maps")
    start: Count | Shape = Field(
        64,
        description="channels of the first feature maps, whose size then follows from the data set's images; or "
        "channels, height, width",
    )
    channels: tuple[Count, ...] = Field((32,), description="channels between the transposed convolutions")
    image_channels: Count | None = Field(None, description="channels of its images; null: those of the data set")
    kernel: Count = Field(4, description="pixels along one side of each filter")
    stride: Count = Field(2, description="stride of each transposed convolution")
    padding: Index = Field(
        1, description="padding of each transposed convolution: pixels removed from each side of its output"
    )
    activation: Activation = Field("relu", description="activation after each hidden layer")
    batch_norm: bool = Field(True, description="batch normalisation after the transposed convolutions except the last")
    start_norm: bool = Field(False, description="batch normalisation of the first feature maps, too")
    skip_latent: bool = Field(
        False,
        description="feed z to every transposed convolution, as BigGAN does, instead of only to the first feature maps",
    )

    def image_shape(self) -> Shape | None:
        if isinstance(self.start, int) or self.image_channels is None:
            return None
        height, width = (transposed_sizes(side, *self._layers())[-1] for side in self.start[1:])
        return (self.image_channels, height, width)

    def fit(self, shape: Shape) -> GeneratorSpec:
        start = self.start
        if isinstance(start, int):
            height, width = (transposed_start(side, *self._layers()) for side in shape[1:])
            if height is None or width is None:
                sides = ", ".join(str(transposed_sizes(side, *self._layers())[-1]) for side in (1, 2, 3))
                layers = f"{len(self.channels) + 1} transposed convolutions of stride {self.stride}"
                raise ValueError(f"cannot make {format_shape(shape)} images: {layers} make sides of {sides}, … pixels")
            start = (start, height, width)
        channels = shape[0] if self.image_channels is None else self.image_channels
        fitted = self.model_copy(update={"start": start, "image_channels": channels})
        return super(TransposedConvGenerator, fitted).fit(shape)

    def _layers(self) -> tuple[int, int, int, int]:
        return len(self.channels) + 1, self.kernel, self.stride, self.padding
