"""Several attacks of one ball, one after the other, each on what is still right."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from advgen.attacks.apgd import apgd
from advgen.attacks.common import Attack, Goal, project, pure, where
from advgen.attacks.fmn import fmn
from advgen.attacks.square import square
from advgen.specs.attacks import ApgdAttack, AttackSpec, EnsembleAttack, FmnAttack, SquareAttack

MEMBERS: dict[type[AttackSpec], Attack] = {ApgdAttack: apgd, FmnAttack: fmn, SquareAttack: square}


@pure
def ensemble(
    model: nn.Module,
    x_BCHW: Tensor,
    y_B: Tensor,
    spec: EnsembleAttack,
    *,
    seed: int,
    indices: list[int],
    note: Callable[[Tensor], None] | None = None,
) -> Tensor:
    """The first example found by any member, after the ensemble of croce2020reliable.

    Where none finds one, the image of the smallest lead of the label. Images that are wrong already stay as they are.
    `note` is told the number of the member that found each example (B,), -1 where none did.
    """
    goal, result_BCHW = Goal(y_B), x_BCHW.clone()
    logits_BK = model(x_BCHW)
    reached_B, lead_B = goal.reached(logits_BK), goal.margin(logits_BK)
    member_B = torch.full_like(y_B, -1)
    for number, member in enumerate(spec.members().values()):
        left = (~reached_B).nonzero().flatten()
        if len(left) == 0:
            break
        x, towards, rows = x_BCHW[left], goal.take(left), [indices[row] for row in left.tolist()]
        tried = MEMBERS[type(member)](model, x, y_B[left], member, seed=seed, indices=rows)
        tried = project(tried, x, spec.norm, spec.eps)  # the smallest change may be too large
        logits = model(tried)
        reached, lead = towards.reached(logits), towards.margin(logits)
        better = reached | (lead > lead_B[left])
        result_BCHW[left] = where(better, tried, result_BCHW[left])
        lead_B[left], reached_B[left] = torch.where(better, lead, lead_B[left]), reached
        member_B[left] = torch.where(reached, number, -1)
    if note is not None:
        note(member_B)
    return result_BCHW
