"""Unrolling a discriminator's updates: rolled back after real ones, or written as a differentiable function."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

BETA2, EPS = 0.999, 1e-8
"""Of Adam, for both networks."""


class Moments(NamedTuple):
    """Adam's step count, and the first and second moment of each weight."""

    steps: float | Tensor
    of_weights: Mapping[str, tuple[Tensor, Tensor]]


def read_moments(network: nn.Module, optimizer: torch.optim.Optimizer) -> Moments:
    """The state of Adam for the weights of a network; zeros before its first step."""
    steps: float | Tensor = 0.0
    of_weights = {}
    for name, weight in network.named_parameters():
        state = optimizer.state.get(weight)
        of_weights[name] = (state["exp_avg"], state["exp_avg_sq"]) if state else (torch.zeros_like(weight),) * 2
        if state:
            # in double precision also on a GPU, which the host must not wait for
            steps = state["step"].item() if state["step"].device.type == "cpu" else state["step"].double()
    return Moments(steps, of_weights)


def adam(
    weights: Mapping[str, Tensor], moments: Moments, gradients: Mapping[str, Tensor], lr: float, beta1: float
) -> tuple[dict[str, Tensor], Moments]:
    """One differentiable update of Adam; nothing is changed in place."""
    steps = moments.steps + 1
    correction1, correction2 = 1 - beta1**steps, 1 - BETA2**steps
    new_weights, new_moments = {}, {}
    for name, weight in weights.items():
        first, second = moments.of_weights[name]
        first = beta1 * first + (1 - beta1) * gradients[name]
        second = BETA2 * second + (1 - BETA2) * gradients[name].square()
        # the root of a second moment of exactly 0, as a dead unit has, would have no derivative
        scale = (second / correction2).clamp_min(1e-30).sqrt() + EPS
        new_weights[name] = weight - lr * first / correction1 / scale
        new_moments[name] = (first, second)
    return new_weights, Moments(steps, new_moments)


@contextmanager
def rolled_back(network: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Undo, bit for bit, all changes inside the block to weights, buffers and the state of Adam.

    Their memory stays the same, as a recorded step needs it. The optimizer must have made a step before.
    """
    tensors = [*network.state_dict().values(), *(one for state in optimizer.state.values() for one in state.values())]
    before = [one.clone() for one in tensors]
    yield
    with torch.no_grad():
        for one, value in zip(tensors, before, strict=True):
            one.copy_(value)
