"""What commands that judge images share."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from advgen.io.headers import read_header
from advgen.metrics.distribution import class_shares, classes_covered, entropy_bits, quality, total_variation
from advgen.models.networks import Network
from advgen.models.predict import features_and_probabilities


def judge_digest(path: Path) -> str:
    """Names the judge in tables: the start of the digest of its weights."""
    weights: str = read_header(path)["model"]["weights"]
    return weights[:12]


def judge_labels(judge: Network, images: torch.Tensor) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The judge's class and its confidence for each image (N, C, H, W)."""
    confidence, label = features_and_probabilities(judge, images)[1].max(1)
    return label.numpy(), confidence.numpy()


def judge_samples(judge: Network, samples: torch.Tensor, real: torch.Tensor, classes: int) -> dict[str, Any]:
    """Columns of the quality table for samples against real images in random order, both (N, C, H, W)."""
    reference, _ = features_and_probabilities(judge, real)
    features, probabilities = features_and_probabilities(judge, samples)
    shares = class_shares(probabilities.argmax(1), classes)
    return {
        **quality(reference, features, probabilities),
        "classes": classes_covered(shares),
        "total_variation": total_variation(shares, np.full(classes, 1 / classes)),
        "entropy_bits": entropy_bits(shares),
        "class_share": [shares.tolist()],
    }
