"""Carlini and Wagner's L2 attack."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from advgen.attacks.common import (
    WORTHWHILE,
    Goal,
    input_gradient,
    is_check_due,
    l2_norms,
    pure,
    replace,
    resolve_goal,
    where,
)
from advgen.models.graphs import capture_step, uses_cuda_graphs
from advgen.specs.attacks import CarliniWagnerAttack

EPSILON = 1e-8  # Adam's
WORTH = 0.9999  # share of the loss that must not be left from look to look


@pure
def carlini_wagner(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: CarliniWagnerAttack, *, seed: int, indices: list[int]
) -> Tensor:
    """The smallest change found by Adam in tanh space, with a binary search over c [carlini2017towards].

    It minimises ‖r‖² + c·max(confidence − margin, 0); c grows tenfold until an image succeeds and is bisected then.
    After the first failure it is at least the one at which both terms pull alike at the linearised boundary, since with
    small logits no small c can succeed.
    Images that have reached their goal already stay as they are, and so do those where no c succeeds.
    """
    goal = resolve_goal(model, x_BCHW, y_B, spec, seed=seed, indices=indices)
    result_BCHW = x_BCHW.clone()
    left = (goal.margin(model(x_BCHW)) <= spec.confidence).nonzero().flatten()
    if len(left) == 0:
        return result_BCHW
    x, goal = x_BCHW[left], goal.take(left)
    best, size = x.clone(), x.new_full((len(x),), math.inf)
    c = torch.full_like(size, spec.initial_c)
    least = _balanced(model, x, goal)
    low, high = torch.zeros_like(c), torch.full_like(c, math.inf)
    for _ in range(spec.searches):
        found, found_size = _search(model, x, goal, c, spec)
        better = found_size < size
        best, size = where(better, found, best), torch.where(better, found_size, size)
        succeeded = found_size.isfinite()
        low, high = torch.where(succeeded, low, c), torch.where(succeeded, c, high)
        c = torch.where(high.isinf(), torch.maximum(10 * c, least), (low + high) / 2)
    result_BCHW[left] = best
    return result_BCHW


def _balanced(model: nn.Module, x_BCHW: Tensor, goal: Goal) -> Tensor:
    """The c (B,) at which the margin's pull equals that of the squared change at the linearised boundary."""
    gradient_BCHW, logits_BK = input_gradient(model, x_BCHW, goal.margin)
    # the boundary is |margin| / |gradient| away, where the squared change pulls with twice that distance
    return 2 * goal.margin(logits_BK).abs() / l2_norms(gradient_BCHW).flatten().square().clamp_min(1e-30).to(x_BCHW)


