"""What an attack's change does without its aim: the control that tells an attack from its size."""

from __future__ import annotations

import torch
from torch import Tensor

from advgen import seeds
from advgen.attacks.common import region_mask
from advgen.attacks.spatial import random_pose, transform
from advgen.specs.attacks import AttackSpec, RegionAttack, SpatialAttack


def make_controls(
    x_BCHW: Tensor, x_adv_BCHW: Tensor, spec: AttackSpec, *, seed: int, indices: list[int]
) -> tuple[Tensor, ...]:
    """The controls of an attack, each image with each: one that any of them fools is fooled by chance.

    In general a noise of the same norms, whichever, but for what the box cuts off: each image with its own change at
    other pixels. Of an attack on a region, the region painted white, and painted black: frames that nobody has
    optimised. Of rotation and translation, one at random.
    """
    if isinstance(spec, RegionAttack):
        frame_B1HW = region_mask(spec, x_BCHW, seed, indices)
        return torch.where(frame_B1HW, 1.0, x_BCHW), torch.where(frame_B1HW, 0.0, x_BCHW)
    if isinstance(spec, SpatialAttack):
        return (transform(x_BCHW, random_pose(spec, seed, "unaimed", indices).to(x_BCHW)),)
    change_BCP = (x_adv_BCHW - x_BCHW).flatten(2)
    order_BP = seeds.uniform(seed, "unaimed", indices, change_BCP.shape[2]).argsort(1).to(x_BCHW.device)
    shuffled_BCP = change_BCP.gather(2, order_BP[:, None].expand_as(change_BCP))
    control_BCHW = x_BCHW + shuffled_BCP.view_as(x_BCHW)
    return (control_BCHW.clamp(0, 1) if spec.stays_in_box() else control_BCHW,)
