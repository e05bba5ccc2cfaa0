"""Auto-PGD: projected gradient ascent that finds its own step size, in the maximum norm, L2 or L1."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import partial

import torch
from torch import Tensor, nn

from advgen.attacks.common import (
    Goal,
    input_gradient,
    is_check_due,
    l2_norms,
    project,
    pure,
    resolve_goal,
    where,
)
from advgen.attacks.expectation import average_logits, poses_at, sample_poses
from advgen.attacks.pgd import Ball, random_start
from advgen.specs.attacks import ApgdAttack

FIRST, SHRINK, SHORTEST = 0.22, 0.03, 0.06
"""Steps to the first checkpoint, by how many fewer there are to each next one, and the fewest, as shares of all."""
RISING = 0.75
"""Share of the steps between two checkpoints that must raise the loss, else the step size is halved."""
INERTIA = 0.25
"""How much of the last change each step repeats."""
L1_PERIOD, L1_SHORTER, L1_SHORTEST = 0.04, 1.5, 0.1
"""In L1: steps between two checkpoints as a share of all, how much shorter steps become, and the shortest."""
L1_FIRST, L1_FEWER, L1_SPARSER = 0.2, 1.5, 0.95
"""In L1: the share of the pixels that the first steps change, by how many fewer than the best change has the next ones
do, and the share that the best one's pixels must have fallen to if steps are to be long again."""


@pure
def apgd(model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: ApgdAttack, *, seed: int, indices: list[int]) -> Tensor:
    """The best iterate of an ascent with momentum that halves its own steps [croce2020reliable].

    An iterate that reaches the goal is better than one that does not, and else the one with the higher loss. Each
    restart, and each of the `targets` likeliest wrong classes, has a start of its own and works on the examples that
    have not reached the goal. With `early_stopping` an example keeps the first iterate that reaches it.

    In L1 a step changes few pixels, those of the largest gradients, as many as the best change so far suggests, and
    there is no momentum [croce2021mind]; its larger balls at the beginning are left out.
    """
    goal = resolve_goal(model, x_BCHW, y_B, spec, seed=seed, indices=indices)
    best_BCHW, loss_B = x_BCHW.clone(), torch.full_like(x_BCHW[:, 0, 0, 0], -math.inf)
    reached_B = torch.zeros_like(y_B, dtype=torch.bool)
    for number, towards in enumerate(_directions(model, x_BCHW, goal, spec)):
        left = (~reached_B).nonzero().flatten()
        if len(left) == 0:
            break
        x, rows = x_BCHW[left], [indices[row] for row in left.tolist()]
        start = random_start(x, spec.norm, spec.eps, seed, rows, number)
        pose_BNS3 = sample_poses(spec.expectation, spec.steps + 1, seed, f"poses {number}", rows, x)
        found, loss, reached = climb(model, start, x, goal.take(left), towards.take(left), spec, pose_BNS3)
        better = reached | (loss > loss_B[left])
        best_BCHW[left] = where(better, found, best_BCHW[left])
        loss_B[left], reached_B[left] = torch.where(better, loss, loss_B[left]), reached
    return best_BCHW


def _directions(model: nn.Module, x_BCHW: Tensor, goal: Goal, spec: ApgdAttack) -> list[Goal]:
    """What the loss of each start leads to: the goal itself, or one wrong class after the other, the likeliest first.

    A model that knows fewer wrong classes has fewer.
    """
    if spec.targets is None:
        return [goal] * spec.restarts
    logits_BK = model(x_BCHW).scatter(1, goal.label_B[:, None], -math.inf)
    target_BT = logits_BK.topk(min(spec.targets, logits_BK.shape[1] - 1)).indices
    return [Goal(goal.label_B, target_B) for target_B in target_BT.T for _ in range(spec.restarts)]


def checkpoints(steps: int, norm: str = "linf") -> set[int]:
    """The steps after which the step size may change, ever closer to each other; in L1 at equal distances."""
    if norm == "l1":
        return set(range(0, steps + 1, max(int(L1_PERIOD * steps), 1))) - {0}
    found, number, period = set(), 0, max(int(FIRST * steps), 1)
    while (number := number + period) <= steps:
        found.add(number)
        period = max(period - max(int(SHRINK * steps), 1), int(SHORTEST * steps), 1)
    return found


