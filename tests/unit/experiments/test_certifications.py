"""Certified accuracies by hand, and the figure's lines."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from advgen.experiments.certifications.summary import summarise
from advgen.metrics.intervals import wilson


def certified(**columns: Any) -> pa.Table:
    """Four images: one wrong, one right without a radius, two certified."""
    facts = {"certification": "proven", "source": "net", "seed": 0, "method": "interval_bounds", "norm": "linf"}
    images = {"index": range(4), "label": [0, 1, 2, 3], "predicted": [1, 1, 2, 3], "radius": [0.9, 0.0, 0.1, 0.3]}
    rows = pd.DataFrame({**facts, "smoothed": False, "sigma": None, **images, **columns})
    return pa.Table.from_pandas(rows.assign(radii=[[0.0, 0.1, 0.2]] * 4))


def test_wrong_predictions_are_not_certified() -> None:
    found = pd.DataFrame(summarise({"certification": certified()}))
    assert found["eps"].tolist() == [0.0, 0.1, 0.2]
    assert found["certified_accuracy"].tolist() == [0.75, 0.5, 0.25]
    assert found["commonest"].tolist() == [0.25] * 3
    assert tuple(found.loc[1, ["certified_accuracy_low", "certified_accuracy_high"]]) == wilson(2, 4)
    assert found["clean_accuracy"].tolist() == [0.75] * 3
    assert found["mean_radius"].tolist() == pytest.approx([0.1] * 3)
    assert found["abstained"].tolist() == [0.0] * 3
    assert found["n"].tolist() == [4] * 3


def test_an_abstention_is_not_correct() -> None:
    found = pd.DataFrame(summarise({"certification": certified(predicted=[None, 1, 2, None], sigma=0.5)})).iloc[0]
    assert (found["abstained"], found["clean_accuracy"], found["certified_accuracy"]) == (0.5, 0.5, 0.5)
    assert found["sigma"] == 0.5


def test_the_curve_is_the_share_of_correct_predictions_with_a_radius_of_at_least_x() -> None:
    pytest.importorskip("matplotlib").use("Agg")
    from advgen.experiments.certifications.certified_accuracy import compute_certified_curve

    rows = certified().to_pandas()
    rows = rows.assign(correct=rows["predicted"] == rows["label"])
    assert compute_certified_curve(rows, np.array([0.0, 0.05, 0.1, 0.2, 0.31])).tolist() == [75, 50, 50, 25, 0]
