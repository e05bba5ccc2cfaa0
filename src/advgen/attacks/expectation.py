"""Expectation over transformations: steps that help on average, however the image is turned and moved."""

from __future__ import annotations

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
    """Random degrees and pixels to the right and down, (B, steps, samples, 3), uniform within the limits."""
    if spec is None:
        return None
    limit_3 = torch.tensor([spec.degrees, spec.pixels, spec.pixels])
    draws_BNS3 = 2 * seeds.uniform(seed, label, indices, steps, spec.samples, 3) - 1
    return (limit_3 * draws_BNS3).to(like_BCHW, non_blocking=True)


def poses_at(pose_BNS3: Tensor | None, step: int, rows: Tensor) -> Tensor | None:
    """The poses of a step, for some rows."""
    return None if pose_BNS3 is None else pose_BNS3[rows, step]


def average_logits(model: Logits, pose_BS3: Tensor | None) -> Logits:
    """The mean of a model's logits over poses of each image [athalye2018synthesizing]; without poses, the model.

    The paper averages the logarithms of probabilities, whose differences between classes are those of the logits. A
    model that draws random numbers of its own is averaged over these, too: each pose is a pass of its own.
    """
    if pose_BS3 is None:
        return model

    def mean(x_BCHW: Tensor) -> Tensor:
        return torch.stack([model(warp(x_BCHW, pose_B3)) for pose_B3 in pose_BS3.unbind(1)]).mean(0)

    return mean
