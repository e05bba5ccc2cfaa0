"""Carlini and Wagner's L2 attack."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from advgen.attacks.common import Goal, aim, ascent, norms, pure, where
from advgen.models.graphs import captured
from advgen.specs.attacks import CarliniWagnerAttack

BETAS = (0.9, 0.999)  # Adam's


@pure
def carlini_wagner(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: CarliniWagnerAttack, *, seed: int, indices: list[int]
) -> Tensor:
    """The smallest change found by Adam in tanh space, with a binary search over c [carlini2017towards].

    It minimises ‖r‖² + c·max(confidence − margin, 0); c grows tenfold until an image succeeds and is bisected then.
    Images that have reached their goal already stay as they are, and so do those where no c succeeds.
    """
    goal = aim(model, x_BCHW, y_B, spec, seed=seed, indices=indices)
    result_BCHW = x_BCHW.clone()
    left = (goal.margin(model(x_BCHW)) <= spec.confidence).nonzero().flatten()
    if len(left) == 0:
        return result_BCHW
    x, goal = x_BCHW[left], goal.take(left)
    best, size = x.clone(), x.new_full((len(x),), math.inf, dtype=torch.float64)
    c = torch.full_like(size, spec.initial_c)
    low, high = torch.zeros_like(c), torch.full_like(c, math.inf)
    for _ in range(spec.searches):
        found, found_size = _search(model, x, goal, c.to(x.dtype), spec)
        better = found_size < size
        best, size = where(better, found, best), torch.where(better, found_size, size)
        succeeded = found_size.isfinite()
        low, high = torch.where(succeeded, low, c), torch.where(succeeded, c, high)
        c = torch.where(high.isinf(), 10 * c, (low + high) / 2)
    result_BCHW[left] = best
    return result_BCHW


def _search(
    model: nn.Module, x_BCHW: Tensor, goal: Goal, c_B: Tensor, spec: CarliniWagnerAttack
) -> tuple[Tensor, Tensor]:
    """The smallest successful iterate of each image and its L2 norm (B,), infinite where there is none."""
    best_BCHW, size_B = x_BCHW.clone(), x_BCHW.new_full((len(x_BCHW),), math.inf, dtype=torch.float64)
    w_BCHW = torch.atanh((2 * x_BCHW - 1) * (1 - 1e-6))
    mean_BCHW, square_BCHW = torch.zeros_like(w_BCHW), torch.zeros_like(w_BCHW)

    def advance(best_BCHW: Tensor, size_B: Tensor, rate: float, correction: float) -> tuple[Tensor, Tensor]:
        tanh_BCHW = w_BCHW.tanh()
        x_adv_BCHW = (tanh_BCHW + 1) / 2
        gradient_BCHW, logits_BK = ascent(
            model, x_adv_BCHW, lambda logits_BK: c_B * (spec.confidence - goal.margin(logits_BK)).clamp_min(0)
        )
        norm_B = norms(x_adv_BCHW - x_BCHW).flatten()
        better = (goal.margin(logits_BK) > spec.confidence) & (norm_B < size_B)
        best_BCHW, size_B = where(better, x_adv_BCHW, best_BCHW), torch.where(better, norm_B, size_B)
        gradient_BCHW = gradient_BCHW + 2 * (x_adv_BCHW - x_BCHW)  # which may share memory
        gradient_BCHW *= (1 - tanh_BCHW.square()) / 2
        mean_BCHW.lerp_(gradient_BCHW, 1 - BETAS[0])
        square_BCHW.lerp_(gradient_BCHW.square(), 1 - BETAS[1])
        root_BCHW = (square_BCHW / correction).sqrt_().add_(1e-8)
        w_BCHW.addcdiv_(mean_BCHW * rate, root_BCHW)
        return best_BCHW, size_B

    advance = captured(advance, x_BCHW.device)
    for step in range(1, spec.steps + 1):
        rate = -spec.lr / (1 - BETAS[0] ** step)
        best_BCHW, size_B = advance(best_BCHW, size_B, rate, 1 - BETAS[1] ** step)
    return best_BCHW, size_B
