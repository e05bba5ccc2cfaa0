"""Layers and helpers that several models share."""

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
    """A new activation layer; leaky ReLU has slope 0.2, as is usual in GANs."""
    layers: dict[Activation, Callable[[], nn.Module]] = {
        "relu": nn.ReLU,
        "leaky_relu": partial(nn.LeakyReLU, 0.2),
        "sigmoid": nn.Sigmoid,
        "tanh": nn.Tanh,
    }
    return layers[name]()


def add_spectral_norm(network: nn.Module) -> None:
    """Divide the weights of each layer by their spectral norm, now and during training (miyato2018spectral).

    A convolution counts as the matrix of its filters. Each training pass does one step of power iteration, after 15
    initial ones.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            spectral_norm(layer)


def copy_without_spectral_norm(network: Module) -> Module:
    """A copy of a network whose weights are numbers: what `normalise_weights` made of them is settled."""
    plain = copy.deepcopy(network).eval()  # in training mode, reading a weight does a power iteration
    for layer in plain.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d) and parametrize.is_parametrized(layer):
            weight = layer.weight.detach().clone()
            # torch's `remove_parametrizations` would change the class, which the original shares
            layer.__class__ = parametrize.type_before_parametrizations(layer)
            del layer.parametrizations
            layer.weight = nn.Parameter(weight)
    return plain.train(network.training)


def count_parameters(module: nn.Module) -> int:
    """The number of trainable parameters."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
