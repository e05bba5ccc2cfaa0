"""The Square attack: a random search that uses only scores, in L∞, L2 or L1."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from advgen import seeds
from advgen.attacks.best import replace
from advgen.attacks.common import Goal, distance_to_box, is_check_due, project, project_l1, pure
from advgen.specs.attacks import SquareAttack

HALVINGS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""The shares of the queries after which the area of the squares is halved, as published."""
L2_PASSES = 5
"""Passes of the projection onto an L2 ball inside the box; after 5, the norm is within a thousandth of its bound."""
STRETCH = 1.5  # factor on eps before the projection, so that clipping to the box does not leave the change too short

Proposal = Callable[[int, Tensor, Tensor], Tensor]
"""From the number of the query, the active rows and their current images: the candidates of these rows."""


@pure
def square(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: SquareAttack, *, seed: int, indices: list[int]
) -> Tensor:
    """Changes of squares at random places, kept if they raise the margin loss [andriushchenko2020square].

    In L∞ a square becomes ±eps, and the search begins with vertical stripes. In L2 and L1 the change of one square is
    moved to another one. An image is finished once its label is wrong.
    """
    prepare = _prepare_linf if spec.norm == "linf" else _prepare_l2_l1
    current_BCHW, propose = prepare(x_BCHW, spec, seed, indices)
    result_BCHW, goal = current_BCHW.clone(), Goal(y_B)
    active = torch.arange(len(y_B), device=y_B.device)
    margin = goal.margin(model(current_BCHW))
    for query in range(spec.queries - 1):
        if is_check_due(query, x_BCHW):
            rows = (margin <= 0).nonzero().flatten()
            if len(rows) < len(active):
                result_BCHW[active] = current_BCHW
                active, current_BCHW, margin, goal = active[rows], current_BCHW[rows], margin[rows], goal.take(rows)
            if len(active) == 0:
                break
        candidate = propose(query, active, current_BCHW)
        candidate_margin = goal.margin(model(candidate))
        better = (margin <= 0) & (candidate_margin > margin)
        replace(current_BCHW, better, candidate)
        margin = torch.where(better, candidate_margin, margin)
    result_BCHW[active] = current_BCHW
    return result_BCHW


def _prepare_linf(x_BCHW: Tensor, spec: SquareAttack, seed: int, indices: list[int]) -> tuple[Tensor, Proposal]:
    """The first images, vertical stripes of ±eps, and the proposals: a square of ±eps per channel."""
    channels, height, width = x_BCHW.shape[1:]
    stripes_BC1W = seeds.uniform(seed, "stripes", indices, channels, 1, width).to(x_BCHW.device)
    draws_BQN = seeds.uniform(seed, "squares", indices, spec.queries - 1, 2 + channels).to(x_BCHW.device)
    down, up = (project(x_BCHW + sign * spec.eps, x_BCHW, "linf", spec.eps).contiguous() for sign in (-1, 1))
    # for all queries at once, so that a device has fewer kernels to launch
    sides = [_side(query, spec, height, width) for query in range(spec.queries - 1)]
    side_Q = torch.tensor(sides).to(x_BCHW.device, non_blocking=True)
    top_BQ, start_BQ = (
        (draws_BQN[..., axis] * (size - side_Q + 1)).long() for axis, size in enumerate(x_BCHW.shape[2:])
    )
    corner_BQ, falls_BQC = top_BQ * width + start_BQ, draws_BQN[..., 2:] < 0.5
    pixel_BCHW = torch.arange(x_BCHW.numel(), device=x_BCHW.device).view_as(x_BCHW)

    def propose(query: int, active: Tensor, current: Tensor) -> Tensor:
        corner = corner_BQ[active, query][:, None, None, None]
        square_BCSS = pixel_BCHW[:, :, : sides[query], : sides[query]]
        lower, upper = (bound.view(-1)[square_BCSS[active] + corner] for bound in (down, up))
        place = square_BCSS[: len(active)] + corner
        falls = falls_BQC[active, query][:, :, None, None]
        # where nothing would change, the published attack draws again; here the opposite signs are used
        unchanged = torch.where(falls, lower, upper) == current.view(-1)[place]
        falls = falls ^ unchanged.flatten(1).all(1)[:, None, None, None]
        candidate = current.clone()
        candidate.view(-1)[place] = torch.where(falls, lower, upper)
        return candidate

    return torch.where(stripes_BC1W < 0.5, down, up).contiguous(), propose


