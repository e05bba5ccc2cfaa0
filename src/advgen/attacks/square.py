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
    goal = Goal(y_B)
    stripes_BC1W = seeds.uniform(seed, "stripes", indices, channels, 1, width).to(x_BCHW.device)
    signs_BC1W = torch.where(stripes_BC1W < 0.5, -1.0, 1.0).to(x_BCHW.dtype)
    result_BCHW = project(x_BCHW + spec.eps * signs_BC1W, x_BCHW, "linf", spec.eps)
    margin_B = goal.margin(model(result_BCHW))
    draws_BQN = seeds.uniform(seed, "squares", indices, spec.queries - 1, 2 + channels).to(x_BCHW.device)
    left = torch.arange(len(y_B), device=y_B.device)
    row_H1, column_W = torch.arange(height, device=left.device)[:, None], torch.arange(width, device=left.device)
    for query in range(spec.queries - 1):
        if looks(query, x_BCHW):
            left = left[margin_B[left] <= 0]
            if len(left) == 0:
                break
        area = spec.initial / 2 ** sum(query > share * spec.queries for share in HALVINGS)
        side = min(max(round((area * height * width) ** 0.5), 1), height, width)
        draw = draws_BQN[left, query]
        top = (draw[:, 0] * (height - side + 1)).long()[:, None, None]
        start = (draw[:, 1] * (width - side + 1)).long()[:, None, None]
        in_rows, in_columns = (top <= row_H1) & (row_H1 < top + side), (start <= column_W) & (column_W < start + side)
        inside = (in_rows & in_columns)[:, None]
        sign = torch.where(draw[:, 2:] < 0.5, -1.0, 1.0).to(x_BCHW.dtype)[:, :, None, None]
        x, current = x_BCHW[left], result_BCHW[left]
        tried = torch.where(inside, project(x + spec.eps * sign, x, "linf", spec.eps), current)
        # Where nothing would change, the published attack draws again; here the opposite signs are taken.
        same = (tried == current).flatten(1).all(1)[:, None, None, None]
        opposite = torch.where(inside, project(x - spec.eps * sign, x, "linf", spec.eps), current)
        tried = torch.where(same, opposite, tried)
        margin = Goal(y_B[left]).margin(model(tried))
        before = margin_B[left]
        better = (before <= 0) & (margin > before)
        result_BCHW[left], margin_B[left] = where(better, tried, current), torch.where(better, margin, before)
    return result_BCHW
