"""HopSkipJump: the smallest change found from predicted labels only."""

import math

import torch
from torch import Tensor, nn

from advgen import seeds
from advgen.attacks.best import SmallestExamples, where
from advgen.attacks.common import ROUNDING_TRIES, Goal, is_check_due, l2_norms, measure_norm, pure
from advgen.specs.attacks import HopSkipJumpAttack

ROWS = 1000  # images per forward pass
STARTS = 50  # noise images tried as the start of an image
HALVINGS = 15  # how often a step is halved at most
FIRST_RADIUS = 0.1
"""L2 distance of the random points from the first boundary point; later it depends on the size of the change."""


@pure
def hop_skip_jump(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: HopSkipJumpAttack, *, seed: int, indices: list[int]
) -> Tensor:
    """A walk along the boundary, whose normal is estimated from labels at random points [chen2020hopskipjump].

    The walk goes straight from misclassified noise to the boundary near the image. Then it repeats two moves: a step
    along the normal, and back to the boundary. Every query counts, including those for rounding, and no image uses more
    than `spec.queries`. Some networks assign a single class to all noise of full contrast, which the paper uses. So the
    contrast and brightness are random here, and the grains are 1, 2, 4 or 8 pixels wide. Misclassified images, and
    images without a start, are returned unchanged.
    """
    goal, pixels = Goal(y_B), x_BCHW[0].numel()
    queries = spec.queries - ROUNDING_TRIES * spec.rounded
    bisections = math.ceil((1.5 if spec.norm == "l2" else 2) * math.log2(pixels))  # as precise as published
    current_BCHW, started_B, used_B = _start(model, x_BCHW, goal, queries - bisections, seed, indices)
    smallest = SmallestExamples(x_BCHW)
    active, names = torch.arange(len(y_B), device=y_B.device), indices
    number, least = 0, 2  # `least` is the minimum number of queries used, known without waiting for the device
    while True:
        draws = int(spec.draws * math.sqrt(number))
        needed = draws + (number > 0) + bisections
        if least + needed > queries:
            break
        if is_check_due(number, x_BCHW):
            active = active[started_B[active] & (used_B[active] + needed <= queries)]
            names = [indices[row] for row in active.tolist()]
        if len(active) == 0:
            break
        x, current, active_goal, used = x_BCHW[active], current_BCHW[active], goal.take(active), used_B[active]
        going = started_B[active] & (used + needed <= queries)
        if number:
            distance = measure_norm(current - x, spec.norm)
            radius = torch.full_like(distance, FIRST_RADIUS) if number == 1 else distance / pixels
            normal = _estimate_normal(model, current, active_goal, radius, draws, spec.norm, seed, number, names)
            used = used + draws
            size = distance / math.sqrt(number)
            current, used = _step(model, current, normal, size, active_goal, used, going, queries - bisections)
        current = _to_boundary(model, x, current, active_goal, spec.norm, bisections)
        smallest.offer(active, current, measure_norm(current - x, spec.norm), going)
        current_BCHW[active] = where(going, current, current_BCHW[active])
        used_B[active] = torch.where(going, used + bisections, used_B[active])
        number, least = number + 1, least + needed
    return smallest.x_BCHW


