"""The user's own classifier, with the preparation of its inputs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from advgen.models.factories import first_line
from advgen.models.model_files import load_model_file
from advgen.models.predict import device_of

Channels = float | Sequence[float] | None
QUANTIZED = (
    "the model is quantised (int8), so there are no gradients at its pixels; attack the float model that it was made "
    "from, and give this one the adversarial images"
)


class UnusableOutput(ValueError):
    """A model's output, or its gradient, cannot be used by attacks; the message says what to do."""


class CustomModel(nn.Module):
    """A classifier from images (B, C, H, W) in [0, 1] to logits (B, K), with the preparation of its inputs.

    Pixels are scaled from [0, 1] to `bounds`, then `mean` is subtracted and the result divided by `std`, each a number
    or one per channel. If the logits do not depend on the pixels, the gradient is zero instead of missing.

    The wrapped model may change its input in place, compute in float64, or return `.logits` or `["logits"]`.
    """

    def __init__(
        self, net: nn.Module, bounds: tuple[float, float] = (0, 1), mean: Channels = None, std: Channels = None
    ):
        super().__init__()
        self.net, (self.low, high) = net, map(float, bounds)
        self.width = high - self.low
        if not self.width > 0:
            raise ValueError(f"bounds = {tuple(bounds)}: must be the lowest and the highest pixel, such as (0, 1)")
        subtracted, divisor = _per_channel("mean", mean, 0.0), _per_channel("std", std, 1.0)
        if not (divisor > 0).all():
            raise ValueError(f"std = {std}: must be positive; it divides the pixels")
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", subtracted.to(device_of(net)), persistent=False)
        self.register_buffer("std", divisor.to(device_of(net)), persistent=False)
        self.is_scaled, self.is_standardised = (self.low, high) != (0, 1), mean is not None or std is not None
        self.is_double, self.is_quantized = _computes_in(net, torch.float64), _is_quantized(net)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Logits (B, K); UnusableOutput if a gradient is needed and a quantised model has none."""
        input_BCHW = x_BCHW
        needs_gradient = torch.is_grad_enabled() and input_BCHW.requires_grad
        if needs_gradient and self.is_quantized:
            raise UnusableOutput(QUANTIZED)
        # a copy, which the model may change in place
        x_BCHW = x_BCHW.double() if self.is_double and x_BCHW.dtype != torch.float64 else x_BCHW.clone()
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, x_BCHW.shape[1]):
                raise ValueError(f"{name} has {len(values)} numbers for {x_BCHW.shape[1]} channels; give one for each")
        if self.is_scaled:
            x_BCHW = self.low + self.width * x_BCHW
        if self.is_standardised:
            x_BCHW = (x_BCHW - self.mean) / self.std
        logits_BK = _logits(self.net(x_BCHW))
        if logits_BK.dtype == torch.float64:
            logits_BK = logits_BK.to(input_BCHW.dtype)
        if needs_gradient and not logits_BK.requires_grad and logits_BK.ndim == 2:
            return logits_BK + 0 * input_BCHW.flatten(1).sum(1, keepdim=True)
        return logits_BK


def _logits(output: Any) -> Tensor:
    """The logits in the output of a model; UnusableOutput, which says how to wrap it, if there are none."""
    logits = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", output)
    if isinstance(logits, tuple) and len(logits) == 1:
        logits = logits[0]
    if not isinstance(logits, Tensor):
        keys = f" with {', '.join(map(str, output))}" if isinstance(output, Mapping) else ""
        place = repr(next(iter(output))) if isinstance(output, Mapping) and output else "0"
        raise UnusableOutput(
            f"the model returns an output of type {type(output).__name__}{keys}; "
            f"wrap it in a module whose forward returns the logits alone, such as self.model(x)[{place}]"
        )
    if logits.ndim == 1 or logits.shape[1:] == (1,):
        raise UnusableOutput(
            "the model returns one number per image; if that is the logit z of class 1 of two, before any sigmoid, "
            "wrap it in a module whose forward returns torch.stack([0 * z.flatten(), z.flatten()], 1)"
        )
    return logits


def _computes_in(net: nn.Module, dtype: torch.dtype) -> bool:
    """Whether all floating-point weights of a model, or its buffers if it has no weights, have this type."""
    for tensors in (net.parameters(), net.buffers()):
        if types := {one.dtype for one in tensors if one.is_floating_point()}:
            return types == {dtype}
    return False


def _is_quantized(net: nn.Module) -> bool:
    """Whether a part of a model has quantised weights, for which torch has no gradients."""
    if isinstance(net, torch.jit.ScriptModule):
        try:
            return "quantized::" in str(net.inlined_graph)
        except RuntimeError:  # no forward
            return False
    return ".quantized." in f"{type(net).__module__}." or any(map(_is_quantized, net.children()))


def _per_channel(name: str, values: Channels, default: float) -> Tensor:
    """One number or one per channel, as (C, 1, 1)."""
    try:
        return torch.tensor(default if values is None else values, dtype=torch.float32).reshape(-1, 1, 1)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name} = {values!r}: must be a number, or one for each channel") from None


def load_custom_model(
    path: Path,
    factory: str | None = None,
    *,
    bounds: tuple[float, float] = (0, 1),
    mean: Channels = None,
    std: Channels = None,
) -> nn.Module:
    """A classifier from images (B, C, H, W) in [0, 1] to logits (B, K), in eval mode on the CPU.

    Args:
        path: an exported program, TorchScript, safetensors, or a checkpoint of a study.
        factory: a function without arguments that builds the module of a safetensors file, as "module:function" or
            "path.py:function".
        bounds: as in `CustomModel`, like `mean` and `std`.

    Raises:
        ValueError: another file, or a factory that fails; the message is one line.
    """
    net = load_model_file(path, factory)
    device = device_of(net)
    if device.type != "cpu":
        try:
            net = net.to("cpu")
        except RuntimeError as error:
            reason = first_line(error)
            raise ValueError(f"{path}: is on {device} and cannot be moved ({reason}); save it from the CPU") from None
    return CustomModel(net, bounds, mean, std).eval()
