"""What two classifiers say of samples, and what real images have: worked out on images of one grey level each."""

from pathlib import Path

import pytest
import torch
from torch import nn

from advgen.files.provenance import Stamp
from advgen.io.tables import arrow_table, write_table
from advgen.metrics.distribution import frechet
from advgen.metrics.judging import judge_samples, real_distance
from advgen.models.networks import Network


def steps(*edges: float) -> Network:
    """A classifier of 1×1 images: the class is how many edges the pixel is beyond."""
    head = nn.Linear(1, len(edges) + 1)
    with torch.no_grad():  # logit k rises k times as fast as the pixel and is best between its edges
        head.weight.copy_(100.0 * torch.arange(len(edges) + 1)[:, None])
        head.bias.copy_(-100 * torch.tensor([0.0, *edges]).cumsum(0))
    return Network(nn.Sequential(nn.Flatten()), head)


def test_classes_of_both_are_those_that_both_name_for_the_same_samples():
    judge, second = steps(0.3, 0.6), steps(0.3, 0.8)
    grey = torch.cat([torch.full((50,), 0.1), torch.full((40,), 0.7), torch.full((10,), 0.4)])
    samples = (grey + 0.01 * torch.rand(100, generator=torch.Generator().manual_seed(0)))[:, None, None, None]
    real = torch.rand(300, 1, 1, 1, generator=torch.Generator().manual_seed(1))
    found = judge_samples(judge, second, samples, real, 3)
    assert found["class_share"] == [[0.5, 0.1, 0.4]]
    assert (found["classes"], found["classes_both"]) == (3, 2)  # of class 2 the second one sees nothing
    assert found["agreement"] == pytest.approx(0.6)
    assert found["frechet_distance"] == pytest.approx(frechet(real.flatten(1), samples.flatten(1)))
    same = judge_samples(judge, judge, samples, real, 3)
    assert (same["classes_both"], same["agreement"]) == (3, 1)


def test_the_distance_of_real_images_is_the_calibrations(tmp_path: Path):
    measures = ("precision", "recall", "density", "coverage", "variety", "classifier_score", "agreement")
    rows = {"dataset": "d", "level": ["blur 3×3", "real train"], "n": 100, "frechet_distance": [96.0, 1.8]}
    rows |= dict.fromkeys([*measures, "judge_error", "second_error"], 0.5) | {"judge": "x"}
    stamp = Stamp("advgen calibrate-judge", {}, "", {}, {}, 0, "cpu")
    write_table(tmp_path / "calibration.parquet", arrow_table("calibration", rows), stamp)
    assert real_distance(tmp_path / "calibration.parquet") == 1.8
