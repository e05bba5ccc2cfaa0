"""Generators: networks from latent vectors to images."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from advgen.models.layers import activation
from advgen.specs.generators import FcGenerator, GeneratorSpec, TransposedConvGenerator
from advgen.specs.networks import Activation


class Generator(nn.Module):
    """Layers from z ~ N(0, I), (B, latent), to images, initialised from torch's global random generator."""

    def __init__(self, spec: GeneratorSpec, layers: list[nn.Module]):
        super().__init__()
        image = spec.image_shape()
        assert image is not None
        self.latent, self.image = spec.latent, image
        self.layers = nn.Sequential(*layers, nn.Sigmoid())
        if spec.initial == "he":
            self._initialise()

    def _initialise(self) -> None:
        """Initialise all layers but the last as in he2015delving."""
        *hidden, _ = (layer for layer in self.layers if isinstance(layer, nn.Linear | nn.ConvTranspose2d))
        for layer in hidden:
            # torch calls the input channels of a transposed convolution its fan out
            mode: Literal["fan_in", "fan_out"] = "fan_in" if isinstance(layer, nn.Linear) else "fan_out"
            nn.init.kaiming_normal_(layer.weight, mode=mode, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, z_BD: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1]."""
        x = z_BD
        for layer in self.layers:
            x = layer(x, z_BD) if isinstance(layer, AddLatent) else layer(x)
        return x


class AddLatent(nn.Module):
    """Add a linear map of z, one number per channel, to feature maps (B, C, H, W)."""

    def __init__(self, latent: int, channels: int):
        super().__init__()
        self.linear = nn.Linear(latent, channels)

    def forward(self, x_BCHW: Tensor, z_BD: Tensor) -> Tensor:
        """Feature maps of the same shape."""
        offset_BC: Tensor = self.linear(z_BD)
        return x_BCHW + offset_BC[:, :, None, None]


class FullyConnected(Generator):
    """Fully connected layers (goodfellow2014generative)."""

    def __init__(self, spec: FcGenerator):
        assert spec.image is not None, "fit() the spec to a data set first"
        layers = _hidden(spec.latent, spec.hidden, spec.activation)
        layers += [nn.Linear((spec.latent, *spec.hidden)[-1], math.prod(spec.image)), nn.Unflatten(1, spec.image)]
        super().__init__(spec, layers)


class TransposedConvolutional(Generator):
    """Fully connected layers to a stack of feature maps, then transposed convolutions (radford2016unsupervised).

    With `skip_latent`, z is also an input of each transposed convolution but the first (brock2019large, where it enters
    through the batch norms instead).
    """

    def __init__(self, spec: TransposedConvGenerator):
        assert not isinstance(spec.start, int) and spec.image_channels is not None, "fit() the spec to a data set first"
        layers = _hidden(spec.latent, spec.hidden, spec.activation)
        layers += [nn.Linear((spec.latent, *spec.hidden)[-1], math.prod(spec.start)), nn.Unflatten(1, spec.start)]
        inputs = spec.start[0]
        if spec.start_norm:
            layers.append(nn.BatchNorm2d(inputs))
        layers.append(activation(spec.activation))
        for outputs in spec.channels:
            layers.append(nn.ConvTranspose2d(inputs, outputs, spec.kernel, spec.stride, spec.padding))
            if spec.batch_norm:
                layers.append(nn.BatchNorm2d(outputs))
            layers.append(activation(spec.activation))
            if spec.skip_latent:
                layers.append(AddLatent(spec.latent, outputs))
            inputs = outputs
        layers.append(nn.ConvTranspose2d(inputs, spec.image_channels, spec.kernel, spec.stride, spec.padding))
        super().__init__(spec, layers)


def truncated_normal(u_BD: Tensor, threshold: float) -> Tensor:
    """Normal numbers with |z| ≤ threshold from uniform numbers on [0, 1): the truncation trick (brock2019large).

    The distribution equals that of rejection sampling, by the inverse of the distribution function.
    """
    u = u_BD.double() + 2**-25  # the middle of each float32 step, so never 0, for which z is infinite
    low = torch.special.ndtr(torch.tensor(-threshold, dtype=torch.float64))
    return torch.special.ndtri(low + u * (1 - 2 * low)).clamp(-threshold, threshold).to(u_BD)


def _hidden(inputs: int, hidden: tuple[int, ...], name: Activation) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for outputs in hidden:
        layers += [nn.Linear(inputs, outputs), activation(name)]
        inputs = outputs
    return layers
