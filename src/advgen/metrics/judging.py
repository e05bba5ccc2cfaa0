"""What commands that judge images share."""

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
    """Names the judge in tables: the start of the digest of its weights."""
    weights: str = read_header(path)["model"]["weights"]
    return weights[:12]


def judge_labels(judge: Network, images: torch.Tensor) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The judge's class and its confidence for each image (N, C, H, W)."""
    confidence, label = features_and_probabilities(judge, images)[1].max(1)
    return label.numpy(), confidence.numpy()


def real_distance(calibration: Path) -> float:
    """The Fréchet distance of real training images, as many as samples are drawn, from a judge's calibration.

    No generator can be expected below it: what a distance says begins there.
    """
    levels = read_table(calibration, "calibration").to_pandas().set_index("level")
    return float(levels.loc[REAL, "frechet_distance"])


def judge_samples(
    judge: Network, second: Network, samples: torch.Tensor, real: torch.Tensor, classes: int
) -> dict[str, Any]:
    """Columns of the quality table for samples against real images in random order, both (N, C, H, W).

    All are the judge's, but for `agreement`, the share of samples that the second classifier puts into the same class,
    and `classes_both`, which counts those samples alone.
    """
    reference, _ = features_and_probabilities(judge, real)
    features, probabilities = features_and_probabilities(judge, samples)
    labels = probabilities.argmax(1)
    agreed = predict(second, samples)[0] == labels
    shares = class_shares(labels, classes)
    return {
        **quality(reference, features, probabilities),
        "classes": classes_covered(shares),
        "classes_both": classes_covered(np.bincount(labels[agreed], minlength=classes) / len(labels)),
        "agreement": agreed.double().mean().item(),
        "total_variation": total_variation(shares, np.full(classes, 1 / classes)),
        "entropy_bits": entropy_bits(shares),
        "class_share": [shares.tolist()],
    }
