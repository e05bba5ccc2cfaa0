"""DeepFool: the smallest L2 change, one linearisation after the other."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from advgen.attacks.common import is_check_due, pure, where
from advgen.specs.attacks import DeepFoolAttack

REACH = 3.0
"""Boundaries so many times as far as the nearest are not looked at again. Two changed results, three did not."""
FEW = 0.5
"""Share of the images under which they go through the model again rather than all of them back once more."""
MARGIN = 1e-4
"""The little more than the distance is the authors': it keeps a step from ending on the boundary itself."""


@pure
def deepfool(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: DeepFoolAttack, *, seed: int, indices: list[int]
) -> Tensor:
    """Steps onto the nearest linearised boundary until the label is wrong [moosavi2016deepfool].

    The sum of the steps goes `spec.overshoot` beyond the boundary. Images that are wrong already stay as they are.
    """
    result_BCHW = x_BCHW.clone()
    sum_BCHW = torch.zeros_like(x_BCHW)
    left = torch.arange(len(x_BCHW), device=x_BCHW.device)
    norm_BK: Tensor | None = None  # of the gradient towards each class
    towards = _towards_near if x_BCHW.device.type == "cpu" else _towards_all
    for number in range(1, spec.steps + 1):
        right_B, step_BCHW, norm_BK = towards(model, result_BCHW[left], y_B[left], norm_BK)
        if number < spec.steps and is_check_due(number, x_BCHW):
            stay = right_B.nonzero().flatten()
            left, norm_BK, step_BCHW, right_B = (one[stay] for one in (left, norm_BK, step_BCHW, right_B))
            if len(left) == 0:
                break
        sum_BCHW[left] += step_BCHW
        moved_BCHW = (x_BCHW[left] + (1 + spec.overshoot) * sum_BCHW[left]).clamp(0, 1)
        result_BCHW[left] = where(right_B, moved_BCHW, result_BCHW[left])
    return result_BCHW


Step = tuple[Tensor, Tensor, Tensor]
"""Which images are right (B,), the step of those to the nearest boundary, and the norms of gradients (B, K)."""


def _towards_near(model: nn.Module, x_BCHW: Tensor, y_B: Tensor, norm_BK: Tensor | None) -> Step:
    """The first step takes the gradients towards all classes, one after the other.

    Later ones spare those towards classes that are far, by their latest lead and the norm of their latest gradient,
    which is two thirds of the work.
    """
    x_BCHW.requires_grad_()
    all_rows = torch.arange(len(x_BCHW), device=x_BCHW.device)
    with torch.enable_grad():
        logits_BK = model(x_BCHW)
    right_B, lead_BK = _lead(logits_BK, y_B)
    if norm_BK is None:
        norm_BK = torch.full_like(lead_BK, math.inf)  # unknown: as if at no distance
    distance_BK = (lead_BK / norm_BK).scatter_(1, y_B[:, None], math.inf)
    near_BK = (distance_BK <= REACH * distance_BK.amin(1, keepdim=True)) & right_B[:, None]
    shortest_B = torch.full_like(lead_BK[:, 0], math.inf)
    step_BCHW = torch.zeros_like(x_BCHW)
    order_BK, count_B = near_BK.to(torch.uint8).argsort(1, descending=True), near_BK.sum(1)
    # The n-th pass is towards the n-th near class of each image that has so many.
    for number in range(int(count_B.max())):
        has_B = count_B > number
        rows, logits_RK, x_RCHW = has_B.nonzero().flatten(), logits_BK, x_BCHW
        if len(rows) < FEW * len(x_BCHW):
            x_RCHW = x_BCHW.detach()[rows].requires_grad_()
            with torch.enable_grad():
                logits_RK = model(x_RCHW)
        else:
            rows = all_rows
        toward_R = order_BK[rows, number]
        gradient_RCHW = _downhill(logits_RK, x_RCHW, y_B[rows], toward_R)
        length_R = gradient_RCHW.flatten(1).norm(dim=1).clamp_min(1e-12)
        away_R = torch.where(has_B[rows], lead_BK[rows, toward_R] / length_R, math.inf)
        norm_BK[rows, toward_R] = torch.where(has_B[rows], length_R, norm_BK[rows, toward_R])
        nearest_R = away_R < shortest_B[rows]
        nearest = rows[nearest_R]
        shortest_B[nearest] = away_R[nearest_R]
        scale_R = ((away_R + MARGIN) / length_R)[nearest_R]
        step_BCHW[nearest] = scale_R[:, None, None, None] * gradient_RCHW[nearest_R]
    return right_B, step_BCHW, norm_BK


def _towards_all(model: nn.Module, x_BCHW: Tensor, y_B: Tensor, norm_BK: Tensor | None) -> Step:
    """The same where the host would have to wait to know which classes are near: all at once, a copy for each."""
    classes = model(x_BCHW[:1]).shape[1] if norm_BK is None else norm_BK.shape[1]
    x_ACHW = x_BCHW.repeat_interleave(classes, 0).requires_grad_()
    toward_A = torch.arange(classes, device=x_BCHW.device).repeat(len(x_BCHW))
    with torch.enable_grad():
        logits_AK = model(x_ACHW)
    right_B, lead_BK = _lead(logits_AK[::classes], y_B)
    gradient_ACHW = _downhill(logits_AK, x_ACHW, y_B.repeat_interleave(classes), toward_A)
    norm_BK = gradient_ACHW.flatten(1).norm(dim=1).clamp_min(1e-12).view_as(lead_BK)
    away_BK = (lead_BK / norm_BK).scatter_(1, y_B[:, None], math.inf)
    rows, nearest_B = torch.arange(len(x_BCHW), device=x_BCHW.device), away_BK.argmin(1)
    scale_B = (away_BK[rows, nearest_B] + MARGIN) / norm_BK[rows, nearest_B]
    gradient_BCHW = gradient_ACHW.unflatten(0, (-1, classes))[rows, nearest_B]
    return right_B, (right_B * scale_B)[:, None, None, None] * gradient_BCHW, norm_BK


def _lead(logits_BK: Tensor, y_B: Tensor) -> tuple[Tensor, Tensor]:
    """Which images are right (B,), and by how much their label leads each class (B, K)."""
    return logits_BK.argmax(1) == y_B, (logits_BK.gather(1, y_B[:, None]) - logits_BK).detach()


def _downhill(logits_BK: Tensor, x_BCHW: Tensor, y_B: Tensor, toward_B: Tensor) -> Tensor:
    """The gradient that takes the label's lead over one class of each image down; the graph is kept."""
    weight_BK = torch.zeros_like(logits_BK).scatter_(1, toward_B[:, None], 1).scatter_(1, y_B[:, None], -1)
    (gradient_BCHW,) = torch.autograd.grad(logits_BK, x_BCHW, weight_BK, retain_graph=True)
    return gradient_BCHW
