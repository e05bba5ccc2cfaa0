"""A faster gradient at the image through a network's first convolution, on the CPU.

An attack needs the gradient at an image of one or three channels. The library computes it as a convolution with as many
output channels, for which its vector code has little use: for 32 filters on grey images that took as long as all the
rest of a small network forward and backward. Here it is a matrix product, filters by pixels, and a sum over shifts.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

FEW = 3
"""Most input channels for which this is faster."""
CACHE = 2**20
"""Numbers of the intermediate matrix that are worked on at a time, so that it stays in the processor's cache."""


def with_fast_gradient(model: nn.Module) -> nn.Module:
    """The same frozen network on the same parameters, convolutions of few channels replaced where that is faster."""
    if isinstance(model, nn.Conv2d):
        return _FastGradient(model) if _replaceable(model) else model
    twin = copy.copy(model)
    twin._modules = {name: child and with_fast_gradient(child) for name, child in model._modules.items()}
    return twin


def _replaceable(layer: nn.Conv2d) -> bool:
    return (
        type(layer) is nn.Conv2d  # what is derived from it may compute something else, and so may what hooks into it
        and not layer._forward_pre_hooks
        and not layer._forward_hooks
        and layer.weight.device.type == "cpu"
        and layer.in_channels <= FEW
        and layer.groups == 1
        and layer.dilation == (1, 1)
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
    )


class _FastGradient(nn.Module):
    """A convolution for the gradient at its input alone."""

    def __init__(self, layer: nn.Conv2d):
        super().__init__()
        self.layer = layer

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """What the convolution gives."""
        if not x_BCHW.requires_grad or any(weight.requires_grad for weight in self.layer.parameters()):
            return self.layer(x_BCHW)
        return _Convolve.apply(x_BCHW, self.layer)


class _Convolve(torch.autograd.Function):
    """A convolution whose weights need no gradient."""

    @staticmethod
    def forward(ctx: Any, x_BCHW: Tensor, layer: nn.Conv2d) -> Tensor:
        ctx.layer, ctx.size = layer, x_BCHW.shape[2:]
        return nn.Conv2d.forward(layer, x_BCHW)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_BOHW: Tensor) -> tuple[Tensor, None]:
        layer = ctx.layer
        _, channels, *kernel = layer.weight.shape
        rows = max(1, CACHE // (channels * kernel[0] * kernel[1] * gradient_BOHW[0, 0].numel()))
        parts = [_at_input(part, layer, ctx.size) for part in gradient_BOHW.split(rows)]
        return torch.cat(parts), None


def _at_input(gradient_BOHW: Tensor, layer: nn.Conv2d, size: tuple[int, int]) -> Tensor:
    """The gradient at the layer's input of `size`, of some images."""
    assert not isinstance(layer.padding, str)
    outputs, channels, *kernel = layer.weight.shape
    (down, right), (above, left) = layer.stride, layer.padding
    images, _, height, width = gradient_BOHW.shape
    of_each_pixel = gradient_BOHW.permute(0, 2, 3, 1).reshape(-1, outputs)
    of_each_weight = layer.weight.reshape(outputs, -1).t() @ of_each_pixel.t()
    shifted = of_each_weight.view(channels, *kernel, images, height, width)
    padded = of_each_weight.new_zeros(channels, images, size[0] + 2 * above, size[1] + 2 * left)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            padded[:, :, i : i + down * height : down, j : j + right * width : right] += shifted[:, i, j]
    return padded[:, :, above : above + size[0], left : left + size[1]].transpose(0, 1)