@dataclass
class Ascent:
    """Where each example is and was one step before, its best place so far, and what decides on its step size."""

    x_adv_BCHW: Tensor
    before_BCHW: Tensor
    gradient_BCHW: Tensor
    loss_B: Tensor
    best_BCHW: Tensor
    best_gradient_BCHW: Tensor
    best_loss_B: Tensor
    reached_B: Tensor
    size_B111: Tensor
    rises_B: Tensor
    """Steps since the last checkpoint that raised the loss."""
    checked_loss_B: Tensor
    """The best loss at the last checkpoint."""
    halved_B: Tensor
    """Whether the step size was halved there."""
    share_B: Tensor
    """In L1 the share of the pixels that a step changes."""
    changed_B: Tensor
    """How many pixels (of each channel) the best change had at the last checkpoint."""

    @classmethod
    def begin(cls, x_adv_BCHW: Tensor, gradient_BCHW: Tensor, loss_B: Tensor, reached_B: Tensor, size: float) -> Ascent:
        """Every example at its start, with a first step of a length."""
        places = x_adv_BCHW, x_adv_BCHW, gradient_BCHW, loss_B, x_adv_BCHW, gradient_BCHW, loss_B, reached_B
        size_B111 = torch.full_like(loss_B, size)[:, None, None, None]
        share_B, changed_B = torch.full_like(loss_B, L1_FIRST), torch.full_like(loss_B, x_adv_BCHW[0].numel())
        known = torch.zeros_like(loss_B), loss_B, torch.ones_like(reached_B), share_B, changed_B
        return cls(*places, size_B111, *known)

    def take(self, rows: Tensor) -> Ascent:
        """The same of some rows."""
        return Ascent(*(getattr(self, field.name)[rows] for field in fields(self)))

    def arrive(self, gradient_BCHW: Tensor, loss_B: Tensor, reached_B: Tensor, early_stopping: bool) -> None:
        """Note what was found at the present place."""
        better_B = (reached_B & ~self.reached_B) | ((reached_B == self.reached_B) & (loss_B > self.best_loss_B))
        if early_stopping:
            better_B &= ~self.reached_B
        self.best_BCHW = where(better_B, self.x_adv_BCHW, self.best_BCHW)
        self.best_gradient_BCHW = where(better_B, gradient_BCHW, self.best_gradient_BCHW)
        self.best_loss_B = torch.where(better_B, loss_B, self.best_loss_B)
        self.rises_B = self.rises_B + (loss_B > self.loss_B)
        self.gradient_BCHW, self.loss_B, self.reached_B = gradient_BCHW, loss_B, self.reached_B | reached_B

    def check(self, steps: int) -> None:
        """Halve the step size of examples that do not get on, and put them back to their best place.

        Those whose loss rose too seldom in the `steps` since the last checkpoint, or that found nothing better since
        it although their steps were not halved there. Decided on the device, without asking for the answer.
        """
        stuck_B = ~self.halved_B & (self.best_loss_B <= self.checked_loss_B)
        self.halved_B = stuck_B | (self.rises_B <= RISING * steps)
        self.checked_loss_B, self.rises_B = self.best_loss_B, torch.zeros_like(self.rises_B)
        self.size_B111 = torch.where(self.halved_B[:, None, None, None], self.size_B111 / 2, self.size_B111)
        self.x_adv_BCHW = where(self.halved_B, self.best_BCHW, self.x_adv_BCHW)
        self.gradient_BCHW = where(self.halved_B, self.best_gradient_BCHW, self.gradient_BCHW)

    def check_l1(self, x_BCHW: Tensor, eps: float) -> None:
        """The same in L1: long steps again from the best place where its change has become sparser, else shorter."""
        changed_B = (self.best_BCHW != x_BCHW).flatten(1).sum(1).to(self.changed_B.dtype)
        sparser_B = changed_B < L1_SPARSER * self.changed_B
        shorter_B111 = (self.size_B111 / L1_SHORTER).clamp_min(L1_SHORTEST * eps)
        self.size_B111 = where(sparser_B, torch.full_like(shorter_B111, eps), shorter_B111)
        self.share_B, self.changed_B = changed_B / x_BCHW[0].numel() / L1_FEWER, changed_B
        self.x_adv_BCHW = where(sparser_B, self.best_BCHW, self.x_adv_BCHW)
        self.gradient_BCHW = where(sparser_B, self.best_gradient_BCHW, self.gradient_BCHW)


