"""Controls: non-adversarial changes of the same size, which separate the effect of an attack from that of its size."""

import torch
from torch import Tensor

from advgen import seeds
from advgen.attacks.common import region_mask
from advgen.attacks.spatial import random_pose, transform
from advgen.specs.attacks import AttackSpec, RegionAttack, SpatialAttack


def make_controls(
    x_BCHW: Tensor, x_adv_BCHW: Tensor, spec: AttackSpec, *, seed: int, indices: list[int]
) -> tuple[Tensor, ...]:
    """The control images of an attack, as one or more batches. An image that any of them fools is fooled by chance.

    For most attacks, the control moves each image's change to randomly permuted pixels, so all norms stay the same
    except for clipping. For an attack on a region, the controls are the region painted white and painted black. For
    rotations and translations, the control is a random one.
    """
    if isinstance(spec, RegionAttack):
        region_B1HW = region_mask(spec, x_BCHW, seed, indices)
        return torch.where(region_B1HW, 1.0, x_BCHW), torch.where(region_B1HW, 0.0, x_BCHW)
    if isinstance(spec, SpatialAttack):
        return (transform(x_BCHW, random_pose(spec, seed, "unaimed", indices).to(x_BCHW)),)
    change_BCP = (x_adv_BCHW - x_BCHW).flatten(2)
    order_BP = seeds.uniform(seed, "unaimed", indices, change_BCP.shape[2]).argsort(1).to(x_BCHW.device)
    shuffled_BCP = change_BCP.gather(2, order_BP[:, None].expand_as(change_BCP))
    control_BCHW = x_BCHW + shuffled_BCP.view_as(x_BCHW)
    return (control_BCHW.clamp(0, 1) if spec.stays_in_box() else control_BCHW,)
