"""Targeted adversarial images, labelled as their target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from advgen import seeds
from advgen.attacks.common import Goal, frozen
from advgen.attacks.pgd import climb
from advgen.models.networks import Network
from advgen.models.predict import device_of, to_unit_range
from advgen.specs.attacks import PgdAttack
from advgen.specs.datasets import AdversarialLabels

Array = np.ndarray[Any, Any]
BATCH = 500


def adversarial_labels(
    images: Array,
    labels: Array,
    spec: AdversarialLabels,
    classifier: Network,
    *,
    split: str,
    seed: int,
    progress: Callable[[int, int], None],
) -> tuple[Array, Array, None]:
    """Each image after targeted L2 PGD, with its target as the label [ilyas2019adversarial].

    A random target is uniform over all classes, so that it says nothing of what the image shows.

    Args:
        images: uint8, (N, C, H, W).
    """
    classes: int = classifier.outputs  # type: ignore[assignment]
    labels_N = torch.from_numpy(np.asarray(labels, dtype=np.int64))
    if spec.target == "next":
        targets_N = (labels_N + 1) % classes
    else:
        targets_N = torch.randint(classes, labels_N.shape, generator=seeds.generator(seed, "targets", split))
    attack = PgdAttack(kind="pgd", norm="l2", eps=spec.eps, steps=spec.steps)
    made = np.empty_like(images)
    device = device_of(classifier)
    for first in range(0, len(images), BATCH):
        rows = slice(first, first + BATCH)
        x_BCHW = to_unit_range(torch.from_numpy(images[rows]).to(device))
        goal = Goal(labels_N[rows].to(device), targets_N[rows].to(device))
        with frozen(classifier), torch.no_grad():
            found_BCHW = climb(classifier, x_BCHW, x_BCHW, goal, attack)
        made[rows] = (found_BCHW * 255).round().byte().cpu().numpy()
        progress(min(first + BATCH, len(images)), len(images))
    return made, targets_N.numpy().astype(np.int32), None
