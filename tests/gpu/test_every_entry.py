"""A job of everything that is registered, with every choice of its keys, from spec to artefact on the pretended GPU."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import torch
from pydantic import BaseModel
from tests.entries import DEEP, USES, autoencoder, mask, train, train_gan, workplace
from tests.gpu.device import OnGpu, PretendedGpu

from advgen import registry
from advgen.inpainting.fill import blend_poisson, fill_harmonic
from advgen.inpainting.restore import METHODS
from advgen.io.tables import read_table
from advgen.specs.searches import LatentSearch
from advgen.specs.training import ClassifierTraining, GanTraining, MomentMatching


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("on-gpu")
    with workplace(folder, "tests.gpu.device:computing"):
        yield folder


def choices(spec: type[BaseModel]) -> Iterator[dict[str, Any]]:
    """The spec's keys that choose one of several, each with every value that is not its default."""
    for name, field in spec.model_fields.items():
        for value in [False, True] if field.annotation is bool else sorted(words(field.annotation)):
            if value != field.default and len(words(field.annotation)) != 1:
                yield {name: value}


def words(annotation: Any) -> set[str]:
    """The words of all literals in a type."""
    if get_origin(annotation) is Literal:
        return {value for value in get_args(annotation) if isinstance(value, str)}
    return {word for part in get_args(annotation) for word in words(part)}


ENTRIES = [
    pytest.param(family, kind, keys, id=f"{family} {kind} {keys or ''}")
    for family in USES
    for kind, spec in registry.kinds(family).items()
    for keys in [{}, *choices(spec)]
]


@pytest.mark.parametrize(("family", "kind", "keys"), ENTRIES)
def test_a_job_computes_on_the_gpu(family: str, kind: str, keys: dict[str, Any]) -> None:
    USES[family](kind, **keys)


def test_the_attacks_have_something_to_do(folder: Path) -> None:
    assert read_table(folder / "model.parquet", "training").column("accuracy").to_pylist()[-1] > 0.8


TRAININGS = {
    "classifier": (ClassifierTraining, lambda **keys: train(training=keys)),
    "gan": (GanTraining, partial(train_gan, DEEP)),
    "unrolled gan": (GanTraining, partial(train_gan, DEEP, unroll=1, ema=0.9, checkpoint_selection=1)),
    "autoencoder": (MomentMatching, lambda **keys: autoencoder("fc", {"kind": "pooled", **keys})),
    "search": (LatentSearch, lambda **keys: mask("square", "contextual_prior", keys)),
}


@pytest.mark.parametrize(
    ("name", "keys"), [(name, keys) for name, (spec, _) in TRAININGS.items() for keys in [{}, *choices(spec)]]
)
def test_a_training_and_a_search_do_with_every_choice(name: str, keys: dict[str, Any]) -> None:
    TRAININGS[name][1](**keys)


def test_holes_are_filled_on_the_gpu() -> None:
    with PretendedGpu():
        x_NCHW, known_NHW = torch.rand(2, 1, 8, 8).to("cuda:0"), (torch.rand(2, 8, 8) > 0.5).to("cuda:0")
        assert isinstance(blend_poisson(x_NCHW, known_NHW, fill_harmonic(x_NCHW, known_NHW)), OnGpu)


@pytest.mark.parametrize("method", METHODS)
def test_an_image_is_restored_with_every_method(method: str) -> None:
    mask("glasses", method)
