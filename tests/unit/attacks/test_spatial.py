"""Rotations and translations against loops over poses."""

import itertools
import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from advgen import seeds
from advgen.attacks.spatial import _poses, spatial, transform
from advgen.specs.attacks import SpatialAttack


def best_of(model, x, y, candidates):
    """The first candidate that misleads, else the one with the highest loss."""
    best, highest = x, -math.inf
    for image in candidates:
        with torch.no_grad():
            logits = model(image[None])
        if logits.argmax().item() != y:
            return image
        if (loss := cross_entropy(logits, y[None]).item()) > highest:
            best, highest = image, loss
    return best


def posed(x, pose):
    return transform(x[None], torch.tensor([pose], dtype=x.dtype))[0]


def test_the_grid_goes_from_the_smallest_pose_to_the_largest():
    spec = SpatialAttack(kind="spatial", degrees=10, pixels=3, angles=3, shifts=2)
    poses = [tuple(pose[1].tolist()) for pose in _poses(spec, 0, [7, 8])]
    assert set(poses) == set(itertools.product((-10, 0, 10), (-3, 3), (-3, 3)))
    assert len(poses) == 12
    assert {pose[0] for pose in poses[:4]} == {0}
    alone = SpatialAttack(kind="spatial", degrees=10, pixels=3, angles=1, shifts=1)
    assert [pose.tolist() for pose in _poses(alone, 0, [7])] == [[[0, 0, 0]]]


def test_random_poses_fill_their_limits():
    spec = SpatialAttack(kind="spatial", search="random", degrees=20, pixels=3, tries=500)
    poses = torch.stack([*_poses(spec, 1, [4])])[:, 0]
    assert poses.shape == (500, 3)
    for part, limit in zip(poses.T, (20, 3, 3), strict=True):
        assert -limit <= part.min() < -0.95 * limit
        assert 0.95 * limit < part.max() <= limit
        assert part.abs().mean() == pytest.approx(limit / 2, rel=0.1)


@pytest.mark.parametrize("search", ["grid", "random"])
def test_the_first_that_misleads_wins_else_the_highest_loss(model, x, y, indices, search):
    spec = SpatialAttack(kind="spatial", search=search, degrees=4, pixels=0.25, angles=3, shifts=3, tries=12)
    found = spatial(model, x, y, spec, seed=2, indices=indices)
    fooled = model(found).argmax(1) != y
    assert 0 < fooled.sum() < len(x)
    for row, index in enumerate(indices):
        poses = [tuple(pose[0].tolist()) for pose in _poses(spec, 2, [index])]
        expected = best_of(model, x[row], y[row], (posed(x[row], pose) for pose in poses))
        torch.testing.assert_close(found[row], expected, atol=1e-7, rtol=0)


def test_steps_climb_the_loss_within_the_limits(model, x, y, indices):
    """Signed steps of 2.5 limits / tries from a random pose; every iterate is a candidate, and so is the last."""
    spec = SpatialAttack(kind="spatial", search="first_order", degrees=8, pixels=0.5, tries=4)
    found = spatial(model, x, y, spec, seed=2, indices=indices)
    limit = torch.tensor([8, 0.5, 0.5], dtype=x.dtype)
    at_the_limit = 0
    for row, index in enumerate(indices):
        pose = limit * (2 * seeds.uniform(2, "poses", [index], 3)[0].to(x) - 1)
        candidates = []
        for _ in range(4):
            pose.requires_grad_()
            image = transform(x[row][None], pose[None])[0]
            candidates.append(image.detach())
            (gradient,) = torch.autograd.grad(cross_entropy(model(image[None]), y[row][None]), pose)
            pose = (pose.detach() + 2.5 / 4 * limit * gradient.sign()).maximum(-limit).minimum(limit)
            at_the_limit += int((pose.abs() == limit).sum())
        candidates.append(posed(x[row], pose.tolist()))
        torch.testing.assert_close(found[row], best_of(model, x[row], y[row], candidates), atol=1e-9, rtol=0)
    assert at_the_limit > 0


@pytest.mark.parametrize("pose", [(0, 0.25, 0), (0, 0, -0.75), (33, 1.5, -0.5), (-120, 0, 2), (180, 9, 9), (7, -6, 3)])
def test_a_pixel_is_the_mean_of_the_four_around_where_it_comes_from(x, pose):
    found = posed(x[0], pose)
    channels, height, width = x[0].shape
    angle = math.radians(pose[0])
    for c, i, j in itertools.product(range(channels), range(height), range(width)):
        across, along = j - (width - 1) / 2 - pose[1], i - (height - 1) / 2 - pose[2]
        column = math.cos(angle) * across - math.sin(angle) * along + (width - 1) / 2
        row = math.sin(angle) * across + math.cos(angle) * along + (height - 1) / 2
        value = 0.0
        for a, b in itertools.product(
            (math.floor(row), math.floor(row) + 1), (math.floor(column), math.floor(column) + 1)
        ):
            if 0 <= a < height and 0 <= b < width:
                value += x[0, c, a, b].item() * (1 - abs(row - a)) * (1 - abs(column - b))
        assert found[c, i, j].item() == pytest.approx(value, abs=1e-9)
