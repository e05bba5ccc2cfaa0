"""Autoencoders: networks from an image to a latent vector and back."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from advgen.specs.base import Count, Shape, Spec, format_shape
from advgen.specs.networks import Activation


class AutoencoderSpec(Spec):
    """An encoder and a decoder around a latent vector; the forward pass returns the image and z."""

    latent: Count = Field(100, description="size of a latent vector z")
    image: Shape | None = Field(None, description="channels, height, width of its images; null: those of the data set")

    def fit(self, shape: Shape) -> AutoencoderSpec:
        """Return this spec for images of `shape`; ValueError if it does not support them."""
        if self.image is not None and self.image != shape:
            raise ValueError(f"has image: {format_shape(self.image)}, not {format_shape(shape)}")
        return self.model_copy(update={"image": shape})


class ConvAutoencoder(AutoencoderSpec):
    """Strided convolutions and one fully connected layer, mirrored by the decoder."""

    kind: Literal["conv"] = Field(description="convolutional")
    channels: tuple[Count, ...] = Field(
        (16, 32, 64), min_length=1, description="output channels of the encoder's convolutions, mirrored by the decoder"
    )
    batch_norm: bool = Field(True, description="batch normalisation after each hidden layer")

    def fit(self, shape: Shape) -> AutoencoderSpec:
        if shape[1] != shape[2]:
            raise ValueError(f"needs square images, not {format_shape(shape)}")
        return super().fit(shape)


class FcAutoencoder(AutoencoderSpec):
    """One fully connected layer in the encoder and one in the decoder."""

    kind: Literal["fc"] = Field(description="fully connected")
    activation: Activation = Field("sigmoid", description="activation of the latent vector")
