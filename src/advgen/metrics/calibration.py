"""Calibration of a reference classifier (judge): its Fréchet distance for images of known quality."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from advgen import seeds
from advgen.metrics.distribution import quality
from advgen.models.networks import Network
from advgen.models.predict import features_and_probabilities, predict, to_unit_range

REAL = "real train"
"""The level of undamaged images."""
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
    """Levels of up to `n` training images (uint8 NCHW), damaged except for the first, against the whole test split.

    Each row has `level`, `n`, the measures of `quality`, `agreement` (the share of images that both classifiers assign
    to the same class), and the test errors of both classifiers, `judge_error` and `second_error`.
    """
    judge.to(device)
    second.to(device)
    test_order_N = torch.randperm(len(test_images), generator=seeds.generator(seed, "ladder", "test"))
    reference, probabilities = features_and_probabilities(judge, test_images.cpu()[test_order_N])
    predicted = {
        "judge_error": probabilities.argmax(1),
        "second_error": predict(second, test_images.cpu()[test_order_N])[0],
    }
    truth_N = test_labels.cpu()[test_order_N]
    errors = {name: (labels_N != truth_N).double().mean().item() for name, labels_N in predicted.items()}

    order_N = torch.randperm(len(train_images), generator=seeds.generator(seed, "ladder", "train"))
    labels_N = train_labels.cpu()[order_N]

    def select(is_kept_N: Tensor) -> Tensor:
        return to_unit_range(train_images.cpu()[order_N[is_kept_N][:n]])

    def noise(draw: Any, label: str) -> Tensor:
        noise_NCHW: Tensor = draw(real.shape, generator=seeds.generator(seed, "ladder", label))
        return noise_NCHW

    real = select(torch.ones_like(labels_N, dtype=torch.bool))
    levels = {
        REAL: real,
        f"class {MISSING} missing": select(labels_N != MISSING),
        "blur 3×3": avg_pool2d(real, 3, stride=1, padding=1),
        f"Gaussian noise {NOISE}": (real + NOISE * noise(torch.randn, "gaussian")).clamp(0, 1),
        "uniform noise": noise(torch.rand, "uniform"),
        f"class {ONLY} only": select(labels_N == ONLY),
    }
    rows = []
    for level, images_NCHW in levels.items():
        features, probabilities = features_and_probabilities(judge, images_NCHW)
        row = {"level": level, "n": len(images_NCHW), **quality(reference, features, probabilities)}
        agrees_N = predict(second, images_NCHW)[0] == probabilities.argmax(1)
        rows.append({**row, "agreement": agrees_N.double().mean().item(), **errors})
    return rows
