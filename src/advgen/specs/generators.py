"""Networks from a latent vector to an image."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from advgen.geometry.convolution import transposed_sizes, transposed_start
from advgen.specs.base import Count, Index, Shape, Spec, format_shape
from advgen.specs.networks import Activation


class GeneratorSpec(Spec):
    """A network from a latent vector to an image in [0, 1]."""

    latent: Count = Field(50, description="numbers in a latent vector z, drawn from N(0, I)")
    initial: Literal["default", "he"] = Field(
        "default",
        description="weights before training: torch's default, or He's normal ones, which keep what z changes from "
        "shrinking with each layer before a ReLU",
    )

    def image_shape(self) -> Shape | None:
        """Channels, height, width of what it makes; None if those of the data set's images are still to settle it."""
        raise NotImplementedError

    def fit(self, shape: Shape) -> GeneratorSpec:
        """This spec, settled to make images of a shape; ValueError if it cannot."""
        made = self.image_shape()
        if made is not None and made != shape:
            raise ValueError(f"makes {format_shape(made)} images, not {format_shape(shape)}")
        return self


class FcGenerator(GeneratorSpec):
    """Fully connected layers only."""

    kind: Literal["fc"] = Field(description="fully connected")
    hidden: tuple[Count, ...] = Field((256, 512, 1024), description="units of each hidden layer")
    activation: Activation = Field("leaky_relu", description="after each hidden layer")
    image: Shape | None = Field(
        None, description="channels, height, width of the image it makes; null: those of the data set"
    )

    def image_shape(self) -> Shape | None:
        return self.image

    def fit(self, shape: Shape) -> GeneratorSpec:
        return super().fit(shape).model_copy(update={"image": shape})


class TransposedConvGenerator(GeneratorSpec):
    """Fully connected layers to a small stack of feature maps, then transposed convolutions."""

    kind: Literal["transposed_conv"] = Field(description="fully connected, then transposed convolutions")
    hidden: tuple[Count, ...] = Field((), description="units of the hidden layers before the feature maps")
    start: Count | Shape = Field(
        64,
        description="channels of the first feature maps, of the size that leads to the data set's images; or channels, "
        "height, width",
    )
    channels: tuple[Count, ...] = Field((32,), description="channels between the transposed convolutions")
    image_channels: Count | None = Field(
        None, description="channels of the image it makes; null: those of the data set"
    )
    kernel: Count = Field(4, description="pixels along one side of each filter")
    stride: Count = Field(2, description="step of each transposed convolution")
    padding: Index = Field(1, description="pixels cut from each side of its output")
    activation: Activation = Field("relu", description="after each hidden layer")
    batch_norm: bool = Field(True, description="batch normalisation after the transposed convolutions but the last")
    start_norm: bool = Field(False, description="batch normalisation of the first feature maps too")
    skip_latent: bool = Field(
        False, description="feed z to every transposed convolution, as BigGAN does, not to the first feature maps alone"
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
                raise ValueError(f"makes no {format_shape(shape)} images: {layers} make sides of {sides}, … pixels")
            start = (start, height, width)
        channels = shape[0] if self.image_channels is None else self.image_channels
        settled = self.model_copy(update={"start": start, "image_channels": channels})
        return super(TransposedConvGenerator, settled).fit(shape)

    def _layers(self) -> tuple[int, int, int, int]:
        return len(self.channels) + 1, self.kernel, self.stride, self.padding
