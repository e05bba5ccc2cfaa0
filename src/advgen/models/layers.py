"""What several model files share."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from advgen.specs.networks import Activation

Module = TypeVar("Module", bound=nn.Module)


def activation(name: Activation) -> nn.Module:
    """A fresh activation layer; leaky ReLU has the slope 0.2 that GANs use."""
    layers: dict[Activation, Callable[[], nn.Module]] = {
        "relu": nn.ReLU,
        "leaky_relu": partial(nn.LeakyReLU, 0.2),
        "sigmoid": nn.Sigmoid,
        "tanh": nn.Tanh,
    }
    return layers[name]()


def add_spectral_norm(network: nn.Module) -> None:
    """Divide the weights of each layer by their spectral norm, from now on and while they learn (miyato2018spectral).

    A convolution counts as the matrix of its filters. The norm comes from one step of power iteration in each pass of
    training; 15 before the first one.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            spectral_norm(layer)


def copy_without_spectral_norm(network: Module) -> Module:
    """A copy of a network whose weights are numbers: what `normalise_weights` made of them is settled."""
    twin = copy.deepcopy(network).eval()  # a look at a weight in training moves it
    for layer in twin.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d) and parametrize.is_parametrized(layer):
            settled = layer.weight.detach().clone()
            # torch's own `remove_parametrizations` would take the weight from the class, which the original shares
            layer.__class__ = parametrize.type_before_parametrizations(layer)
            del layer.parametrizations
            layer.weight = nn.Parameter(settled)
    return twin.train(network.training)


def count_parameters(module: nn.Module) -> int:
    """How many numbers training may change."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
