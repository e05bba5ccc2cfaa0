"""Rotations and translations of the whole image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn.functional import affine_grid, cross_entropy, grid_sample

from advgen import seeds
from advgen.attacks.common import Goal, pure
from advgen.specs import SpatialAttack


@pure
def spatial(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: SpatialAttack, *, seed: int, indices: list[int]
) -> Tensor:
    """The first rotation and translation that misleads, else the one with the highest loss [engstrom2019exploring].

    Candidates are a grid, random ones, or the iterates of signed gradient steps from a random one. What leaves the
    image is lost and black comes in. An image is left alone once it is wrong.
    """
    if spec.search == "first_order":
        return _climb(model, x_BCHW, y_B, spec, seed, indices)
    best = Best(x_BCHW, y_B)
    for pose_B3 in _poses(spec, seed, indices):
        if len(best.left) == 0:
            break
        moved = transform(x_BCHW[best.left], pose_B3.to(x_BCHW)[best.left])
        best.offer(moved, model(moved))
    return best.x_BCHW


class Best:
    """The best candidate of each image so far, and which images are still right (`left`)."""

    def __init__(self, x_BCHW: Tensor, y_B: Tensor):
        self.x_BCHW, self.y_B = x_BCHW.clone(), y_B
        self.loss_B = torch.full_like(x_BCHW[:, 0, 0, 0], -math.inf)
        self.left = torch.arange(len(y_B), device=y_B.device)

    def offer(self, x_BCHW: Tensor, logits_BK: Tensor) -> Tensor:
        """Keep candidates of the images that are left where they are better; gives which of those stay right."""
        y = self.y_B[self.left]
        wrong = Goal(y).reached(logits_BK)
        loss = cross_entropy(logits_BK, y, reduction="none")
        better = wrong | (loss > self.loss_B[self.left])
        rows = self.left[better]
        self.x_BCHW[rows], self.loss_B[rows] = x_BCHW[better], loss[better]
        self.left = self.left[~wrong]
        return ~wrong


def _poses(spec: SpatialAttack, seed: int, indices: list[int]) -> Iterator[Tensor]:
    """Candidates, each (B, 3): degrees, and pixels to the right and down; the smallest changes of the grid first."""
    if spec.search == "random":
        draws_BN3 = _limits(spec) * (2 * seeds.uniform(seed, "poses", indices, spec.tries, 3) - 1)
        yield from draws_BN3.unbind(1)
        return
    shifts = _steps(spec.pixels, spec.shifts)
    grid = product(_steps(spec.degrees, spec.angles), shifts, shifts)
    for pose in sorted(grid, key=lambda pose: sum(abs(part) for part in pose)):
        yield torch.tensor(pose).expand(len(indices), 3)


def _steps(limit: float, count: int) -> list[float]:
    """`count` numbers from -limit to limit; one alone is 0."""
    return [0.0] if count == 1 else [limit * (2 * step / (count - 1) - 1) for step in range(count)]


def _limits(spec: SpatialAttack) -> Tensor:
    return torch.tensor([spec.degrees, spec.pixels, spec.pixels])


def _climb(model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: SpatialAttack, seed: int, indices: list[int]) -> Tensor:
    limit_3 = _limits(spec).to(x_BCHW)
    step_3 = 2.5 * limit_3 / spec.tries
    pose_B3 = limit_3 * (2 * seeds.uniform(seed, "poses", indices, 3).to(x_BCHW) - 1)
    best = Best(x_BCHW, y_B)
    for _ in range(spec.tries):
        rows = best.left
        pose = pose_B3[rows].requires_grad_()
        with torch.enable_grad():
            moved = transform(x_BCHW[rows], pose)
            logits = model(moved)
            loss = cross_entropy(logits, y_B[rows], reduction="sum")
            (gradient,) = torch.autograd.grad(loss, pose)
        best.offer(moved.detach(), logits.detach())
        pose_B3[rows] = torch.clamp(pose.detach() + step_3 * gradient.sign(), -limit_3, limit_3)
        if len(best.left) == 0:
            return best.x_BCHW
    moved = transform(x_BCHW[best.left], pose_B3[best.left])
    best.offer(moved, model(moved))
    return best.x_BCHW


def transform(x_BCHW: Tensor, pose_B3: Tensor) -> Tensor:
    """Each image turned left by degrees about its centre, then moved by pixels to the right and down; bilinear."""
    height, width = x_BCHW.shape[2:]
    angle_B, right_B, down_B = pose_B3.unbind(1)
    cos_B, sin_B = torch.deg2rad(angle_B).cos(), torch.deg2rad(angle_B).sin()
    # Where each output pixel comes from, so the motion backwards, in units of half the image's width and height.
    back_x_B, back_y_B = -2 * right_B / width, -2 * down_B / height
    aspect = height / width
    rows_B23 = torch.stack(
        [
            torch.stack([cos_B, -sin_B * aspect, cos_B * back_x_B - sin_B * aspect * back_y_B], dim=1),
            torch.stack([sin_B / aspect, cos_B, sin_B / aspect * back_x_B + cos_B * back_y_B], dim=1),
        ],
        dim=1,
    )
    grid_BHW2 = affine_grid(rows_B23, list(x_BCHW.shape), align_corners=False)
    return grid_sample(x_BCHW, grid_BHW2, align_corners=False).clamp(0, 1)
