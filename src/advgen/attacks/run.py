"""Crafting adversarial examples in micro-batches, with the facts about each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from advgen.attacks.common import (
    Attack,
    Goal,
    Loss,
    frozen,
    input_gradient,
    quantize,
    region_mask,
    resolve_goal,
)
from advgen.attacks.controls import make_controls
from advgen.models.custom import UnusableOutput
from advgen.models.graphs import uses_cuda_graphs
from advgen.models.predict import ROUNDING, device_of, predict, scale_batch_size, to_unit_range
from advgen.specs.attacks import AttackSpec, RegionAttack
from advgen.specs.base import format_shape

Array = np.ndarray[Any, Any]
ROWS = 250
"""Images attacked at once on the CPU."""
SLACK = 1e-6  # how far float32 may stick out of a ball
COARSE = {torch.float16, torch.bfloat16}


@dataclass
class CallCounts:
    """How many images have gone forward through a model, and how many gradients have come back.

    Python does not see what is replayed: where steps are recorded, scalars that lie on the device are counted up.
    """

    forward: int | Tensor = 0
    gradient: int | Tensor = 0


@contextmanager
def count_calls(model: nn.Module, calls: CallCounts) -> Iterator[None]:
    """Counts what passes through the model inside the block, by a hook that is gone after it."""

    def backward(gradient_BK: Tensor) -> None:
        calls.gradient += len(gradient_BK)

    def forward(module: nn.Module, inputs: Any, logits_BK: Tensor) -> None:
        calls.forward += len(logits_BK)
        if logits_BK.requires_grad:
            logits_BK.register_hook(backward)

    hook = model.register_forward_hook(forward)
    try:
        yield
    finally:
        hook.remove()


def craft(
    attack: Callable[..., Any],
    model: nn.Module,
    images_NCHW: Tensor,
    labels_N: Tensor,
    spec: AttackSpec,
    *,
    seed: int,
    indices: list[int],
    others: tuple[Tensor, Tensor] | None = None,
    batch: int | None = None,
    progress: Callable[[int, int, Mapping[str, float]], None] | None = None,
) -> dict[str, Array | list[str | None] | float | None]:
    """Attack images (uint8, or float in [0, 1]) and measure the result; `indices` name the examples in their data set.

    An attack that first learns from images does so from `others` with their labels; left out, from those it attacks.

    Returns, per example: `x_adv` (N, C, H, W) float32, `target_label` (None without targets), `predicted_clean`,
    `predicted`, `predicted_rounded` (after rounding to 256 grey levels), `predicted_unaimed` (of `trivial.unaimed`: of
    several controls the first that fools), `confidence` (of `predicted`), the perturbation's `linf`, `l2`, `l0` (pixels
    changed) and `rms` on the [0, 1] scale, `zero_gradient` (of its loss at the clean image, of the margin unless that
    is the cross-entropy), `found_by`, the member of an ensemble (None without members), and `unstable`: whether the
    clean image gets other logits in another batch. `gradient_calls` and `forward_calls` are means over all examples: an
    attack that stops working on some does not say which rows of its batches were whose.

    ValueError if the images, their labels or the model's outputs are none that an attack can work on.
    """
    check_inputs(model, images_NCHW, labels_N, indices)
    device, x_NCHW = device_of(model), to_unit_range(images_NCHW).cpu()
    batch = batch or scale_batch_size(ROWS, device)
    clean_NK = compute_clean_logits(model, x_NCHW, labels_N, batch)
    facts: dict[str, list[Tensor]] = {"x_adv": [], "target_label": [], "zero_gradient": [], "unstable": []}
    calls = (
        CallCounts(*torch.zeros(2, dtype=torch.long, device=device).unbind())
        if uses_cuda_graphs(device)
        else CallCounts()
    )
    members: list[str | None] = [*spec.members(), None]  # -1 is nobody
    found_by: list[str | None] = []

    def note(member_B: Tensor) -> None:
        found_by.extend(members[member] for member in member_B.tolist())

    noting = {"note": note} if spec.members() else {}
    # a margin does not saturate, and every ensemble climbs one
    climbed: Loss = "cross_entropy" if "cross_entropy" in spec.threat().loss else "margin"
    if spec.others():
        other_images, other_labels = (images_NCHW, labels_N) if others is None else others
        with count_calls(model, calls):
            attack = attack(model, to_unit_range(other_images).to(device), other_labels.to(device), spec, seed=seed)
    for start in range(0, len(x_NCHW), batch):
        rows = slice(start, start + batch)
        x_BCHW, y_B = x_NCHW[rows].to(device), labels_N[rows].to(device)
        with count_calls(model, calls):
            x_adv_BCHW = attack(model, x_BCHW, y_B, spec, seed=seed, indices=indices[rows], **noting)
        assert_within_threat_model(attack, x_adv_BCHW, x_BCHW, spec, seed, indices[rows])
        with frozen(model), torch.no_grad():
            goal = resolve_goal(model, x_BCHW, y_B, spec, seed=seed, indices=indices[rows])
            gradient_BCHW, logits_BK = input_gradient(model, x_BCHW, partial(Goal(y_B).loss, climbed))
        facts["x_adv"].append(x_adv_BCHW.cpu())
        facts["zero_gradient"].append((gradient_BCHW == 0).flatten(1).all(1).cpu())
        facts["unstable"].append(logits_differ(logits_BK.cpu(), clean_NK[rows]))
        if goal.target_B is not None:
            facts["target_label"].append(goal.target_B.cpu())
        if progress is not None:
            progress(min(start + batch, len(x_NCHW)), len(x_NCHW), {})
    x_adv_NCHW = torch.cat(facts["x_adv"])
    predicted_N, logits_NK = predict(model, x_adv_NCHW, batch)
    controls = make_controls(x_NCHW, x_adv_NCHW, spec, seed=seed, indices=indices)
    unaimed_N, *more = (predict(model, control_NCHW, batch)[0] for control_NCHW in controls)
    for other_N in more:
        unaimed_N = torch.where(unaimed_N == labels_N.cpu(), other_N, unaimed_N)
    return {
        "x_adv": x_adv_NCHW.numpy(),
        "target_label": torch.cat(facts["target_label"]).numpy() if facts["target_label"] else None,
        "predicted_clean": clean_NK.argmax(1).numpy(),
        "predicted": predicted_N.numpy(),
        "predicted_rounded": predict(model, quantize(x_adv_NCHW).clamp(0, 1), batch)[0].numpy(),
        "predicted_unaimed": unaimed_N.numpy(),
        "confidence": logits_NK.softmax(1).amax(1).numpy(),
        **{name: value_N.numpy() for name, value_N in measure_perturbations(x_adv_NCHW, x_NCHW).items()},
        "found_by": found_by or None,
        "zero_gradient": torch.cat(facts["zero_gradient"]).numpy(),
        "unstable": torch.cat(facts["unstable"]).numpy(),
        "gradient_calls": float(calls.gradient) / len(x_NCHW),
        "forward_calls": float(calls.forward) / len(x_NCHW),
    }


def check_inputs(model: nn.Module, images_NCHW: Tensor, labels_N: Tensor, indices: list[int]) -> None:
    """ValueError for images, labels or weights that no attack can work on."""
    shape, dtype = tuple(images_NCHW.shape), _word(images_NCHW.dtype)
    if len(shape) != 4 or 0 in shape:
        raise ValueError(f"images of shape {shape} cannot be attacked; give (images, channels, height, width)")
    if not (images_NCHW.is_floating_point() or images_NCHW.dtype == torch.uint8):
        raise ValueError(f"images of {dtype} cannot be attacked; give uint8, or floats from 0 to 1")
    if images_NCHW.is_floating_point():
        check_pixel_range(images_NCHW)
    if labels_N.shape != shape[:1] or len(indices) != shape[0]:
        given = f"labels of shape {tuple(labels_N.shape)} and {len(indices)} indices"
        raise ValueError(f"{shape[0]} images came with {given}; give one of each for every image")
    if labels_N.is_floating_point() or labels_N.dtype == torch.bool:
        raise ValueError(f"labels of {_word(labels_N.dtype)} are no classes; give integers")
    coarse = {parameter.dtype for parameter in model.parameters()} & COARSE
    if coarse:
        raise ValueError(
            f"weights of {_word(coarse.pop())} are too coarse for gradients at pixels; attack model.float()"
        )


def check_pixel_range(images_NCHW: Tensor) -> None:
    """ValueError for floats that are not from 0 to 1."""
    if not images_NCHW.isfinite().all():
        raise ValueError("images have pixels that are no numbers; leave these images out")
    low, high = (bound.item() for bound in images_NCHW.aminmax())
    if low < 0 or high > 1:
        levels = low >= 0 and high <= 255
        remedy = "divide by 255, or give uint8" if levels else "let the model itself do what prepares its inputs"
        told = f"pixels of {_word(images_NCHW.dtype)} are from {low:g} to {high:g}"
        raise ValueError(f"{told}, and attacks keep to 0 to 1; {remedy}")


def compute_clean_logits(model: nn.Module, x_NCHW: Tensor, labels_N: Tensor, batch: int) -> Tensor:
    """Logits (N, K) of the clean images; ValueError if the model gives anything else.

    They are taken in other batches than those attacked, so that a row that depends on its batch shows.
    """
    channels, height, width = x_NCHW.shape[1:]
    seen = f"on {format_shape((channels, height, width))} images of {_word(x_NCHW.dtype)}"
    try:
        _, logits_NK = predict(model, x_NCHW, max(1, min(batch, len(x_NCHW)) // 2))
    except (torch.OutOfMemoryError, UnusableOutput):
        raise
    except Exception as error:  # whatever somebody else's code may raise
        told = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}".removeprefix("RuntimeError: ")
        raise ValueError(f"the model fails {seen}: {told}; it must give logits, (images, classes)") from error
    shape = tuple(logits_NK.shape)
    if len(shape) != 2 or shape[0] != len(x_NCHW) or shape[1] < 2:
        raise ValueError(f"the model gives {shape} {seen}; an attack needs logits (images, classes)")
    if logits_NK.dtype in COARSE:
        raise ValueError(f"outputs of {_word(logits_NK.dtype)} are too coarse for gradients at pixels; give float32")
    if (logits_NK >= 0).all() and torch.allclose(logits_NK.sum(1), torch.ones(()).to(logits_NK), rtol=0, atol=1e-4):
        raise ValueError("the model's outputs are probabilities, whose gradients vanish; attack it without its softmax")
    low, high = labels_N.min().item(), labels_N.max().item()
    if low < 0 or high >= shape[1]:
        label = low if low < 0 else high
        remedy = ", so take 1 from each label" if (low, high) == (1, shape[1]) else ""
        raise ValueError(f"label {label:g} does not exist; the model has classes 0 to {shape[1] - 1}{remedy}")
    return logits_NK


def logits_differ(a_BK: Tensor, b_BK: Tensor) -> Tensor:
    """Whether two passes gave an image other logits, (B,), by more than rounding can explain."""
    return ~((a_BK - b_BK).abs().amax(1) <= ROUNDING * a_BK.abs().amax(1))


def _word(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def assert_within_threat_model(
    attack: Attack, x_adv_BCHW: Tensor, x_BCHW: Tensor, spec: AttackSpec, seed: int, indices: list[int]
) -> None:
    """Fail if an attack left the box, its ball or its region."""
    threat = spec.threat()
    in_box = x_adv_BCHW.min() >= 0 and x_adv_BCHW.max() <= 1
    assert in_box or not spec.stays_in_box(), f"{attack.__name__} left the box"
    sizes = measure_perturbations(x_adv_BCHW, x_BCHW)
    if threat.eps is not None and threat.norm in sizes:
        assert sizes[threat.norm].max() <= threat.eps + SLACK, f"{attack.__name__} left the {threat.norm} ball"
    if threat.eps is not None and threat.norm == "l1":
        size = (x_adv_BCHW - x_BCHW).flatten(1).double().norm(1, dim=1).max()
        assert size <= threat.eps + SLACK * max(1, threat.eps), f"{attack.__name__} left the l1 ball"
    if isinstance(spec, RegionAttack):
        inside_B1HW = region_mask(spec, x_BCHW, seed, indices)
        assert ((x_adv_BCHW == x_BCHW) | inside_B1HW).all(), f"{attack.__name__} left the region"


def measure_perturbations(a_NCHW: Tensor, b_NCHW: Tensor) -> dict[str, Tensor]:
    """`linf`, `l2`, `l0` (pixels that differ in any channel) and `rms` of the difference of each pair of images."""
    delta_ND = (a_NCHW - b_NCHW).flatten(1).double()
    l2_N = delta_ND.norm(dim=1)
    return {
        "linf": delta_ND.abs().amax(1),
        "l2": l2_N,
        "l0": (a_NCHW != b_NCHW).any(1).flatten(1).sum(1),
        "rms": l2_N / delta_ND.shape[1] ** 0.5,
    }
