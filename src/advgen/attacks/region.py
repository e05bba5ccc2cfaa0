"""Gradient steps on the pixels of a region only, such as a pair of glasses."""

from functools import partial

import torch
from torch import Tensor, nn

from advgen.attacks.best import where
from advgen.attacks.common import input_gradient, is_check_due, pure, region_mask, resolve_goal
from advgen.attacks.expectation import average_logits, poses_at, sample_poses
from advgen.models.graphs import capture_step
from advgen.specs.attacks import RegionAttack


@pure
def region(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: RegionAttack, *, seed: int, indices: list[int]
) -> Tensor:
    """Signed gradient steps on the cross-entropy that change only the region, within the box [sharif2016accessorize].

    It impersonates with a target and dodges without one. An image is finished once it reaches its goal. With an
    expectation over transformations, every image takes all steps. The paper also uses momentum, and losses for smooth
    and printable colours.
    """
    goal = resolve_goal(model, x_BCHW, y_B, spec, seed=seed, indices=indices)
    inside_B1HW = region_mask(spec, x_BCHW, seed, indices)
    result_BCHW = x_BCHW.clone()
    active = torch.arange(len(x_BCHW), device=x_BCHW.device)
    pose_BNS3 = sample_poses(spec.expectation, spec.steps, seed, "poses", indices, x_BCHW)

    def advance(rows: Tensor, pose_BS3: Tensor | None) -> Tensor:
        row_goal, x_adv = goal.take(rows), result_BCHW[rows]
        logits_of = average_logits(model, pose_BS3)
        gradient, logits = input_gradient(logits_of, x_adv, partial(row_goal.loss, "cross_entropy"))
        moved = (x_adv + spec.step_size * gradient.sign() * inside_B1HW[rows]).clamp(0, 1)
        going = ~row_goal.is_reached(logits) if pose_BS3 is None else torch.ones_like(rows, dtype=torch.bool)
        result_BCHW[rows] = where(going, moved, x_adv)
        return going

    advance = capture_step(advance, x_BCHW.device)
    for number in range(1, spec.steps + 1):
        going = advance(active, poses_at(pose_BNS3, number - 1, active))
        if is_check_due(number, x_BCHW):
            active = active[going]
            if len(active) == 0:
                break
    return result_BCHW
