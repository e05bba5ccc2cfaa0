"""One pixel set to any value, by differential evolution or by trying all."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor, nn

from advgen import seeds
from advgen.attacks.common import Goal, is_check_due, pure, where
from advgen.specs.attacks import OnePixelAttack

ROWS = 1000
"""Images shown to the model at a time."""
TRIED = 200
"""Changes of each image that the exhaustive search tries before it looks whether one has succeeded."""
WEIGHT = 0.5  # of a difference between two candidates, as published


@pure
def one_pixel(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: OnePixelAttack, *, seed: int, indices: list[int]
) -> Tensor:
    """The one-pixel change that brings each image nearest to a wrong label, until one succeeds [su2019one].

    The exhaustive search tries every pixel at every level and takes the first change that succeeds, so where it fails
    no such change exists. Images that are wrong already stay as they are. The paper's fitness is the probability of the
    label; the margin ranks candidates alike in what counts, and does not saturate.
    """
    search = _exhaust if spec.search == "exhaustive" else _evolve
    result_BCHW = x_BCHW.clone()
    left = (Goal(y_B).margin(model(x_BCHW)) <= 0).nonzero().flatten()
    if len(left):
        rows = [indices[row] for row in left.tolist()]
        result_BCHW[left] = search(model, x_BCHW[left], y_B[left], spec, seed, rows)
    return result_BCHW


def _evolve(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: OnePixelAttack, seed: int, indices: list[int]
) -> Tensor:
    """Candidates (row, column, values); a child is a + (b - c) / 2 and takes its parent's place if it is better."""
    channels, height, width = x_BCHW.shape[1:]
    size = x_BCHW.new_tensor([height, width])

    def changed(agent_BNA: Tensor) -> tuple[Tensor, Tensor]:
        row_BN, column_BN = agent_BNA[..., 0].long(), agent_BNA[..., 1].long()
        return row_BN * width + column_BN, agent_BNA[..., 2:]

    place_BN2 = seeds.uniform(seed, "places", indices, spec.population, 2).to(x_BCHW) * size
    value_BNC = seeds.normal(seed, "values", indices, spec.population, channels).to(x_BCHW) / 2 + 0.5
    limit = torch.cat([size - 1e-3, x_BCHW.new_ones(channels)])
    agent_BNA = torch.cat([place_BN2, value_BNC], dim=2).clamp_min(0).minimum(limit)
    margin_BN = _margins(model, x_BCHW, y_B, *changed(agent_BNA))
    left, rows = torch.arange(len(y_B), device=y_B.device), indices
    for generation in range(spec.generations):
        if is_check_due(generation, x_BCHW):
            left = left[margin_BN[left].amax(1) <= 0]
            rows = [indices[row] for row in left.tolist()]
            if not rows:
                break
        draw = seeds.uniform(seed, f"generation {generation}", rows, spec.population, spec.population)
        draw = draw.to(x_BCHW.device, non_blocking=True)
        a, b, c = draw.argsort(dim=2, stable=True)[..., :3].unbind(2)
        old = agent_BNA[left]
        first, second, third = (old.gather(1, pick[..., None].expand_as(old)) for pick in (a, b, c))
        child = (first + WEIGHT * (second - third)).clamp_min(0).minimum(limit)
        margin = _margins(model, x_BCHW[left], y_B[left], *changed(child))
        before = margin_BN[left]
        better = (before.amax(1, keepdim=True) <= 0) & (margin > before)
        agent_BNA[left] = torch.where(better[..., None], child, old)
        margin_BN[left] = torch.where(better, margin, before)
    best_B = margin_BN.argmax(1)
    place_BN, value_BNC = changed(agent_BNA)
    rows_B = torch.arange(len(best_B), device=best_B.device)
    return _with_pixel(x_BCHW, place_BN[rows_B, best_B][:, None], value_BNC[rows_B, best_B][:, None])[:, 0]


def _exhaust(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: OnePixelAttack, seed: int, indices: list[int]
) -> Tensor:
    channels, height, width = x_BCHW.shape[1:]
    levels = [level / (spec.levels - 1) for level in range(spec.levels)]
    value_VC = x_BCHW.new_tensor(list(product(levels, repeat=channels)))
    place_N = torch.arange(height * width, device=x_BCHW.device).repeat_interleave(len(value_VC))
    value_NC = value_VC.repeat(height * width, 1)
    best_BCHW, best_B = x_BCHW.clone(), torch.full_like(x_BCHW[:, 0, 0, 0], -torch.inf)
    left = torch.arange(len(x_BCHW), device=x_BCHW.device)
    for number, start in enumerate(range(0, len(place_N), TRIED)):
        if is_check_due(number, x_BCHW):
            left = left[best_B[left] <= 0]
            if len(left) == 0:
                break
        place = place_N[start : start + TRIED].expand(len(left), -1)
        value = value_NC[start : start + TRIED].expand(len(left), -1, -1)
        margin_LN = _margins(model, x_BCHW[left], y_B[left], place, value)
        # the first success, or the best: never which of them share a pass, so that the batch decides nothing
        success_LN = margin_LN > 0
        pick = torch.where(success_LN.any(1), success_LN.int().argmax(1), margin_LN.argmax(1))
        margin = margin_LN.gather(1, pick[:, None]).squeeze(1)
        before, row_L1 = best_B[left], torch.arange(len(left), device=left.device)[:, None]
        better = (before <= 0) & (margin > before)
        changed = _with_pixel(x_BCHW[left], place[row_L1, pick[:, None]], value[row_L1, pick[:, None]])[:, 0]
        best_BCHW[left], best_B[left] = where(better, changed, best_BCHW[left]), torch.where(better, margin, before)
    return best_BCHW


def _margins(model: nn.Module, x_BCHW: Tensor, y_B: Tensor, place_BN: Tensor, value_BNC: Tensor) -> Tensor:
    """By how much a wrong label leads in each of N changed copies of each image, (B, N)."""
    rows = max(1, ROWS // place_BN.shape[1])
    parts = []
    for x, y, place, value in zip(*(whole.split(rows) for whole in (x_BCHW, y_B, place_BN, value_BNC)), strict=True):
        copies = place.shape[1]
        logits = model(_with_pixel(x, place, value).flatten(0, 1))
        parts.append(Goal(y.repeat_interleave(copies)).margin(logits).view(-1, copies))
    return torch.cat(parts)


def _with_pixel(x_BCHW: Tensor, place_BN: Tensor, value_BNC: Tensor) -> Tensor:
    """N copies of each image (B, N, C, H, W), each with the pixel at `place` (row × width + column) set to `value`."""
    copies = place_BN.shape[1]
    flat_BNCP = x_BCHW.flatten(2)[:, None].repeat(1, copies, 1, 1)
    place_BNC1 = place_BN[:, :, None, None].expand(-1, -1, flat_BNCP.shape[2], 1)
    return flat_BNCP.scatter_(3, place_BNC1, value_BNC[..., None]).view(-1, copies, *x_BCHW.shape[1:])
