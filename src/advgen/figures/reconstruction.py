"""How well reconstructed images keep their class, and the errors of baselines that need no model."""

import pandas as pd

from advgen.figures.findings import interval_columns
from advgen.figures.formatting import format_number, format_percent
from advgen.figures.statistics import share_over_images

BASELINES = {"mse_principal": "PCA with the same number of dimensions", "mse_nearest": "nearest training image"}
"""Columns with the mean squared errors of the baselines, and their names."""


def class_kept(rows: pd.DataFrame) -> tuple[float, float, float]:
    """Return the share of images that the reference classifier assigns to their label, with its interval."""
    return share_over_images(rows, rows["judged"] == rows["label"])


def class_kept_columns(rows: pd.DataFrame) -> dict[str, float]:
    """Return `class_kept` and the reference classifier's accuracy on the originals as columns of a row."""
    return interval_columns("class_kept", class_kept(rows)) | {"class_kept_real": _real_accuracy(rows)}


def describe_real_accuracy(rows: pd.DataFrame) -> str:
    """Write the reference classifier's accuracy on the originals, an upper bound of `class_kept`."""
    return f"accuracy on the original images: {format_percent(_real_accuracy(rows))}"


def _real_accuracy(rows: pd.DataFrame) -> float:
    return float((rows["judged_real"] == rows["label"]).mean())


def baseline_columns(rows: pd.DataFrame) -> dict[str, float]:
    """Return the mean squared error of each baseline as columns of a row."""
    return {name: float(rows[name].mean()) for name in BASELINES}


def describe_baselines(rows: pd.DataFrame) -> str:
    """Write the mean squared error of each baseline."""
    return ", ".join(f"{BASELINES[name]}: {format_number(mse)}" for name, mse in baseline_columns(rows).items())
