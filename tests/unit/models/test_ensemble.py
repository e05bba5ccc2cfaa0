"""Ensembles: mean of probabilities, one stack of heads."""

import pytest
import torch

from advgen.files.provenance import Stamp
from advgen.io.checkpoints import build, load_model, save_model
from advgen.specs.networks import ConvNetwork, EnsembleNetwork

STAMP = Stamp("test", {}, "x")
MEMBER = ConvNetwork(kind="conv", channels=(3,), kernel=3, padding=1, hidden=(7,))
SPEC = EnsembleNetwork(kind="ensemble", member=MEMBER, members=3).fit((1, 8, 8))


@pytest.fixture
def ensemble():
    torch.manual_seed(0)
    return build("networks", SPEC, 4).eval()


@pytest.fixture
def x():
    return torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def test_logits_are_the_log_of_the_mean_probability(ensemble, x):
    assert ensemble.members(x).shape == (5, 3, 4)
    torch.testing.assert_close(ensemble(x), ensemble.members(x).softmax(2).mean(1).log())
    torch.testing.assert_close(ensemble(x).exp().sum(1), torch.ones(5))


def test_members_are_networks_of_their_own(ensemble, x):
    torch.manual_seed(0)
    alone = [build("networks", SPEC.member, 4).eval() for _ in range(3)]
    torch.testing.assert_close(ensemble.members(x), torch.stack([member(x) for member in alone], dim=1))


def test_confidence_stays_finite_where_members_are_certain(ensemble, x):
    with torch.no_grad():
        ensemble.head.weight.mul_(1e5)
    assert torch.isfinite(ensemble(x)).all()


def test_a_checkpoint_rebuilds_it(ensemble, x, tmp_path):
    save_model(tmp_path / "ensemble.safetensors", ensemble, STAMP)
    assert torch.equal(load_model(tmp_path / "ensemble.safetensors")(x), ensemble(x))
