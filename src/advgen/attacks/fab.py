"""Fast adaptive boundary attack: the smallest change, by projections onto linearised boundaries inside the box."""

import math

import torch
from torch import Tensor, nn

from advgen.attacks.best import SmallestExamples, where
from advgen.attacks.common import Goal, distance_to_box, input_gradient, is_check_due, measure_norm, pure
from advgen.specs.attacks import FabAttack

OVERSHOOT = 1.05  # each step goes this many times as far as the linearised boundary
BACK = 0.9  # the share of the change that is kept after a success, so that the walk stays near the boundary
TOWARDS_IMAGE = 0.1  # the largest weight of the projection of the original image, which pulls the walk towards it
FULL = 1e12  # finite stand-in for the infinite scale at which a pixel that cannot move reaches its bound


@pure
def fab(model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: FabAttack, *, seed: int, indices: list[int]) -> Tensor:
    """The smallest change on walks along the boundaries to the most likely wrong classes [croce2020minimally].

    A step goes to the nearest point of the linearised boundary inside the box, both from the current point and from the
    image, and mixes the two. It depends only on the zero of the margin and the direction of its gradient, so a flat
    loss or the scale of the logits does not matter. Misclassified images, and images that no walk fools, are returned
    unchanged.
    """
    smallest = SmallestExamples(x_BCHW)
    logits_BK = model(x_BCHW)
    right_B = ~Goal(y_B).is_reached(logits_BK)
    rival_BT = logits_BK.scatter(1, y_B[:, None], -math.inf).topk(min(spec.targets, logits_BK.shape[1] - 1)).indices
    for rival_B in rival_BT.T:
        rows = (right_B & (smallest.size_B > spec.within)).nonzero().flatten()
        if len(rows) == 0:
            break
        on_walk = _walk(model, x_BCHW[rows], y_B[rows], rival_B[rows], spec)
        smallest.offer(rows, on_walk.x_BCHW, on_walk.size_B, on_walk.size_B.isfinite())
    return smallest.x_BCHW


def _walk(model: nn.Module, x_BCHW: Tensor, y_B: Tensor, rival_B: Tensor, spec: FabAttack) -> SmallestExamples:
    """The nearest adversarial example on the walk towards one class."""
    smallest = SmallestExamples(x_BCHW)
    active, x, x_adv = torch.arange(len(x_BCHW), device=y_B.device), x_BCHW, x_BCHW
    y, rival = y_B[:, None], rival_B[:, None]
    for number in range(spec.steps + 1):
        gradient, logits = input_gradient(model, x_adv, lambda z: (z.gather(1, rival) - z.gather(1, y)).squeeze(1))  # noqa: B023
        success = Goal(y[:, 0]).is_reached(logits)
        unfinished_B = smallest.size_B[active] > spec.within
        smallest.offer(active, x_adv, measure_norm(x_adv - x, spec.norm), success & unfinished_B)
        if number == spec.steps:
            break
        if is_check_due(number, x):
            rows = (smallest.size_B[active] > spec.within).nonzero().flatten()
            if len(rows) == 0:
                break
            if len(rows) < len(active):
                state = active, x, x_adv, y, rival, gradient, logits, success
                active, x, x_adv, y, rival, gradient, logits, success = (one[rows] for one in state)
        lead = (logits.gather(1, y) - logits.gather(1, rival)).squeeze(1)
        # on the boundary, the change of the margin since the point of the gradient makes up for the lead
        from_here = to_plane(x_adv, gradient, lead, spec.norm)
        moved = (gradient * (x_adv - x)).flatten(1).sum(1)
        from_image = to_plane(x, gradient, lead + moved, spec.norm)
        a, b = (measure_norm(one, spec.norm).clamp_min(1e-8) for one in (from_here, from_image))
        weight = (a / (a + b)).clamp_max(TOWARDS_IMAGE)[:, None, None, None]
        onward = (1 - weight) * (x_adv + OVERSHOOT * from_here) + weight * (x + OVERSHOOT * from_image)
        x_adv = where(success, x + BACK * (x_adv - x), onward).clamp(0, 1)
    return smallest


def to_plane(x_BCHW: Tensor, w_BCHW: Tensor, rise_B: Tensor, norm: str) -> Tensor:
    """The smallest change inside the box that raises `w · x` by `rise` (lowers it, if negative), exactly.

    If the box does not allow that much, the change goes as far as it allows. In L2 and L∞ all pixels move together,
    each until it reaches its bound, so the rise is linear between the scales at which they do. In L1 the pixels with
    the largest weights move to their bounds, one after the other.
    """
    sign_B1 = torch.where(rise_B < 0, -1.0, 1.0).double()[:, None]
    w_BP, x_BP = w_BCHW.flatten(1).double() * sign_B1, x_BCHW.flatten(1).double()
    rise_B1 = rise_B.double()[:, None].abs()
    limit_BP = distance_to_box(w_BP, x_BP).masked_fill(w_BP == 0, 0)
    size_BP = w_BP.abs()
    if norm == "l1":
        order_BP = size_BP.argsort(dim=1, descending=True, stable=True)
        weight_BP, most_BP = size_BP.gather(1, order_BP), limit_BP.gather(1, order_BP)
        before_BP = (weight_BP * most_BP).cumsum(1) - weight_BP * most_BP
        sorted_BP = ((rise_B1 - before_BP) / weight_BP.clamp_min(1e-300)).clamp_min(0).minimum(most_BP)
        change_BP = torch.zeros_like(sorted_BP).scatter_(1, order_BP, sorted_BP)
    else:
        speed_BP = size_BP if norm == "l2" else (size_BP > 0).double()
        end_BP = torch.where(speed_BP > 0, limit_BP / speed_BP.clamp_min(1e-300), 0).clamp_max(FULL)
        end_BP, order_BP = end_BP.sort(dim=1)
        gain_BP = (size_BP * speed_BP).gather(1, order_BP)  # rise per scale
        ended_BP = (gain_BP * end_BP).cumsum(1)
        going_BP = (gain_BP.sum(1, keepdim=True) - gain_BP.cumsum(1)).clamp_min(0)
        # the scale is just below the first end at which the rise suffices
        number_B1 = (ended_BP + going_BP * end_BP < rise_B1).sum(1, keepdim=True).clamp_max(end_BP.shape[1] - 1)
        last_B1 = (number_B1 - 1).clamp_min(0)
        first_B1 = number_B1 == 0
        ended_B1 = ended_BP.gather(1, last_B1).masked_fill(first_B1, 0)
        going_B1 = torch.where(first_B1, gain_BP.sum(1, keepdim=True), going_BP.gather(1, last_B1))
        scale_B1 = ((rise_B1 - ended_B1) / going_B1.clamp_min(1e-300)).clamp_max(FULL)
        change_BP = (scale_B1 * speed_BP).minimum(limit_BP)
    return (change_BP * w_BP.sign()).to(x_BCHW.dtype).view_as(x_BCHW)