def climb(
    model: nn.Module,
    start_BCHW: Tensor,
    x_BCHW: Tensor,
    goal: Goal,
    towards: Goal,
    spec: ApgdAttack,
    pose_BNS3: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """The best images on the way up the loss `towards` from a start, their losses and whether they reach `goal`."""
    ball = Ball.around(x_BCHW, spec.eps)
    left = torch.arange(len(x_BCHW), device=x_BCHW.device)
    logits = average_logits(model, poses_at(pose_BNS3, 0, left))
    gradient_BCHW, logits_BK = input_gradient(logits, start_BCHW, partial(towards.loss, spec.loss))
    found = gradient_BCHW, towards.loss(spec.loss, logits_BK), goal.is_reached(logits_BK)
    now = Ascent.begin(start_BCHW, *found, spec.threat().step_size)
    results = now.best_BCHW.clone(), now.best_loss_B.clone(), now.reached_B.clone()
    last, checks = 0, checkpoints(spec.steps, spec.norm)
    for number in range(1, spec.steps + 1):
        if spec.early_stopping and is_check_due(number, x_BCHW):
            stay = (~now.reached_B).nonzero().flatten()
            if len(stay) < len(left):
                _note(results, left, now)
                left, now, goal, towards = left[stay], now.take(stay), goal.take(stay), towards.take(stay)
                ball = Ball(*(part[stay] for part in ball))
            if len(left) == 0:
                return results
        moved_BCHW = step(now, ball, spec, inertia=INERTIA if number > 1 else 0)
        now.before_BCHW, now.x_adv_BCHW = now.x_adv_BCHW, moved_BCHW
        logits = average_logits(model, poses_at(pose_BNS3, number, left))
        gradient_BCHW, logits_BK = input_gradient(logits, moved_BCHW, partial(towards.loss, spec.loss))
        now.arrive(gradient_BCHW, towards.loss(spec.loss, logits_BK), goal.is_reached(logits_BK), spec.early_stopping)
        if number in checks and spec.norm == "l1":
            now.check_l1(ball.x_BCHW, spec.eps)
        elif number in checks:
            now.check(number - last)
            last = number
    _note(results, left, now)
    return results


def _note(results: tuple[Tensor, Tensor, Tensor], left: Tensor, now: Ascent) -> None:
    for result, best in zip(results, (now.best_BCHW, now.best_loss_B, now.reached_B), strict=True):
        result[left] = best


def step(now: Ascent, ball: Ball, spec: ApgdAttack, inertia: float) -> Tensor:
    """The images after one step, mixed with a part of the last one, inside the ball."""
    x_adv_BCHW, gradient_BCHW = now.x_adv_BCHW, now.gradient_BCHW
    if spec.norm == "l1":
        return _inside(torch.addcmul(x_adv_BCHW, _sparse(gradient_BCHW, now.share_B), now.size_B111), ball, spec)
    if spec.norm == "linf":
        moved_BCHW = torch.addcmul(x_adv_BCHW, gradient_BCHW.sign(), now.size_B111)
    else:
        scale_B111 = now.size_B111 / l2_norms(gradient_BCHW).clamp_min(1e-30).to(gradient_BCHW.dtype)
        moved_BCHW = torch.addcmul(x_adv_BCHW, gradient_BCHW, scale_B111)
    moved_BCHW = _inside(moved_BCHW, ball, spec)
    if not inertia:
        return moved_BCHW
    # x_adv + (1 - inertia) * (moved - x_adv) + inertia * (x_adv - before)
    moved_BCHW.mul_(1 - inertia).add_(x_adv_BCHW, alpha=2 * inertia).sub_(now.before_BCHW, alpha=inertia)
    return _inside(moved_BCHW, ball, spec)


def _sparse(gradient_BCHW: Tensor, share_B: Tensor) -> Tensor:
    """The signs of the largest gradients, a share of all, with an L1 norm of one."""
    size_BP = gradient_BCHW.abs().flatten(1)
    pixels = size_BP.shape[1]
    place_B1 = ((1 - share_B) * pixels).long().clamp(0, pixels - 1)[:, None]
    least_B111 = size_BP.sort(dim=1).values.gather(1, place_B1)[:, :, None, None]
    chosen_BCHW = gradient_BCHW.sign() * (gradient_BCHW.abs() >= least_B111)
    return chosen_BCHW / chosen_BCHW.abs().sum((1, 2, 3), keepdim=True).clamp_min(1)


def _inside(moved_BCHW: Tensor, ball: Ball, spec: ApgdAttack) -> Tensor:
    if spec.norm == "linf":
        return torch.clamp(moved_BCHW, ball.low_BCHW, ball.high_BCHW, out=moved_BCHW)
    return project(moved_BCHW, ball.x_BCHW, spec.norm, spec.eps)
