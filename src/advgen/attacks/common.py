"""What the attacks share: targets, losses, gradients at the input, and projections.

An attack is a pure function `attack(model, x_BCHW, y_B, spec, *, seed, indices)` from float images in [0, 1] with their
true labels to adversarial ones. It never changes a parameter, a `.grad`, a module's mode or the global random state.
Random numbers are drawn per (seed, example index), so a row does not depend on its batch.

An example that is done is left alone. On the CPU it also leaves the batch at once, which spares its work; on another
device the host would have to wait for the answer, so there it stays behind a mask until the next look (`looks`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Literal, NamedTuple, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from advgen import registry, seeds
from advgen.models.few_channels import accelerate_convolutions
from advgen.models.predict import eval_mode
from advgen.specs.attacks import AttackSpec, MinimumNormAttack, RegionAttack, TargetedAttack

Attack = Callable[..., Tensor]
Made = TypeVar("Made")
Loss = Literal["cross_entropy", "normalized_cross_entropy", "margin", "dlr"]
CHECK_INTERVAL = 20
"""Iterations between two looks at a device that computes while the host goes on."""
WORTHWHILE = 0.75
"""Share of rows at work under which the others are set aside, where that costs a copy of much."""
SPREAD = 20.0
"""Difference of the largest and the smallest logit to which the normalized cross-entropy scales them."""
LONGER, TRIES = 1.05, 60
"""By which a change grows until it fools when rounded, and how often: to eighteen times its length."""


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Eval mode and parameters without gradients inside the block, both restored after it, on exceptions too.

    Parameters that need no gradient save the forward pass what only their gradients would use.
    """
    wanted = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    with eval_mode(model):
        try:
            for parameter, _ in wanted:
                parameter.requires_grad_(False)
            yield
        finally:
            for parameter, requires_grad in wanted:
                parameter.requires_grad_(requires_grad)


def pure(attack: Callable[..., Made]) -> Callable[..., Made]:
    """An attack that runs with the model frozen and gradients off but where it asks for them.

    One that seeks the smallest change gives images of 256 grey levels where its spec asks for them.
    """

    @wraps(attack)
    def run(model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: Any, **keys: Any) -> Made:
        with frozen(model), torch.no_grad():
            fast = accelerate_convolutions(model)
            made = attack(fast, x_BCHW, y_B, spec, **keys)
            if not (isinstance(spec, MinimumNormAttack) and spec.rounded):
                return made
            goal = resolve_goal(fast, x_BCHW, y_B, spec, **keys)
            return cast(Made, _fooling_rounded(fast, x_BCHW, cast(Tensor, made), goal))

    return run


def quantize(x_BCHW: Tensor) -> Tensor:
    """Images as they are after they were saved with 256 grey levels."""
    return (255 * x_BCHW).round() / 255


def _fooling_rounded(model: nn.Module, x_BCHW: Tensor, x_adv_BCHW: Tensor, goal: Goal) -> Tensor:
    """The first rounded images on the way from `x_BCHW` through `x_adv_BCHW` and beyond that reach their goal.

    Rounding undoes changes of less than half a grey level, so the smallest changes often end at the boundary's other
    side. Images that reach their goal nowhere on this way stay as they are.
    """
    result_BCHW = x_BCHW.clone()
    left = (x_adv_BCHW != x_BCHW).flatten(1).any(1).nonzero().flatten()
    found_B = torch.zeros(len(x_BCHW), dtype=torch.bool, device=x_BCHW.device)
    for number in range(TRIES):
        if len(left) == 0:
            break
        x = x_BCHW[left]
        tried = quantize((x + LONGER**number * (x_adv_BCHW[left] - x)).clamp(0, 1))
        first = goal.take(left).is_reached(model(tried)) & ~found_B[left]
        result_BCHW[left] = where(first, tried, result_BCHW[left])
        found_B[left] |= first
        if is_check_due(number, x):
            left = left[~found_B[left]]
    return result_BCHW


def is_check_due(iteration: int, like: Tensor) -> bool:
    """Whether to look now, `iteration` iterations after the start, which examples are done."""
    return like.device.type == "cpu" or (iteration > 0 and iteration % CHECK_INTERVAL == 0)


def where(condition_B: Tensor, yes_BCHW: Tensor, no_BCHW: Tensor) -> Tensor:
    """Each image from one of two batches."""
    return replace(no_BCHW.clone(), condition_B, yes_BCHW)


def replace(batch_BX: Tensor, condition_B: Tensor, by_BX: Tensor) -> Tensor:
    """Some rows of a batch become those of another one, in place. A CPU copies rows faster than it chooses numbers."""
    if batch_BX.device.type == "cpu":
        rows = condition_B.nonzero().flatten()
        return batch_BX.index_copy_(0, rows, by_BX.index_select(0, rows))
    condition_BX = condition_B.view(-1, *[1] * (batch_BX.dim() - 1))
    return torch.where(condition_BX, by_BX, batch_BX, out=batch_BX)


