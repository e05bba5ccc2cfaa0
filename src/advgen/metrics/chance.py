"""Classifiers that are no better than chance: attacks on them show nothing, and they are left out of comparisons."""

import pandas as pd

from advgen.metrics.intervals import wilson

MIN_FOR_INTERVAL = 30
"""Fewest examples for which an interval decides a check and an evaluation may be called sound."""
MIN_WITHOUT_INTERVAL = 200
"""Fewest examples for which a number without an interval decides a check."""
CONFIDENCE = 0.999
MODEL_KEYS = ["source", "source_seed"]


def one_row_per_image(examples: pd.DataFrame) -> pd.DataFrame:
    """The first row of each image of each classifier, whichever attack it is from."""
    return examples.drop_duplicates([*MODEL_KEYS, "index"])


def majority_class_accuracy(labels: pd.Series) -> float:
    """The accuracy of always predicting the most frequent class."""
    return float(labels.value_counts(normalize=True).max())


def is_better_than_chance(images: pd.DataFrame) -> bool:
    """Whether one classifier predicts several classes and beats the majority-class baseline.

    With at least MIN_FOR_INTERVAL images the lower end of the interval decides, otherwise the accuracy. True if all
    images have the same label, since nothing can be concluded from them.
    """
    correct, n = int((images["predicted_clean"] == images["label"]).sum()), len(images)
    if images["label"].nunique() < 2:
        return True
    least = correct / n if n < MIN_FOR_INTERVAL else wilson(correct, n, CONFIDENCE)[0]
    return bool(images["predicted_clean"].nunique() > 1 and least > majority_class_accuracy(images["label"]))


def why_insufficient(labels: pd.Series) -> str:
    """Why images with these labels cannot evaluate a classifier (too few, or of one class); empty if they can."""
    n = len(labels)
    if n < MIN_FOR_INTERVAL:
        return f"{n} {'image' if n == 1 else 'images'}, at least {MIN_FOR_INTERVAL} are needed"
    return "all images are of one class, at least 2 are needed" if labels.nunique() < 2 else ""


def models_at_chance(examples: pd.DataFrame) -> list[tuple[str, int]]:
    """Names and seeds of the classifiers in `examples` that are no better than chance."""
    groups = one_row_per_image(examples).groupby(MODEL_KEYS)
    return [model for model, images in groups if not is_better_than_chance(images)]
