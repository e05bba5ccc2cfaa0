"""Shared parts of the attacks: goals, losses, input gradients and projections.

An attack is a pure function `attack(model, x_BCHW, y_B, spec, *, seed, indices)`. It takes float images in [0, 1] with
their true labels and returns adversarial images. It never changes a parameter, a `.grad`, a module's mode or the global
random state. Random numbers depend on the seed and the example's index only, so a row does not depend on its batch.

Attacks do no more work on examples that are finished. On the CPU these leave the batch at once. On other devices that
would force the host to wait, so finished examples stay in the batch behind a mask until `is_check_due`.
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
from advgen.attacks.best import BestExamples
from advgen.models.few_channels import accelerate_convolutions
from advgen.models.predict import eval_mode
from advgen.specs.attacks import AttackSpec, MinimumNormAttack, RegionAttack, TargetedAttack

Attack = Callable[..., Tensor]
Result = TypeVar("Result")
Loss = Literal["cross_entropy", "normalized_cross_entropy", "margin", "dlr"]
CHECK_INTERVAL = 20  # iterations between two checks for finished examples on a device that runs asynchronously
COMPACTION_SHARE = 0.75  # finished rows are removed from large states once fewer than this share of the rows is active
LOGIT_RANGE = 20.0
"""The normalized cross-entropy scales the logits so that the largest exceeds the smallest by this much."""
ROUNDING_GROWTH, ROUNDING_TRIES = 1.05, 60
"""Factor by which a change grows until its rounded version succeeds, and the number of tries (up to 18 times)."""


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Put the model in eval mode and turn off its parameters' gradients inside the block.

    Both are restored afterwards, even after an exception. Without parameter gradients the forward pass saves less.
    """
    before = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    with eval_mode(model):
        try:
            for parameter, _ in before:
                parameter.requires_grad_(False)
            yield
        finally:
            for parameter, requires_grad in before:
                parameter.requires_grad_(requires_grad)


def pure(attack: Callable[..., Result]) -> Callable[..., Result]:
    """Decorate an attack so that it runs with the model frozen and gradients off, except where it enables them.

    For a minimum-norm attack whose spec sets `rounded`, the result is also rounded to 256 grey levels.
    """

    @wraps(attack)
    def run(model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: Any, **keys: Any) -> Result:
        with frozen(model), torch.no_grad():
            fast = accelerate_convolutions(model)
            result = attack(fast, x_BCHW, y_B, spec, **keys)
            if not (isinstance(spec, MinimumNormAttack) and spec.rounded):
                return result
            goal = resolve_goal(fast, x_BCHW, y_B, spec, **keys)
            return cast(Result, _quantize_successfully(fast, x_BCHW, cast(Tensor, result), goal))

    return run


def quantize(x_BCHW: Tensor) -> Tensor:
    """Images rounded to 256 grey levels, as an 8-bit file stores them; float, on the [0, 1] scale."""
    return (255 * x_BCHW).round() / 255


def _quantize_successfully(model: nn.Module, x_BCHW: Tensor, x_adv_BCHW: Tensor, goal: Goal) -> Tensor:
    """The first rounded images on the line from `x_BCHW` through `x_adv_BCHW` and beyond that reach their goal.

    Rounding undoes changes of less than half a grey level, so it often moves the smallest adversarial changes back
    across the boundary. Images without a successful rounded version are returned unchanged.
    """
    best = BestExamples(x_BCHW)
    active = (x_adv_BCHW != x_BCHW).flatten(1).any(1).nonzero().flatten()
    for number in range(ROUNDING_TRIES):
        if len(active) == 0:
            break
        x = x_BCHW[active]
        candidate = quantize((x + ROUNDING_GROWTH**number * (x_adv_BCHW[active] - x)).clamp(0, 1))
        success = goal.take(active).is_reached(model(candidate))
        best.offer(active, candidate, torch.full_like(x[:, 0, 0, 0], -math.inf), success)
        if is_check_due(number, x):
            active = active[~best.success_B[active]]
    return best.x_BCHW


def is_check_due(iteration: int, like: Tensor) -> bool:
    """Whether to check for finished examples now, `iteration` iterations after the start: on the CPU always."""
    return like.device.type == "cpu" or (iteration > 0 and iteration % CHECK_INTERVAL == 0)


