"""The Square attack: random search that sees scores alone, in L∞, L2 or L1."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from advgen import seeds
from advgen.attacks.common import Goal, is_check_due, project, project_l1, pure, where
from advgen.specs.attacks import SquareAttack

HALVINGS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""After which share of the queries the squares' area is halved, as published."""
L2_PASSES = 5
"""Passes of the projection onto an L2 ball inside the box; after five the norm is within a thousandth of its bound."""
STRETCH = 1.5
"""By how much longer than eps a change is before the projection, so that the box does not leave it shorter."""


@pure
def square(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: SquareAttack, *, seed: int, indices: list[int]
) -> Tensor:
    """Changes of squares at random places, kept where they raise the margin loss [andriushchenko2020square].

    In L∞ a square becomes ±eps, and the search begins with vertical stripes; in L2 and L1 the change of one square
    moves into another one. An image is left alone once its label is wrong.
    """
    if spec.norm != "linf":
        return _move_squares(model, x_BCHW, y_B, spec, seed, indices)
    channels, height, width = x_BCHW.shape[1:]
    stripes_BC1W = seeds.uniform(seed, "stripes", indices, channels, 1, width).to(x_BCHW.device)
    draws_BQN = seeds.uniform(seed, "squares", indices, spec.queries - 1, 2 + channels).to(x_BCHW.device)
    sides = [_side(query, spec, height, width) for query in range(spec.queries - 1)]
    side_Q = torch.tensor(sides).to(x_BCHW.device, non_blocking=True)
    top_BQ, start_BQ = (
        (draws_BQN[..., axis] * (size - side_Q + 1)).long() for axis, size in enumerate((height, width))
    )
    corner_BQ, falls_BQC = top_BQ * width + start_BQ, draws_BQN[..., 2:] < 0.5
    down, up = (project(x_BCHW + sign * spec.eps, x_BCHW, "linf", spec.eps).contiguous() for sign in (-1, 1))
    current = torch.where(stripes_BC1W < 0.5, down, up).contiguous()
    result_BCHW, goal = current.clone(), Goal(y_B)
    left = torch.arange(len(y_B), device=y_B.device)
    pixel_BCHW = torch.arange(x_BCHW.numel(), device=y_B.device).view_as(x_BCHW)
    margin = goal.margin(model(current))
    for query in range(spec.queries - 1):
        if is_check_due(query, x_BCHW):
            stay = (margin <= 0).nonzero().flatten()
            if len(stay) < len(left):
                result_BCHW[left] = current
                left, current, margin, down, up = (one[stay] for one in (left, current, margin, down, up))
                goal = goal.take(stay)
            if len(left) == 0:
                break
        side = sides[query]
        # Of all pixels only those of the squares are read and written; the images go through the model in their place.
        place = pixel_BCHW[: len(left), :, :side, :side] + corner_BQ[left, query][:, None, None, None]
        lower, before, upper = (one.view(-1)[place] for one in (down, current, up))
        falls = falls_BQC[left, query][:, :, None, None]
        tried = torch.where(falls, lower, upper)
        # Where nothing would change, the published attack draws again; here the opposite signs are taken.
        same = (tried == before).flatten(1).all(1)[:, None, None, None]
        tried = torch.where(same, torch.where(falls, upper, lower), tried)
        current.view(-1)[place] = tried
        found = goal.margin(model(current))
        better = (margin <= 0) & (found > margin)
        current.view(-1)[place] = where(better, tried, before)
        margin = torch.where(better, found, margin)
    result_BCHW[left] = current
    return result_BCHW


