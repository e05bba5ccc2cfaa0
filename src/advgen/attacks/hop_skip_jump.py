"""HopSkipJump: the smallest change that is found by who sees labels alone."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from advgen import seeds
from advgen.attacks.common import TRIES, Goal, is_check_due, l2_norms, measure_norm, pure, where
from advgen.specs.attacks import HopSkipJumpAttack

ROWS = 1000
"""Images shown to the model at a time."""
STARTS = 50
"""Images of noise that are tried before an image is given up."""
HALVINGS = 15
"""Most times that a step is halved."""
FIRST_RADIUS = 0.1
"""How far from the first boundary point the random points lie, in L2; later it follows from the change's length."""


@pure
def hop_skip_jump(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: HopSkipJumpAttack, *, seed: int, indices: list[int]
) -> Tensor:
    """A walk along the boundary, whose normal is estimated from labels at random points [chen2020hopskipjump].

    From wrong noise it goes straight towards the image, to the boundary. Then, again and again, it steps along the
    normal and goes back to the boundary. Every label that is asked for counts, and no image has more than
    `spec.queries`, those of rounding included. Noise of full contrast, as published, is of one class for some networks,
    so here contrast and brightness are random, and grains are 1, 2, 4 or 8 pixels wide. Images that are wrong already
    stay as they are, and so do those without a start.
    """
    goal, pixels = Goal(y_B), x_BCHW[0].numel()
    queries = spec.queries - TRIES * spec.rounded
    bisections = math.ceil((1.5 if spec.norm == "l2" else 2) * math.log2(pixels))  # as close as published
    here_BCHW, walks_B, used_B = _start(model, x_BCHW, goal, queries - bisections, seed, indices)
    best_BCHW, smallest_B = x_BCHW.clone(), torch.full_like(x_BCHW[:, 0, 0, 0], math.inf)
    left, rows = torch.arange(len(y_B), device=y_B.device), indices
    number, least = 0, 2  # queries that any image has had, so that the host need not ask when all are through
    while True:
        draws = int(spec.draws * math.sqrt(number))
        needed = draws + (number > 0) + bisections
        if least + needed > queries:
            break
        if is_check_due(number, x_BCHW):
            left = left[walks_B[left] & (used_B[left] + needed <= queries)]
            rows = [indices[row] for row in left.tolist()]
        if len(left) == 0:
            break
        x, here, towards, used = x_BCHW[left], here_BCHW[left], goal.take(left), used_B[left]
        going = walks_B[left] & (used + needed <= queries)
        if number:
            far = measure_norm(here - x, spec.norm)
            radius = torch.full_like(far, FIRST_RADIUS) if number == 1 else far / pixels
            normal = _normal(model, here, towards, radius, draws, spec.norm, seed, number, rows)
            used = used + draws
            size = far / math.sqrt(number)
            here, used = _step(model, here, normal, size, towards, used, going, queries - bisections)
        here = _to_boundary(model, x, here, towards, spec.norm, bisections)
        length = measure_norm(here - x, spec.norm)
        better = going & (length < smallest_B[left])
        best_BCHW[left] = where(better, here, best_BCHW[left])
        smallest_B[left] = torch.where(better, length, smallest_B[left])
        here_BCHW[left] = where(going, here, here_BCHW[left])
        used_B[left] = torch.where(going, used + bisections, used_B[left])
        number, least = number + 1, least + needed
    return best_BCHW


