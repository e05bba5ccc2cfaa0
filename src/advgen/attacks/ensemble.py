"""Several attacks of one ball, one after the other, each on what is still right."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from advgen.attacks.apgd import apgd, climb
from advgen.attacks.common import Attack, Goal, project, pure, where
from advgen.attacks.fab import fab
from advgen.attacks.pgd import random_start
from advgen.attacks.square import square
from advgen.specs.attacks import ApgdAttack, AttackSpec, EnsembleAttack, FabAttack, SquareAttack

MEMBERS: dict[type[AttackSpec], Attack] = {ApgdAttack: apgd, FabAttack: fab, SquareAttack: square}
CLOSE = 0.15
"""Share of its lead that a label has left at most where `quick` goes on: those with more hardly ever lose it."""


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
    After its first member, APGD of `quick` goes on with those that came close, towards all targets at once.
    `note` is told the number of the member that found each example (B,), -1 where none did.
    """
    goal, result_BCHW = Goal(y_B), x_BCHW.clone()
    logits_BK = model(x_BCHW)
    reached_B, lead_B = goal.is_reached(logits_BK), goal.margin(logits_BK)
    quick, close_B = spec.effort == "quick", CLOSE * lead_B
    member_B = torch.full_like(y_B, -1)
    for number, member in enumerate(spec.members(logits_BK.shape[1]).values()):
        # steps along the boundary succeed on images on which steps up the loss came nowhere near
        selects = quick and number > 0 and not isinstance(member, FabAttack)
        going_B = ~reached_B & (lead_B >= close_B) if selects else ~reached_B
        left = going_B.nonzero().flatten()
        if len(left) == 0:
            break
        x, towards, rows = x_BCHW[left], goal.take(left), [indices[row] for row in left.tolist()]
        if quick and isinstance(member, ApgdAttack) and member.targets:
            tried = _at_once(model, x, y_B[left], member, seed=seed, indices=rows)
        else:
            tried = MEMBERS[type(member)](model, x, y_B[left], member, seed=seed, indices=rows)
        tried = project(tried, x, spec.norm, spec.eps)  # the smallest change may be too large
        logits = model(tried)
        reached, lead = towards.is_reached(logits), towards.margin(logits)
        better = reached | (lead > lead_B[left])
        result_BCHW[left] = where(better, tried, result_BCHW[left])
        lead_B[left], reached_B[left] = torch.where(better, lead, lead_B[left]), reached
        member_B[left] = torch.where(reached, number, -1)
    if note is not None:
        note(member_B)
    return result_BCHW


def _at_once(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: ApgdAttack, *, seed: int, indices: list[int]
) -> Tensor:
    """APGD towards all of its targets in one batch: with few images, a step takes longer than what it computes."""
    logits_BK = model(x_BCHW).scatter(1, y_B[:, None], -math.inf)
    target_TB = logits_BK.topk(min(spec.targets or 1, logits_BK.shape[1] - 1)).indices.T
    copies = len(target_TB)
    starts = [random_start(x_BCHW, spec.norm, spec.eps, seed, indices, number) for number in range(copies)]
    goal = Goal(y_B.repeat(copies))
    towards = Goal(goal.label_B, target_TB.flatten())
    found, _, _ = climb(model, torch.cat(starts), x_BCHW.repeat(copies, 1, 1, 1), goal, towards, spec)
    best_B = goal.margin(model(found)).view(copies, -1).argmax(0)
    return found.view(copies, *x_BCHW.shape)[best_B, torch.arange(len(best_B), device=best_B.device)]
