"""A classifier from a file that does not fit the data of a study: its job says why in one line and leaves no file."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from tests.entries import jobs_in, write_images

from advgen.cli import main
from advgen.files.user_files import model_digest

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes={classes}):
        super().__init__()
        self.layer = nn.Linear({pixels}, classes)

    def forward(self, x):
        {before}
        logits = self.layer(x.flatten(1))
        return {gives}
"""
FITS = {"classes": 3, "pixels": 784, "before": "pass", "gives": "logits"}


@pytest.fixture(scope="module")
def _place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with jobs_in(tmp_path_factory.mktemp("own classifier"), "tests.watch:watched"):
        write_images(Path("train.parquet"))
        yield


def taken(**text: object) -> None:
    """The job that takes a classifier of three classes whose code has this text."""
    Path("net.py").write_text(NET.format(**{**FITS, **text}))
    weights = torch.randn(3, 784, generator=torch.Generator().manual_seed(0))
    save_file({"layer.weight": weights, "layer.bias": torch.zeros(3)}, "net.safetensors")
    files = {"path": "net.safetensors", "factory": "net.py:Net"}
    model = {"kind": "file", **files, "bounds": [0, 1], "mean": None, "std": None}
    model["content"] = model_digest(*files.values())
    spec = {"name": "mine", "seed": 0, "model": model, "classes": 3, "images": None, "defence": None, "training": None}
    words = ["--data", "train.parquet", "--out-model", "out/model.safetensors", "--out-history", "out/history.parquet"]
    main(["train-classifier", *words, "--spec", json.dumps({**spec, "validation": 20})])


WRONG = {
    "a factory that raises": ({"classes": "[]"}, r"factory 'net\.py:Net': raised TypeError: .*; fix it"),
    "other weights": ({"pixels": 785}, r"'layer\.weight' is of shape \(3, 784\), and net\.py:Net makes \(3, 785\)"),
    "another size of images": (
        {"before": "assert x.shape[2] == 32, 'sizes'"},
        "fails on 1×28×28 .*: AssertionError: sizes",
    ),
    "its own mistake": ({"before": "self.lost(x)"}, "fails on 1×28×28 float32 images: AttributeError: .*'lost'"),
    "fewer classes": ({"gives": "logits[:, :2]"}, "has 2 outputs, but the data set has 3 classes"),
    "more classes": (
        {"gives": "nn.functional.pad(logits, (0, 2))"},
        "has 5 outputs, but the data set has 3 classes; use another",
    ),
    "probabilities": ({"gives": "logits.softmax(1)"}, "outputs are probabilities, .*; attack it without its softmax"),
    "NaN": (
        {"gives": "logits / 0 * 0"},
        "returns NaN or infinite outputs on clean images; check its mean, std and bounds",
    ),
    "no logits": (
        {"gives": "logits.argmax(1)"},
        r"the model returns one number per image; .* wrap it in a module whose forward returns torch.stack",
    ),
    "on another device": (
        {"gives": "logits.to('meta')"},
        "fails on 1×28×28 float32 images: NotImplementedError: Cannot copy out of meta tensor",
    ),
}


@pytest.mark.usefixtures("_place")
@pytest.mark.parametrize("way", WRONG)
def test_one_that_does_not_fit_is_told_in_one_line_and_nothing_is_written(way: str) -> None:
    text, told = WRONG[way]
    with pytest.raises(SystemExit, match=f"advgen train-classifier: .*{told}") as caught:
        taken(**text)
    assert "\n" not in str(caught.value)
    assert not [path for path in Path("out").rglob("*") if path.is_file()]


@pytest.mark.usefixtures("_place")
def test_one_that_fits_is_taken() -> None:
    taken()
    assert {path.name for path in Path("out").iterdir()} == {"model.safetensors", "history.parquet"}
