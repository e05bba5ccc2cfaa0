"""Convolutions of frozen networks between an image of one or three channels and many feature maps, faster on the CPU.

The library computes what leads back to the image (the gradient of a first convolution, the result of a last transposed
one) as a convolution with as many output channels, for which its vector code has little use: for 32 filters on grey
images that took as long as all the rest of a small network forward and backward. Here it is a matrix product, filters
by pixels, and a sum over shifts.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

FEW = 3
"""Most channels of an image for which this is faster."""
CACHE = 2**20
"""Numbers of the intermediate matrix that are worked on at a time, so that it stays in the processor's cache."""

Convolution = nn.Conv2d | nn.ConvTranspose2d


def faster(model: nn.Module) -> nn.Module:
    """The same frozen network on the same parameters, with its convolutions from and to few channels replaced."""
    if isinstance(model, nn.Conv2d | nn.ConvTranspose2d):
        return _Frozen(model) if _replaceable(model) else model
    twin = copy.copy(model)
    twin._modules = {name: child and faster(child) for name, child in model._modules.items()}
    return twin


def _replaceable(layer: Convolution) -> bool:
    return (
        type(layer) in (nn.Conv2d, nn.ConvTranspose2d)  # what is derived from them may compute something else,
        and not layer._forward_pre_hooks  # and so may what hooks into them
        and not layer._forward_hooks
        and layer.weight.device.type == "cpu"
        and layer.weight.shape[1] <= FEW
        and layer.groups == 1
        and layer.dilation == (1, 1)
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
        and not any(layer.output_padding)
    )


class _Frozen(nn.Module):
    """A convolution for the gradient at its input alone."""

    def __init__(self, layer: Convolution):
        super().__init__()
        self.layer = layer

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """What the convolution gives."""
        if any(weight.requires_grad for weight in self.layer.parameters()):
            return self.layer(x_BCHW)
        if isinstance(self.layer, nn.ConvTranspose2d):
            return _ConvolveTransposed.apply(x_BCHW, self.layer)
        return _Convolve.apply(x_BCHW, self.layer) if x_BCHW.requires_grad else self.layer(x_BCHW)


class _Convolve(torch.autograd.Function):
    """A convolution whose weights need no gradient."""

    @staticmethod
    def forward(ctx: Any, x_BCHW: Tensor, layer: nn.Conv2d) -> Tensor:
        ctx.layer, ctx.size = layer, x_BCHW.shape[2:]
        return nn.Conv2d.forward(layer, x_BCHW)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_BOHW: Tensor) -> tuple[Tensor, None]:
        return _to_image(gradient_BOHW, ctx.layer, ctx.size), None


class _ConvolveTransposed(torch.autograd.Function):
    """A transposed convolution whose weights need no gradient."""

    @staticmethod
    def forward(ctx: Any, x_BCHW: Tensor, layer: nn.ConvTranspose2d) -> Tensor:
        assert not isinstance(layer.padding, str)
        ctx.layer = layer
        (down, right), (above, left), (high, wide) = layer.stride, layer.padding, layer.weight.shape[2:]
        height, width = x_BCHW.shape[2:]
        size = (height - 1) * down + high - 2 * above, (width - 1) * right + wide - 2 * left
        image_BOHW = _to_image(x_BCHW, layer, size)
        return image_BOHW if layer.bias is None else image_BOHW + layer.bias[:, None, None]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_BOHW: Tensor) -> tuple[Tensor, None]:
        layer = ctx.layer
        gradient_BOHW = gradient_BOHW.contiguous(memory_format=torch.channels_last)
        return nn.functional.conv2d(gradient_BOHW, layer.weight, None, layer.stride, layer.padding), None


def _to_image(maps_BFHW: Tensor, layer: Convolution, size: tuple[int, int]) -> Tensor:
    """Feature maps, or their gradient, carried to the image's side of the layer, (B, C, *size), without the bias."""
    per_image = maps_BFHW[0, 0].numel() * layer.weight[0].numel()
    parts = maps_BFHW.split(max(1, CACHE // per_image))
    return torch.cat([_some_to_image(part, layer, size) for part in parts])


def _some_to_image(maps_BFHW: Tensor, layer: Convolution, size: tuple[int, int]) -> Tensor:
    assert not isinstance(layer.padding, str)
    filters, channels, *kernel = layer.weight.shape
    (down, right), (above, left) = layer.stride, layer.padding
    images, _, height, width = maps_BFHW.shape
    of_each_pixel = maps_BFHW.permute(0, 2, 3, 1).reshape(-1, filters)
    of_each_weight = layer.weight.reshape(filters, -1).t() @ of_each_pixel.t()
    shifted = of_each_weight.view(channels, *kernel, images, height, width)
    padded = of_each_weight.new_zeros(channels, images, size[0] + 2 * above, size[1] + 2 * left)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            padded[:, :, i : i + down * height : down, j : j + right * width : right] += shifted[:, i, j]
    return padded[:, :, above : above + size[0], left : left + size[1]].transpose(0, 1)
