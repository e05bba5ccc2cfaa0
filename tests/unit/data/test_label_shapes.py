"""Labels are whole numbers, one for each image: other shapes are refused wherever labels come in."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.workflow.test_config_errors import message

import advgen
from advgen.data.custom import as_labels, read_custom
from advgen.files import user_files
from advgen.files.user_files import dataset_facts
from advgen.registry import parse

N = 12
IMAGES = np.random.default_rng(0).integers(0, 256, (N, 1, 8, 8), dtype=np.uint8)
LABELS = np.arange(N) % 2
STUDY = "datasets:\n  mine: {kind: npz, path: data.npz}\nclassifiers:\n  net: {dataset: mine, model: FC10}\n"

# as many numbers as images in some, one row for each image in others, one column in others still
MISSHAPEN: dict[str, Any] = {
    "no dimension": np.array(1),
    "none in each row": np.zeros((N, 0), int),
    "two columns": np.zeros((N, 2), int),
    "as many, in two columns": LABELS.reshape(N // 2, 2),
    "one row": LABELS[None],
    "three dimensions": LABELS[:, None, None],
    "scores": np.eye(N, dtype=int),
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    user_files.clear_cache()


@pytest.mark.parametrize("shape", MISSHAPEN)
def test_misshapen_labels_are_refused_when_read_and_in_the_plan(shape: str) -> None:
    labels, net = MISSHAPEN[shape], torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    np.savez("data.npz", images=IMAGES, labels=labels)
    refused = re.escape(f"labels are of shape {labels.shape}; give one integer for each image")
    for read in (
        lambda: advgen.attack(net, IMAGES, labels, "fgsm"),
        lambda: advgen.evaluate(net, IMAGES, torch.from_numpy(labels), eps=0.1),
        lambda: read_custom("data.npz"),
    ):
        with pytest.raises(ValueError, match=refused) as caught:
            read()
        assert "\n" not in str(caught.value)
    Path("study.yaml").write_text(STUDY)
    found = message(Path("study.yaml"))
    assert "study.yaml:2: datasets.mine.path = 'data.npz': data.npz: labels have dtype <i8 and shape" in found
    assert found.endswith(f"shape {labels.shape}; save integers from 0, one per image"), found
    assert "\n" not in found


def test_one_column_of_labels_is_as_good_as_a_list() -> None:
    np.testing.assert_array_equal(as_labels(LABELS[:, None]), LABELS)
    np.savez("data.npz", images=IMAGES, labels=LABELS[:, None])
    assert dataset_facts(parse("datasets", {"kind": "npz", "path": "data.npz"})).classes == 2
