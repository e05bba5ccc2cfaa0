"""Which nets have learnt nothing: what attacks do to them says nothing, and they are compared with no other net."""

from __future__ import annotations

import pandas as pd

from advgen.metrics.intervals import wilson

MIN_FOR_INTERVAL = 30
"""Examples from which on intervals decide, and evaluations may be called sound."""
MIN_WITHOUT_INTERVAL = 200
"""Examples from which on a number without an interval decides."""
CONFIDENCE = 0.999
MODEL_KEYS = ["source", "source_seed"]


def one_row_per_image(examples: pd.DataFrame) -> pd.DataFrame:
    """Each image of each net once, whatever attacks it met."""
    return examples.drop_duplicates([*MODEL_KEYS, "index"])


def majority_class_accuracy(labels: pd.Series) -> float:
    """The accuracy of naming the commonest class."""
    return float(labels.value_counts(normalize=True).max())


def is_better_than_chance(images: pd.DataFrame) -> bool:
    """Whether one net names several classes, and more often the right one than naming the commonest would.

    That is at least 1 / K of K classes. By the interval, but with fewer than 30 images by the accuracy alone; images of
    one class tell nothing.
    """
    right, n = int((images["predicted_clean"] == images["label"]).sum()), len(images)
    if images["label"].nunique() < 2:
        return True
    least = right / n if n < MIN_FOR_INTERVAL else wilson(right, n, CONFIDENCE)[0]
    return bool(images["predicted_clean"].nunique() > 1 and least > majority_class_accuracy(images["label"]))


def why_insufficient(labels: pd.Series) -> str:
    """Why so few images, or such images, show nothing about a net; empty if they may."""
    n = len(labels)
    if n < MIN_FOR_INTERVAL:
        return f"{n} {'image' if n == 1 else 'images'}, at least {MIN_FOR_INTERVAL} are needed"
    return "all images are of one class, at least 2 are needed" if labels.nunique() < 2 else ""


def models_at_chance(examples: pd.DataFrame) -> list[tuple[str, int]]:
    """The nets in `examples` that have learnt nothing, as names and seeds."""
    return [net for net, images in one_row_per_image(examples).groupby(MODEL_KEYS) if not is_better_than_chance(images)]
