"""Auto-PGD: projected gradient ascent that adapts its own step size, in L∞, L2 or L1."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import partial

import torch
from torch import Tensor, nn

from advgen.attacks.best import BestExamples, where
from advgen.attacks.common import Goal, input_gradient, is_check_due, l2_norms, pure, resolve_goal
from advgen.attacks.expectation import average_logits, poses_at, sample_poses
from advgen.attacks.pgd import Ball, random_start
from advgen.specs.attacks import ApgdAttack

FIRST, SHRINK, SHORTEST = 0.22, 0.03, 0.06
"""As shares of all steps: steps to the first checkpoint, decrease of that period per checkpoint, and its minimum."""
RISING = 0.75
"""The step size is halved unless at least this share of the steps since the last checkpoint raised the loss."""
INERTIA = 0.25  # the share of the previous change that each step repeats
L1_PERIOD, L1_SHORTER, L1_SHORTEST = 0.04, 1.5, 0.1
"""In L1: steps between two checkpoints as a share of all, divisor of the step size, and its minimum in units of eps."""
L1_FIRST, L1_FEWER, L1_SPARSER = 0.2, 1.5, 0.95
"""In L1: the share of pixels that the first steps change; the divisor from the best change's share to that of the next
steps; the step size is reset if the best change has less than this share of its previous pixels."""


@pure
def apgd(model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: ApgdAttack, *, seed: int, indices: list[int]) -> Tensor:
    """The best iterate of ascent with momentum that halves its own step size [croce2020reliable].

    An iterate that reaches the goal is better than one that does not. Among the others, a higher loss is better. Each
    restart, and each of the `targets` most likely wrong classes, has its own start and runs on the examples that have
    not reached the goal. With `early_stopping` an example keeps the first iterate that reaches it.

    In L1 a step changes only the pixels with the largest gradients, as many as the best change so far suggests, and
    there is no momentum [croce2021mind]. Unlike the paper, it does not start in larger balls.
    """
    goal = resolve_goal(model, x_BCHW, y_B, spec, seed=seed, indices=indices)
    best = BestExamples(x_BCHW)
    for number, loss_goal in enumerate(_loss_goals(model, x_BCHW, goal, spec)):
        active = best.unfinished()
        if len(active) == 0:
            break
        x, names = x_BCHW[active], [indices[row] for row in active.tolist()]
        start = random_start(x, spec.norm, spec.eps, seed, names, number)
        pose_BNS3 = sample_poses(spec.expectation, spec.steps + 1, seed, f"poses {number}", names, x)
        best.offer(active, *climb(model, start, x, goal.take(active), loss_goal.take(active), spec, pose_BNS3))
    return best.x_BCHW


def _loss_goals(model: nn.Module, x_BCHW: Tensor, goal: Goal, spec: ApgdAttack) -> list[Goal]:
    """The goal whose loss each start climbs: the attack's goal itself, or each wrong class, the most likely first.

    There are at most as many targets as the model has wrong classes.
    """
    if spec.targets is None:
        return [goal] * spec.restarts
    logits_BK = model(x_BCHW).scatter(1, goal.label_B[:, None], -math.inf)
    target_BT = logits_BK.topk(min(spec.targets, logits_BK.shape[1] - 1)).indices
    return [Goal(goal.label_B, target_B) for target_B in target_BT.T for _ in range(spec.restarts)]


def checkpoints(steps: int, norm: str = "linf") -> set[int]:
    """The steps after which the step size may change: ever closer together, in L1 equally spaced."""
    if norm == "l1":
        return set(range(0, steps + 1, max(int(L1_PERIOD * steps), 1))) - {0}
    found, number, period = set(), 0, max(int(FIRST * steps), 1)
    while (number := number + period) <= steps:
        found.add(number)
        period = max(period - max(int(SHRINK * steps), 1), int(SHORTEST * steps), 1)
    return found


@dataclass
class Ascent:
    """The state of each example: its current and previous image, the best so far, and the step size control."""

    x_adv_BCHW: Tensor
    before_BCHW: Tensor
    gradient_BCHW: Tensor
    loss_B: Tensor
    best_BCHW: Tensor
    best_gradient_BCHW: Tensor
    best_loss_B: Tensor
    success_B: Tensor
    size_B111: Tensor
    rises_B: Tensor  # steps since the last checkpoint that raised the loss
    checked_loss_B: Tensor  # the best loss at the last checkpoint
    halved_B: Tensor  # whether the last checkpoint halved the step size
    share_B: Tensor  # in L1 the share of the pixels that a step changes
    changed_B: Tensor  # the number of pixels (of each channel) that the best change had at the last checkpoint

    @classmethod
    def begin(cls, x_adv_BCHW: Tensor, gradient_BCHW: Tensor, loss_B: Tensor, success_B: Tensor, size: float) -> Ascent:
        """The state at the start, with a first step size."""
        current = x_adv_BCHW, x_adv_BCHW, gradient_BCHW, loss_B, x_adv_BCHW, gradient_BCHW, loss_B, success_B
        size_B111 = torch.full_like(loss_B, size)[:, None, None, None]
        share_B, changed_B = torch.full_like(loss_B, L1_FIRST), torch.full_like(loss_B, x_adv_BCHW[0].numel())
        return cls(
            *current, size_B111, torch.zeros_like(loss_B), loss_B, torch.ones_like(success_B), share_B, changed_B
        )

    def take(self, rows: Tensor) -> Ascent:
        """The state of some rows."""
        return Ascent(*(getattr(self, field.name)[rows] for field in fields(self)))

    def update(self, gradient_BCHW: Tensor, loss_B: Tensor, success_B: Tensor, early_stopping: bool) -> None:
        """Take in the gradient, loss and success of the current images."""
        better_B = (success_B & ~self.success_B) | ((success_B == self.success_B) & (loss_B > self.best_loss_B))
        if early_stopping:
            better_B &= ~self.success_B
        self.best_BCHW = where(better_B, self.x_adv_BCHW, self.best_BCHW)
        self.best_gradient_BCHW = where(better_B, gradient_BCHW, self.best_gradient_BCHW)
        self.best_loss_B = torch.where(better_B, loss_B, self.best_loss_B)
        self.rises_B = self.rises_B + (loss_B > self.loss_B)
        self.gradient_BCHW, self.loss_B, self.success_B = gradient_BCHW, loss_B, self.success_B | success_B

    def check(self, steps: int) -> None:
        """Halve the step size of examples without progress, and return them to their best image.

        These are the examples whose loss rose too rarely in the `steps` since the last checkpoint. Examples whose best
        loss did not improve are among them too, unless the last checkpoint halved their steps. The decision is made on
        the device, so the host does not wait.
        """
        stuck_B = ~self.halved_B & (self.best_loss_B <= self.checked_loss_B)
        self.halved_B = stuck_B | (self.rises_B <= RISING * steps)
        self.checked_loss_B, self.rises_B = self.best_loss_B, torch.zeros_like(self.rises_B)
        self.size_B111 = torch.where(self.halved_B[:, None, None, None], self.size_B111 / 2, self.size_B111)
        self._return_to_best(self.halved_B)

    def check_l1(self, x_BCHW: Tensor, eps: float) -> None:
        """In L1, restart from the best image with long steps if its change has become sparser, else shorten steps."""
        changed_B = (self.best_BCHW != x_BCHW).flatten(1).sum(1).to(self.changed_B.dtype)
        sparser_B = changed_B < L1_SPARSER * self.changed_B
        shorter_B111 = (self.size_B111 / L1_SHORTER).clamp_min(L1_SHORTEST * eps)
        self.size_B111 = where(sparser_B, torch.full_like(shorter_B111, eps), shorter_B111)
        self.share_B, self.changed_B = changed_B / x_BCHW[0].numel() / L1_FEWER, changed_B
        self._return_to_best(sparser_B)

    def _return_to_best(self, rows_B: Tensor) -> None:
        self.x_adv_BCHW = where(rows_B, self.best_BCHW, self.x_adv_BCHW)
        self.gradient_BCHW = where(rows_B, self.best_gradient_BCHW, self.gradient_BCHW)


def climb(
    model: nn.Module,
    start_BCHW: Tensor,
    x_BCHW: Tensor,
    goal: Goal,
    loss_goal: Goal,
    spec: ApgdAttack,
    pose_BNS3: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The best images on an ascent of the loss of `loss_goal`, their losses, and whether they reach `goal`."""
    ball = Ball.around(x_BCHW, spec.eps)
    active = torch.arange(len(x_BCHW), device=x_BCHW.device)

    def evaluate(x_adv_BCHW: Tensor, number: int) -> tuple[Tensor, Tensor, Tensor]:
        """The gradient, the loss and the success of images."""
        logits_of = average_logits(model, poses_at(pose_BNS3, number, active))
        gradient_BCHW, logits_BK = input_gradient(logits_of, x_adv_BCHW, partial(loss_goal.loss, spec.loss))
        return gradient_BCHW, loss_goal.loss(spec.loss, logits_BK), goal.is_reached(logits_BK)

    state = Ascent.begin(start_BCHW, *evaluate(start_BCHW, 0), spec.threat().step_size)
    results = state.best_BCHW.clone(), state.best_loss_B.clone(), state.success_B.clone()
    last, checks = 0, checkpoints(spec.steps, spec.norm)
    for number in range(1, spec.steps + 1):
        if spec.early_stopping and is_check_due(number, x_BCHW):
            unfinished = (~state.success_B).nonzero().flatten()
            if len(unfinished) < len(active):
                _store(results, active, state)
                active, state, ball = active[unfinished], state.take(unfinished), ball.take(unfinished)
                goal, loss_goal = goal.take(unfinished), loss_goal.take(unfinished)
            if len(active) == 0:
                break
        moved_BCHW = step(state, ball, spec, inertia=INERTIA if number > 1 else 0)
        state.before_BCHW, state.x_adv_BCHW = state.x_adv_BCHW, moved_BCHW
        state.update(*evaluate(moved_BCHW, number), spec.early_stopping)
        if number in checks and spec.norm == "l1":
            state.check_l1(ball.x_BCHW, spec.eps)
        elif number in checks:
            state.check(number - last)
            last = number
    _store(results, active, state)
    return results


