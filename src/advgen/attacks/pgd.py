"""Projected gradient descent, in the maximum norm or in L2."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from advgen import seeds
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
from advgen.attacks.expectation import Logits, average_logits, poses_at, sample_poses
from advgen.models.graphs import capture_step
from advgen.specs.attacks import PgdAttack


@pure
def pgd(model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: PgdAttack, *, seed: int, indices: list[int]) -> Tensor:
    """The last iterate of steepest ascent on the loss inside the ball [madry2018towards].

    With several restarts, each example keeps the first that reaches the goal, else the one with the highest loss;
    later restarts work only on the examples that have not reached it. With `early_stopping` an example keeps the first
    iterate that reaches the goal. Restarts are compared on the images as they are, steps averaged over transformations
    if the spec has some.
    """
    goal = resolve_goal(model, x_BCHW, y_B, spec, seed=seed, indices=indices)
    start_BCHW = random_start(x_BCHW, spec.norm, spec.eps, seed, indices, restart=0) if spec.random_start else x_BCHW
    pose_BNS3 = sample_poses(spec.expectation, spec.steps, seed, "poses 0", indices, x_BCHW)
    best_BCHW = climb(model, start_BCHW, x_BCHW, goal, spec, pose_BNS3)
    if spec.restarts == 1:
        return best_BCHW
    logits_BK = model(best_BCHW)
    loss_B, reached_B = goal.loss(spec.loss, logits_BK), goal.is_reached(logits_BK)
    for restart in range(1, spec.restarts):
        left = (~reached_B).nonzero().flatten()
        if len(left) == 0:
            break
        x, towards, rows = x_BCHW[left], goal.take(left), [indices[row] for row in left.tolist()]
        start = random_start(x, spec.norm, spec.eps, seed, rows, restart)
        pose_BNS3 = sample_poses(spec.expectation, spec.steps, seed, f"poses {restart}", rows, x)
        x_adv = climb(model, start, x, towards, spec, pose_BNS3)
        logits = model(x_adv)
        loss, reached = towards.loss(spec.loss, logits), towards.is_reached(logits)
        better = reached | (loss > loss_B[left])
        best_BCHW[left] = where(better, x_adv, best_BCHW[left])
        loss_B[left], reached_B[left] = torch.where(better, loss, loss_B[left]), reached
    return best_BCHW


class Ball(NamedTuple):
    """Where each image may go: for L∞ the bounds of each pixel, which are found once, for L2 the centre."""

    x_BCHW: Tensor
    low_BCHW: Tensor
    high_BCHW: Tensor

    @classmethod
    def around(cls, x_BCHW: Tensor, eps: float) -> Ball:
        """The ball of radius `eps`, cut by the box."""
        return cls(x_BCHW, (x_BCHW - eps).clamp_min_(0), (x_BCHW + eps).clamp_max_(1))


def climb(
    model: nn.Module,
    x_adv_BCHW: Tensor,
    x_BCHW: Tensor,
    goal: Goal,
    spec: PgdAttack,
    pose_BNS3: Tensor | None = None,
) -> Tensor:
    """The images after `spec.steps` steps from `x_adv_BCHW`; the model is frozen."""
    ball = Ball.around(x_BCHW, spec.eps)
    left = torch.arange(len(x_BCHW), device=x_BCHW.device)
    if not spec.early_stopping:

        def move(x_adv_BCHW: Tensor, pose_BS3: Tensor | None) -> Tensor:
            return step(average_logits(model, pose_BS3), x_adv_BCHW, ball, goal, spec)[0]

        advance = capture_step(move, x_BCHW.device)
        for number in range(spec.steps):
            x_adv_BCHW = advance(x_adv_BCHW, poses_at(pose_BNS3, number, left))
        return x_adv_BCHW
    result_BCHW = x_adv_BCHW.clone()
    for number in range(1, spec.steps + 1):
        logits = average_logits(model, poses_at(pose_BNS3, number - 1, left))
        moved_BCHW, logits_BK = step(logits, x_adv_BCHW, ball, goal, spec)
        reached_B = goal.is_reached(logits_BK)
        if not is_check_due(number, x_BCHW):
            x_adv_BCHW = where(reached_B, x_adv_BCHW, moved_BCHW)
            continue
        stay = (~reached_B).nonzero().flatten()
        if len(stay) < len(left):
            result_BCHW[left] = x_adv_BCHW
            left, moved_BCHW, goal = left[stay], moved_BCHW[stay], goal.take(stay)
            ball = Ball(*(part[stay] for part in ball))
        x_adv_BCHW = moved_BCHW
        if len(left) == 0:
            break
    result_BCHW[left] = x_adv_BCHW
    return result_BCHW


def step(model: Logits, x_adv_BCHW: Tensor, ball: Ball, goal: Goal, spec: PgdAttack) -> tuple[Tensor, Tensor]:
    """The images after one step inside the ball, and the logits before it; the model is frozen."""
    gradient_BCHW, logits_BK = input_gradient(model, x_adv_BCHW, partial(goal.loss, spec.loss))
    if spec.norm == "linf":
        moved_BCHW = torch.add(x_adv_BCHW, gradient_BCHW.sign(), alpha=spec.step_size)
        return torch.clamp(moved_BCHW, ball.low_BCHW, ball.high_BCHW, out=moved_BCHW), logits_BK
    direction_BCHW = gradient_BCHW / l2_norms(gradient_BCHW).clamp_min(1e-30).to(gradient_BCHW.dtype)
    return project(x_adv_BCHW + spec.step_size * direction_BCHW, ball.x_BCHW, "l2", spec.eps), logits_BK


def random_start(x_BCHW: Tensor, norm: str, eps: float, seed: int, indices: list[int], restart: int) -> Tensor:
    """A uniformly random point of the ball around each image, moved into the box; in L1 the nearest to a normal one."""
    shape = x_BCHW.shape[1:]
    if norm == "l1":
        delta_BCHW = seeds.normal(seed, f"start {restart}", indices, *shape)
        return project(x_BCHW + delta_BCHW.to(x_BCHW), x_BCHW, norm, eps)
    if norm == "linf":
        delta_BCHW = 2 * seeds.uniform(seed, f"start {restart}", indices, *shape) - 1
    else:
        delta_BCHW = seeds.normal(seed, f"start {restart}", indices, *shape)
        radius_B111 = seeds.uniform(seed, f"radius {restart}", indices, 1, 1, 1) ** (1 / shape.numel())
        delta_BCHW = delta_BCHW / l2_norms(delta_BCHW).float() * radius_B111
    return project(x_BCHW + eps * delta_BCHW.to(x_BCHW), x_BCHW, norm, eps)
