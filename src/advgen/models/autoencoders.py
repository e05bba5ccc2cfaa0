"""Autoencoders: an encoder from images to latent vectors, and a decoder back to images."""

import math
from itertools import pairwise

from torch import Tensor, nn

from advgen.geometry.convolution import conv_sizes
from advgen.models.layers import activation
from advgen.specs.autoencoders import AutoencoderSpec, ConvAutoencoder, FcAutoencoder


class Autoencoder(nn.Module):
    """An encoder and a decoder, initialised from torch's global random generator."""

    def __init__(self, spec: AutoencoderSpec, encoder: list[nn.Module], decoder: list[nn.Module]):
        super().__init__()
        self.latent = spec.latent
        self.encoder = nn.Sequential(*encoder)
        self.decoder = nn.Sequential(*decoder, nn.Sigmoid())

    def encode(self, x_BCHW: Tensor) -> Tensor:
        """Latent vectors (B, latent) of float images in [0, 1]."""
        z_BD: Tensor = self.encoder(x_BCHW)
        return z_BD

    def decode(self, z_BD: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] of latent vectors."""
        x_BCHW: Tensor = self.decoder(z_BD)
        return x_BCHW

    def forward(self, x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstructed images and their latent vectors."""
        z_BD = self.encode(x_BCHW)
        return self.decode(z_BD), z_BD


class Convolutional(Autoencoder):
    """3×3 convolutions of stride 2 with ReLU and one fully connected layer; the decoder is the mirror image."""

    def __init__(self, spec: ConvAutoencoder):
        assert spec.image is not None, "fit() the spec to a data set first"
        sizes, channels = conv_sizes(spec.image[1], len(spec.channels), 3, 2, 1), (spec.image[0], *spec.channels)
        maps = (channels[-1], sizes[-1], sizes[-1])
        features = maps[0] * maps[1] * maps[2]

        encoder: list[nn.Module] = []
        for inputs, outputs in pairwise(channels):
            encoder += [nn.Conv2d(inputs, outputs, 3, 2, 1), *_activate(outputs, spec.batch_norm)]
        encoder += [nn.Flatten(), nn.Linear(features, spec.latent)]

        decoder: list[nn.Module] = [nn.Linear(spec.latent, features), nn.Unflatten(1, maps)]
        for index in range(len(spec.channels), 0, -1):
            # a side of 2s or 2s - 1 shrinks to s; output padding restores the right one
            padding = sizes[index - 1] - (2 * sizes[index] - 1)
            decoder += _activate(channels[index], spec.batch_norm)
            decoder.append(nn.ConvTranspose2d(channels[index], channels[index - 1], 3, 2, 1, padding))
        super().__init__(spec, encoder, decoder)


class FullyConnected(Autoencoder):
    """One fully connected layer each in encoder and decoder."""

    def __init__(self, spec: FcAutoencoder):
        assert spec.image is not None, "fit() the spec to a data set first"
        pixels = math.prod(spec.image)
        encoder: list[nn.Module] = [nn.Flatten(), nn.Linear(pixels, spec.latent), activation(spec.activation)]
        super().__init__(spec, encoder, [nn.Linear(spec.latent, pixels), nn.Unflatten(1, spec.image)])


def _activate(channels: int, batch_norm: bool) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), nn.ReLU()] if batch_norm else [nn.ReLU()]
