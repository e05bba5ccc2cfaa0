"""Rotations and translations of the whole image."""

from itertools import product

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from advgen import seeds
from advgen.attacks.best import BestExamples
from advgen.attacks.common import Goal, is_check_due, pure
from advgen.specs.attacks import SpatialAttack


@pure
def spatial(
    model: nn.Module, x_BCHW: Tensor, y_B: Tensor, spec: SpatialAttack, *, seed: int, indices: list[int]
) -> Tensor:
    """The first rotation and translation that fools, else the one with the highest loss [engstrom2019exploring].

    The candidates are a grid, random poses, or the iterates of signed gradient steps from a random pose. Pixels that
    leave the image are lost, and black pixels enter. An image is finished once it is misclassified.
    """
    best, active = BestExamples(x_BCHW), torch.arange(len(y_B), device=y_B.device)
    climbs, limit_3 = spec.search == "first_order", _limits(spec).to(x_BCHW)
    pose_NB3 = (random_pose(spec, seed, "poses", indices)[None] if climbs else _poses(spec, seed, indices)).to(x_BCHW)
    last = spec.tries if climbs else len(pose_NB3) - 1
    for number in range(last + 1):
        if is_check_due(number, x_BCHW):
            active = best.unfinished()
        if len(active) == 0:
            break
        steps_on = climbs and number < last
        pose = pose_NB3[0 if climbs else number, active].requires_grad_(steps_on)
        with torch.set_grad_enabled(steps_on):
            moved = transform(x_BCHW[active], pose)
            logits = model(moved)
            loss = cross_entropy(logits, y_B[active], reduction="none")
        best.offer(active, moved.detach(), loss.detach(), Goal(y_B[active]).is_reached(logits))
        if steps_on:
            (gradient,) = torch.autograd.grad(loss, pose, torch.ones_like(loss))
            moved_on = pose.detach() + 2.5 * limit_3 / spec.tries * gradient.sign()
            pose_NB3[0, active] = torch.clamp(moved_on, -limit_3, limit_3)
    return best.x_BCHW


def _poses(spec: SpatialAttack, seed: int, indices: list[int]) -> Tensor:
    """The candidates (N, B, 3) as degrees and pixels to the right and down, the smallest of a grid first."""
    if spec.search == "random":
        draws_BN3 = _limits(spec) * (2 * seeds.uniform(seed, "poses", indices, spec.tries, 3) - 1)
        return draws_BN3.transpose(0, 1)
    shifts = _spaced(spec.pixels, spec.shifts)
    grid = product(_spaced(spec.degrees, spec.angles), shifts, shifts)
    poses_N3 = torch.tensor(sorted(grid, key=lambda pose: sum(abs(part) for part in pose)))
    return poses_N3[:, None].expand(-1, len(indices), 3)


def _spaced(limit: float, count: int) -> list[float]:
    """`count` numbers from -limit to limit; a single number is 0."""
    return [0.0] if count == 1 else [limit * (2 * step / (count - 1) - 1) for step in range(count)]


def random_pose(spec: SpatialAttack, seed: int, label: str, indices: list[int]) -> Tensor:
    """A random rotation and translation of each image (B, 3), uniform within the limits of the spec."""
    return _limits(spec) * (2 * seeds.uniform(seed, label, indices, 3) - 1)


def _limits(spec: SpatialAttack) -> Tensor:
    return torch.tensor([spec.degrees, spec.pixels, spec.pixels])


def transform(x_BCHW: Tensor, pose_B3: Tensor) -> Tensor:
    """Rotate each image counterclockwise about its centre by degrees, then shift it right and down by pixels.

    The interpolation is bilinear, and the result is clamped to [0, 1].
    """
    return warp(x_BCHW, pose_B3).clamp(0, 1)


def warp(x_BCHW: Tensor, pose_B3: Tensor) -> Tensor:
    """The same as `transform` without the clamp, which passes no gradient to black and white pixels.

    Rounding may lead slightly out of the box. The poses get their gradient through the interpolation weights, because
    `grid_sample` sums in no fixed order on a GPU. The gradient of the images is deterministic there only if torch is
    set to deterministic algorithms.
    """
    height, width = x_BCHW.shape[2:]
    angle_B11, right_B11, down_B11 = pose_B3[..., None, None].unbind(1)
    cos_B11, sin_B11 = torch.deg2rad(angle_B11).cos(), torch.deg2rad(angle_B11).sin()
    # the source of each output pixel relative to the centre: the inverse motion
    across_BHW = _centred(width, x_BCHW) - right_B11
    along_BHW = _centred(height, x_BCHW)[:, None] - down_B11
    column_BHW = cos_B11 * across_BHW - sin_B11 * along_BHW + (width - 1) / 2
    row_BHW = sin_B11 * across_BHW + cos_B11 * along_BHW + (height - 1) / 2
    return _sample(x_BCHW, row_BHW, column_BHW)


def _centred(size: int, like: Tensor) -> Tensor:
    """The positions of the pixels of one row or column, relative to its middle."""
    return torch.arange(size, dtype=like.dtype, device=like.device) - (size - 1) / 2


def _sample(x_BCHW: Tensor, row_BHW: Tensor, column_BHW: Tensor) -> Tensor:
    """The images at the given positions, interpolated from four neighbours each; pixels outside are black."""
    batch, channels, height, width = x_BCHW.shape
    # a frame of black pixels, so that every position and its neighbours are inside
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
