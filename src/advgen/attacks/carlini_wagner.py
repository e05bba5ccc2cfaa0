"""Carlini and Wagner's L2 attack."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam

from advgen.attacks.best import SmallestExamples, replace
from advgen.attacks.common import COMPACTION_SHARE, Goal, input_gradient, is_check_due, l2_norms, pure, resolve_goal
from advgen.models.graphs import capture_step, uses_cuda_graphs
from advgen.specs.attacks import CarliniWagnerAttack

EPSILON = 1e-8  # Adam's
PROGRESS = 0.9999  # early stopping: the loss must fall to at most this share of its value at the last check


@pure
def carlini_wagner(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: CarliniWagnerAttack, *, seed: int, indices: list[int]
) -> Tensor:
    """The smallest change found by Adam in tanh space, with a binary search over c [carlini2017towards].

    It minimises ‖r‖² + c·max(confidence − margin, 0). c grows tenfold until an image succeeds, and is then bisected.
    After the first failure, c is at least the value at which both terms have equal gradients at the linearised
    boundary. Without this, no tried c is large enough for models with small logits.
    Images that reach their goal from the start, and images without a success, are returned unchanged.
    """
    goal = resolve_goal(model, x_BCHW, y_B, spec, seed=seed, indices=indices)
    smallest = SmallestExamples(x_BCHW)
    active = (goal.margin(model(x_BCHW)) <= spec.confidence).nonzero().flatten()
    if len(active) == 0:
        return smallest.x_BCHW
    x, goal = x_BCHW[active], goal.take(active)
    c = x.new_full((len(x),), spec.initial_c)
    gradient, logits = input_gradient(model, x, goal.margin)
    # the boundary is |margin| / |gradient| away, and the gradient of the squared change is twice that distance
    least = 2 * goal.margin(logits).abs() / l2_norms(gradient).flatten().square().clamp_min(1e-30).to(x)
    low, high = torch.zeros_like(c), torch.full_like(c, math.inf)
    for _ in range(spec.searches):
        candidate, size = _search(model, x, goal, c, spec)
        success = size.isfinite()
        smallest.offer(active, candidate, size, success)
        low, high = torch.where(success, low, c), torch.where(success, c, high)
        c = torch.where(high.isinf(), torch.maximum(10 * c, least), (low + high) / 2)
    return smallest.x_BCHW


def _search(
    model: nn.Module, x_BCHW: Tensor, goal: Goal, c_B: Tensor, spec: CarliniWagnerAttack
) -> tuple[Tensor, Tensor]:
    """The smallest successful iterate of each image and its L2 norm (B,), infinite if there is none.

    With `early_stopping`, an image is finished once its smallest loss has not fallen by a ten-thousandth within a tenth
    of the steps, as in the authors' code.
    """
    best_BCHW, size_B = x_BCHW.clone(), x_BCHW.new_full((len(x_BCHW),), math.inf)
    active = torch.arange(len(x_BCHW), device=x_BCHW.device)
    state, count = Descent.begin(x_BCHW, goal, c_B), torch.zeros((), device=x_BCHW.device)
    advance = capture_step(partial(_advance, model, state, count, spec), x_BCHW.device)
    for number in range(1, spec.steps + 1):
        advance()
        if not spec.early_stopping or number % max(spec.steps // 10, 1):
            continue
        state.stop_without_progress()
        unfinished = state.active_B.nonzero().flatten() if is_check_due(number, x_BCHW) else active
        if len(unfinished) < COMPACTION_SHARE * len(active):
            best_BCHW[active], size_B[active] = state.best_BCHW, state.size_B
            active, state = active[unfinished], state.take(unfinished)
            if len(active) == 0:
                return best_BCHW, size_B
            advance = capture_step(partial(_advance, model, state, count, spec), x_BCHW.device)
    best_BCHW[active], size_B[active] = state.best_BCHW, state.size_B
    return best_BCHW, size_B


@dataclass
class Descent:
    """The state of the images of one search, changed in place.

    Adam changes w, whose image is (tanh w + 1) / 2. This code changes u = 2w instead, whose image is the sigmoid of u,
    which is six times faster on a CPU. With twice the learning rate and half the epsilon, the steps are the same.
    """

    x_BCHW: Tensor
    goal: Goal
    c_B: Tensor
    u_BCHW: Tensor
    moments: tuple[Tensor, Tensor]
    best_BCHW: Tensor
    size_B: Tensor
    loss_B: Tensor  # the smallest loss so far
    checked_loss_B: Tensor  # the smallest loss at the last check
    active_B: Tensor
    buffers: tuple[Tensor, Tensor]
    """Reused for the images and the changes of every step, because allocating memory is slower."""

    @classmethod
    def begin(cls, x_BCHW: Tensor, goal: Goal, c_B: Tensor) -> Descent:
        """The state at the images themselves, which are moved off the bounds of the box."""
        u_BCHW, infinite_B = 2 * torch.atanh((2 * x_BCHW - 1) * (1 - 1e-6)), torch.full_like(c_B, math.inf)
        moments, active_B = (torch.zeros_like(u_BCHW), torch.zeros_like(u_BCHW)), torch.ones_like(c_B).bool()
        best = x_BCHW.clone(), infinite_B.clone()
        buffers = torch.empty_like(u_BCHW), torch.empty_like(u_BCHW)
        return cls(x_BCHW, goal, c_B, u_BCHW, moments, *best, infinite_B.clone(), infinite_B, active_B, buffers)

    def stop_without_progress(self) -> None:
        """Mark images as finished whose loss has hardly fallen since the last check."""
        self.active_B &= self.loss_B <= PROGRESS * self.checked_loss_B
        self.checked_loss_B.copy_(self.loss_B)

    def take(self, rows: Tensor) -> Descent:
        """The state of some images."""
        moments = self.moments[0][rows], self.moments[1][rows]
        tensors = (self.u_BCHW, self.best_BCHW, self.size_B, self.loss_B, self.checked_loss_B, self.active_B)
        u, best, size, loss, checked_loss, active = (one[rows] for one in tensors)
        buffers = torch.empty_like(u), torch.empty_like(u)
        inputs = self.x_BCHW[rows], self.goal.take(rows), self.c_B[rows]
        return Descent(*inputs, u, moments, best, size, loss, checked_loss, active, buffers)


def _advance(model: nn.Module, state: Descent, count: Tensor, spec: CarliniWagnerAttack) -> Tensor:
    """One step of Adam; `count` is its step counter."""
    x_adv_BCHW, change_BCHW = state.buffers
    torch.sigmoid(state.u_BCHW, out=x_adv_BCHW)
    with torch.enable_grad():
        input_BCHW = x_adv_BCHW.detach().requires_grad_()
        logits_BK = model(input_BCHW)
    margin_B, slope_BK = state.goal.slope(logits_BK.detach())
    # autograd gets the gradient of the hinge, because it takes longer to compute it
    slope_BK *= (-state.c_B * (margin_B <= spec.confidence))[:, None]
    (gradient_BCHW,) = torch.autograd.grad(logits_BK, input_BCHW, slope_BK)
    torch.sub(x_adv_BCHW, state.x_BCHW, out=change_BCHW)
    norm_B = torch.linalg.vector_norm(change_BCHW, dim=(1, 2, 3))
    loss_B = norm_B.square().addcmul_(state.c_B, (spec.confidence - margin_B).clamp_min_(0))
    torch.minimum(state.loss_B, loss_B, out=state.loss_B)
    better_B = (margin_B > spec.confidence) & (norm_B < state.size_B) & state.active_B
    replace(state.best_BCHW, better_B, x_adv_BCHW)
    torch.where(better_B, norm_B, state.size_B, out=state.size_B)
    torch.add(gradient_BCHW, change_BCHW, alpha=2, out=change_BCHW)
    torch.ops.aten.sigmoid_backward.grad_input(change_BCHW, x_adv_BCHW, grad_input=change_BCHW)
    first, second = state.moments
    settings: dict[str, Any] = {"lr": 2 * spec.lr, "eps": EPSILON / 2, "beta1": 0.9, "beta2": 0.999, "weight_decay": 0}
    settings |= {"amsgrad": False, "maximize": False, "fused": True}
    settings["capturable"] = uses_cuda_graphs(state.u_BCHW.device)
    adam([state.u_BCHW], [change_BCHW], [first], [second], [], [count], **settings)
    return state.size_B