def _start(
    model: nn.Module, x_BCHW: Tensor, goal: Goal, queries: int, seed: int, indices: list[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Wrong noise for each image, whether it has some and needs it (B,), and how many labels it has asked for (B,)."""
    start_BCHW, shape = x_BCHW.clone(), x_BCHW.shape[1:]
    right_B = ~goal.is_reached(model(x_BCHW))
    found_B, used_B = torch.zeros_like(right_B), torch.ones_like(goal.label_B)
    left, rows = torch.arange(len(x_BCHW), device=x_BCHW.device), indices
    for number in range(min(STARTS, queries - 1)):
        if is_check_due(number, x_BCHW):
            left = left[right_B[left] & ~found_B[left]]
            rows = [indices[row] for row in left.tolist()]
        if len(left) == 0:
            break
        draw = seeds.uniform(seed, f"start {number}", rows, 2 + shape.numel()).to(x_BCHW, non_blocking=True)
        low, high = draw[:, :1].minimum(draw[:, 1:2]), draw[:, :1].maximum(draw[:, 1:2])
        noise = _coarse((low + (high - low) * draw[:, 2:]).view(-1, *shape), 2 ** (number % 4))
        asks = right_B[left] & ~found_B[left]
        wrong = asks & goal.take(left).is_reached(model(noise))
        start_BCHW[left] = where(wrong, noise, start_BCHW[left])
        found_B[left], used_B[left] = found_B[left] | wrong, used_B[left] + asks
    return start_BCHW, found_B, used_B


def _coarse(noise_BCHW: Tensor, grain: int) -> Tensor:
    """Noise of larger grains: each square has the value of its first pixel."""
    row_H, column_W = (torch.arange(size, device=noise_BCHW.device) // grain * grain for size in noise_BCHW.shape[2:])
    return noise_BCHW[:, :, row_H[:, None], column_W]


def _normal(
    model: nn.Module,
    here_BCHW: Tensor,
    goal: Goal,
    radius_B: Tensor,
    draws: int,
    norm: str,
    seed: int,
    number: int,
    indices: list[int],
) -> Tensor:
    """The direction in which random points around are wrong more often, of length one in L2 or L∞."""
    draw = seeds.normal if norm == "l2" else seeds.uniform
    places = torch.arange(len(indices), device=here_BCHW.device).split(max(1, ROWS // draws))
    parts = []
    for rows, names in zip(places, _split(indices, max(1, ROWS // draws)), strict=True):
        here, radius = here_BCHW[rows][:, None], radius_B[rows][:, None, None, None, None]
        noise = draw(seed, f"points {number}", names, draws, *here_BCHW.shape[1:]).to(here_BCHW, non_blocking=True)
        noise = (noise if norm == "l2" else 2 * noise - 1).flatten(0, 1)
        noise = (noise / l2_norms(noise).to(noise.dtype)).unflatten(0, (len(names), draws))
        points = (here + radius * noise).clamp(0, 1)
        several = Goal(goal.label_B[rows].repeat_interleave(draws))
        sign = 2 * several.is_reached(model(points.flatten(0, 1))).view(len(names), draws).to(noise.dtype) - 1
        mean = sign.mean(1, keepdim=True)
        weight = torch.where(mean.abs() == 1, sign, sign - mean)  # which lowers the estimate's variance
        parts.append((weight[:, :, None, None, None] * (points - here) / radius).mean(1))
    normal_BCHW = torch.cat(parts)
    if norm == "linf":
        return normal_BCHW.sign()
    return normal_BCHW / l2_norms(normal_BCHW).clamp_min(1e-30).to(normal_BCHW.dtype)


def _split(indices: list[int], size: int) -> list[list[int]]:
    return [indices[start : start + size] for start in range(0, len(indices), size)]


def _step(
    model: nn.Module,
    here_BCHW: Tensor,
    normal_BCHW: Tensor,
    size_B: Tensor,
    goal: Goal,
    used_B: Tensor,
    going_B: Tensor,
    queries: int,
) -> tuple[Tensor, Tensor]:
    """The first wrong image along the normal, where the step is halved until it is, and the queries after it (B,)."""
    moved_BCHW, left, done_B = here_BCHW.clone(), torch.arange(len(size_B), device=size_B.device), ~going_B
    used_B = used_B.clone()
    for number in range(HALVINGS):
        if is_check_due(number, here_BCHW):
            left = left[~done_B[left] & (used_B[left] < queries)]
            if len(left) == 0:
                break
        size = size_B[left, None, None, None] / 2**number
        tried = (here_BCHW[left] + size * normal_BCHW[left]).clamp(0, 1)
        asks = ~done_B[left] & (used_B[left] < queries)
        wrong = asks & goal.take(left).is_reached(model(tried))
        moved_BCHW[left] = where(wrong, tried, moved_BCHW[left])
        done_B[left], used_B[left] = done_B[left] | wrong, used_B[left] + asks
    return moved_BCHW, used_B


def _to_boundary(
    model: nn.Module, x_BCHW: Tensor, wrong_BCHW: Tensor, goal: Goal, norm: str, bisections: int
) -> Tensor:
    """The wrong image nearest to the right one between the two: on a line, or in L∞ with all changes cut alike."""
    delta_BCHW, found_BCHW = wrong_BCHW - x_BCHW, wrong_BCHW
    low_B111 = torch.zeros_like(x_BCHW[:, :1, :1, :1])
    high_B111 = torch.ones_like(low_B111) if norm == "l2" else measure_norm(delta_BCHW, norm)[:, None, None, None]
    for _ in range(bisections):
        middle_B111 = (low_B111 + high_B111) / 2
        cut_BCHW = delta_BCHW * middle_B111 if norm == "l2" else delta_BCHW.clamp(-middle_B111, middle_B111)
        tried_BCHW = (x_BCHW + cut_BCHW).clamp(0, 1)
        reached_B = goal.is_reached(model(tried_BCHW))
        found_BCHW = where(reached_B, tried_BCHW, found_BCHW)
        low_B111 = where(reached_B, low_B111, middle_B111)
        high_B111 = where(reached_B, middle_B111, high_B111)
    return found_BCHW
