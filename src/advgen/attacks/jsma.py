"""The Jacobian saliency map attack: few pixels, changed to the extreme, one pair at a time."""

import torch
from torch import Tensor, nn

from advgen.attacks.common import is_check_due, pure, resolve_goal
from advgen.specs.attacks import JsmaAttack

PAIRS = 20_000_000  # pairs of pixels scored in one batch


@pure
def jsma(model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: JsmaAttack, *, seed: int, indices: list[int]) -> Tensor:
    """Repeatedly brightens the most salient pair of pixels by theta, in L0 [papernot2016limitations].

    A pair (p, q) is salient if it raises the target's logit and lowers the sum of all others; its weight is the
    product of the two. An image is finished when it reaches its target, when `spec.share` of its values have changed,
    or when no pair is salient. Values that have reached 1 are excluded.
    """
    goal = resolve_goal(model, x_BCHW, y_B, spec, seed=seed, indices=indices)
    assert goal.target_B is not None, "the spec requires a target"
    x_BP = x_BCHW.flatten(1).clone()
    changed_BP = torch.zeros_like(x_BP, dtype=torch.bool)
    most = int(spec.share * x_BP.shape[1])
    active = torch.arange(len(x_BP), device=x_BP.device)
    number = 0
    while len(active):
        number += 1
        logits, up, down = _saliency(model, x_BP[active].view(-1, *x_BCHW.shape[1:]), goal.target_B[active])
        is_open = (x_BP[active] < 1) & (changed_BP[active].sum(1) + 2 <= most)[:, None]
        pair, is_salient = _best_pairs(up, down, is_open)
        going = is_salient & ~goal.take(active).is_reached(logits)
        if is_check_due(number, x_BP):
            rows = going.nonzero().flatten()
            active, pair, going = active[rows], pair[rows], going[rows]
        for pixel in pair.unbind(1):
            before = x_BP[active, pixel]
            x_BP[active, pixel] = torch.where(going, (before + spec.theta).clamp_max(1), before)
            changed_BP[active, pixel] |= going
    return x_BP.view_as(x_BCHW)


def _saliency(model: nn.Module, x_BCHW: Tensor, target_B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The logits (B, K), and how much each value raises the target's logit and lowers the sum of the others (B, P)."""
    x_BCHW = x_BCHW.detach().requires_grad_()
    with torch.enable_grad():
        logits_BK = model(x_BCHW)
        target_logit_B = logits_BK.gather(1, target_B[:, None]).squeeze(1)
        (up,) = torch.autograd.grad(target_logit_B.sum(), x_BCHW, retain_graph=True)
        (down,) = torch.autograd.grad((target_logit_B - logits_BK.sum(1)).sum(), x_BCHW)
    return logits_BK.detach(), up.flatten(1), down.flatten(1)


def _best_pairs(up_BP: Tensor, down_BP: Tensor, open_BP: Tensor) -> tuple[Tensor, Tensor]:
    """The best pair of open values of each image (B, 2), and whether it is salient at all (B,).

    Only values that can be in the best pair are paired with each other. Such a value's weight with the best conceivable
    partner is at least the weight of a known pair.
    """
    up_BP, down_BP = (torch.where(open_BP, part, -torch.inf) for part in (up_BP, down_BP))
    bound_BP = _weight(up_BP, up_BP.amax(1, keepdim=True), down_BP, down_BP.amax(1, keepdim=True))
    first_B1 = bound_BP.argmax(1, keepdim=True)
    known_BP = _weight(up_BP, up_BP.gather(1, first_B1), down_BP, down_BP.gather(1, first_B1))
    known_B1 = known_BP.scatter(1, first_B1, 0).amax(1, keepdim=True)
    count = max(2, int(((bound_BP >= known_B1) & (bound_BP > 0)).sum(1).amax()))
    candidate_BN = bound_BP.topk(min(count, bound_BP.shape[1]), dim=1).indices
    best, weight = [], []
    for candidate, up, down in zip(
        *(part.split(max(1, PAIRS // count**2)) for part in (candidate_BN, up_BP, down_BP)), strict=True
    ):
        up, down = up.gather(1, candidate), down.gather(1, candidate)
        weight_BNN = _weight(up[:, :, None], up[:, None], down[:, :, None], down[:, None])
        weight_BNN.diagonal(dim1=1, dim2=2).zero_()
        top, flat = weight_BNN.flatten(1).max(1)
        weight.append(top)
        best.append(candidate.gather(1, torch.stack([flat // count, flat % count], dim=1)))
    return torch.cat(best), torch.cat(weight) > 0


def _weight(up_a: Tensor, up_b: Tensor, down_a: Tensor, down_b: Tensor) -> Tensor:
    """The weight of pairs: the rise of the target's logit times the fall of the others', 0 unless both are positive."""
    return (up_a + up_b).clamp_min(0) * (down_a + down_b).clamp_min(0)
