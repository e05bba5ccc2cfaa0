"""Projected gradient descent, in L∞ or L2."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from advgen import seeds
from advgen.attacks.best import BestExamples, where
from advgen.attacks.common import Goal, input_gradient, is_check_due, l2_norms, project, pure, resolve_goal
from advgen.attacks.expectation import Logits, average_logits, poses_at, sample_poses
from advgen.models.graphs import capture_step
from advgen.specs.attacks import PgdAttack


@pure
def pgd(model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: PgdAttack, *, seed: int, indices: list[int]) -> Tensor:
    """The last iterate of steepest ascent on the loss inside the ball [madry2018towards].

    With several restarts, each example keeps the first result that reaches the goal, otherwise the result with the
    highest loss. Later restarts run only on examples that have not reached the goal. With `early_stopping`, an example
    keeps the first iterate that reaches the goal. With an expectation over transformations, steps use averaged logits,
    and restarts are compared on the untransformed images.
    """
    goal = resolve_goal(model, x_BCHW, y_B, spec, seed=seed, indices=indices)
    best = BestExamples(x_BCHW)
    for restart in range(spec.restarts):
        active = best.unfinished()
        if len(active) == 0:
            break
        x, active_goal, names = x_BCHW[active], goal.take(active), [indices[row] for row in active.tolist()]
        start = random_start(x, spec.norm, spec.eps, seed, names, restart) if spec.random_start else x
        pose_BNS3 = sample_poses(spec.expectation, spec.steps, seed, f"poses {restart}", names, x)
        x_adv = climb(model, start, x, active_goal, spec, pose_BNS3)
        if spec.restarts == 1:
            return x_adv
        logits = model(x_adv)
        best.offer(active, x_adv, active_goal.loss(spec.loss, logits), active_goal.is_reached(logits))
    return best.x_BCHW


class Ball(NamedTuple):
    """The allowed images: their centre, and for L∞ the bounds of each pixel, computed once."""

    x_BCHW: Tensor
    low_BCHW: Tensor
    high_BCHW: Tensor

    @classmethod
    def around(cls, x_BCHW: Tensor, eps: float) -> Ball:
        """The ball of radius `eps` around images, intersected with the box."""
        return cls(x_BCHW, (x_BCHW - eps).clamp_min_(0), (x_BCHW + eps).clamp_max_(1))

    def take(self, rows: Tensor) -> Ball:
        """The balls of some rows."""
        return Ball(*(part[rows] for part in self))

    def project(self, moved_BCHW: Tensor, norm: str, eps: float) -> Tensor:
        """The nearest allowed images; in L∞ `moved_BCHW` is overwritten."""
        if norm == "linf":
            return torch.clamp(moved_BCHW, self.low_BCHW, self.high_BCHW, out=moved_BCHW)
        return project(moved_BCHW, self.x_BCHW, norm, eps)


def climb(
    model: nn.Module,
    x_adv_BCHW: Tensor,
    x_BCHW: Tensor,
    goal: Goal,
    spec: PgdAttack,
    pose_BNS3: Tensor | None = None,
) -> Tensor:
    """The images after `spec.steps` steps from `x_adv_BCHW`. The model must be frozen."""
    ball = Ball.around(x_BCHW, spec.eps)
    active = torch.arange(len(x_BCHW), device=x_BCHW.device)
    if not spec.early_stopping:

        def move(x_adv_BCHW: Tensor, pose_BS3: Tensor | None) -> Tensor:
            return step(average_logits(model, pose_BS3), x_adv_BCHW, ball, goal, spec)[0]

        advance = capture_step(move, x_BCHW.device)
        for number in range(spec.steps):
            x_adv_BCHW = advance(x_adv_BCHW, poses_at(pose_BNS3, number, active))
        return x_adv_BCHW
    result_BCHW = x_adv_BCHW.clone()
    for number in range(1, spec.steps + 1):
        logits = average_logits(model, poses_at(pose_BNS3, number - 1, active))
        moved_BCHW, logits_BK = step(logits, x_adv_BCHW, ball, goal, spec)
        success_B = goal.is_reached(logits_BK)
        if not is_check_due(number, x_BCHW):
            x_adv_BCHW = where(success_B, x_adv_BCHW, moved_BCHW)
            continue
        unfinished = (~success_B).nonzero().flatten()
        if len(unfinished) < len(active):
            result_BCHW[active] = x_adv_BCHW
            active, moved_BCHW = active[unfinished], moved_BCHW[unfinished]
            goal, ball = goal.take(unfinished), ball.take(unfinished)
        x_adv_BCHW = moved_BCHW
        if len(active) == 0:
            break
    result_BCHW[active] = x_adv_BCHW
    return result_BCHW


def step(model: Logits, x_adv_BCHW: Tensor, ball: Ball, goal: Goal, spec: PgdAttack) -> tuple[Tensor, Tensor]:
    """The images after one step inside the ball, and the logits before it. The model must be frozen."""
    gradient_BCHW, logits_BK = input_gradient(model, x_adv_BCHW, partial(goal.loss, spec.loss))
    if spec.norm == "linf":
        moved_BCHW = torch.add(x_adv_BCHW, gradient_BCHW.sign(), alpha=spec.step_size)
    else:
        direction_BCHW = gradient_BCHW / l2_norms(gradient_BCHW).clamp_min(1e-30).to(gradient_BCHW.dtype)
        moved_BCHW = x_adv_BCHW + spec.step_size * direction_BCHW
    return ball.project(moved_BCHW, spec.norm, spec.eps), logits_BK


def random_start(x_BCHW: Tensor, norm: str, eps: float, seed: int, indices: list[int], restart: int) -> Tensor:
    """A random point of the ball around each image, moved into the box.

    It is uniform in the L∞ and the L2 ball. In L1 it is the point of the ball nearest to a normal draw.
    """
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
