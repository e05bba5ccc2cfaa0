"""The Square attack: random search that sees scores alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from advgen import seeds
from advgen.attacks.common import Goal, looks, project, pure, where
from advgen.specs.attacks import SquareAttack

HALVINGS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""After which share of the queries the squares' area is halved, as published."""


@pure
def square(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: SquareAttack, *, seed: int, indices: list[int]
) -> Tensor:
    """Squares of ±eps at random places, kept where they raise the margin loss [andriushchenko2020square].

    It begins with vertical stripes. An image is left alone once its label is wrong.
    """
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
        if looks(query, x_BCHW):
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


def _side(query: int, spec: SquareAttack, height: int, width: int) -> int:
    """Pixels along a square's side."""
    area = spec.initial / 2 ** sum(query > share * spec.queries for share in HALVINGS)
    return min(max(round((area * height * width) ** 0.5), 1), height, width)
