"""DeepFool: the smallest L2 change, by repeated linearisation."""

import math

import torch
from torch import Tensor, nn

from advgen.attacks.best import where
from advgen.attacks.common import is_check_due, pure
from advgen.specs.attacks import DeepFoolAttack

REACH = 3.0
"""Boundaries more than this many times as far as the nearest one are skipped. 2 changed results, 3 did not."""
FEW = 0.5  # below this share of the images, a new forward pass of those images replaces a backward pass of all
MARGIN = 1e-4  # the authors' margin beyond the distance, so that a step does not end exactly on the boundary


@pure
def deepfool(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: DeepFoolAttack, *, seed: int, indices: list[int]
) -> Tensor:
    """Steps onto the nearest linearised boundary until the prediction is wrong [moosavi2016deepfool].

    The sum of the steps is extended by `spec.overshoot`. Misclassified images are returned unchanged.
    """
    result_BCHW = x_BCHW.clone()
    sum_BCHW = torch.zeros_like(x_BCHW)
    active = torch.arange(len(x_BCHW), device=x_BCHW.device)
    norm_BK: Tensor | None = None  # of the gradient towards each class
    next_step = _step_to_near_classes if x_BCHW.device.type == "cpu" else _step_to_all_classes
    for number in range(1, spec.steps + 1):
        right_B, step_BCHW, norm_BK = next_step(model, result_BCHW[active], y_B[active], norm_BK)
        if number < spec.steps and is_check_due(number, x_BCHW):
            rows = right_B.nonzero().flatten()
            active, norm_BK, step_BCHW, right_B = (one[rows] for one in (active, norm_BK, step_BCHW, right_B))
            if len(active) == 0:
                break
        sum_BCHW[active] += step_BCHW
        moved_BCHW = (x_BCHW[active] + (1 + spec.overshoot) * sum_BCHW[active]).clamp(0, 1)
        result_BCHW[active] = where(right_B, moved_BCHW, result_BCHW[active])
    return result_BCHW


Step = tuple[Tensor, Tensor, Tensor]
"""Whether each image is classified correctly (B,), its step to the nearest boundary, and gradient norms (B, K)."""


def _step_to_near_classes(model: nn.Module, x_BCHW: Tensor, y_B: Tensor, norm_BK: Tensor | None) -> Step:
    """The step to the nearest boundary, from one backward pass per class.

    The first step (without `norm_BK`) tries all classes. Later steps skip distant classes, judged by their current lead
    and the norm of their latest gradient, which saves two thirds of the work.
    """
    x_BCHW.requires_grad_()
    all_rows = torch.arange(len(x_BCHW), device=x_BCHW.device)
    with torch.enable_grad():
        logits_BK = model(x_BCHW)
    right_B, lead_BK = _lead(logits_BK, y_B)
    if norm_BK is None:
        norm_BK = torch.full_like(lead_BK, math.inf)  # unknown, so at distance 0
    distance_BK = (lead_BK / norm_BK).scatter_(1, y_B[:, None], math.inf)
    near_BK = (distance_BK <= REACH * distance_BK.amin(1, keepdim=True)) & right_B[:, None]
    shortest_B = torch.full_like(lead_BK[:, 0], math.inf)
    step_BCHW = torch.zeros_like(x_BCHW)
    order_BK, count_B = near_BK.to(torch.uint8).argsort(1, descending=True), near_BK.sum(1)
    # pass n is towards the n-th near class of each image that has that many
    for number in range(int(count_B.max())):
        has_B = count_B > number
        rows, logits_RK, x_RCHW = has_B.nonzero().flatten(), logits_BK, x_BCHW
        if len(rows) < FEW * len(x_BCHW):
            x_RCHW = x_BCHW.detach()[rows].requires_grad_()
            with torch.enable_grad():
                logits_RK = model(x_RCHW)
        else:
            rows = all_rows
        class_R = order_BK[rows, number]
        gradient_RCHW = _lead_gradient(logits_RK, x_RCHW, y_B[rows], class_R)
        length_R = gradient_RCHW.flatten(1).norm(dim=1).clamp_min(1e-12)
        away_R = torch.where(has_B[rows], lead_BK[rows, class_R] / length_R, math.inf)
        norm_BK[rows, class_R] = torch.where(has_B[rows], length_R, norm_BK[rows, class_R])
        nearest_R = away_R < shortest_B[rows]
        nearest = rows[nearest_R]
        shortest_B[nearest] = away_R[nearest_R]
        scale_R = ((away_R + MARGIN) / length_R)[nearest_R]
        step_BCHW[nearest] = scale_R[:, None, None, None] * gradient_RCHW[nearest_R]
    return right_B, step_BCHW, norm_BK


def _step_to_all_classes(model: nn.Module, x_BCHW: Tensor, y_B: Tensor, norm_BK: Tensor | None) -> Step:
    """The same step from one batch with a copy of each image per class, so the host does not wait for the device."""
    classes = model(x_BCHW[:1]).shape[1] if norm_BK is None else norm_BK.shape[1]
    x_ACHW = x_BCHW.repeat_interleave(classes, 0).requires_grad_()
    class_A = torch.arange(classes, device=x_BCHW.device).repeat(len(x_BCHW))
    with torch.enable_grad():
        logits_AK = model(x_ACHW)
    right_B, lead_BK = _lead(logits_AK[::classes], y_B)
    gradient_ACHW = _lead_gradient(logits_AK, x_ACHW, y_B.repeat_interleave(classes), class_A)
    norm_BK = gradient_ACHW.flatten(1).norm(dim=1).clamp_min(1e-12).view_as(lead_BK)
    away_BK = (lead_BK / norm_BK).scatter_(1, y_B[:, None], math.inf)
    rows, nearest_B = torch.arange(len(x_BCHW), device=x_BCHW.device), away_BK.argmin(1)
    scale_B = (away_BK[rows, nearest_B] + MARGIN) / norm_BK[rows, nearest_B]
    gradient_BCHW = gradient_ACHW.unflatten(0, (-1, classes))[rows, nearest_B]
    return right_B, (right_B * scale_B)[:, None, None, None] * gradient_BCHW, norm_BK


def _lead(logits_BK: Tensor, y_B: Tensor) -> tuple[Tensor, Tensor]:
    """Whether each image is classified correctly (B,), and the lead of its label over each class (B, K)."""
    return logits_BK.argmax(1) == y_B, (logits_BK.gather(1, y_B[:, None]) - logits_BK).detach()


def _lead_gradient(logits_BK: Tensor, x_BCHW: Tensor, y_B: Tensor, class_B: Tensor) -> Tensor:
    """The gradient that lowers the label's lead over one class per image; it retains the graph."""
    weight_BK = torch.zeros_like(logits_BK).scatter_(1, class_B[:, None], 1).scatter_(1, y_B[:, None], -1)
    (gradient_BCHW,) = torch.autograd.grad(logits_BK, x_BCHW, weight_BK, retain_graph=True)
    return gradient_BCHW
