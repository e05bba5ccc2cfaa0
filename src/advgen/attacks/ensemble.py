"""Several attacks within one ball, each on the examples that its predecessors did not fool."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from advgen.attacks.apgd import apgd, climb
from advgen.attacks.best import BestExamples
from advgen.attacks.common import Attack, Goal, project, pure
from advgen.attacks.fab import fab
from advgen.attacks.pgd import random_start
from advgen.attacks.square import square
from advgen.specs.attacks import ApgdAttack, AttackSpec, EnsembleAttack, FabAttack, SquareAttack

MEMBERS: dict[type[AttackSpec], Attack] = {ApgdAttack: apgd, FabAttack: fab, SquareAttack: square}
CLOSE = 0.15
"""After the first member, `quick` continues on images whose label kept at most this share of its initial lead.

Labels that kept more are almost never fooled by the later members.
"""


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
    """The first adversarial example that any member finds, after the ensemble of croce2020reliable.

    If none finds one, the result is the image with the smallest lead of the label. Misclassified images are returned
    unchanged. With `quick`, APGD runs after the first member only on close images, and towards all targets in one
    batch. `note` is called once with the number of the member that found each example, (B,), -1 for none.
    """
    logits_BK = model(x_BCHW)
    goal = Goal(y_B)
    margin_B = goal.margin(logits_BK)
    best = BestExamples(x_BCHW, margin_B.clone(), goal.is_reached(logits_BK))
    is_quick = spec.effort == "quick"
    member_B = torch.full_like(y_B, -1)
    for number, member in enumerate(spec.members(logits_BK.shape[1]).values()):
        active_B = ~best.success_B
        # FAB walks along the boundary, so it also succeeds on images on which ascent of the loss is far from it
        if is_quick and number > 0 and not isinstance(member, FabAttack):
            active_B &= best.loss_B >= CLOSE * margin_B
        active = active_B.nonzero().flatten()
        if len(active) == 0:
            break
        x, active_goal, names = x_BCHW[active], goal.take(active), [indices[row] for row in active.tolist()]
        if is_quick and isinstance(member, ApgdAttack) and member.targets:
            candidate = _apgd_in_one_batch(model, x, y_B[active], member, seed=seed, indices=names)
        else:
            candidate = MEMBERS[type(member)](model, x, y_B[active], member, seed=seed, indices=names)
        candidate = project(candidate, x, spec.norm, spec.eps)  # a minimum-norm attack may leave the ball
        logits = model(candidate)
        success = active_goal.is_reached(logits)
        best.offer(active, candidate, active_goal.margin(logits), success)
        member_B[active] = torch.where(success, number, -1)
    if note is not None:
        note(member_B)
    return best.x_BCHW


def _apgd_in_one_batch(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: ApgdAttack, *, seed: int, indices: list[int]
) -> Tensor:
    """APGD towards all of its targets in one batch, which is faster for few images."""
    logits_BK = model(x_BCHW).scatter(1, y_B[:, None], -math.inf)
    target_TB = logits_BK.topk(min(spec.targets or 1, logits_BK.shape[1] - 1)).indices.T
    copies = len(target_TB)
    starts = [random_start(x_BCHW, spec.norm, spec.eps, seed, indices, number) for number in range(copies)]
    goal = Goal(y_B.repeat(copies))
    loss_goal = Goal(goal.label_B, target_TB.flatten())
    x_TBCHW, _, _ = climb(model, torch.cat(starts), x_BCHW.repeat(copies, 1, 1, 1), goal, loss_goal, spec)
    best_B = goal.margin(model(x_TBCHW)).view(copies, -1).argmax(0)
    return x_TBCHW.view(copies, *x_BCHW.shape)[best_B, torch.arange(len(best_B), device=best_B.device)]
