"""The fast minimum-norm attack: the smallest change in L∞, L2, L1 or L0, without a search over its size."""

import math

import torch
from torch import Tensor, nn

from advgen.attacks.best import SmallestExamples
from advgen.attacks.common import (
    input_gradient,
    is_check_due,
    l2_norms,
    measure_norm,
    project_l1,
    pure,
    resolve_goal,
)
from advgen.specs.attacks import FmnAttack

DUAL = {"linf": 1.0, "l2": 2.0, "l1": math.inf}
"""Order of the dual norm, which measures gradients where the key measures changes."""


@pure
def fmn(model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: FmnAttack, *, seed: int, indices: list[int]) -> Tensor:
    """The smallest successful change on a walk along the boundary [pintor2021fast].

    Each step climbs the margin and ends in a ball with its own radius, which shrinks while the image reaches its goal
    and grows while it does not. The steps and the changes of the radius become smaller over time. Images without a
    success, and images that reach their goal from the start, are returned unchanged.
    """
    goal = resolve_goal(model, x_BCHW, y_B, spec, seed=seed, indices=indices)
    smallest = SmallestExamples(x_BCHW)
    active, x, x_adv = torch.arange(len(x_BCHW), device=x_BCHW.device), x_BCHW, x_BCHW
    radius = torch.ones_like(smallest.size_B)  # the start in L0; otherwise the first margin decides
    for number in range(spec.steps):
        rate = (1 + math.cos(math.pi * number / spec.steps)) / 2
        size, share = spec.step_size * (0.01 + 0.99 * rate), 0.001 + (spec.shrink - 0.001) * rate
        gradient, logits = input_gradient(model, x_adv, goal.margin)
        margin, success = goal.margin(logits), goal.is_reached(logits)
        length = measure_norm(x_adv - x, spec.norm)
        smallest.offer(active, x_adv, length, success & (smallest.size_B[active] > spec.within))
        if is_check_due(number, x):
            rows = (smallest.size_B[active] > spec.within).nonzero().flatten()
            if len(rows) == 0:
                break
            if len(rows) < len(active):
                state = active, x, x_adv, gradient, radius, margin, success, length
                active, x, x_adv, gradient, radius, margin, success, length = (one[rows] for one in state)
                goal = goal.take(rows)
        radius = _next_radius(radius, share, margin, gradient, success, length, smallest.size_B[active], spec.norm)
        scale = size / l2_norms(gradient).clamp_min(1e-30).to(x.dtype)
        delta = torch.addcmul(x_adv - x, gradient, scale)
        x_adv = (x + shrink_to_ball(delta, x, radius, spec.norm)).clamp_(0, 1)
    return smallest.x_BCHW


def _next_radius(
    radius_B: Tensor,
    share: float,
    margin_B: Tensor,
    gradient_BCHW: Tensor,
    success_B: Tensor,
    length_B: Tensor,
    smallest_B: Tensor,
    norm: str,
) -> Tensor:
    """The radius of each image's next ball, (B,)."""
    closer_B, wider_B = radius_B * (1 - share), radius_B * (1 + share)
    if norm == "l0":  # a whole number of pixels, which changes by at least one
        closer_B, wider_B = torch.minimum(radius_B - 1, closer_B.floor()), torch.maximum(radius_B + 1, wider_B.floor())
        unknown_B = wider_B
    else:  # just beyond the linearised boundary
        slope_B = torch.linalg.vector_norm(gradient_BCHW, DUAL[norm], dim=(1, 2, 3)).clamp_min(1e-30)
        unknown_B = (length_B + margin_B.abs() / slope_B) * (1 + share)
    missed_B = torch.where(smallest_B.isinf(), unknown_B, wider_B)
    next_B = torch.where(success_B, torch.minimum(closer_B, smallest_B), missed_B)
    return next_B.clamp_min(1) if norm == "l0" else next_B


def shrink_to_ball(delta_BCHW: Tensor, x_BCHW: Tensor, radius_B: Tensor, norm: str) -> Tensor:
    """The nearest change that is no larger than each image's radius; in L1 the nearest that also stays in the box.

    In L1, the part outside the box would otherwise use up most of the radius.
    """
    radius_B111 = radius_B[:, None, None, None]
    if norm == "linf":
        return torch.clamp(delta_BCHW, -radius_B111, radius_B111)
    if norm == "l2":
        return delta_BCHW * (radius_B111 / l2_norms(delta_BCHW).clamp_min(1e-30).to(delta_BCHW.dtype)).clamp_max(1)
    if norm == "l1":
        return project_l1(delta_BCHW, x_BCHW, radius_B)
    magnitude_BP = delta_BCHW.norm(dim=1).flatten(1)
    rank_BP = magnitude_BP.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    chosen_BP = rank_BP < radius_B[:, None]
    return delta_BCHW * chosen_BP.unflatten(1, delta_BCHW.shape[2:])[:, None]
