"""Checks of an attack's inputs, and of its result against its threat model."""

import torch
from torch import Tensor, nn

from advgen.attacks.common import Attack, measure_perturbations, region_mask
from advgen.models.custom import UnusableOutput
from advgen.models.predict import ROUNDING, predict
from advgen.specs.attacks import AttackSpec, RegionAttack
from advgen.specs.base import format_shape

SLACK = 1e-6  # how far float32 rounding may lead out of a ball
HALF_PRECISION = {torch.float16, torch.bfloat16}


def check_inputs(model: nn.Module, images_NCHW: Tensor, labels_N: Tensor, indices: list[int]) -> None:
    """Raise ValueError for images, labels or weights that cannot be attacked."""
    shape, dtype = tuple(images_NCHW.shape), _dtype_name(images_NCHW)
    if len(shape) != 4 or 0 in shape:
        raise ValueError(f"images of shape {shape} cannot be attacked; pass (images, channels, height, width)")
    if not (images_NCHW.is_floating_point() or images_NCHW.dtype == torch.uint8):
        raise ValueError(f"{dtype} images cannot be attacked; pass uint8, or floats from 0 to 1")
    if images_NCHW.is_floating_point():
        check_pixel_range(images_NCHW)
    if labels_N.shape != shape[:1] or len(indices) != shape[0]:
        counts = f"labels of shape {tuple(labels_N.shape)} and {len(indices)} indices"
        raise ValueError(f"{shape[0]} images do not match {counts}; pass one label and one index per image")
    if labels_N.is_floating_point() or labels_N.dtype == torch.bool:
        raise ValueError(f"{_dtype_name(labels_N)} labels are not supported; pass integers")
    for parameter in model.parameters():
        if parameter.dtype in HALF_PRECISION:
            dtype = _dtype_name(parameter)
            raise ValueError(f"{dtype} weights are too coarse for input gradients; attack model.float()")


def check_pixel_range(images_NCHW: Tensor) -> None:
    """Raise ValueError for float images with pixels outside [0, 1]."""
    if not images_NCHW.isfinite().all():
        raise ValueError("images contain NaN or infinite pixels; remove these images")
    low, high = (bound.item() for bound in images_NCHW.aminmax())
    if low < 0 or high > 1:
        levels = low >= 0 and high <= 255
        remedy = "divide by 255, or pass uint8" if levels else "move the normalisation into the model"
        raise ValueError(f"{_dtype_name(images_NCHW)} pixels are {low:g} to {high:g}, not 0 to 1; {remedy}")


def compute_clean_logits(model: nn.Module, x_NCHW: Tensor, labels_N: Tensor, batch: int) -> Tensor:
    """Logits (N, K) of the clean images. Raises ValueError for other outputs, and for labels without a logit.

    The batches differ from those of the attack, which reveals outputs that depend on the batch.
    """
    channels, height, width = x_NCHW.shape[1:]
    inputs = f"{format_shape((channels, height, width))} {_dtype_name(x_NCHW)} images"
    try:
        _, logits_NK = predict(model, x_NCHW, max(1, min(batch, len(x_NCHW)) // 2))
    except (torch.OutOfMemoryError, UnusableOutput):
        raise
    except Exception as error:  # custom models may raise anything
        line = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}".removeprefix("RuntimeError: ")
        raise ValueError(f"the model fails on {inputs}: {line}; it must return logits (images, classes)") from error
    shape = tuple(logits_NK.shape)
    if len(shape) != 2 or shape[0] != len(x_NCHW) or shape[1] < 2:
        raise ValueError(f"the model returns shape {shape} for {inputs}; it must return logits (images, classes)")
    if logits_NK.dtype in HALF_PRECISION:
        raise ValueError(f"{_dtype_name(logits_NK)} outputs are too coarse for input gradients; return float32")
    if (logits_NK >= 0).all() and torch.allclose(logits_NK.sum(1), torch.ones(()).to(logits_NK), rtol=0, atol=1e-4):
        raise ValueError("the model's outputs are probabilities, whose gradients vanish; attack it without its softmax")
    low, high = labels_N.min().item(), labels_N.max().item()
    if low < 0 or high >= shape[1]:
        label = low if low < 0 else high
        remedy = "; subtract 1 from each label" if (low, high) == (1, shape[1]) else ""
        raise ValueError(f"label {label:g} does not exist; the model has classes 0 to {shape[1] - 1}{remedy}")
    return logits_NK


def logits_differ(a_BK: Tensor, b_BK: Tensor) -> Tensor:
    """Whether the logits of two passes differ by more than rounding explains, per image (B,)."""
    return ~((a_BK - b_BK).abs().amax(1) <= ROUNDING * a_BK.abs().amax(1))


def _dtype_name(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def assert_within_threat_model(
    attack: Attack, x_adv_BCHW: Tensor, x_BCHW: Tensor, spec: AttackSpec, seed: int, indices: list[int]
) -> None:
    """Raise AssertionError if an attack left the box, its ball or its region."""
    threat = spec.threat()
    in_box = x_adv_BCHW.min() >= 0 and x_adv_BCHW.max() <= 1
    assert in_box or not spec.stays_in_box(), f"{attack.__name__} left the box"
    sizes = measure_perturbations(x_adv_BCHW, x_BCHW)
    sizes["l1"] = (x_adv_BCHW - x_BCHW).flatten(1).double().norm(1, dim=1)
    if threat.eps is not None and threat.norm in sizes:
        slack = SLACK * max(1, threat.eps) if threat.norm == "l1" else SLACK
        assert sizes[threat.norm].max() <= threat.eps + slack, f"{attack.__name__} left the {threat.norm} ball"
    if isinstance(spec, RegionAttack):
        inside_B1HW = region_mask(spec, x_BCHW, seed, indices)
        assert ((x_adv_BCHW == x_BCHW) | inside_B1HW).all(), f"{attack.__name__} left the region"
