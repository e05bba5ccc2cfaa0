"""Carlini and Wagner's L2 attack."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from advgen.attacks.common import Goal, aim, ascent, pure, where
from advgen.models.graphs import captured, recorded
from advgen.specs.attacks import CarliniWagnerAttack

EPSILON = 1e-8  # Adam's


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
    best, size = x.clone(), x.new_full((len(x),), math.inf)
    c = torch.full_like(size, spec.initial_c)
    low, high = torch.zeros_like(c), torch.full_like(c, math.inf)
    for _ in range(spec.searches):
        found, found_size = _search(model, x, goal, c, spec)
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
    """The smallest successful iterate of each image and its L2 norm (B,), infinite where there is none.

    Adam changes w, whose image is (tanh w + 1) / 2. Here it changes u = 2w, whose image is the sigmoid of u, six times
    as fast on a CPU; with twice the rate and half the epsilon its steps are the same.
    """
    best_BCHW, size_B = x_BCHW.clone(), x_BCHW.new_full((len(x_BCHW),), math.inf)
    u_BCHW = 2 * torch.atanh((2 * x_BCHW - 1) * (1 - 1e-6))
    x_adv_BCHW, change_BCHW, descent_BCHW = (torch.empty_like(u_BCHW) for _ in range(3))
    u_BCHW.grad = descent_BCHW
    device = u_BCHW.device
    adam = torch.optim.Adam([u_BCHW], 2 * spec.lr, eps=EPSILON / 2, fused=True, capturable=recorded(device))

    def advance() -> Tensor:
        torch.sigmoid(u_BCHW, out=x_adv_BCHW)
        margins: list[Tensor] = []

        def loss(logits_BK: Tensor) -> Tensor:
            margins.append(goal.margin(logits_BK))
            return c_B * (spec.confidence - margins[0]).clamp_min(0)

        gradient_BCHW, _ = ascent(model, x_adv_BCHW, loss)
        torch.sub(x_adv_BCHW, x_BCHW, out=change_BCHW)
        norm_B = torch.linalg.vector_norm(change_BCHW, dim=(1, 2, 3))
        better_B = (margins[0].detach() > spec.confidence) & (norm_B < size_B)
        torch.where(better_B[:, None, None, None], x_adv_BCHW, best_BCHW, out=best_BCHW)
        torch.where(better_B, norm_B, size_B, out=size_B)
        change_BCHW.mul_(2).add_(gradient_BCHW)
        torch.ops.aten.sigmoid_backward(change_BCHW, x_adv_BCHW, grad_input=descent_BCHW)
        adam.step()
        return size_B

    advance = captured(advance, device)
    for _ in range(spec.steps):
        advance()
    return best_BCHW, size_B