def _start(
    model: nn.Module, x_BCHW: Tensor, goal: Goal, queries: int, seed: int, indices: list[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Misclassified noise for each image, whether there is some for a correct image (B,), and the queries used (B,)."""
    start_BCHW, shape = x_BCHW.clone(), x_BCHW.shape[1:]
    right_B = ~goal.is_reached(model(x_BCHW))
    started_B, used_B = torch.zeros_like(right_B), torch.ones_like(goal.label_B)
    active, names = torch.arange(len(x_BCHW), device=x_BCHW.device), indices
    for number in range(min(STARTS, queries - 1)):
        if is_check_due(number, x_BCHW):
            active = active[right_B[active] & ~started_B[active]]
            names = [indices[row] for row in active.tolist()]
        if len(active) == 0:
            break
        draw = seeds.uniform(seed, f"start {number}", names, 2 + shape.numel()).to(x_BCHW, non_blocking=True)
        low, high = draw[:, :1].minimum(draw[:, 1:2]), draw[:, :1].maximum(draw[:, 1:2])
        noise = _coarse((low + (high - low) * draw[:, 2:]).view(-1, *shape), 2 ** (number % 4))
        queried = right_B[active] & ~started_B[active]
        wrong = queried & goal.take(active).is_reached(model(noise))
        start_BCHW[active] = where(wrong, noise, start_BCHW[active])
        started_B[active], used_B[active] = started_B[active] | wrong, used_B[active] + queried
    return start_BCHW, started_B, used_B


def _coarse(noise_BCHW: Tensor, grain: int) -> Tensor:
    """Noise with larger grains: each square has the value of its first pixel."""
    row_H, column_W = (torch.arange(size, device=noise_BCHW.device) // grain * grain for size in noise_BCHW.shape[2:])
    return noise_BCHW[:, :, row_H[:, None], column_W]


def _estimate_normal(
    model: nn.Module,
    current_BCHW: Tensor,
    goal: Goal,
    radius_B: Tensor,
    draws: int,
    norm: str,
    seed: int,
    number: int,
    indices: list[int],
) -> Tensor:
    """The direction in which random points are misclassified more often, with length one in L2 or L∞."""
    draw = seeds.normal if norm == "l2" else seeds.uniform
    images, parts = max(1, ROWS // draws), []
    for start in range(0, len(indices), images):
        rows, names = slice(start, start + images), indices[start : start + images]
        centre, radius = current_BCHW[rows][:, None], radius_B[rows][:, None, None, None, None]
        noise = draw(seed, f"points {number}", names, draws, *current_BCHW.shape[1:])
        noise = noise.to(current_BCHW, non_blocking=True)
        noise = (noise if norm == "l2" else 2 * noise - 1).flatten(0, 1)
        noise = (noise / l2_norms(noise).to(noise.dtype)).unflatten(0, (len(names), draws))
        points = (centre + radius * noise).clamp(0, 1)
        goals = Goal(goal.label_B[rows].repeat_interleave(draws))
        sign = 2 * goals.is_reached(model(points.flatten(0, 1))).view(len(names), draws).to(noise.dtype) - 1
        mean = sign.mean(1, keepdim=True)
        weight = torch.where(mean.abs() == 1, sign, sign - mean)  # lowers the variance of the estimate
        parts.append((weight[:, :, None, None, None] * (points - centre) / radius).mean(1))
    normal_BCHW = torch.cat(parts)
    if norm == "linf":
        return normal_BCHW.sign()
    return normal_BCHW / l2_norms(normal_BCHW).clamp_min(1e-30).to(normal_BCHW.dtype)


def _step(
    model: nn.Module,
    current_BCHW: Tensor,
    normal_BCHW: Tensor,
    size_B: Tensor,
    goal: Goal,
    used_B: Tensor,
    going_B: Tensor,
    queries: int,
) -> tuple[Tensor, Tensor]:
    """The first misclassified image along the normal, with the step halved until then, and the queries used (B,)."""
    moved_BCHW, active, done_B = current_BCHW.clone(), torch.arange(len(size_B), device=size_B.device), ~going_B
    used_B = used_B.clone()
    for number in range(HALVINGS):
        if is_check_due(number, current_BCHW):
            active = active[~done_B[active] & (used_B[active] < queries)]
            if len(active) == 0:
                break
        size = size_B[active, None, None, None] / 2**number
        candidate = (current_BCHW[active] + size * normal_BCHW[active]).clamp(0, 1)
        queried = ~done_B[active] & (used_B[active] < queries)
        wrong = queried & goal.take(active).is_reached(model(candidate))
        moved_BCHW[active] = where(wrong, candidate, moved_BCHW[active])
        done_B[active], used_B[active] = done_B[active] | wrong, used_B[active] + queried
    return moved_BCHW, used_B


def _to_boundary(
    model: nn.Module, x_BCHW: Tensor, wrong_BCHW: Tensor, goal: Goal, norm: str, bisections: int
) -> Tensor:
    """The misclassified image nearest to the clean one between the two.

    In L2 the images between them lie on a line. In L∞ every change is clipped to the same bound.
    """
    delta_BCHW, nearest_BCHW = wrong_BCHW - x_BCHW, wrong_BCHW
    low_B111 = torch.zeros_like(x_BCHW[:, :1, :1, :1])
    high_B111 = torch.ones_like(low_B111) if norm == "l2" else measure_norm(delta_BCHW, norm)[:, None, None, None]
    for _ in range(bisections):
        middle_B111 = (low_B111 + high_B111) / 2
        clipped_BCHW = delta_BCHW * middle_B111 if norm == "l2" else delta_BCHW.clamp(-middle_B111, middle_B111)
        candidate_BCHW = (x_BCHW + clipped_BCHW).clamp(0, 1)
        success_B = goal.is_reached(model(candidate_BCHW))
        nearest_BCHW = where(success_B, candidate_BCHW, nearest_BCHW)
        low_B111 = where(success_B, low_B111, middle_B111)
        high_B111 = where(success_B, middle_B111, high_B111)
    return nearest_BCHW