class Goal(NamedTuple):
    """What is wanted of each example: to reach its target class or, without targets, to leave its label."""

    label_B: Tensor
    target_B: Tensor | None = None

    def take(self, rows: Tensor) -> Goal:
        """The goal of some rows (positions or a mask)."""
        return Goal(self.label_B[rows], None if self.target_B is None else self.target_B[rows])

    def is_reached(self, logits_BK: Tensor) -> Tensor:
        """Whether each example's predicted label is as wanted, (B,)."""
        predicted_B = logits_BK.argmax(1)
        return predicted_B != self.label_B if self.target_B is None else predicted_B == self.target_B

    def margin(self, logits_BK: Tensor) -> Tensor:
        """By how much the wanted class leads, (B,); positive where the goal is reached [carlini2017towards]."""
        aim_B1 = (self.label_B if self.target_B is None else self.target_B)[:, None]
        lead_B = logits_BK.gather(1, aim_B1).squeeze(1) - logits_BK.scatter(1, aim_B1, -math.inf).amax(1)
        return -lead_B if self.target_B is None else lead_B

    def slope(self, logits_BK: Tensor) -> tuple[Tensor, Tensor]:
        """The margin (B,) and its gradient (B, K), which is one and minus one: autograd would take longer."""
        aim_B1 = (self.label_B if self.target_B is None else self.target_B)[:, None]
        rival_B1 = logits_BK.scatter(1, aim_B1, -math.inf).argmax(1, keepdim=True)
        first_B1, second_B1 = (rival_B1, aim_B1) if self.target_B is None else (aim_B1, rival_B1)
        margin_B = (logits_BK.gather(1, first_B1) - logits_BK.gather(1, second_B1)).squeeze(1)
        return margin_B, torch.zeros_like(logits_BK).scatter_(1, first_B1, 1).scatter_(1, second_B1, -1)

    def loss(self, kind: Loss, logits_BK: Tensor) -> Tensor:
        """What an attack climbs, (B,): it grows as the goal comes nearer."""
        if kind == "cross_entropy":
            return self._log_odds(logits_BK)
        if kind == "normalized_cross_entropy":
            spread_B1 = (logits_BK.amax(1, keepdim=True) - logits_BK.amin(1, keepdim=True)).detach()
            return self._log_odds(logits_BK * (SPREAD / spread_B1.clamp_min(1e-30)))
        if kind == "margin":
            return self.margin(logits_BK)
        return self._dlr(logits_BK)

    def cross_entropy(self, logits_BK: Tensor) -> Tensor:
        """The cross-entropy of the label, or the negative one of the target, (B,)."""
        if self.target_B is None:
            return cross_entropy(logits_BK, self.label_B, reduction="none")
        return -cross_entropy(logits_BK, self.target_B, reduction="none")

    def _log_odds(self, logits_BK: Tensor) -> Tensor:
        """log((1 - p) / p) of the label, or log(p / (1 - p)) of the target.

        It rises with the cross-entropy -log p (falls with it for a target), so each step goes the same way. Unlike the
        cross-entropy's, its gradient does not vanish where p rounds to one.
        """
        aim_B1 = (self.label_B if self.target_B is None else self.target_B)[:, None]
        odds_B = logits_BK.scatter(1, aim_B1, -math.inf).logsumexp(1) - logits_BK.gather(1, aim_B1).squeeze(1)
        return odds_B if self.target_B is None else -odds_B

    def _dlr(self, logits_BK: Tensor) -> Tensor:
        """The difference of logits ratio, which no scaling of the logits changes [croce2020reliable]."""
        needed = 3 if self.target_B is None else 4
        if logits_BK.shape[1] < needed:
            which = "a targeted" if self.target_B is not None else "the"
            raise ValueError(f"{which} dlr loss needs {needed} classes, the model has {logits_BK.shape[1]}")
        top_BK = logits_BK.topk(needed, dim=1).values
        if self.target_B is None:
            return self.margin(logits_BK) / (top_BK[:, 0] - top_BK[:, 2]).clamp_min(1e-12)
        of_label_B, of_target_B = (logits_BK.gather(1, c[:, None]).squeeze(1) for c in (self.label_B, self.target_B))
        spread_B = top_BK[:, 0] - (top_BK[:, 2] + top_BK[:, 3]) / 2
        return (of_target_B - of_label_B) / spread_B.clamp_min(1e-12)


def resolve_goal(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: AttackSpec, *, seed: int, indices: list[int]
) -> Goal:
    """The goal that `spec` states, its targets resolved; a random target depends on seed and index alone."""
    target = spec.target if isinstance(spec, TargetedAttack) else None
    if target is None:
        return Goal(y_B)
    logits_BK = model(x_BCHW)
    classes = logits_BK.shape[1]
    if target == "nearest":
        return Goal(y_B, logits_BK.scatter(1, y_B[:, None], -math.inf).argmax(1))
    if target == "random":
        step_B = 1 + (seeds.uniform(seed, "target", indices) * (classes - 1)).long()
        return Goal(y_B, (y_B + step_B.to(y_B.device)) % classes)
    assert isinstance(target, int)
    if target >= classes:
        raise ValueError(f"target class {target} does not exist; the model has classes 0 to {classes - 1}")
    return Goal(y_B, torch.full_like(y_B, target))


