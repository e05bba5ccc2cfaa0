"""Fast adaptive boundary attack: the smallest change, by projections onto linearised boundaries inside the box."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from advgen.attacks.common import Goal, input_gradient, is_check_due, measure_norm, pure, where
from advgen.specs.attacks import FabAttack

OVERSHOOT = 1.05
"""Each step goes so many times as far as the linearised boundary."""
BACK = 0.9
"""Share of the change that is kept after a success, so that the walk stays near the boundary."""
TOWARDS_IMAGE = 0.1
"""Largest weight of the projection of the original image, which draws the walk towards it."""
FULL = 1e12
"""Stands for the scale at which a pixel that cannot move reaches its bound."""


@pure
def fab(model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: FabAttack, *, seed: int, indices: list[int]) -> Tensor:
    """The smallest change found on walks along the boundaries to the likeliest wrong classes [croce2020minimally].

    A step goes to the nearest point of the linearised boundary inside the box, from the present place and from the
    image, and mixes the two. Only the zero of the margin and the direction of its gradient count, so a flat loss or the
    scale of the logits does not matter. Images that no walk fools stay as they are, and so do those that are wrong.
    """
    best_BCHW, smallest_B = x_BCHW.clone(), torch.full_like(x_BCHW[:, 0, 0, 0], math.inf)
    logits_BK = model(x_BCHW)
    right_B = ~Goal(y_B).is_reached(logits_BK)
    rival_BT = logits_BK.scatter(1, y_B[:, None], -math.inf).topk(min(spec.targets, logits_BK.shape[1] - 1)).indices
    for rival_B in rival_BT.T:
        rows = (right_B & (smallest_B > spec.within)).nonzero().flatten()
        if len(rows) == 0:
            break
        found, size = _walk(model, x_BCHW[rows], y_B[rows], rival_B[rows], spec)
        better = size < smallest_B[rows]
        best_BCHW[rows] = where(better, found, best_BCHW[rows])
        smallest_B[rows] = torch.where(better, size, smallest_B[rows])
    return best_BCHW


def _walk(model: nn.Module, x_BCHW: Tensor, y_B: Tensor, rival_B: Tensor, spec: FabAttack) -> tuple[Tensor, Tensor]:
    """The nearest example on the walk towards one class and its distance (B,), infinite where there is none."""
    result_BCHW, result_B = x_BCHW.clone(), torch.full_like(x_BCHW[:, 0, 0, 0], math.inf)
    left, x, x_adv, best, smallest = torch.arange(len(x_BCHW), device=y_B.device), x_BCHW, x_BCHW, x_BCHW, result_B
    y, rival = y_B[:, None], rival_B[:, None]
    for number in range(spec.steps + 1):
        gradient, logits = input_gradient(model, x_adv, lambda z: (z.gather(1, rival) - z.gather(1, y)).squeeze(1))  # noqa: B023
        size, reached = measure_norm(x_adv - x, spec.norm), Goal(y[:, 0]).is_reached(logits)
        better = reached & (size < smallest) & (smallest > spec.within)
        best, smallest = where(better, x_adv, best), torch.where(better, size, smallest)
        if number == spec.steps:
            break
        if is_check_due(number, x):
            stay = (smallest > spec.within).nonzero().flatten()
            if len(stay) < len(left):
                result_BCHW[left], result_B[left] = best, smallest
                parts = left, x, x_adv, best, smallest, y, rival, gradient, logits, reached
                left, x, x_adv, best, smallest, y, rival, gradient, logits, reached = (one[stay] for one in parts)
            if len(left) == 0:
                return result_BCHW, result_B
        lead = (logits.gather(1, y) - logits.gather(1, rival)).squeeze(1)
        # the boundary is where the change of the margin from the place of the gradient makes up for the lead
        here = to_plane(x_adv, gradient, lead, spec.norm)
        moved = (gradient * (x_adv - x)).flatten(1).sum(1)
        there = to_plane(x, gradient, lead + moved, spec.norm)
        a, b = measure_norm(here, spec.norm).clamp_min(1e-8), measure_norm(there, spec.norm).clamp_min(1e-8)
        weight = (a / (a + b)).clamp_max(TOWARDS_IMAGE)[:, None, None, None]
        onward = (1 - weight) * (x_adv + OVERSHOOT * here) + weight * (x + OVERSHOOT * there)
        x_adv = where(reached, x + BACK * (x_adv - x), onward).clamp(0, 1)
    result_BCHW[left], result_B[left] = best, smallest
    return result_BCHW, result_B


def to_plane(x_BCHW: Tensor, w_BCHW: Tensor, rise_B: Tensor, norm: str) -> Tensor:
    """The smallest change inside the box by which `w · x` rises by `rise` (falls, if negative), exactly.

    As far as the box allows where it does not allow that much. In L2 and L∞ all pixels move together, each until it
    reaches its bound, so the rise is linear between the scales at which they do; in L1 the pixels with the largest
    weight go to their bounds, one after the other.
    """
    sign_B1 = torch.where(rise_B < 0, -1.0, 1.0).double()[:, None]
    w_BP, x_BP = w_BCHW.flatten(1).double() * sign_B1, x_BCHW.flatten(1).double()
    rise_B1 = rise_B.double()[:, None].abs()
    room_BP = torch.where(w_BP > 0, 1 - x_BP, x_BP).masked_fill(w_BP == 0, 0)
    size_BP = w_BP.abs()
    if norm == "l1":
        order_BP = size_BP.argsort(dim=1, descending=True, stable=True)
        weight_BP, free_BP = size_BP.gather(1, order_BP), room_BP.gather(1, order_BP)
        before_BP = (weight_BP * free_BP).cumsum(1) - weight_BP * free_BP
        taken_BP = ((rise_B1 - before_BP) / weight_BP.clamp_min(1e-300)).clamp_min(0).minimum(free_BP)
        change_BP = torch.zeros_like(taken_BP).scatter_(1, order_BP, taken_BP)
    else:
        speed_BP = size_BP if norm == "l2" else (size_BP > 0).double()
        end_BP = torch.where(speed_BP > 0, room_BP / speed_BP.clamp_min(1e-300), 0).clamp_max(FULL)
        end_BP, order_BP = end_BP.sort(dim=1)
        gain_BP = (size_BP * speed_BP).gather(1, order_BP)  # rise per scale
        ended_BP = (gain_BP * end_BP).cumsum(1)
        going_BP = (gain_BP.sum(1, keepdim=True) - gain_BP.cumsum(1)).clamp_min(0)
        # rises at each end; the first that is enough tells between which two the scale lies
        number_B1 = (ended_BP + going_BP * end_BP < rise_B1).sum(1, keepdim=True).clamp_max(end_BP.shape[1] - 1)
        last_B1 = (number_B1 - 1).clamp_min(0)
        first_B1 = number_B1 == 0
        ended_B1 = ended_BP.gather(1, last_B1).masked_fill(first_B1, 0)
        going_B1 = torch.where(first_B1, gain_BP.sum(1, keepdim=True), going_BP.gather(1, last_B1))
        scale_B1 = ((rise_B1 - ended_B1) / going_B1.clamp_min(1e-300)).clamp_max(FULL)
        change_BP = (scale_B1 * speed_BP).minimum(room_BP)
    return (change_BP * w_BP.sign()).to(x_BCHW.dtype).view_as(x_BCHW)
