"""Faster convolutions of frozen networks on the CPU, between an image of few channels and many feature maps.

PyTorch's vector code is inefficient for few output channels: the gradient of a first convolution at its input, and the
output of a last transposed convolution. With 32 filters on grey images, this took as long as the rest of the network.
Here it is a matrix product, filters by pixels, and a sum over shifts. Transposed convolutions of stride 1 with more
channels, but too few to fill a vector, compute several neighbouring pixels as channels of one.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

FEW = 3
"""Number of image channels up to which the matrix product is faster."""
VECTOR = 16
"""Channels that PyTorch's vector code processes together."""
CACHE = 2**20
"""Elements of the intermediate matrix per chunk, so that it fits in the processor's cache."""

Convolution = nn.Conv2d | nn.ConvTranspose2d


def accelerate_convolutions(model: nn.Module) -> nn.Module:
    """The same frozen network with the same parameters, its convolutions with few channels replaced.

    The original is not changed. A module with its own attribute lookup, such as a compiled or traced one, is returned
    unchanged, since its computation does not follow from its submodules.
    """
    if isinstance(model, nn.Conv2d | nn.ConvTranspose2d):
        return _Frozen(model) if _replaceable(model) else model
    if isinstance(model, _Frozen) or not _has_plain_attributes(type(model)):
        return model
    twin: nn.Module = object.__new__(type(model))
    parts = {name: None if child is None else accelerate_convolutions(child) for name, child in model._modules.items()}
    # not with __setattr__, which a class may override
    twin.__dict__.update({**model.__dict__, "_modules": parts})
    return twin


def _has_plain_attributes(kind: type[nn.Module]) -> bool:
    return kind.__getattr__ is nn.Module.__getattr__ and kind.__setattr__ is nn.Module.__setattr__


def _replaceable(layer: Convolution) -> bool:
    return (
        type(layer) in (nn.Conv2d, nn.ConvTranspose2d)  # subclasses and hooks may compute something else
        and not layer._forward_pre_hooks
        and not layer._forward_hooks
        and layer.weight.device.type == "cpu"
        and (layer.weight.shape[1] <= FEW or _has_few_channels(layer))
        and layer.groups == 1
        and layer.dilation == (1, 1)
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
        and not any(layer.output_padding)
    )


def _has_few_channels(layer: Convolution) -> bool:
    """Whether it is a transposed convolution of stride 1 whose output or input gradient has few channels."""
    return (
        isinstance(layer, nn.ConvTranspose2d)
        and layer.stride == (1, 1)
        and min(layer.weight.shape[:2]) < VECTOR
        and not isinstance(layer.padding, str)
        and all(padding < size for padding, size in zip(layer.padding, layer.kernel_size, strict=True))
    )


class _Frozen(nn.Module):
    """A convolution that is differentiated only at its input."""

    def __init__(self, layer: Convolution):
        super().__init__()
        self.layer = layer

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """The output of the convolution."""
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
        if layer.weight.shape[1] > FEW:
            flipped = layer.weight.transpose(0, 1).flip(2, 3)
            return _convolve_groups(x_BCHW, flipped, layer.bias, (high - 1 - above, wide - 1 - left))
        height, width = x_BCHW.shape[2:]
        size = (height - 1) * down + high - 2 * above, (width - 1) * right + wide - 2 * left
        image_BOHW = _to_image(x_BCHW, layer, size)
        return image_BOHW if layer.bias is None else image_BOHW + layer.bias[:, None, None]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient_BOHW: Tensor) -> tuple[Tensor, None]:
        layer = ctx.layer
        gradient_BOHW = gradient_BOHW.contiguous(memory_format=torch.channels_last)
        if _has_few_channels(layer):
            return _convolve_groups(gradient_BOHW, layer.weight, None, layer.padding), None
        return nn.functional.conv2d(gradient_BOHW, layer.weight, None, layer.stride, layer.padding), None


def _convolve_groups(x_BCHW: Tensor, weight_OCKL: Tensor, bias_O: Tensor | None, padding: tuple[int, int]) -> Tensor:
    """A convolution of stride 1 that computes several neighbouring pixels of a row at once, to fill a vector.

    A wider kernel with a larger stride has the filters once for each of these pixels. In channels-last memory, their
    outputs are already in the right order.
    """
    outputs, channels, high, wide = weight_OCKL.shape
    width = x_BCHW.shape[3] + 2 * padding[1] - wide + 1
    at_once = max(n for n in (1, 2, 4) if width % n == 0 and (n == 1 or n * outputs <= VECTOR))
    wider = weight_OCKL.new_zeros(at_once, outputs, channels, high, wide + at_once - 1)
    for place in range(at_once):
        wider[place, ..., place : place + wide] = weight_OCKL
    filters = wider.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    bias = None if bias_O is None else bias_O.repeat(at_once)
    several = nn.functional.conv2d(x_BCHW, filters, bias, (1, at_once), padding)
    return several.permute(0, 2, 3, 1).reshape(len(several), several.shape[2], width, outputs).permute(0, 3, 1, 2)


def _to_image(maps_BFHW: Tensor, layer: Convolution, size: tuple[int, int]) -> Tensor:
    """The image (B, C, *size) from feature maps or their gradient, without the bias."""
    per_image = maps_BFHW[0, 0].numel() * layer.weight[0].numel()
    parts = maps_BFHW.split(max(1, CACHE // per_image))
    return torch.cat([_chunk_to_image(part, layer, size) for part in parts])


def _chunk_to_image(maps_BFHW: Tensor, layer: Convolution, size: tuple[int, int]) -> Tensor:
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
