"""Presets: each can be built and run, GAN pairs fit, and their table."""

import subprocess
import sys

import pytest
import torch

from advgen import registry
from advgen.io.checkpoints import build
from advgen.io.tables import read_table
from advgen.models.layers import count_parameters
from advgen.outcomes.models.outcome import CountParameters
from advgen.specs.generators import TransposedConvGenerator

GENERATORS, NETWORKS = registry.PRESETS["generators"], registry.PRESETS["networks"]
DIGIT, FACE = (1, 28, 28), (3, 64, 64)


def numbered(shape):
    """Return the models M1, M2, … for images of a shape."""
    made = {name for name, spec in GENERATORS.items() if (spec.image_shape() or DIGIT) == shape}
    taken = {name for name, spec in NETWORKS.items() if (spec.image or DIGIT) == shape}
    return {name for name in made | taken if name.removeprefix("M").isdigit()}


def test_the_number_of_presets():
    assert len(numbered(DIGIT)) >= 5
    assert len(numbered(FACE)) >= 18
    assert numbered(DIGIT) & numbered(FACE) == set()


@pytest.mark.parametrize("number", range(1, 28, 2))
def test_a_generator_and_the_discriminator_after_it_fit(number):
    """Odd numbers are generators, the next even numbers their discriminators; M1 goes with M3 or M4."""
    generator, discriminator = (1, 3) if number in (1, 3) else (number, number + 1)
    made = GENERATORS[f"M{generator}"].image_shape() or DIGIT
    body = NETWORKS[f"M{discriminator}"].fit(made)
    pair = build("generators", GENERATORS[f"M{generator}"].fit(made)), build("networks", body, 1)
    assert pair[1](pair[0](torch.randn(2, pair[0].latent))).shape == (2, 1)


@pytest.mark.parametrize("name", [name for name, spec in NETWORKS.items() if spec.image == FACE])
def test_networks_for_faces_have_gradients(name):
    torch.manual_seed(0)
    network = build("networks", NETWORKS[name], 1)
    logits = network(torch.rand(4, *FACE))
    assert logits.shape == (4, 1)
    logits.square().sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())


def test_a_pair_that_does_not_fit_is_an_error():
    with pytest.raises(ValueError, match="has image: 3×64×64, not 1×28×28"):
        NETWORKS["M12"].fit(DIGIT)


def test_parameters_are_counted_in_a_table(tmp_path):
    spec = CountParameters(presets="any").canonical()
    command = [sys.executable, "-m", "advgen", "count-parameters", "--spec", spec, "--out", "models.parquet"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    rows = read_table(tmp_path / "models.parquet", "model").to_pylist()
    assert len(rows) == sum(len(named) for named in registry.PRESETS.values())
    counts = {row["preset"]: row["parameters"] for row in rows}
    assert counts["M1"] == 675_025
    assert counts["M3"] == 1_460_225
    assert counts["M23"] > counts["M11"], "skip connections have additional weights"
    assert counts["M11"] == count_parameters(build("generators", GENERATORS["M11"]))
    assert {row["image"] for row in rows} == {"1×28×28", "3×64×64"}


def test_a_preset_can_be_changed_in_one_key():
    changed = registry.parse("generators", {"preset": "M11", "skip_latent": True})
    assert changed == GENERATORS["M23"]
    assert isinstance(changed, TransposedConvGenerator)
