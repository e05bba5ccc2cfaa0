"""What several model files share."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from advgen.specs.networks import Activation


def activation(name: Activation) -> nn.Module:
    """A fresh activation layer; leaky ReLU has the slope 0.2 that GANs use."""
    layers: dict[Activation, Callable[[], nn.Module]] = {
        "relu": nn.ReLU,
        "leaky_relu": partial(nn.LeakyReLU, 0.2),
        "sigmoid": nn.Sigmoid,
        "tanh": nn.Tanh,
    }
    return layers[name]()


def count_parameters(module: nn.Module) -> int:
    """How many numbers training may change."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
