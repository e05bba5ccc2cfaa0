"""The one-pixel attack, by differential evolution or exhaustive search."""

from itertools import product

import torch
from torch import Tensor, nn

from advgen import seeds
from advgen.attacks.best import BestExamples
from advgen.attacks.common import Goal, is_check_due, pure
from advgen.specs.attacks import OnePixelAttack

ROWS = 1000  # images per forward pass
BLOCK = 200  # changes per image that the exhaustive search tries between two checks for success
WEIGHT = 0.5  # of a difference between two candidates, as published


@pure
def one_pixel(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: OnePixelAttack, *, seed: int, indices: list[int]
) -> Tensor:
    """The one-pixel change with the largest margin of a wrong class; the search stops at a success [su2019one].

    The exhaustive search tries every pixel at every level and takes the first change that succeeds, so if it fails no
    such change exists. Misclassified images are returned unchanged. The paper's fitness is the probability of the
    label. The margin gives the same order around the boundary, and does not saturate.
    """
    search = _exhaust if spec.search == "exhaustive" else _evolve
    result_BCHW = x_BCHW.clone()
    active = (Goal(y_B).margin(model(x_BCHW)) <= 0).nonzero().flatten()
    if len(active):
        names = [indices[row] for row in active.tolist()]
        result_BCHW[active] = search(model, x_BCHW[active], y_B[active], spec, seed, names)
    return result_BCHW


def _evolve(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: OnePixelAttack, seed: int, indices: list[int]
) -> Tensor:
    """Differential evolution of candidates (row, column, values).

    A child is a + (b - c) / 2 and replaces its parent if it is better.
    """
    channels, height, width = x_BCHW.shape[1:]
    size = x_BCHW.new_tensor([height, width])

    def decode(agent_BNA: Tensor) -> tuple[Tensor, Tensor]:
        row_BN, column_BN = agent_BNA[..., 0].long(), agent_BNA[..., 1].long()
        return row_BN * width + column_BN, agent_BNA[..., 2:]

    place_BN2 = seeds.uniform(seed, "places", indices, spec.population, 2).to(x_BCHW) * size
    value_BNC = seeds.normal(seed, "values", indices, spec.population, channels).to(x_BCHW) / 2 + 0.5
    limit = torch.cat([size - 1e-3, x_BCHW.new_ones(channels)])
    agent_BNA = torch.cat([place_BN2, value_BNC], dim=2).clamp_min(0).minimum(limit)
    margin_BN = _margins(model, x_BCHW, y_B, *decode(agent_BNA))
    active, names = torch.arange(len(y_B), device=y_B.device), indices
    for generation in range(spec.generations):
        if is_check_due(generation, x_BCHW):
            active = active[margin_BN[active].amax(1) <= 0]
            names = [indices[row] for row in active.tolist()]
            if not names:
                break
        draw = seeds.uniform(seed, f"generation {generation}", names, spec.population, spec.population)
        draw = draw.to(x_BCHW.device, non_blocking=True)
        a, b, c = draw.argsort(dim=2, stable=True)[..., :3].unbind(2)
        old = agent_BNA[active]
        first, second, third = (old.gather(1, parent[..., None].expand_as(old)) for parent in (a, b, c))
        child = (first + WEIGHT * (second - third)).clamp_min(0).minimum(limit)
        margin = _margins(model, x_BCHW[active], y_B[active], *decode(child))
        before = margin_BN[active]
        better = (before.amax(1, keepdim=True) <= 0) & (margin > before)
        agent_BNA[active] = torch.where(better[..., None], child, old)
        margin_BN[active] = torch.where(better, margin, before)
    best_B = margin_BN.argmax(1)
    place_BN, value_BNC = decode(agent_BNA)
    rows_B = torch.arange(len(best_B), device=best_B.device)
    return _with_pixel(x_BCHW, place_BN[rows_B, best_B][:, None], value_BNC[rows_B, best_B][:, None])[:, 0]


def _exhaust(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: OnePixelAttack, seed: int, indices: list[int]
) -> Tensor:
    """Every pixel at every combination of levels, in blocks."""
    channels, height, width = x_BCHW.shape[1:]
    levels = [level / (spec.levels - 1) for level in range(spec.levels)]
    value_VC = x_BCHW.new_tensor(list(product(levels, repeat=channels)))
    place_N = torch.arange(height * width, device=x_BCHW.device).repeat_interleave(len(value_VC))
    value_NC = value_VC.repeat(height * width, 1)
    best = BestExamples(x_BCHW)
    active = torch.arange(len(x_BCHW), device=x_BCHW.device)
    for number, start in enumerate(range(0, len(place_N), BLOCK)):
        if is_check_due(number, x_BCHW):
            active = active[~best.success_B[active]]
            if len(active) == 0:
                break
        x = x_BCHW[active]
        place = place_N[start : start + BLOCK].expand(len(active), -1)
        value = value_NC[start : start + BLOCK].expand(len(active), -1, -1)
        margin_RN = _margins(model, x, y_B[active], place, value)
        # the first success or the largest margin of the block, whatever the split into forward passes
        success_RN = margin_RN > 0
        best_R1 = torch.where(success_RN.any(1), success_RN.int().argmax(1), margin_RN.argmax(1))[:, None]
        row_R1, margin = torch.arange(len(active), device=active.device)[:, None], margin_RN.gather(1, best_R1)[:, 0]
        changed = _with_pixel(x, place[row_R1, best_R1], value[row_R1, best_R1])[:, 0]
        best.offer(active, changed, margin, margin > 0)
    return best.x_BCHW


def _margins(model: nn.Module, x_BCHW: Tensor, y_B: Tensor, place_BN: Tensor, value_BNC: Tensor) -> Tensor:
    """The margin of the best wrong class in each of N changed copies of each image, (B, N)."""
    rows = max(1, ROWS // place_BN.shape[1])
    parts = []
    for x, y, place, value in zip(*(whole.split(rows) for whole in (x_BCHW, y_B, place_BN, value_BNC)), strict=True):
        copies = place.shape[1]
        logits = model(_with_pixel(x, place, value).flatten(0, 1))
        parts.append(Goal(y.repeat_interleave(copies)).margin(logits).view(-1, copies))
    return torch.cat(parts)


def _with_pixel(x_BCHW: Tensor, place_BN: Tensor, value_BNC: Tensor) -> Tensor:
    """N copies of each image (B, N, C, H, W), with the pixel at `place` (row × width + column) set to `value`."""
    copies = place_BN.shape[1]
    flat_BNCP = x_BCHW.flatten(2)[:, None].repeat(1, copies, 1, 1)
    place_BNC1 = place_BN[:, :, None, None].expand(-1, -1, flat_BNCP.shape[2], 1)
    return flat_BNCP.scatter_(3, place_BNC1, value_BNC[..., None]).view(-1, copies, *x_BCHW.shape[1:])
