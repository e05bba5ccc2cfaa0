"""Rotations and translations of the whole image."""

from __future__ import annotations

import math
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from advgen import seeds
from advgen.attacks.common import Goal, is_check_due, pure, where
from advgen.specs.attacks import SpatialAttack


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
    for number, pose_B3 in enumerate(_poses(spec, seed, indices).to(x_BCHW)):
        if not best.busy(number):
            break
        moved = transform(x_BCHW[best.left], pose_B3[best.left])
        best.offer(moved, model(moved))
    return best.x_BCHW


class Best:
    """The best candidate of each image so far, which are still right, and which are worked on (`left`)."""

    def __init__(self, x_BCHW: Tensor, y_B: Tensor):
        self.x_BCHW, self.y_B = x_BCHW.clone(), y_B
        self.loss_B = torch.full_like(x_BCHW[:, 0, 0, 0], -math.inf)
        self.left = torch.arange(len(y_B), device=y_B.device)
        self.right_B = torch.ones_like(y_B, dtype=torch.bool)

    def busy(self, iteration: int) -> bool:
        """Whether any image is left; if it is time to look, only those that are still right stay."""
        if is_check_due(iteration, self.x_BCHW):
            self.left = self.left[self.right_B[self.left]]
        return len(self.left) > 0

    def offer(self, x_BCHW: Tensor, logits_BK: Tensor) -> None:
        """Keep candidates of the images that are left where they are better."""
        rows, y, right = self.left, self.y_B[self.left], self.right_B[self.left]
        wrong = Goal(y).is_reached(logits_BK)
        loss = cross_entropy(logits_BK, y, reduction="none")
        better = right & (wrong | (loss > self.loss_B[rows]))
        self.x_BCHW[rows] = where(better, x_BCHW, self.x_BCHW[rows])
        self.loss_B[rows] = torch.where(better, loss, self.loss_B[rows])
        self.right_B[rows] = right & ~wrong


def _poses(spec: SpatialAttack, seed: int, indices: list[int]) -> Tensor:
    """Candidates (N, B, 3): degrees, and pixels to the right and down; the smallest changes of the grid first."""
    if spec.search == "random":
        draws_BN3 = _limits(spec) * (2 * seeds.uniform(seed, "poses", indices, spec.tries, 3) - 1)
        return draws_BN3.transpose(0, 1)
    shifts = _steps(spec.pixels, spec.shifts)
    grid = product(_steps(spec.degrees, spec.angles), shifts, shifts)
    poses_N3 = torch.tensor(sorted(grid, key=lambda pose: sum(abs(part) for part in pose)))
    return poses_N3[:, None].expand(-1, len(indices), 3)


def _steps(limit: float, count: int) -> list[float]:
    """`count` numbers from -limit to limit; one alone is 0."""
    return [0.0] if count == 1 else [limit * (2 * step / (count - 1) - 1) for step in range(count)]


def random_pose(spec: SpatialAttack, seed: int, label: str, indices: list[int]) -> Tensor:
    """A rotation and a translation of each image (B, 3), uniform within their limits."""
    return _limits(spec) * (2 * seeds.uniform(seed, label, indices, 3) - 1)


def _limits(spec: SpatialAttack) -> Tensor:
    return torch.tensor([spec.degrees, spec.pixels, spec.pixels])


def _climb(model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: SpatialAttack, seed: int, indices: list[int]) -> Tensor:
    limit_3 = _limits(spec).to(x_BCHW)
    step_3 = 2.5 * limit_3 / spec.tries
    pose_B3 = random_pose(spec, seed, "poses", indices).to(x_BCHW)
    best = Best(x_BCHW, y_B)
    for number in range(spec.tries):
        if not best.busy(number):
            return best.x_BCHW
        rows = best.left
        pose = pose_B3[rows].requires_grad_()
        with torch.enable_grad():
            moved = transform(x_BCHW[rows], pose)
            logits = model(moved)
            loss = cross_entropy(logits, y_B[rows], reduction="sum")
            (gradient,) = torch.autograd.grad(loss, pose)
        best.offer(moved.detach(), logits.detach())
        pose_B3[rows] = torch.clamp(pose.detach() + step_3 * gradient.sign(), -limit_3, limit_3)
    if best.busy(spec.tries):
        moved = transform(x_BCHW[best.left], pose_B3[best.left])
        best.offer(moved, model(moved))
    return best.x_BCHW


def transform(x_BCHW: Tensor, pose_B3: Tensor) -> Tensor:
    """Each image turned left by degrees about its centre, then moved by pixels to the right and down; bilinear."""
    return warp(x_BCHW, pose_B3).clamp(0, 1)


def warp(x_BCHW: Tensor, pose_B3: Tensor) -> Tensor:
    """The same but for what rounding leads out of the box: the clamp passes no gradient to black and white pixels.

    The poses get a gradient through the weights of neighbouring pixels: grid_sample's is a sum in no fixed order on a
    GPU. So may that of the images be, where torch is not told to be deterministic.
    """
    height, width = x_BCHW.shape[2:]
    angle_B11, right_B11, down_B11 = pose_B3[..., None, None].unbind(1)
    cos_B11, sin_B11 = torch.deg2rad(angle_B11).cos(), torch.deg2rad(angle_B11).sin()
    # Where each output pixel comes from, so the motion backwards, seen from the centre.
    across_BHW = _centred(width, x_BCHW) - right_B11
    along_BHW = _centred(height, x_BCHW)[:, None] - down_B11
    column_BHW = cos_B11 * across_BHW - sin_B11 * along_BHW + (width - 1) / 2
    row_BHW = sin_B11 * across_BHW + cos_B11 * along_BHW + (height - 1) / 2
    return _sample(x_BCHW, row_BHW, column_BHW)


def _centred(size: int, like: Tensor) -> Tensor:
    """Places of the pixels of one row or column, counted from its middle."""
    return torch.arange(size, dtype=like.dtype, device=like.device) - (size - 1) / 2


def _sample(x_BCHW: Tensor, row_BHW: Tensor, column_BHW: Tensor) -> Tensor:
    """The images at these places, by the four pixels around each; what lies outside is black."""
    batch, channels, height, width = x_BCHW.shape
    # a frame of black pixels, so that every place and all its neighbours are in the picture
    framed_BCP = nn.functional.pad(x_BCHW, (1, 2, 1, 2)).flatten(2)
    row_BHW, column_BHW = row_BHW.clamp(-1, height), column_BHW.clamp(-1, width)
    top_BHW, left_BHW = row_BHW.detach().floor(), column_BHW.detach().floor()
    below_BHW, beside_BHW = row_BHW - top_BHW, column_BHW - left_BHW
    corner_BHW = ((top_BHW + 1) * (width + 3) + left_BHW + 1).long()
    sampled_BCHW = torch.zeros_like(x_BCHW)
    for down, weight_BHW in ((0, 1 - below_BHW), (1, below_BHW)):
        for right, share_BHW in ((0, 1 - beside_BHW), (1, beside_BHW)):
            places_B1P = (corner_BHW + down * (width + 3) + right).flatten(1)[:, None]
            pixels_BCHW = framed_BCP.gather(2, places_B1P.expand(batch, channels, -1)).view_as(x_BCHW)
            sampled_BCHW = sampled_BCHW + pixels_BCHW * (weight_BHW * share_BHW)[:, None]
    return sampled_BCHW
