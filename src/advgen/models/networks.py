"""Networks from images to logits: discriminators (one logit), classifiers and reference classifiers."""

import math

import torch
from torch import Tensor, nn

from advgen.geometry.convolution import conv_sizes
from advgen.models.layers import activation, add_spectral_norm
from advgen.specs.networks import ConvNetwork, FcNetwork


class Network(nn.Module):
    """A body that computes features and a head that computes logits, initialised from torch's global generator."""

    def __init__(self, body: nn.Module, head: nn.Module):
        super().__init__()
        self.body, self.head = body, head

    def features(self, x_BCHW: Tensor) -> Tensor:
        """The input of the last linear layer (B, F)."""
        features_BF: Tensor = self.body(x_BCHW)
        return features_BF

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Logits (B, outputs) of float images in [0, 1]."""
        logits_BK: Tensor = self.head(self.features(x_BCHW))
        return logits_BK


class FullyConnected(Network):
    """Fully connected layers; without hidden layers it is softmax regression, and its features are the pixels."""

    def __init__(self, spec: FcNetwork, outputs: int):
        assert spec.image is not None, "fit() the spec to a data set first"
        layers: list[nn.Module] = [nn.Flatten()]
        width = math.prod(spec.image)
        for hidden in spec.hidden:
            layers += [nn.Linear(width, hidden), activation(spec.activation)]
            if spec.dropout:
                layers.append(nn.Dropout(spec.dropout))
            width = hidden
        super().__init__(nn.Sequential(*layers), nn.Linear(width, outputs))
        if spec.spectral_norm:
            add_spectral_norm(self)


def _thresholds(channels: int, threshold: float) -> nn.Conv2d:
    """Two channels per input channel, x - t and x - (1 - t), not trainable [schmidt2018adversarially]."""
    layer = nn.Conv2d(channels, 2 * channels, 1, groups=channels)
    layer.weight = nn.Parameter(torch.ones_like(layer.weight), requires_grad=False)
    bias_C = torch.tensor([-threshold, threshold - 1]).repeat(channels)
    layer.bias = nn.Parameter(bias_C, requires_grad=False)
    return layer


class Convolutional(Network):
    """Convolutions with pooling, then fully connected layers."""

    def __init__(self, spec: ConvNetwork, outputs: int):
        assert spec.image is not None, "fit() the spec to a data set first"
        layers: list[nn.Module] = []
        channels = spec.image[0]
        if spec.threshold:
            layers += [_thresholds(channels, spec.threshold), nn.ReLU()]
            channels *= 2
        for index, out in enumerate(spec.channels):
            normalise = spec.batch_norm and index > 0
            layers.append(nn.Conv2d(channels, out, spec.kernel, spec.stride, spec.padding, bias=not normalise))
            if normalise:
                layers.append(nn.BatchNorm2d(out))
            # activations are monotone, so pooling first gives equal numbers for a quarter of the work
            if spec.pool > 1:
                layers.append(nn.MaxPool2d(spec.pool))
            layers.append(activation(spec.activation))
            channels = out
        layers.append(nn.Flatten())
        window = spec.kernel, spec.stride, spec.padding
        width = channels * conv_sizes(spec.image[1], len(spec.channels), *window, pool=spec.pool)[-1] ** 2
        for hidden in spec.hidden:
            if spec.dropout:
                layers.append(nn.Dropout(spec.dropout))
            layers += [nn.Linear(width, hidden), activation(spec.activation)]
            width = hidden
        if spec.dropout:
            layers.append(nn.Dropout(spec.dropout))
        super().__init__(nn.Sequential(*layers), nn.Linear(width, outputs))
        if spec.spectral_norm:
            add_spectral_norm(self)
        self.body.to(memory_format=torch.channels_last)  # convolutions take two thirds of the time on a CPU