class Goal(NamedTuple):
    """The goal for each example: to be assigned its target class or, without targets, any class but its label."""

    label_B: Tensor
    target_B: Tensor | None = None

    def take(self, rows: Tensor) -> Goal:
        """The goals of some rows (positions or a mask)."""
        return Goal(self.label_B[rows], None if self.target_B is None else self.target_B[rows])

    @property
    def class_B1(self) -> Tensor:
        """The class whose logit the attack raises (the target) or lowers (the label), (B, 1)."""
        return (self.label_B if self.target_B is None else self.target_B)[:, None]

    def is_reached(self, logits_BK: Tensor) -> Tensor:
        """Whether the predicted class of each example meets its goal, (B,)."""
        predicted_B = logits_BK.argmax(1)
        return predicted_B != self.label_B if self.target_B is None else predicted_B == self.target_B

    def margin(self, logits_BK: Tensor) -> Tensor:
        """The lead of the target over all other classes, or of any other class over the label, (B,).

        It is positive where the goal is reached [carlini2017towards].
        """
        lead_B = logits_BK.gather(1, self.class_B1).squeeze(1) - logits_BK.scatter(1, self.class_B1, -math.inf).amax(1)
        return -lead_B if self.target_B is None else lead_B

    def slope(self, logits_BK: Tensor) -> tuple[Tensor, Tensor]:
        """The margin (B,) and its gradient (B, K). Its entries are 1 and -1, so this is faster than autograd."""
        rival_B1 = logits_BK.scatter(1, self.class_B1, -math.inf).argmax(1, keepdim=True)
        pair = (rival_B1, self.class_B1)
        up_B1, down_B1 = pair if self.target_B is None else pair[::-1]
        margin_B = (logits_BK.gather(1, up_B1) - logits_BK.gather(1, down_B1)).squeeze(1)
        return margin_B, torch.zeros_like(logits_BK).scatter_(1, up_B1, 1).scatter_(1, down_B1, -1)

    def loss(self, kind: Loss, logits_BK: Tensor) -> Tensor:
        """The loss that an attack maximises, (B,)."""
        if kind == "cross_entropy":
            return self._log_odds(logits_BK)
        if kind == "normalized_cross_entropy":
            range_B1 = (logits_BK.amax(1, keepdim=True) - logits_BK.amin(1, keepdim=True)).detach()
            return self._log_odds(logits_BK * (LOGIT_RANGE / range_B1.clamp_min(1e-30)))
        return self.margin(logits_BK) if kind == "margin" else self._dlr(logits_BK)

    def cross_entropy(self, logits_BK: Tensor) -> Tensor:
        """The cross-entropy of the label, or the negative cross-entropy of the target, (B,)."""
        loss_B = cross_entropy(logits_BK, self.class_B1.squeeze(1), reduction="none")
        return loss_B if self.target_B is None else -loss_B

    def _log_odds(self, logits_BK: Tensor) -> Tensor:
        """log((1 - p) / p) of the label, or log(p / (1 - p)) of the target.

        It rises with the cross-entropy -log p (falls, for a target), so gradient steps have the same direction. Its
        gradient does not vanish where p rounds to one, unlike that of the cross-entropy.
        """
        others_B = logits_BK.scatter(1, self.class_B1, -math.inf).logsumexp(1)
        odds_B = others_B - logits_BK.gather(1, self.class_B1).squeeze(1)
        return odds_B if self.target_B is None else -odds_B

    def _dlr(self, logits_BK: Tensor) -> Tensor:
        """The difference of logits ratio, which is invariant to the scale of the logits [croce2020reliable]."""
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
    """The goal of a spec with its target classes resolved; a random target depends on seed and index only."""
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
    """The gradient of each example's `loss` (logits (B, K) to (B,)) at its pixels, and the logits.

    The model must be frozen. The losses are summed, not averaged, so a row does not depend on the batch size.
    """
    x_BCHW = x_BCHW.detach().requires_grad_()
    with torch.enable_grad():
        logits_BK = model(x_BCHW)
        (gradient_BCHW,) = torch.autograd.grad(loss(logits_BK).sum(), x_BCHW)
    return gradient_BCHW, logits_BK.detach()


def l2_norms(delta_BCHW: Tensor) -> Tensor:
    """L2 norm of each example, (B, 1, 1, 1), in float64: a float32 sum over many pixels could leave the ball."""
    return torch.linalg.vector_norm(delta_BCHW, dim=(1, 2, 3), keepdim=True, dtype=torch.float64)


def measure_norm(delta_BCHW: Tensor, norm: str) -> Tensor:
    """The norm of each change, (B,). In L0 it is the number of pixels that change in any channel."""
    if norm == "l0":
        return (delta_BCHW != 0).any(1).flatten(1).sum(1).to(delta_BCHW.dtype)
    if norm == "linf":
        return delta_BCHW.abs().amax((1, 2, 3))
    if norm == "l1":
        return delta_BCHW.abs().sum((1, 2, 3))
    return l2_norms(delta_BCHW).flatten().to(delta_BCHW.dtype)


