"""Images that have only the features that a classifier uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from advgen.attacks.common import frozen, l2_norms
from advgen.data.choice import permutation
from advgen.models.networks import Network
from advgen.models.predict import device_of, to_unit_range
from advgen.specs.datasets import RobustFeatures

Array = np.ndarray[Any, Any]
BATCH = 500


def robust_features(
    images: Array,
    labels: Array,
    spec: RobustFeatures,
    classifier: Network,
    *,
    split: str,
    seed: int,
    progress: Callable[[int, int], None],
) -> tuple[Array, Array, None]:
    """Each label with an image whose features are those of the original [ilyas2019adversarial].

    The image starts as another one of the set and takes normalised gradient steps towards the original's features, in
    L2; what the classifier does not look at stays that of the other one, whose class has nothing to do with the label.

    Args:
        images: uint8, (N, C, H, W).
    """
    order = permutation(len(images), seed, f"starts {split}")
    start = np.empty_like(order)
    start[order] = np.roll(order, 1)  # one cycle: no image starts as itself
    made = np.empty_like(images)
    device = device_of(classifier)
    for first in range(0, len(images), BATCH):
        rows = slice(first, first + BATCH)
        x_BCHW, start_BCHW = (
            to_unit_range(torch.from_numpy(images[index]).to(device)) for index in (rows, start[rows])
        )
        found_BCHW = _match(classifier, start_BCHW, x_BCHW, spec)
        made[rows] = (found_BCHW * 255).round().byte().cpu().numpy()
        progress(min(first + BATCH, len(images)), len(images))
    return made, labels, None


def _match(classifier: Network, start_BCHW: Tensor, x_BCHW: Tensor, spec: RobustFeatures) -> Tensor:
    """The images after steps from `start` towards the features of `x`."""
    with frozen(classifier):
        wanted_BF = classifier.features(x_BCHW)
        for _ in range(spec.steps):
            start_BCHW = start_BCHW.detach().requires_grad_()
            distance_B = (classifier.features(start_BCHW) - wanted_BF).flatten(1).norm(dim=1)
            (gradient_BCHW,) = torch.autograd.grad(distance_B.sum(), start_BCHW)
            direction_BCHW = gradient_BCHW / l2_norms(gradient_BCHW).clamp_min(1e-30).to(gradient_BCHW)
            start_BCHW = (start_BCHW.detach() - spec.step_size * direction_BCHW).clamp(0, 1)
    return start_BCHW