def _prepare_l2_l1(x_BCHW: Tensor, spec: SquareAttack, seed: int, indices: list[int]) -> tuple[Tensor, Proposal]:
    """The first images in L2 or L1, a grid of bumps, and the proposals, which keep the norm of the change at eps.

    Each query removes the change of one square and adds as much to another one, in the shape of a bump next to its
    negative [andriushchenko2020square; in L1 croce2021mind].
    """
    channels, height, width = x_BCHW.shape[1:]
    order = 2 if spec.norm == "l2" else 1
    draws_BQN = seeds.uniform(seed, "squares", indices, spec.queries - 1, 5 + channels).to(x_BCHW.device)
    sides = [  # odd and at least 3, if the image allows it
        min(max(_side(query, spec, height, width), 3) // 2 * 2 + 1, height, width) for query in range(spec.queries)
    ]
    bumps = {side: _bump(side, side, spec.norm).to(x_BCHW, non_blocking=True) for side in set(sides)}

    def propose(query: int, active: Tensor, current: Tensor) -> Tensor:
        side, draw_BN, x = sides[query], draws_BQN[active, query], x_BCHW[active]
        to_BCSS, from_BCSS = (_places(draw_BN[:, axis : axis + 2], side, x.shape) for axis in (0, 2))
        delta = (current - x).flatten(1)
        size_B1 = torch.linalg.vector_norm(delta, order, dim=1, keepdim=True)
        at_target, at_source = _cut_out(delta, to_BCSS), _cut_out(delta, from_BCSS)
        # the budget per channel: the norm of both squares, and a share of what the box has clipped from the change
        squares_BC11 = sum(
            torch.linalg.vector_norm(one, order, dim=(2, 3), keepdim=True) ** order for one in (at_target, at_source)
        )
        spare_B1 = (spec.eps**order - size_B1**order).clamp_min(0) / channels
        budget_BC11 = (squares_BC11 + spare_B1[..., None, None]) ** (1 / order)
        bump = torch.where(draw_BN[:, 4, None, None, None] < 0.5, bumps[side], bumps[side].T)
        signs = torch.where(draw_BN[:, 5:, None, None] < 0.5, -1.0, 1.0)
        new = bump * signs + _scaled(at_target, order)
        delta.scatter_(1, to_BCSS.flatten(1), (_scaled(new, order) * budget_BC11).flatten(1))
        return _onto_sphere(delta.view_as(x), x, spec)

    return _onto_sphere(_bumps(x_BCHW, spec.norm, seed, indices), x_BCHW, spec), propose


def _cut_out(delta_BP: Tensor, place_BCSS: Tensor) -> Tensor:
    """The change of a square in each image, (B, C, side, side), which becomes 0 in `delta_BP`."""
    cut_BCSS = delta_BP.gather(1, place_BCSS.flatten(1)).view(place_BCSS.shape)
    delta_BP.scatter_(1, place_BCSS.flatten(1), 0)
    return cut_BCSS


def _onto_sphere(delta_BCHW: Tensor, x_BCHW: Tensor, spec: SquareAttack) -> Tensor:
    """The images after a change that is scaled to the norm eps inside the box.

    The published search loses the part that the box clips. Here the other pixels make up for it.
    """
    order, project_ball = (2, project_l2) if spec.norm == "l2" else (1, project_l1)
    size_B111 = torch.linalg.vector_norm(delta_BCHW, order, dim=(1, 2, 3), keepdim=True)
    delta_BCHW = STRETCH * spec.eps * delta_BCHW / size_B111.clamp_min(1e-12)
    return (x_BCHW + project_ball(delta_BCHW, x_BCHW, torch.full_like(x_BCHW[:, 0, 0, 0], spec.eps))).clamp(0, 1)


def project_l2(delta_BCHW: Tensor, x_BCHW: Tensor, eps_B: Tensor) -> Tensor:
    """The nearest change of `x_BCHW` with an L2 norm up to `eps_B` that stays in the box.

    It is `scale * delta`, clipped to the box, with the largest scale up to one that the norm allows. The scale rises
    from a value that is too small, because clipped pixels leave more of the norm to the others. No pass exceeds it.
    """
    size_BP = delta_BCHW.abs().flatten(1).double()
    limit_BP = distance_to_box(delta_BCHW, x_BCHW).flatten(1).double()
    square_BP, eps_B1 = size_BP.square(), eps_B[:, None].double()
    scale_B1 = eps_B1 / square_BP.sum(1, keepdim=True).sqrt().clamp_min(1e-150)
    for _ in range(L2_PASSES):
        clipped_BP = scale_B1 * size_BP > limit_BP
        budget_B1 = eps_B1.square() - (limit_BP.square() * clipped_BP).sum(1, keepdim=True)
        rest_B1 = square_BP.masked_fill(clipped_BP, 0).sum(1, keepdim=True)
        scale_B1 = torch.maximum(scale_B1, (budget_B1.clamp_min(0) / rest_B1.clamp_min(1e-300)).sqrt())
    new_size_BP = (scale_B1.clamp_max(1) * size_BP).minimum(limit_BP)
    return delta_BCHW.sign() * new_size_BP.to(delta_BCHW.dtype).view_as(delta_BCHW)


def _scaled(change_BCSS: Tensor, order: int) -> Tensor:
    """The change of a square, scaled to a norm of one per channel."""
    return change_BCSS / torch.linalg.vector_norm(change_BCSS, order, dim=(2, 3), keepdim=True).clamp_min(1e-12)


def _places(draw_BN: Tensor, side: int, shape: torch.Size) -> Tensor:
    """The positions of a random square's pixels in each flattened image, (B, C, side, side)."""
    channels, height, width = shape[1:]
    top_B, start_B = (draw_BN[:, 0] * (height - side + 1)).long(), (draw_BN[:, 1] * (width - side + 1)).long()
    pixel_CHW = torch.arange(channels * height * width, device=draw_BN.device).view(channels, height, width)
    return pixel_CHW[:, :side, :side] + (top_B * width + start_B)[:, None, None, None]


def _bump(height: int, width: int, norm: str) -> Tensor:
    """A square with a bump in its upper half and its negative in the lower half, with a norm of one, as published."""
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
    """The initial change: a grid of bumps with random signs, each a fifth of the image's shorter side wide."""
    channels, height, width = x_BCHW.shape[1:]
    side = max(min(height, width) // 5, 1)
    rows, columns = height // side, width // side
    sign_BCRW = torch.where(seeds.uniform(seed, "bumps", indices, channels, rows, columns) < 0.5, -1.0, 1.0)
    bump = _bump(side, side, norm) if side > 1 else torch.ones(1, 1)
    delta_BCHW = torch.zeros(x_BCHW.shape)
    delta_BCHW[:, :, : rows * side, : columns * side] = torch.kron(sign_BCRW, bump)
    return delta_BCHW.to(x_BCHW)


def _side(query: int, spec: SquareAttack, height: int, width: int) -> int:
    """The side of a query's square in pixels."""
    area = spec.initial / 2 ** sum(query > share * spec.queries for share in HALVINGS)
    return min(max(round((area * height * width) ** 0.5), 1), height, width)
