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

from advgen.attacks.common import Attack, Goal, aim, ascent, changeable, frozen
from advgen.models.graphs import recorded
from advgen.models.predict import at_once, device_of, predict, unit
from advgen.specs.attacks import AttackSpec, RegionAttack

Array = np.ndarray[Any, Any]
ROWS = 250
"""Images attacked at once on the CPU."""
SLACK = 1e-6  # how far float32 may stick out of a ball


@dataclass
class Calls:
    """How many images have gone forward through a model, and how many gradients have come back.

    Python does not see what is replayed: where steps are recorded, scalars that lie on the device are counted up.
    """

    forward: int | Tensor = 0
    gradient: int | Tensor = 0


@contextmanager
def counted(model: nn.Module, calls: Calls) -> Iterator[None]:
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
    attack: Attack,
    model: nn.Module,
    images_NCHW: Tensor,
    labels_N: Tensor,
    spec: AttackSpec,
    *,
    seed: int,
    indices: list[int],
    batch: int | None = None,
    progress: Callable[[int, int, Mapping[str, float]], None] | None = None,
) -> dict[str, Array | list[str | None] | float | None]:
    """Attack images (uint8, or float in [0, 1]) and measure the result; `indices` name the examples in their data set.

    Returns, per example: `x_adv` (N, C, H, W) float32, `target_label` (None without targets), `predicted_clean`,
    `predicted`, `confidence` (probability of the predicted label), the perturbation's `linf`, `l2`, `l0` (pixels
    changed) and `rms` on the [0, 1] scale, `zero_gradient`, and `found_by`, the member of an ensemble (None without
    members). `gradient_calls` and `forward_calls` are means over all examples: an attack that stops working on some
    does not say which rows of its batches were whose.
    """
    device, x_NCHW = device_of(model), unit(images_NCHW).cpu()
    batch = batch or at_once(ROWS, device)
    facts: dict[str, list[Tensor]] = {"x_adv": [], "target_label": [], "zero_gradient": []}
    calls = Calls(*torch.zeros(2, dtype=torch.long, device=device).unbind()) if recorded(device) else Calls()
    members: list[str | None] = [*spec.members(), None]  # -1 is nobody
    found_by: list[str | None] = []

    def note(member_B: Tensor) -> None:
        found_by.extend(members[member] for member in member_B.tolist())

    noting = {"note": note} if spec.members() else {}
    for start in range(0, len(x_NCHW), batch):
        rows = slice(start, start + batch)
        x_BCHW, y_B = x_NCHW[rows].to(device), labels_N[rows].to(device)
        with counted(model, calls):
            x_adv_BCHW = attack(model, x_BCHW, y_B, spec, seed=seed, indices=indices[rows], **noting)
        assert_allowed(attack, x_adv_BCHW, x_BCHW, spec, seed, indices[rows])
        with frozen(model), torch.no_grad():
            goal = aim(model, x_BCHW, y_B, spec, seed=seed, indices=indices[rows])
            gradient_BCHW, _ = ascent(model, x_BCHW, partial(Goal(y_B).loss, "cross_entropy"))
        facts["x_adv"].append(x_adv_BCHW.cpu())
        facts["zero_gradient"].append((gradient_BCHW == 0).flatten(1).all(1).cpu())
        if goal.target_B is not None:
            facts["target_label"].append(goal.target_B.cpu())
        if progress is not None:
            progress(min(start + batch, len(x_NCHW)), len(x_NCHW), {})
    x_adv_NCHW = torch.cat(facts["x_adv"])
    predicted_N, logits_NK = predict(model, x_adv_NCHW, batch)
    return {
        "x_adv": x_adv_NCHW.numpy(),
        "target_label": torch.cat(facts["target_label"]).numpy() if facts["target_label"] else None,
        "predicted_clean": predict(model, x_NCHW, batch)[0].numpy(),
        "predicted": predicted_N.numpy(),
        "confidence": logits_NK.softmax(1).amax(1).numpy(),
        **{name: value_N.numpy() for name, value_N in distances(x_adv_NCHW, x_NCHW).items()},
        "found_by": found_by or None,
        "zero_gradient": torch.cat(facts["zero_gradient"]).numpy(),
        "gradient_calls": float(calls.gradient) / len(x_NCHW),
        "forward_calls": float(calls.forward) / len(x_NCHW),
    }


def assert_allowed(
    attack: Attack, x_adv_BCHW: Tensor, x_BCHW: Tensor, spec: AttackSpec, seed: int, indices: list[int]
) -> None:
    """Fail if an attack left the box, its ball or its region."""
    threat = spec.threat()
    assert x_adv_BCHW.min() >= 0 and x_adv_BCHW.max() <= 1, f"{attack.__name__} left the box"
    sizes = distances(x_adv_BCHW, x_BCHW)
    if threat.eps is not None and threat.norm in sizes:
        assert sizes[threat.norm].max() <= threat.eps + SLACK, f"{attack.__name__} left the {threat.norm} ball"
    if isinstance(spec, RegionAttack):
        inside_B1HW = changeable(spec, x_BCHW, seed, indices)
        assert ((x_adv_BCHW == x_BCHW) | inside_B1HW).all(), f"{attack.__name__} left the region"


def distances(a_NCHW: Tensor, b_NCHW: Tensor) -> dict[str, Tensor]:
    """`linf`, `l2`, `l0` (pixels that differ in any channel) and `rms` of the difference of each pair of images."""
    delta_ND = (a_NCHW - b_NCHW).flatten(1).double()
    l2_N = delta_ND.norm(dim=1)
    return {
        "linf": delta_ND.abs().amax(1),
        "l2": l2_N,
        "l0": (a_NCHW != b_NCHW).any(1).flatten(1).sum(1),
        "rms": l2_N / delta_ND.shape[1] ** 0.5,
    }
