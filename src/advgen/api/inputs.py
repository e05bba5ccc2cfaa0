"""What a call was given, as the package computes with it: models, images in [0, 1], labels, specs."""

from __future__ import annotations

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
"""A module, or the file of one (`models/custom.py`)."""
Bounds = tuple[float, float]
SLACK = 1e-6
ELSEWHERE = ("meta", "mps")
"""Devices that attacks do not work on."""
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
        """The number of each image."""
        return list(range(len(self.images)))


def prepare_inputs(
    model: Model, images: Any, labels: Any, bounds: Bounds = (0, 1), mean: Channels = None, std: Channels = None
) -> PreparedInputs:
    """What was given, made ready; ValueError in one line if no attack can work on it."""
    net, x_NCHW, y_N = classifier(model, bounds, mean, std), pixels(images, bounds), torch.from_numpy(classes(labels))
    check_inputs(net, x_NCHW, y_N, list(range(len(x_NCHW))))
    return PreparedInputs(
        net, x_NCHW, y_N, _finite(compute_clean_logits(net, x_NCHW, y_N, scale_batch_size(250, device_of(net))))
    )


def classifier(model: Model, bounds: Bounds = (0, 1), mean: Channels = None, std: Channels = None) -> nn.Module:
    """A model behind what prepares its inputs; it takes images in [0, 1]."""
    if isinstance(model, str | Path):
        return load_custom_model(Path(model), bounds=bounds, mean=mean, std=std)
    if not isinstance(model, nn.Module):
        raise ValueError(
            f"the model is {_describe_type(model)}; give a torch.nn.Module, or the path of a file that holds one"
        )
    if (device := device_of(model).type) in ELSEWHERE:
        raise ValueError(f"the model's weights lie on {device}, where nothing is computed here; give model.to('cpu')")
    return CustomModel(model, _ends(bounds), mean, std)


def pixels(images: Any, bounds: Bounds = (0, 1)) -> Tensor:
    """Images (N, C, H, W) as float32 in [0, 1]: uint8, or floats that lie in `bounds`."""
    x_NCHW = to_batch(images)
    if x_NCHW.dtype == torch.uint8:
        return x_NCHW.float() / 255
    low, high = _ends(bounds)
    if not x_NCHW.isfinite().all():
        raise ValueError("images have pixels that are no numbers; leave these images out")
    inside = (x_NCHW - low) / (high - low)
    if inside.min() < -SLACK or inside.max() > 1 + SLACK:
        least, most = (bound.item() for bound in x_NCHW.aminmax())
        told = f"pixels are from {least:g} to {most:g}, outside of"
        if (low, high) != (0, 1):
            raise ValueError(f"{told} bounds = {tuple(bounds)}; set bounds to fit")
        grey_levels = least >= 0 and most <= 255
        remedy = "undo their normalisation (attack and evaluate take bounds, mean and std)"
        raise ValueError(f"{told} 0 to 1; {'divide by 255, or give uint8' if grey_levels else remedy}")
    return inside.clamp(0, 1)


def to_batch(images: Any) -> Tensor:
    """Images (N, C, H, W) on the CPU: uint8, or float32 with any values."""
    return torch.from_numpy(as_images(_array(images)))


def _ends(bounds: Bounds) -> Bounds:
    try:
        low, high = bounds
        return low + 0.0, high + 0.0
    except (TypeError, ValueError):
        raise ValueError(f"bounds = {bounds!r}: must be the lowest and the highest pixel, such as (0, 1)") from None


def existing_file(path: str | os.PathLike[str]) -> Path:
    """The path of a file; ValueError if there is none."""
    if not Path(path).is_file():
        raise ValueError(f"{path}: no such file")
    return Path(path)


def classes(labels: Any) -> Any:
    """Labels (N,) int64."""
    return as_labels(_array(labels))


def _array(values: Any) -> Any:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else values


def _finite(logits_NK: Tensor) -> Tensor:
    strange = int((~logits_NK.isfinite()).any(1).sum())
    if strange:
        told = f"the model gives outputs that are no numbers for {strange} of {len(logits_NK)} images"
        raise ValueError(f"{told}; look for a division by zero or a logarithm of zero in it")
    return logits_NK


def attack_spec(name: str, keys: Mapping[str, Any]) -> AttackSpec:
    """The spec of an attack of the registry, its keys checked as in a study; ValueError in one line."""
    known = registry.kinds("attacks")
    if name not in known:
        raise ValueError(f"attack {name!r} is unknown{suggest_allowed(str(name), list(known))}")
    spec = validate_spec(known[name], {"kind": name, **keys}, f"attack {name!r}")
    assert isinstance(spec, AttackSpec)
    return spec


def check_attack_fits(spec: AttackSpec, what: PreparedInputs) -> None:
    """ValueError if an attack cannot work on images of this shape, or with so many classes."""
    try:
        spec.check(what.shape, what.logits.shape[1])
    except WrongValue as wrong:
        raise ValueError(str(wrong)) from None


def validate_spec(kind: type[S], keys: Mapping[str, Any], about: str) -> S:
    """A spec from its keys; ValueError in the words of a study's errors, in one line."""
    try:
        # numpy's numbers are numbers, too
        return kind.model_validate(
            {name: one.item() if np.ndim(one) == 0 and hasattr(one, "item") else one for name, one in keys.items()}
        )
    except ValidationError as error:
        raise ValueError(explain(error, _Call(about), kind).splitlines()[0]) from None


class _Call:
    """Where keys of a call stand."""

    def __init__(self, about: str):
        self.about = about

    def at(self, path: tuple[Any, ...]) -> str:
        return f"{self.about}: "


def _describe_type(value: object) -> str:
    return f"of type {type(value).__name__}"
