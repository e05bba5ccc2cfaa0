"""Interval bound propagation: bounds on a network's logits for all inputs in a box [gowal2018effectiveness]."""

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
"""Layers whose outputs do not decrease in any input: they map the ends of intervals to the ends of intervals."""
LINEAR = (nn.Linear, nn.Conv2d, nn.BatchNorm1d, nn.BatchNorm2d)
ROWS = 100  # images per batch on the CPU; each needs memory for its margins towards all classes
HALVINGS = 20
ROUNDING = 1e-4  # the smallest lead that proves a label, as a share of the largest logit, because of float32 rounding


def list_layers(model: nn.Module) -> list[nn.Module]:
    """The layers of a network in order, without dropout. Raises ValueError for an unsupported layer."""
    if type(model) is nn.Sequential:
        return [layer for part in model for layer in list_layers(part)]
    if isinstance(model, Network):
        return [*list_layers(model.body), *list_layers(model.head)]
    if type(model) is nn.Dropout:
        return []
    if type(model) not in (*MONOTONE, *LINEAR) or not _is_supported(model):
        known = ", ".join(kind.__name__ for kind in (*LINEAR, *MONOTONE))
        layer = " ".join(str(model).split())
        raise ValueError(f"interval bounds do not support the layer {layer}; supported are {known}, in plain forms")
    return [model]


def _is_supported(layer: nn.Module) -> bool:
    """Whether the settings of a layer of a supported class are supported."""
    if isinstance(layer, nn.LeakyReLU):
        return layer.negative_slope >= 0
    if isinstance(layer, nn.Conv2d):
        return layer.padding_mode == "zeros"
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        return layer.running_mean is not None
    return not (isinstance(layer, nn.MaxPool2d) and layer.return_indices)


def bound_margins(model: nn.Module, low_BCHW: Tensor, high_BCHW: Tensor, y_B: Tensor) -> Tensor:
    """Lower bounds (B, K) on the lead of the label's logit over each class, for all inputs between `low` and `high`.

    The bound is 0 for the label itself. The last layer must be linear. It is merged with the differences of logits, so
    the bounds of a linear network are exact. Batch normalisation is that of eval mode. The bounds are differentiable.
    """
    *body, head = list_layers(model)
    if type(head) is not nn.Linear:
        raise ValueError(f"interval bounds need a network that ends in a linear layer, not in {head}")
    for layer in body:
        low_BCHW, high_BCHW = _propagate(layer, low_BCHW, high_BCHW)
    centre_BF, radius_BF = (low_BCHW + high_BCHW) / 2, (high_BCHW - low_BCHW) / 2
    lead_BKF = head.weight[y_B][:, None] - head.weight
    lead_BK = torch.einsum("bkf,bf->bk", lead_BKF, centre_BF) - torch.einsum("bkf,bf->bk", lead_BKF.abs(), radius_BF)
    return lead_BK if head.bias is None else lead_BK + head.bias[y_B][:, None] - head.bias


def _propagate(layer: nn.Module, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """The ends of a layer's output intervals, from those of its input."""
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
    """The L∞ radius (N,) around each image within which the label `predicted` is certified, for images in [0, 1].

    It is the largest radius that the bounds prove, found by bisection, and 0 if they prove none. Raises ValueError if a
    layer of the network is not supported.
    """
    device = device_of(model)
    with eval_mode(model):
        batches = (one.split(scale_batch_size(ROWS, device)) for one in (images_NCHW, predicted_N))
        return torch.cat([_radii(model, x.to(device), y.to(device)).cpu() for x, y in zip(*batches, strict=True)])


def _radii(model: nn.Module, x_BCHW: Tensor, y_B: Tensor) -> Tensor:
    least_B = ROUNDING * model(x_BCHW).abs().amax(1)
    low_B, high_B = torch.zeros_like(least_B), torch.ones_like(least_B)
    radius_B = high_B  # try the whole box first
    for _ in range(HALVINGS):
        reach = radius_B[:, None, None, None]
        lead_BK = bound_margins(model, (x_BCHW - reach).clamp_min(0), (x_BCHW + reach).clamp_max(1), y_B)
        proven_B = lead_BK.scatter(1, y_B[:, None], torch.inf).amin(1) > least_B
        low_B, high_B = torch.where(proven_B, radius_B, low_B), torch.where(proven_B, high_B, radius_B)
        radius_B = (low_B + high_B) / 2
    return low_B
