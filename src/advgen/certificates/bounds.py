"""Interval bound propagation: what a network can give, wherever in a box its input lies [gowal2018effectiveness]."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from advgen.models.networks import Network
from advgen.models.predict import device_of, eval_mode, scale_batch_size

MONOTONE = (
    *(nn.ReLU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh),
    *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Flatten, nn.Identity),
)
"""Layers that give more where they are given more, each output by itself: they map ends of intervals to ends."""
LINEAR = (nn.Linear, nn.Conv2d, nn.BatchNorm1d, nn.BatchNorm2d)
ROWS = 100
"""Images bounded at once on the CPU: an image takes as much room as its margins towards all classes."""
HALVINGS = 20
ROUNDING = 1e-4
"""Of the largest logit: by so much a bound must lead, since bounds and network are computed in float32."""


def layers(model: nn.Module) -> list[nn.Module]:
    """The layers of a network, one after the other, without dropout; ValueError if one is not known."""
    if type(model) is nn.Sequential:
        return [layer for part in model for layer in layers(part)]
    if isinstance(model, Network):
        return [*layers(model.body), *layers(model.head)]
    if type(model) is nn.Dropout:
        return []
    if type(model) not in (*MONOTONE, *LINEAR) or not _bounded(model):
        known = ", ".join(kind.__name__ for kind in (*LINEAR, *MONOTONE))
        layer = " ".join(str(model).split())
        raise ValueError(f"interval bounds know no layer {layer}; they know {known}, in plain forms")
    return [model]


def _bounded(layer: nn.Module) -> bool:
    """Whether a layer of a known kind is of a form that is bounded here."""
    if isinstance(layer, nn.LeakyReLU):
        return layer.negative_slope >= 0
    if isinstance(layer, nn.Conv2d):
        return layer.padding_mode == "zeros"
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        return layer.running_mean is not None
    return not (isinstance(layer, nn.MaxPool2d) and layer.return_indices)


def bound_margins(model: nn.Module, low_BCHW: Tensor, high_BCHW: Tensor, y_B: Tensor) -> Tensor:
    """By how much the label's logit leads each class's at least, (B, K), for all inputs between `low` and `high`.

    0 at the label itself. The last layer, which must be linear, is taken together with the differences of logits: for
    a linear network the bounds are exact. Batch normalisation is that of eval mode. Gradients flow through the bounds.
    """
    *body, head = layers(model)
    if type(head) is not nn.Linear:
        raise ValueError(f"interval bounds want a network that ends in a linear layer, not in {head}")
    for layer in body:
        low_BCHW, high_BCHW = _through(layer, low_BCHW, high_BCHW)
    centre_BF, radius_BF = (low_BCHW + high_BCHW) / 2, (high_BCHW - low_BCHW) / 2
    lead_BKF = head.weight[y_B][:, None] - head.weight
    lead_BK = torch.einsum("bkf,bf->bk", lead_BKF, centre_BF) - torch.einsum("bkf,bf->bk", lead_BKF.abs(), radius_BF)
    return lead_BK if head.bias is None else lead_BK + head.bias[y_B][:, None] - head.bias


def _through(layer: nn.Module, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """The ends of what a layer gives, from those of what it is given."""
    if isinstance(layer, MONOTONE):
        return layer(low), layer(high)
    centre, radius = (low + high) / 2, (high - low) / 2
    if isinstance(layer, nn.Linear):
        centre, radius = layer(centre), functional.linear(radius, layer.weight.abs())
    elif isinstance(layer, nn.Conv2d):
        window: Any = layer.stride, layer.padding, layer.dilation, layer.groups
        centre, radius = layer(centre), functional.conv2d(radius, layer.weight.abs(), None, *window)
    else:
        assert isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) and layer.running_var is not None
        facts = layer.running_mean, layer.running_var, layer.weight, layer.bias
        centre = functional.batch_norm(centre, *facts, training=False, eps=layer.eps)
        scale_C = torch.rsqrt(layer.running_var + layer.eps)
        scale_C = scale_C if layer.weight is None else scale_C * layer.weight.abs()
        radius = radius * scale_C.view(-1, *[1] * (radius.ndim - 2))
    return centre - radius, centre + radius


@torch.no_grad()
def certified_radii(model: nn.Module, images_NCHW: Tensor, predicted_N: Tensor) -> Tensor:
    """The L∞ radius (N,) around each image within which no image of the box [0, 1] gets another label than `predicted`.

    The largest one that the bounds prove, found by halving; 0 where they prove none. ValueError if a layer of the
    network is not known.
    """
    device = device_of(model)
    with eval_mode(model):
        parts = zip(
            *(torch.split(one, scale_batch_size(ROWS, device)) for one in (images_NCHW, predicted_N)), strict=True
        )
        return torch.cat([_radii(model, x.to(device), y.to(device)).cpu() for x, y in parts])


def _radii(model: nn.Module, x_BCHW: Tensor, y_B: Tensor) -> Tensor:
    least_B = ROUNDING * model(x_BCHW).abs().amax(1)
    low_B, high_B = torch.zeros_like(least_B), torch.ones_like(least_B)
    radius_B = high_B  # the whole box first
    for _ in range(HALVINGS):
        reach = radius_B[:, None, None, None]
        lead_BK = bound_margins(model, (x_BCHW - reach).clamp_min(0), (x_BCHW + reach).clamp_max(1), y_B)
        holds_B = lead_BK.scatter(1, y_B[:, None], torch.inf).amin(1) > least_B
        low_B, high_B = torch.where(holds_B, radius_B, low_B), torch.where(holds_B, high_B, radius_B)
        radius_B = (low_B + high_B) / 2
    return low_B
