"""Networks from a latent vector to an image."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from advgen.geometry.convolution import transposed_sizes
from advgen.specs.base import Count, Index, Shape, Spec
from advgen.specs.networks import Activation


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


class TransposedConvGenerator(GeneratorSpec):
    """Fully connected layers to a small stack of feature maps, then transposed convolutions."""

    kind: Literal["transposed_conv"] = Field(description="fully connected, then transposed convolutions")
    hidden: tuple[Count, ...] = Field((), description="units of the hidden layers before the feature maps")
    start: Shape = Field((64, 7, 7), description="channels, height, width of the first feature maps")
    channels: tuple[Count, ...] = Field((32,), description="channels between the transposed convolutions")
    image_channels: Count = Field(1, description="channels of the image it makes")
    kernel: Count = Field(4, description="pixels along one side of each filter")
    stride: Count = Field(2, description="step of each transposed convolution")
    padding: Index = Field(1, description="pixels cut from each side of its output")
    activation: Activation = Field("relu", description="after each hidden layer")
    batch_norm: bool = Field(True, description="batch normalisation after the transposed convolutions but the last")
    start_norm: bool = Field(False, description="batch normalisation of the first feature maps too")
    skip_latent: bool = Field(
        False, description="feed z to every transposed convolution, as BigGAN does, not to the first feature maps alone"
    )

    def image_shape(self) -> Shape:
        window = self.kernel, self.stride, self.padding
        height, width = (transposed_sizes(side, len(self.channels) + 1, *window)[-1] for side in self.start[1:])
        return (self.image_channels, height, width)
