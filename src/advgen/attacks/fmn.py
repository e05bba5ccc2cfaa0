"""The fast minimum-norm attack: the smallest change in L∞, L2, L1 or L0, without a search over its size."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from advgen.attacks.common import (
    input_gradient,
    is_check_due,
    l2_norms,
    measure_norm,
    project_l1,
    pure,
    resolve_goal,
    where,
)
from advgen.specs.attacks import FmnAttack

DUAL = {"linf": 1.0, "l2": 2.0, "l1": math.inf}
"""Order of the norm that measures gradients where changes are measured in the other one."""


@pure
def fmn(model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: FmnAttack, *, seed: int, indices: list[int]) -> Tensor:
    """The smallest change met on a walk along the boundary [pintor2021fast].

    Each step climbs the margin and ends in a ball of its own, which shrinks while the image reaches its goal and grows
    while it does not. Steps and changes of the ball get smaller all the time. Images without a success stay as they
    are, and so do those that have reached their goal already.
    """
    goal = resolve_goal(model, x_BCHW, y_B, spec, seed=seed, indices=indices)
    result_BCHW = x_BCHW.clone()
    left = torch.arange(len(x_BCHW), device=x_BCHW.device)
    x, x_adv, best = x_BCHW, x_BCHW, x_BCHW
    smallest = torch.full_like(x[:, 0, 0, 0], math.inf)
    radius = torch.ones_like(smallest)  # where the margin does not tell it
    for number in range(spec.steps):
        rate = (1 + math.cos(math.pi * number / spec.steps)) / 2
        size, share = spec.step_size * (0.01 + 0.99 * rate), 0.001 + (spec.shrink - 0.001) * rate
        gradient, logits = input_gradient(model, x_adv, goal.margin)
        margin, reached = goal.margin(logits), goal.is_reached(logits)
        length = measure_norm(x_adv - x, spec.norm)
        better = reached & (length < smallest) & (smallest > spec.within)
        best, smallest = where(better, x_adv, best), torch.where(better, length, smallest)
        if is_check_due(number, x):
            stay = (smallest > spec.within).nonzero().flatten()
            if len(stay) < len(left):
                result_BCHW[left] = best
                parts = left, x, x_adv, best, gradient, radius, smallest, margin, reached, length
                left, x, x_adv, best, gradient, radius, smallest, margin, reached, length = (one[stay] for one in parts)
                goal = goal.take(stay)
            if len(left) == 0:
                break
        radius = _radius(radius, share, margin, gradient, reached, length, smallest, spec.norm)
        scale = size / l2_norms(gradient).clamp_min(1e-30).to(x.dtype)
        delta = torch.addcmul(x_adv - x, gradient, scale)
        x_adv = (x + into_ball(delta, x, radius, spec.norm)).clamp_(0, 1)
    result_BCHW[left] = best
    return result_BCHW


def _radius(
    radius_B: Tensor,
    share: float,
    margin_B: Tensor,
    gradient_BCHW: Tensor,
    reached_B: Tensor,
    length_B: Tensor,
    smallest_B: Tensor,
    norm: str,
) -> Tensor:
    """How far each image may go next."""
    closer_B, wider_B = radius_B * (1 - share), radius_B * (1 + share)
    if norm == "l0":  # a whole number of pixels, that changes by one at least
        closer_B, wider_B = torch.minimum(radius_B - 1, closer_B.floor()), torch.maximum(radius_B + 1, wider_B.floor())
        unknown_B = wider_B
    else:  # as far as the boundary would be if it were flat, and a little more, lest the walk end on it
        slope_B = torch.linalg.vector_norm(gradient_BCHW, DUAL[norm], dim=(1, 2, 3)).clamp_min(1e-30)
        unknown_B = (length_B + margin_B.abs() / slope_B) * (1 + share)
    missed_B = torch.where(smallest_B.isinf(), unknown_B, wider_B)
    next_B = torch.where(reached_B, torch.minimum(closer_B, smallest_B), missed_B)
    return next_B.clamp_min(1) if norm == "l0" else next_B


def into_ball(delta_BCHW: Tensor, x_BCHW: Tensor, radius_B: Tensor, norm: str) -> Tensor:
    """The nearest change that is no larger than each image's radius; in L1 of those that stay in the box.

    There what leaves the box would use up most of the radius, and a step moves few pixels.
    """
    radius_B111 = radius_B[:, None, None, None]
    if norm == "linf":
        return torch.clamp(delta_BCHW, -radius_B111, radius_B111)
    if norm == "l2":
        return delta_BCHW * (radius_B111 / l2_norms(delta_BCHW).clamp_min(1e-30).to(delta_BCHW.dtype)).clamp_max(1)
    if norm == "l1":
        return project_l1(delta_BCHW, torch.where(delta_BCHW > 0, 1 - x_BCHW, x_BCHW), radius_B)
    magnitude_BP = delta_BCHW.norm(dim=1).flatten(1)
    rank_BP = magnitude_BP.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    kept_BP = rank_BP < radius_B[:, None]
    return delta_BCHW * kept_BP.unflatten(1, delta_BCHW.shape[2:])[:, None]
