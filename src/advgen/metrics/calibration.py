"""A judge's calibration: its Fréchet distance for images of known quality."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from advgen import seeds
from advgen.metrics.distribution import quality
from advgen.models.networks import Network
from advgen.models.predict import features_and_probabilities, predict, to_unit_range

REAL = "real train"
"""The level of images that are not damaged."""
MISSING, ONLY = 0, 1
NOISE = 0.2


def calibrate(
    judge: Network,
    second: Network,
    train_images: Tensor,
    train_labels: Tensor,
    test_images: Tensor,
    test_labels: Tensor,
    n: int,
    seed: int,
    device: str,
) -> list[dict[str, Any]]:
    """Levels of up to `n` training images each (uint8 NCHW), all but the first damaged, against the whole test split.

    Each level has `level`, `n`, `frechet_distance`, `classifier_score`, `precision`, `recall`, `density`,
    `coverage`, `variety`, `agreement`, the share of images that a second classifier puts into the judge's class, and
    both classifiers' test errors, `judge_error` and `second_error`. The class that is missing is 0, the only one is 1.
    """
    judge.to(device)
    second.to(device)
    test_order_N = torch.randperm(len(test_images), generator=seeds.generator(seed, "ladder", "test"))
    reference, probabilities = features_and_probabilities(judge, test_images.cpu()[test_order_N])
    told = {"judge_error": probabilities.argmax(1), "second_error": predict(second, test_images.cpu()[test_order_N])[0]}
    truth_N = test_labels.cpu()[test_order_N]
    errors = {name: (told_N != truth_N).double().mean().item() for name, told_N in told.items()}

    order_N = torch.randperm(len(train_images), generator=seeds.generator(seed, "ladder", "train"))
    labels_N = train_labels.cpu()[order_N]

    def first(keep_N: Tensor) -> Tensor:
        return to_unit_range(train_images.cpu()[order_N[keep_N][:n]])

    def noise(draw: Any, label: str) -> Tensor:
        noise_NCHW: Tensor = draw(real.shape, generator=seeds.generator(seed, "ladder", label))
        return noise_NCHW

    real = first(torch.ones_like(labels_N, dtype=torch.bool))
    levels = {
        REAL: real,
        f"class {MISSING} missing": first(labels_N != MISSING),
        "blur 3×3": avg_pool2d(real, 3, stride=1, padding=1),
        f"Gaussian noise {NOISE}": (real + NOISE * noise(torch.randn, "gaussian")).clamp(0, 1),
        "uniform noise": noise(torch.rand, "uniform"),
        f"class {ONLY} only": first(labels_N == ONLY),
    }
    rows = []
    for level, images_NCHW in levels.items():
        features, probabilities = features_and_probabilities(judge, images_NCHW)
        row = {"level": level, "n": len(images_NCHW), **quality(reference, features, probabilities)}
        agreed_N = predict(second, images_NCHW)[0] == probabilities.argmax(1)
        rows.append({**row, "agreement": agreed_N.double().mean().item(), **errors})
    return rows
