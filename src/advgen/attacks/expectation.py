"""Expectation over transformations: gradient steps on logits averaged over rotations and translations."""

from collections.abc import Callable

import torch
from torch import Tensor

from advgen import seeds
from advgen.attacks.spatial import warp
from advgen.specs.attacks import Expectation

Logits = Callable[[Tensor], Tensor]


def sample_poses(
    spec: Expectation | None, steps: int, seed: int, label: str, indices: list[int], like_BCHW: Tensor
) -> Tensor | None:
    """Random rotations in degrees and shifts in pixels to the right and down, (B, steps, samples, 3).

    They are uniform within the limits of `spec`; without a spec there are none.
    """
    if spec is None:
        return None
    limit_3 = torch.tensor([spec.degrees, spec.pixels, spec.pixels])
    draws_BNS3 = 2 * seeds.uniform(seed, label, indices, steps, spec.samples, 3) - 1
    return (limit_3 * draws_BNS3).to(like_BCHW, non_blocking=True)


def poses_at(pose_BNS3: Tensor | None, step: int, rows: Tensor) -> Tensor | None:
    """The poses of one step, for some rows."""
    return None if pose_BNS3 is None else pose_BNS3[rows, step]


def average_logits(model: Logits, pose_BS3: Tensor | None) -> Logits:
    """A function that averages a model's logits over poses of each image; without poses, the model itself.

    The paper averages log-probabilities, whose differences between classes equal those of the logits
    [athalye2018synthesizing]. Each pose is a separate forward pass, so the noise of a stochastic model is averaged too.
    """
    if pose_BS3 is None:
        return model

    def mean(x_BCHW: Tensor) -> Tensor:
        return torch.stack([model(warp(x_BCHW, pose_B3)) for pose_B3 in pose_BS3.unbind(1)]).mean(0)

    return mean
