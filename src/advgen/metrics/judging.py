"""Evaluation of generated images by a reference classifier (judge)."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from advgen.io.headers import read_header
from advgen.io.tables import read_table
from advgen.metrics.calibration import REAL
from advgen.metrics.distribution import class_shares, classes_covered, entropy_bits, quality, total_variation
from advgen.models.networks import Network
from advgen.models.predict import features_and_probabilities, predict


def judge_digest(path: Path) -> str:
    """The judge's name in tables: the first digits of the digest of its weights."""
    weights: str = read_header(path)["model"]["weights"]
    return weights[:12]


def judge_labels(judge: Network, images: torch.Tensor) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Predicted class and confidence for each image (N, C, H, W)."""
    confidence, label = features_and_probabilities(judge, images)[1].max(1)
    return label.numpy(), confidence.numpy()


def real_distance(calibration: Path) -> float:
    """The Fréchet distance of as many real training images as there are samples, from a judge's calibration.

    It is the lower bound that no generator can be expected to beat.
    """
    levels = read_table(calibration, "calibration").to_pandas().set_index("level")
    return float(levels.loc[REAL, "frechet_distance"])


def judge_samples(
    judge: Network, second: Network, samples: torch.Tensor, real: torch.Tensor, classes: int
) -> dict[str, Any]:
    """Columns of the quality table for samples against real images in random order, both (N, C, H, W).

    All are by the judge, except `agreement`, the share of samples that the second classifier assigns to the same class,
    and `classes_both`, which counts only those samples.
    """
    reference, _ = features_and_probabilities(judge, real)
    features, probabilities = features_and_probabilities(judge, samples)
    labels = probabilities.argmax(1)
    agrees = predict(second, samples)[0] == labels
    shares = class_shares(labels, classes)
    return {
        **quality(reference, features, probabilities),
        "classes": classes_covered(shares),
        "classes_both": classes_covered(np.bincount(labels[agrees], minlength=classes) / len(labels)),
        "agreement": agrees.double().mean().item(),
        "total_variation": total_variation(shares, np.full(classes, 1 / classes)),
        "entropy_bits": entropy_bits(shares),
        "class_share": [shares.tolist()],
    }
