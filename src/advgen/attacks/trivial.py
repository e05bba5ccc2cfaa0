"""What an attack's change does without its aim: the control that tells an attack from its size."""

from __future__ import annotations

import torch
from torch import Tensor

from advgen import seeds
from advgen.attacks.common import changeable
from advgen.specs.attacks import AttackSpec, RegionAttack


def unaimed(x_BCHW: Tensor, x_adv_BCHW: Tensor, spec: AttackSpec, *, seed: int, indices: list[int]) -> Tensor:
    """Each image with its own change at other pixels: of the same norms, whichever, but for what the box cuts off.

    Of an attack on a region, the region painted white: a frame that nobody has optimised.
    """
    if isinstance(spec, RegionAttack):
        return torch.where(changeable(spec, x_BCHW, seed, indices), 1.0, x_BCHW)
    change_BCP = (x_adv_BCHW - x_BCHW).flatten(2)
    order_BP = seeds.uniform(seed, "unaimed", indices, change_BCP.shape[2]).argsort(1).to(x_BCHW.device)
    shuffled_BCP = change_BCP.gather(2, order_BP[:, None].expand_as(change_BCP))
    return (x_BCHW + shuffled_BCP.view_as(x_BCHW)).clamp(0, 1)
