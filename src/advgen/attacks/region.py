"""Gradient steps on the pixels of a region alone, such as a pair of glasses."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from advgen.attacks.common import input_gradient, is_check_due, pure, region_mask, resolve_goal, where
from advgen.attacks.expectation import average_logits, poses_at, sample_poses
from advgen.models.graphs import capture_step
from advgen.specs.attacks import RegionAttack


@pure
def region(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: RegionAttack, *, seed: int, indices: list[int]
) -> Tensor:
    """Signed gradient steps on the cross-entropy that change only the region, within the box [sharif2016accessorize].

    With a target it is impersonation, without one dodging. An image is left alone once it reaches its goal. The paper
    follows the gradient with momentum and also asks for smooth, printable colours. Averaged over transformations, an
    image is worked on to the last step.
    """
    goal = resolve_goal(model, x_BCHW, y_B, spec, seed=seed, indices=indices)
    inside_B1HW = region_mask(spec, x_BCHW, seed, indices)
    result_BCHW = x_BCHW.clone()
    left = torch.arange(len(x_BCHW), device=x_BCHW.device)
    pose_BNS3 = sample_poses(spec.expectation, spec.steps, seed, "poses", indices, x_BCHW)

    def advance(left: Tensor, pose_BS3: Tensor | None) -> Tensor:
        towards, x_adv = goal.take(left), result_BCHW[left]
        gradient, logits = input_gradient(
            average_logits(model, pose_BS3), x_adv, partial(towards.loss, "cross_entropy")
        )
        moved = (x_adv + spec.step_size * gradient.sign() * inside_B1HW[left]).clamp(0, 1)
        missed = ~towards.is_reached(logits) if pose_BS3 is None else torch.ones_like(towards.label_B, dtype=torch.bool)
        result_BCHW[left] = where(missed, moved, x_adv)
        return missed

    advance = capture_step(advance, x_BCHW.device)
    for number in range(1, spec.steps + 1):
        missed = advance(left, poses_at(pose_BNS3, number - 1, left))
        if is_check_due(number, x_BCHW):
            left = left[missed]
            if len(left) == 0:
                break
    return result_BCHW