def _move_squares(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: SquareAttack, seed: int, indices: list[int]
) -> Tensor:
    """The search in L2 and L1, which keeps the norm of the whole change at eps.

    Each query takes the change of one square away and adds as much to another one, in the shape of a bump beside its
    opposite [andriushchenko2020square; in L1 croce2021mind].
    """
    channels, height, width = x_BCHW.shape[1:]
    order = 2 if spec.norm == "l2" else 1
    draws_BQN = seeds.uniform(seed, "squares", indices, spec.queries - 1, 5 + channels).to(x_BCHW.device)
    delta_BCHW = _bumps(x_BCHW, spec.norm, seed, indices)
    current = _onto_sphere(delta_BCHW, x_BCHW, spec)
    result_BCHW, goal, x = current.clone(), Goal(y_B), x_BCHW
    left = torch.arange(len(y_B), device=y_B.device)
    sides = [
        min(max(_side(query, spec, height, width), 3) // 2 * 2 + 1, height, width) for query in range(spec.queries)
    ]
    bumps = {side: _bump(side, side, spec.norm).to(x_BCHW, non_blocking=True) for side in set(sides)}
    margin = goal.margin(model(current))
    for query in range(spec.queries - 1):
        if is_check_due(query, x_BCHW):
            stay = (margin <= 0).nonzero().flatten()
            if len(stay) < len(left):
                result_BCHW[left] = current
                left, current, margin, x = (one[stay] for one in (left, current, margin, x))
                goal = goal.take(stay)
            if len(left) == 0:
                break
        side, draw_BN = sides[query], draws_BQN[left, query]
        to_BCSS, from_BCSS = (_places(draw_BN[:, axis : axis + 2], side, x.shape) for axis in (0, 2))
        bump = bumps[side]
        delta = (current - x).flatten(1)
        size_B1 = torch.linalg.vector_norm(delta, order, dim=1, keepdim=True)
        moved = delta.gather(1, to_BCSS.flatten(1)).view(to_BCSS.shape)
        delta.scatter_(1, to_BCSS.flatten(1), 0)
        taken = delta.gather(1, from_BCSS.flatten(1)).view(from_BCSS.shape)
        delta.scatter_(1, from_BCSS.flatten(1), 0)
        # per channel: what both squares held, and a share of what the box has cut off the whole change
        held_BC11 = sum(
            torch.linalg.vector_norm(one, order, dim=(2, 3), keepdim=True) ** order for one in (moved, taken)
        )
        spare_B1 = (spec.eps**order - size_B1**order).clamp_min(0) / channels
        budget_BC11 = (held_BC11 + spare_B1[..., None, None]) ** (1 / order)
        turned = torch.where(draw_BN[:, 4, None, None, None] < 0.5, bump, bump.T)
        signs = torch.where(draw_BN[:, 5:, None, None] < 0.5, -1.0, 1.0)
        new = turned * signs + _scaled(moved, order)
        delta.scatter_(1, to_BCSS.flatten(1), (_scaled(new, order) * budget_BC11).flatten(1))
        tried = _onto_sphere(delta.view_as(x), x, spec)
        found = goal.margin(model(tried))
        better = (margin <= 0) & (found > margin)
        current = where(better, tried, current)
        margin = torch.where(better, found, margin)
    result_BCHW[left] = current
    return result_BCHW


def _onto_sphere(delta_BCHW: Tensor, x_BCHW: Tensor, spec: SquareAttack) -> Tensor:
    """The images after a change that is scaled to the norm eps inside the box.

    The published search loses what the box cuts off; here the other pixels take it up.
    """
    order, shrink = (2, project_l2) if spec.norm == "l2" else (1, project_l1)
    size_B111 = torch.linalg.vector_norm(delta_BCHW, order, dim=(1, 2, 3), keepdim=True)
    delta_BCHW = STRETCH * spec.eps * delta_BCHW / size_B111.clamp_min(1e-12)
    room_BCHW = torch.where(delta_BCHW > 0, 1 - x_BCHW, x_BCHW)
    kept_BCHW = shrink(delta_BCHW, room_BCHW, torch.full_like(x_BCHW[:, 0, 0, 0], spec.eps))
    return (x_BCHW + kept_BCHW).clamp(0, 1)


def project_l2(delta_BCHW: Tensor, room_BCHW: Tensor, eps_B: Tensor) -> Tensor:
    """The nearest change with an L2 norm up to `eps_B` and no pixel over its room.

    It is `scale * delta`, cut to the room, with the largest scale up to one that the norm allows. The scale rises from
    one that is too small: pixels that are cut leave more of the norm to the others. Each pass keeps the norm.
    """
    size_BP, room_BP = delta_BCHW.abs().flatten(1).double(), room_BCHW.flatten(1).double()
    square_BP, eps_B1 = size_BP.square(), eps_B[:, None].double()
    scale_B1 = eps_B1 / square_BP.sum(1, keepdim=True).sqrt().clamp_min(1e-150)
    for _ in range(L2_PASSES):
        cut_BP = scale_B1 * size_BP > room_BP
        left_B1 = eps_B1.square() - (room_BP.square() * cut_BP).sum(1, keepdim=True)
        rest_B1 = square_BP.masked_fill(cut_BP, 0).sum(1, keepdim=True)
        scale_B1 = torch.maximum(scale_B1, (left_B1.clamp_min(0) / rest_B1.clamp_min(1e-300)).sqrt())
    kept_BP = (scale_B1.clamp_max(1) * size_BP).minimum(room_BP)
    return delta_BCHW.sign() * kept_BP.to(delta_BCHW.dtype).view_as(delta_BCHW)


def _scaled(change_BCSS: Tensor, order: int) -> Tensor:
    """Each channel's change of a square with a norm of one."""
    return change_BCSS / torch.linalg.vector_norm(change_BCSS, order, dim=(2, 3), keepdim=True).clamp_min(1e-12)


def _places(draw_B2: Tensor, side: int, shape: torch.Size) -> Tensor:
    """The numbers of a square's pixels in each flattened image, (B, C, side, side)."""
    channels, height, width = shape[1:]
    top_B, start_B = (draw_B2[:, 0] * (height - side + 1)).long(), (draw_B2[:, 1] * (width - side + 1)).long()
    pixel_CHW = torch.arange(channels * height * width, device=draw_B2.device).view(channels, height, width)
    return pixel_CHW[:, :side, :side] + (top_B * width + start_B)[:, None, None, None]


def _bump(height: int, width: int, norm: str) -> Tensor:
    """A square whose upper half is a bump and whose lower half is its opposite, with a norm of one, as published."""
    order, power = (2, 2) if norm == "l2" else (1, 4)

    def half(rows: int) -> Tensor:
        bump_HW = torch.zeros(rows, width)
        top, start = rows // 2, width // 2
        for ring in range(max(rows // 2, width // 2) + 1):
            bump_HW[max(top, 0) : top + 2 * ring + 1, max(start, 0) : start + 2 * ring + 1] += (ring + 1.0) ** -power
            top, start = top - 1, start - 1
        return bump_HW / torch.linalg.vector_norm(bump_HW, order)

    bump_HW = torch.cat([half(height // 2), -half(height - height // 2)])
    return bump_HW / torch.linalg.vector_norm(bump_HW, order)


def _bumps(x_BCHW: Tensor, norm: str, seed: int, indices: list[int]) -> Tensor:
    """The change at the beginning: bumps side by side, a fifth of the image's height wide, with random signs."""
    channels, height, width = x_BCHW.shape[1:]
    side = max(min(height, width) // 5, 1)
    rows, columns = height // side, width // side
    sign_BCRW = torch.where(seeds.uniform(seed, "bumps", indices, channels, rows, columns) < 0.5, -1.0, 1.0)
    bump = _bump(side, side, norm) if side > 1 else torch.ones(1, 1)
    delta_BCHW = torch.zeros(x_BCHW.shape)
    delta_BCHW[:, :, : rows * side, : columns * side] = torch.kron(sign_BCRW, bump)
    return delta_BCHW.to(x_BCHW)


def _side(query: int, spec: SquareAttack, height: int, width: int) -> int:
    """Pixels along a square's side."""
    area = spec.initial / 2 ** sum(query > share * spec.queries for share in HALVINGS)
    return min(max(round((area * height * width) ** 0.5), 1), height, width)