def input_gradient(
    model: Callable[[Tensor], Tensor], x_BCHW: Tensor, loss: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Gradient of each example's `loss` (logits (B, K) to (B,)) at its pixels, and the logits; the model is frozen.

    The losses are summed, not averaged, so that a row does not depend on the size of its batch.
    """
    x_BCHW = x_BCHW.detach().requires_grad_()
    with torch.enable_grad():
        logits_BK = model(x_BCHW)
        (gradient_BCHW,) = torch.autograd.grad(loss(logits_BK).sum(), x_BCHW)
    return gradient_BCHW, logits_BK.detach()


def l2_norms(delta_BCHW: Tensor) -> Tensor:
    """L2 norm of each example, (B, 1, 1, 1), in float64: a float32 sum over many pixels could miss the ball's edge."""
    return torch.linalg.vector_norm(delta_BCHW, dim=(1, 2, 3), keepdim=True, dtype=torch.float64)


def measure_norm(delta_BCHW: Tensor, norm: str) -> Tensor:
    """The norm of each change, (B,); in L0 the number of pixels that change in any channel."""
    if norm == "l0":
        return (delta_BCHW != 0).any(1).flatten(1).sum(1).to(delta_BCHW.dtype)
    if norm == "linf":
        return delta_BCHW.abs().amax((1, 2, 3))
    if norm == "l1":
        return delta_BCHW.abs().sum((1, 2, 3))
    return l2_norms(delta_BCHW).flatten().to(delta_BCHW.dtype)


def project(x_adv_BCHW: Tensor, x_BCHW: Tensor, norm: str, eps: float) -> Tensor:
    """The images moved into the ball of radius `eps` around `x_BCHW`, then into the box [0, 1].

    The box cannot lead out of the ball again, because `x_BCHW` lies in the box and each pixel moves towards it.
    """
    if norm == "linf":
        x_adv_BCHW = torch.maximum(torch.minimum(x_adv_BCHW, x_BCHW + eps), x_BCHW - eps)
    elif norm == "l1":
        delta_BCHW = x_adv_BCHW - x_BCHW
        room_BCHW = torch.where(delta_BCHW > 0, 1 - x_BCHW, x_BCHW)
        x_adv_BCHW = x_BCHW + project_l1(delta_BCHW, room_BCHW, torch.full_like(x_BCHW[:, 0, 0, 0], eps))
    else:
        delta_BCHW = x_adv_BCHW - x_BCHW
        shrink = (eps / l2_norms(delta_BCHW).clamp_min(1e-30)).clamp_max(1)
        x_adv_BCHW = x_BCHW + delta_BCHW * shrink.to(delta_BCHW.dtype)
    return x_adv_BCHW.clamp(0, 1)


def project_l1(delta_BCHW: Tensor, room_BCHW: Tensor, eps_B: Tensor) -> Tensor:
    """The nearest change with an L1 norm up to `eps_B` and no pixel over its room, exactly [croce2021mind].

    The same is taken from every pixel's size, and what is left is cut to its room. The norm is linear in what is taken
    between the edges where a pixel begins to count and where its room is used up, so these are sorted.
    """
    size_BP, room_BP = delta_BCHW.abs().flatten(1).double(), room_BCHW.flatten(1).double()
    edge_BE = torch.cat([size_BP, size_BP - room_BP], dim=1)
    edge_BE, order_BE = edge_BE.sort(dim=1, descending=True, stable=True)
    count_BE = torch.where(order_BE < size_BP.shape[1], 1, -1).cumsum(1)  # pixels that grow below an edge
    grown_BE = ((edge_BE[:, :-1] - edge_BE[:, 1:]) * count_BE[:, :-1]).cumsum(1)
    norm_BE = torch.cat([torch.zeros_like(grown_BE[:, :1]), grown_BE], dim=1)
    eps_B1 = eps_B[:, None].double()
    last_B1 = ((norm_BE < eps_B1).sum(1, keepdim=True) - 1).clamp_min(0)
    edge_B1, norm_B1, count_B1 = (one.gather(1, last_B1) for one in (edge_BE, norm_BE, count_BE))
    taken_B1 = (edge_B1 - (eps_B1 - norm_B1) / count_B1.clamp_min(1)).clamp_min(0)
    kept_BP = (size_BP - taken_B1).clamp_min(0).minimum(room_BP)
    return delta_BCHW.sign() * kept_BP.to(delta_BCHW.dtype).view_as(delta_BCHW)


def region_mask(spec: RegionAttack, x_BCHW: Tensor, seed: int, indices: list[int]) -> Tensor:
    """Which pixels of each image lie in the attack's region, (B, 1, H, W) as bool."""
    channels, height, width = x_BCHW.shape[1:]
    mask = registry.resolve(spec.region)
    known_BHW: Tensor = mask(spec.region, (channels, height, width), seed=seed, indices=indices)
    return ~known_BHW[:, None].to(x_BCHW.device)