def measure_perturbations(a_NCHW: Tensor, b_NCHW: Tensor) -> dict[str, Tensor]:
    """`linf`, `l2`, `l0` (pixels that differ in any channel) and `rms` of the difference of each pair of images."""
    delta_ND = (a_NCHW - b_NCHW).flatten(1).double()
    l2_N = delta_ND.norm(dim=1)
    return {
        "linf": delta_ND.abs().amax(1),
        "l2": l2_N,
        "l0": (a_NCHW != b_NCHW).any(1).flatten(1).sum(1),
        "rms": l2_N / delta_ND.shape[1] ** 0.5,
    }


def project(x_adv_BCHW: Tensor, x_BCHW: Tensor, norm: str, eps: float) -> Tensor:
    """Project images onto the ball of radius `eps` around `x_BCHW`, then onto the box [0, 1].

    The second projection cannot leave the ball: `x_BCHW` is in the box, and each pixel moves towards it.
    """
    if norm == "linf":
        x_adv_BCHW = torch.maximum(torch.minimum(x_adv_BCHW, x_BCHW + eps), x_BCHW - eps)
    elif norm == "l1":
        change_BCHW = project_l1(x_adv_BCHW - x_BCHW, x_BCHW, torch.full_like(x_BCHW[:, 0, 0, 0], eps))
        x_adv_BCHW = x_BCHW + change_BCHW
    else:
        delta_BCHW = x_adv_BCHW - x_BCHW
        shrink = (eps / l2_norms(delta_BCHW).clamp_min(1e-30)).clamp_max(1)
        x_adv_BCHW = x_BCHW + delta_BCHW * shrink.to(delta_BCHW.dtype)
    return x_adv_BCHW.clamp(0, 1)


def distance_to_box(delta_BCHW: Tensor, x_BCHW: Tensor) -> Tensor:
    """How far each pixel can move in the direction of its change before it reaches 0 or 1."""
    return torch.where(delta_BCHW > 0, 1 - x_BCHW, x_BCHW)


def project_l1(delta_BCHW: Tensor, x_BCHW: Tensor, eps_B: Tensor) -> Tensor:
    """The nearest change of `x_BCHW` with an L1 norm up to `eps_B` that stays in the box, exactly [croce2021mind].

    The same amount is subtracted from the size of every pixel's change, and the rest is clipped to the box. Between
    the amounts at which a pixel begins to count and at which it reaches the box, the norm is linear in the amount. So
    these amounts are sorted.
    """
    size_BP = delta_BCHW.abs().flatten(1).double()
    limit_BP = distance_to_box(delta_BCHW, x_BCHW).flatten(1).double()
    edge_BE = torch.cat([size_BP, size_BP - limit_BP], dim=1)
    edge_BE, order_BE = edge_BE.sort(dim=1, descending=True, stable=True)
    count_BE = torch.where(order_BE < size_BP.shape[1], 1, -1).cumsum(1)  # pixels that grow below an edge
    grown_BE = ((edge_BE[:, :-1] - edge_BE[:, 1:]) * count_BE[:, :-1]).cumsum(1)
    norm_BE = torch.cat([torch.zeros_like(grown_BE[:, :1]), grown_BE], dim=1)
    eps_B1 = eps_B[:, None].double()
    last_B1 = ((norm_BE < eps_B1).sum(1, keepdim=True) - 1).clamp_min(0)
    edge_B1, norm_B1, count_B1 = (one.gather(1, last_B1) for one in (edge_BE, norm_BE, count_BE))
    amount_B1 = (edge_B1 - (eps_B1 - norm_B1) / count_B1.clamp_min(1)).clamp_min(0)
    new_size_BP = (size_BP - amount_B1).clamp_min(0).minimum(limit_BP)
    return delta_BCHW.sign() * new_size_BP.to(delta_BCHW.dtype).view_as(delta_BCHW)


def region_mask(spec: RegionAttack, x_BCHW: Tensor, seed: int, indices: list[int]) -> Tensor:
    """The pixels of each image that a region attack may change, (B, 1, H, W) as bool."""
    channels, height, width = x_BCHW.shape[1:]
    mask = registry.resolve(spec.region)
    known_BHW: Tensor = mask(spec.region, (channels, height, width), seed=seed, indices=indices)
    return ~known_BHW[:, None].to(x_BCHW.device)