def _search(
    model: nn.Module, x_BCHW: Tensor, goal: Goal, c_B: Tensor, spec: CarliniWagnerAttack
) -> tuple[Tensor, Tensor]:
    """The smallest successful iterate of each image and its L2 norm (B,), infinite where there is none.

    With `early_stopping` an image is done once its smallest loss has not fallen by a ten-thousandth within a tenth of
    the steps, as in the paper's own code.
    """
    best_BCHW, size_B = x_BCHW.clone(), x_BCHW.new_full((len(x_BCHW),), math.inf)
    left = torch.arange(len(x_BCHW), device=x_BCHW.device)
    now, taken = Descent.begin(x_BCHW, goal, c_B), torch.zeros((), device=x_BCHW.device)
    advance = capture_step(partial(_advance, model, now, taken, spec), x_BCHW.device)
    for number in range(1, spec.steps + 1):
        advance()
        if not spec.early_stopping or number % max(spec.steps // 10, 1):
            continue
        now.look()
        stay = now.going_B.nonzero().flatten() if is_check_due(number, x_BCHW) else left
        if len(stay) < WORTHWHILE * len(left):
            best_BCHW[left], size_B[left] = now.best_BCHW, now.size_B
            left, now = left[stay], now.take(stay)
            if len(left) == 0:
                return best_BCHW, size_B
            advance = capture_step(partial(_advance, model, now, taken, spec), x_BCHW.device)
    best_BCHW[left], size_B[left] = now.best_BCHW, now.size_B
    return best_BCHW, size_B


@dataclass
class Descent:
    """Where the images of one search are, changed in place.

    Adam changes w, whose image is (tanh w + 1) / 2. Here it changes u = 2w, whose image is the sigmoid of u, six times
    as fast on a CPU; with twice the rate and half the epsilon its steps are the same.
    """

    x_BCHW: Tensor
    goal: Goal
    c_B: Tensor
    u_BCHW: Tensor
    moments: tuple[Tensor, Tensor]
    best_BCHW: Tensor
    size_B: Tensor
    loss_B: Tensor
    """The smallest loss so far."""
    seen_B: Tensor
    """It at the last look."""
    going_B: Tensor
    room: tuple[Tensor, Tensor]
    """For the images and the changes of a step: written over and over, since new memory is slower."""

    @classmethod
    def begin(cls, x_BCHW: Tensor, goal: Goal, c_B: Tensor) -> Descent:
        """At the images themselves, which are moved off the box's bounds."""
        u_BCHW, infinite_B = 2 * torch.atanh((2 * x_BCHW - 1) * (1 - 1e-6)), torch.full_like(c_B, math.inf)
        moments, going_B = (torch.zeros_like(u_BCHW), torch.zeros_like(u_BCHW)), torch.ones_like(c_B).bool()
        best = x_BCHW.clone(), infinite_B.clone()
        room = torch.empty_like(u_BCHW), torch.empty_like(u_BCHW)
        return cls(x_BCHW, goal, c_B, u_BCHW, moments, *best, infinite_B.clone(), infinite_B, going_B, room)

    def look(self) -> None:
        """Leave alone from now on what has not come further since the last look."""
        self.going_B &= self.loss_B <= WORTH * self.seen_B
        self.seen_B.copy_(self.loss_B)

    def take(self, rows: Tensor) -> Descent:
        """The state of some images."""
        moments = self.moments[0][rows], self.moments[1][rows]
        tensors = (self.u_BCHW, self.best_BCHW, self.size_B, self.loss_B, self.seen_B, self.going_B)
        u, best, size, loss, seen, going = (one[rows] for one in tensors)
        room = torch.empty_like(u), torch.empty_like(u)
        aimed = self.x_BCHW[rows], self.goal.take(rows), self.c_B[rows]
        return Descent(*aimed, u, moments, best, size, loss, seen, going, room)


def _advance(model: nn.Module, now: Descent, taken: Tensor, spec: CarliniWagnerAttack) -> Tensor:
    """One step of Adam; `taken` counts them."""
    x_adv_BCHW, change_BCHW = now.room
    torch.sigmoid(now.u_BCHW, out=x_adv_BCHW)
    with torch.enable_grad():
        shown_BCHW = x_adv_BCHW.detach().requires_grad_()
        logits_BK = model(shown_BCHW)
    margin_B, slope_BK = now.goal.slope(logits_BK.detach())
    # the gradient of the hinge is handed to autograd, which would take longer to find it
    slope_BK *= (-now.c_B * (margin_B <= spec.confidence))[:, None]
    (gradient_BCHW,) = torch.autograd.grad(logits_BK, shown_BCHW, slope_BK)
    torch.sub(x_adv_BCHW, now.x_BCHW, out=change_BCHW)
    norm_B = torch.linalg.vector_norm(change_BCHW, dim=(1, 2, 3))
    loss_B = norm_B.square().addcmul_(now.c_B, (spec.confidence - margin_B).clamp_min_(0))
    torch.minimum(now.loss_B, loss_B, out=now.loss_B)
    better_B = (margin_B > spec.confidence) & (norm_B < now.size_B) & now.going_B
    replace(now.best_BCHW, better_B, x_adv_BCHW)
    torch.where(better_B, norm_B, now.size_B, out=now.size_B)
    torch.add(gradient_BCHW, change_BCHW, alpha=2, out=change_BCHW)
    torch.ops.aten.sigmoid_backward.grad_input(change_BCHW, x_adv_BCHW, grad_input=change_BCHW)
    adam(
        [now.u_BCHW],
        [change_BCHW],
        [now.moments[0]],
        [now.moments[1]],
        [],
        [taken],
        fused=True,
        capturable=uses_cuda_graphs(now.u_BCHW.device),
        amsgrad=False,
        beta1=0.9,
        beta2=0.999,
        lr=2 * spec.lr,
        weight_decay=0,
        eps=EPSILON / 2,
        maximize=False,
    )
    return now.size_B
