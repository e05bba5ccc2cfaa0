"""The plug-ins for Foolbox and torchattacks: their attacks keep the contract and are about as strong as PGD."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from advgen import contracts, registry
from advgen.attacks.run import craft
from advgen.core import plugins
from advgen.core.code import PLUGIN_FILES
from advgen.models.predict import predict

FOLDER = Path(__file__).parents[3] / "docs/examples/plugins"
LIBRARIES = {
    "foolbox": {"steps": 10, "settings": {"rel_stepsize": 0.25}},  # its own step of eps / 30 is for 40 steps
    "torchattacks": {"steps": 10, "settings": {"alpha": 0.025}},
}


@pytest.fixture(autouse=True, scope="module")
def _registered() -> Iterator[None]:
    before = dict(registry.ATTACKS)
    plugins.load([FOLDER / f"{name}_attack.py" for name in LIBRARIES])
    yield
    registry.ATTACKS.clear()
    registry.ATTACKS.update(before)
    registry._adapter.cache_clear()
    for module in PLUGIN_FILES:
        sys.modules.pop(module, None)
    PLUGIN_FILES.clear()


@pytest.mark.parametrize("check", [*contracts.CHECKS["attacks"], *contracts.EVERY], ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", LIBRARIES)
def test_a_library_attack_keeps_the_contract(kind: str, check: contracts.Check) -> None:
    if check in (contracts.is_independent_of_the_batch, contracts.is_the_identity_without_a_budget):
        pytest.skip("works in float32; has no budget of zero")
    check(registry.parse("attacks", {"kind": kind, "eps": 0.1, **LIBRARIES[kind]}))


@pytest.mark.parametrize("kind", LIBRARIES)
def test_a_library_attack_fools_about_as_often_as_pgd(kind: str) -> None:
    model, (x, _) = contracts.classifier().eval(), contracts.examples()
    y, _ = predict(model, x)
    fooled = {}
    for one in (kind, "pgd"):
        spec = registry.parse("attacks", {"kind": one, "eps": 0.05, "steps": 10, **LIBRARIES.get(one, {})})
        facts = craft(registry.resolve(spec), model, x, y, spec, seed=0, indices=contracts.INDICES, batch=5)
        fooled[one] = (torch.from_numpy(facts.measurements.predicted) != y).double().mean().item()
    assert fooled["pgd"] > 0.3
    assert abs(fooled[kind] - fooled["pgd"]) <= 0.25


@pytest.mark.parametrize("kind", LIBRARIES)
def test_an_unknown_attack_raises(kind: str) -> None:
    spec = registry.parse("attacks", {"kind": kind, "attack": "Gone"})
    with pytest.raises(ValueError, match=f"{kind} has no attack 'Gone'"):
        registry.resolve(spec)(contracts.classifier(), *contracts.examples(), spec, seed=0, indices=contracts.INDICES)
    assert plugins.versions([registry.target(spec)])[kind]
