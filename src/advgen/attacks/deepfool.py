"""DeepFool: the smallest L2 change, one linearisation after the other."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from advgen.attacks.common import looks, pure, where
from advgen.specs.attacks import DeepFoolAttack

REACH = 3.0
"""Boundaries so many times as far as the nearest are not looked at again. Two changed results, three did not."""


@pure
def deepfool(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: DeepFoolAttack, *, seed: int, indices: list[int]
) -> Tensor:
    """Steps onto the nearest linearised boundary until the label is wrong [moosavi2016deepfool].

    The sum of the steps goes `spec.overshoot` beyond the boundary. Images that are wrong already stay as they are.
    The first step takes the gradients towards all classes; later ones spare those towards classes that are far, by
    their latest lead and the norm of their latest gradient, which is two thirds of the work on the CPU. On another
    device the host would have to wait to know how many are near.
    """
    result_BCHW = x_BCHW.clone()
    sum_BCHW = torch.zeros_like(x_BCHW)
    left = torch.arange(len(x_BCHW), device=x_BCHW.device)
    norm_BK: Tensor | None = None  # of the gradient towards each class
    for number in range(1, spec.steps + 1):
        x, y, rows = result_BCHW[left].requires_grad_(), y_B[left], torch.arange(len(left), device=left.device)
        with torch.enable_grad():
            logits_BK = model(x)
        right_B = logits_BK.argmax(1) == y
        lead_BK = (logits_BK.gather(1, y[:, None]) - logits_BK).detach()
        if norm_BK is None:
            norm_BK = torch.full_like(lead_BK, math.inf)  # unknown: as if at no distance
        distance_BK = (lead_BK / norm_BK).scatter_(1, y[:, None], math.inf)
        near_BK = (distance_BK <= REACH * distance_BK.amin(1, keepdim=True)) & right_B[:, None]
        shortest_B = torch.full_like(lead_BK[:, 0], math.inf)
        step_BCHW = torch.zeros_like(x)
        most = int(near_BK.sum(1).max()) if near_BK.device.type == "cpu" else near_BK.shape[1] - 1
        # The n-th pass is towards the n-th near class of each image.
        for toward_B in near_BK.to(torch.uint8).argsort(1, descending=True)[:, :most].T:
            gradient_BCHW = _downhill(logits_BK, x, y, toward_B)
            length_B = gradient_BCHW.flatten(1).norm(dim=1).clamp_min(1e-12)
            away_B = lead_BK[rows, toward_B] / length_B
            near_B = near_BK[rows, toward_B]
            norm_BK[rows, toward_B] = torch.where(near_B, length_B, norm_BK[rows, toward_B])
            nearest_B = near_B & (away_B < shortest_B)
            shortest_B = torch.where(nearest_B, away_B, shortest_B)
            # The little more than the distance is the authors': it keeps a step from ending on the boundary itself.
            scale_B = (away_B + 1e-4) / length_B
            step_BCHW = where(nearest_B, scale_B[:, None, None, None] * gradient_BCHW, step_BCHW)
        if number < spec.steps and looks(number, x_BCHW):
            stay = right_B.nonzero().flatten()
            left, norm_BK, step_BCHW, right_B = (one[stay] for one in (left, norm_BK, step_BCHW, right_B))
            if len(left) == 0:
                break
        sum_BCHW[left] += step_BCHW
        moved_BCHW = (x_BCHW[left] + (1 + spec.overshoot) * sum_BCHW[left]).clamp(0, 1)
        result_BCHW[left] = where(right_B, moved_BCHW, result_BCHW[left])
    return result_BCHW


def _downhill(logits_BK: Tensor, x_BCHW: Tensor, y_B: Tensor, toward_B: Tensor) -> Tensor:
    """The gradient that takes the label's lead over one class of each image down; the graph is kept."""
    weight_BK = torch.zeros_like(logits_BK).scatter_(1, toward_B[:, None], 1).scatter_(1, y_B[:, None], -1)
    (gradient_BCHW,) = torch.autograd.grad(logits_BK, x_BCHW, weight_BK, retain_graph=True)
    return gradient_BCHW
