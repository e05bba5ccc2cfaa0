"""The arguments of the public functions, checked and converted: models, images in [0, 1], labels, specs."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from advgen import registry
from advgen.attacks.checks import check_inputs, compute_clean_logits
from advgen.data.custom import as_images, as_labels
from advgen.models.custom import Channels, CustomModel, load_custom_model
from advgen.models.predict import device_of, scale_batch_size
from advgen.specs.attacks import AttackSpec
from advgen.specs.base import Spec, WrongValue
from advgen.study.errors import explain, suggest_allowed

Model = nn.Module | str | Path
"""A module, or the path of its file (`models/custom.py`)."""
Bounds = tuple[float, float]
ROWS = 250
"""Images per batch on the CPU."""
SLACK = 1e-6
UNSUPPORTED_DEVICES = ("meta", "mps")
S = TypeVar("S", bound=Spec)


class PreparedInputs(NamedTuple):
    """A classifier of images in [0, 1], images (N, C, H, W) as float32 in [0, 1] and labels (N,), on the CPU."""

    model: nn.Module
    images: Tensor
    labels: Tensor
    logits: Tensor
    """Of the clean images, (N, K)."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    @property
    def indices(self) -> list[int]:
        """The position of each image."""
        return list(range(len(self.images)))


def prepare_inputs(
    model: Model, images: Any, labels: Any, bounds: Bounds = (0, 1), mean: Channels = None, std: Channels = None
) -> PreparedInputs:
    """Check and convert the arguments. Raises ValueError with one line if they cannot be attacked."""
    classifier = wrap_classifier(model, bounds, mean, std)
    x_NCHW, y_N = to_unit_pixels(images, bounds), torch.from_numpy(as_labels(_to_array(labels)))
    check_inputs(classifier, x_NCHW, y_N, list(range(len(x_NCHW))))
    logits_NK = compute_clean_logits(classifier, x_NCHW, y_N, scale_batch_size(ROWS, device_of(classifier)))
    invalid = int((~logits_NK.isfinite()).any(1).sum())
    if invalid:
        raise ValueError(
            f"the model returns NaN or infinite outputs for {invalid} of {len(logits_NK)} images; "
            "look for a division by zero or a logarithm of zero in it"
        )
    return PreparedInputs(classifier, x_NCHW, y_N, logits_NK)


def wrap_classifier(model: Model, bounds: Bounds = (0, 1), mean: Channels = None, std: Channels = None) -> nn.Module:
    """A model together with its input normalisation; it takes images in [0, 1]."""
    if isinstance(model, str | Path):
        return load_custom_model(Path(model), bounds=bounds, mean=mean, std=std)
    if not isinstance(model, nn.Module):
        raise ValueError(f"the model is of type {type(model).__name__}; pass a torch.nn.Module or the path of a file")
    if (device := device_of(model).type) in UNSUPPORTED_DEVICES:
        raise ValueError(f"the model's weights are on {device}, which is not supported; pass model.to('cpu')")
    return CustomModel(model, _check_bounds(bounds), mean, std)


def to_unit_pixels(images: Any, bounds: Bounds = (0, 1)) -> Tensor:
    """Images (N, C, H, W) as float32 in [0, 1], from uint8, or from floats in `bounds`."""
    x_NCHW = to_batch(images)
    if x_NCHW.dtype == torch.uint8:
        return x_NCHW.float() / 255
    low, high = _check_bounds(bounds)
    if not x_NCHW.isfinite().all():
        raise ValueError("images contain NaN or infinite pixels; remove these images")
    scaled = (x_NCHW - low) / (high - low)
    if scaled.min() < -SLACK or scaled.max() > 1 + SLACK:
        least, most = (bound.item() for bound in x_NCHW.aminmax())
        pixels = f"pixels are {least:g} to {most:g}, outside"
        if (low, high) != (0, 1):
            raise ValueError(f"{pixels} bounds = {tuple(bounds)}; change bounds to fit")
        grey_levels = least >= 0 and most <= 255
        remedy = "undo their normalisation (attack and evaluate take bounds, mean and std)"
        raise ValueError(f"{pixels} 0 to 1; {'divide by 255, or pass uint8' if grey_levels else remedy}")
    return scaled.clamp(0, 1)


def to_batch(images: Any) -> Tensor:
    """Images (N, C, H, W) on the CPU: uint8, or float32 with any values."""
    return torch.from_numpy(as_images(_to_array(images)))


def _check_bounds(bounds: Bounds) -> Bounds:
    try:
        low, high = bounds
        return low + 0.0, high + 0.0
    except (TypeError, ValueError):
        raise ValueError(f"bounds = {bounds!r}: must be the lowest and the highest pixel, such as (0, 1)") from None


def existing_file(path: str | os.PathLike[str]) -> Path:
    """The path of a file. Raises ValueError if there is none."""
    if not Path(path).is_file():
        raise ValueError(f"{path}: no such file")
    return Path(path)


def _to_array(values: Any) -> Any:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else values


def attack_spec(name: str, keys: Mapping[str, Any]) -> AttackSpec:
    """The spec of a registered attack, checked as in a study. Raises ValueError with one line."""
    known = registry.kinds("attacks")
    if name not in known:
        raise ValueError(f"attack {name!r} is unknown{suggest_allowed(str(name), list(known))}")
    spec = validate_spec(known[name], {"kind": name, **keys}, f"attack {name!r}")
    assert isinstance(spec, AttackSpec)
    return spec


def check_attack_fits(spec: AttackSpec, inputs: PreparedInputs) -> None:
    """Raise ValueError if an attack does not support images of this shape, or this number of classes."""
    try:
        spec.check(inputs.shape, inputs.logits.shape[1])
    except WrongValue as wrong:
        raise ValueError(str(wrong)) from None


def validate_spec(kind: type[S], keys: Mapping[str, Any], call: str) -> S:
    """A spec from its keys. Raises ValueError with the message of a study's errors, in one line."""
    try:
        # NumPy scalars count as numbers
        return kind.model_validate(
            {name: one.item() if np.ndim(one) == 0 and hasattr(one, "item") else one for name, one in keys.items()}
        )
    except ValidationError as error:
        raise ValueError(explain(error, _CallLocation(call), kind).splitlines()[0]) from None


class _CallLocation:
    """The location of a key in error messages: the call, instead of a line of a file."""

    def __init__(self, call: str):
        self.call = call

    def at(self, path: tuple[Any, ...]) -> str:
        return f"{self.call}: "