def _store(results: tuple[Tensor, ...], rows: Tensor, state: Ascent) -> None:
    for result, best in zip(results, (state.best_BCHW, state.best_loss_B, state.success_B), strict=True):
        result[rows] = best


def step(state: Ascent, ball: Ball, spec: ApgdAttack, inertia: float) -> Tensor:
    """The images after one step inside the ball, plus a share of the previous change."""
    x_adv_BCHW, gradient_BCHW, size_B111 = state.x_adv_BCHW, state.gradient_BCHW, state.size_B111
    if spec.norm == "l1":
        gradient_BCHW = _sparse_direction(gradient_BCHW, state.share_B)
    elif spec.norm == "linf":
        gradient_BCHW = gradient_BCHW.sign()
    else:
        size_B111 = size_B111 / l2_norms(gradient_BCHW).clamp_min(1e-30).to(gradient_BCHW.dtype)
    moved_BCHW = ball.project(torch.addcmul(x_adv_BCHW, gradient_BCHW, size_B111), spec.norm, spec.eps)
    if not inertia or spec.norm == "l1":
        return moved_BCHW
    # x_adv + (1 - inertia) * (moved - x_adv) + inertia * (x_adv - before)
    moved_BCHW.mul_(1 - inertia).add_(x_adv_BCHW, alpha=2 * inertia).sub_(state.before_BCHW, alpha=inertia)
    return ball.project(moved_BCHW, spec.norm, spec.eps)


def _sparse_direction(gradient_BCHW: Tensor, share_B: Tensor) -> Tensor:
    """The signs of the largest gradients, for a share of the pixels, with an L1 norm of one."""
    size_BP = gradient_BCHW.abs().flatten(1)
    pixels = size_BP.shape[1]
    place_B1 = ((1 - share_B) * pixels).long().clamp(0, pixels - 1)[:, None]
    least_B111 = size_BP.sort(dim=1).values.gather(1, place_B1)[:, :, None, None]
    chosen_BCHW = gradient_BCHW.sign() * (gradient_BCHW.abs() >= least_B111)
    return chosen_BCHW / chosen_BCHW.abs().sum((1, 2, 3), keepdim=True).clamp_min(1)
