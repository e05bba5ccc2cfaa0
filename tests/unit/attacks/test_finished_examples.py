"""Finished examples that stay in the batch, as on a GPU between two checks, change no result."""

import importlib
import pkgutil

import pytest
import torch

import advgen.attacks
from advgen import registry
from advgen.attacks import common, deepfool, one_pixel
from advgen.attacks.common import CHECK_INTERVAL, is_check_due
from advgen.attacks.run import CallCounts, count_calls

NAMES = [one.name for one in pkgutil.iter_modules(advgen.attacks.__path__)]
MODULES = [importlib.import_module(f"advgen.attacks.{name}") for name in NAMES]
CHECKING = [module for module in MODULES if hasattr(module, "is_check_due") and module is not common]
SPECS = {
    "apgd": [
        {"steps": 45, "eps": 0.05},
        {"steps": 45, "eps": 0.5, "norm": "l1"},
        {"steps": 45, "eps": 0.05, "norm": "l2", "targets": 2, "loss": "dlr"},
    ],
    "carlini_wagner": [{"steps": 45, "searches": 3, "initial_c": 0.02}],
    "deepfool": [{}],
    "fab": [
        {"norm": norm, "steps": 45, "targets": 2, "within": size}
        for norm, size in (("linf", 0.1), ("l2", 0.5), ("l1", 2))
    ],
    "fmn": [
        {"norm": norm, "steps": 45, "within": size} for norm, size in (("linf", 0.1), ("l2", 0.5), ("l1", 2), ("l0", 4))
    ],
    "hop_skip_jump": [{"norm": norm, "queries": 300, "draws": 4} for norm in ("linf", "l2")],
    "jsma": [{"target": "random", "theta": 0.05, "share": 0.9}],
    "lbfgs": [{"steps": 45, "searches": 3}, {"target": None, "steps": 45, "searches": 3}],
    "one_pixel": [{"population": 6, "generations": 45}, {"search": "exhaustive"}],
    "pgd": [
        {"early_stopping": True, "steps": 45, "eps": 0.05, "step_size": 0.003},
        {"early_stopping": True, "steps": 45, "eps": 0.1, "step_size": 0.004, "restarts": 3, "target": "random"},
    ],
    "region": [{"region": {"kind": "square", "size": 3}, "steps": 45, "step_size": 0.01}],
    "spatial": [{"search": "random", "tries": 45}, {"search": "first_order", "tries": 45}, {"angles": 9, "shifts": 3}],
    "square": [
        {"queries": 60, "eps": 0.04},
        {"queries": 60, "eps": 0.3, "norm": "l2"},
        {"queries": 60, "eps": 1, "norm": "l1"},
    ],
}


def is_late(iteration):
    return iteration > 0 and iteration % CHECK_INTERVAL == 0


def test_checks_are_due_always_on_the_cpu_and_periodically_on_a_device():
    cpu, device = torch.empty(0), torch.empty(0, device="meta")
    assert all(is_check_due(iteration, cpu) for iteration in range(50))
    assert [iteration for iteration in range(50) if is_check_due(iteration, device)] == [20, 40]


def test_every_attack_with_checks_is_covered():
    assert {module.__name__.rpartition(".")[2] for module in CHECKING} == set(SPECS)


@pytest.mark.parametrize(("kind", "settings"), [(kind, one) for kind, some in SPECS.items() for one in some])
def test_finished_examples_stay_unchanged_until_the_next_check(kind, settings, model, x, y, indices, monkeypatch):
    spec = registry.parse("attacks", {"kind": kind, **settings})
    attack, keys = registry.resolve(spec), {"seed": 0, "indices": indices}
    monkeypatch.setattr(one_pixel, "BLOCK", 1)  # so that the exhaustive search has several checks
    few, many, checked = CallCounts(), CallCounts(), []
    with count_calls(model, few):
        at_once = attack(model, x, y, spec, **keys)

    def is_due(number, like):
        checked.append(number)
        return is_late(number)

    for module in CHECKING:
        monkeypatch.setattr(module, "is_check_due", is_due)
    with count_calls(model, many):
        later = attack(model, x, y, spec, **keys)
    assert max(checked) >= CHECK_INTERVAL, "no check was due"
    assert few.forward < many.forward, "on the CPU, finished examples leave the batch"
    torch.testing.assert_close(later, at_once, rtol=0, atol=1e-9)


def test_both_steps_of_deepfool_agree(model, x, y, indices, monkeypatch):
    spec = registry.parse("attacks", {"kind": "deepfool"})
    near = deepfool.deepfool(model, x, y, spec, seed=0, indices=indices)
    monkeypatch.setattr(deepfool, "_step_to_near_classes", deepfool._step_to_all_classes)
    monkeypatch.setattr(deepfool, "is_check_due", lambda number, like: is_late(number))
    every = deepfool.deepfool(model, x, y, spec, seed=0, indices=indices)
    torch.testing.assert_close(every, near, rtol=0, atol=1e-9)
    assert (every != x).flatten(1).any(1).sum() == 5, "all but the one that is wrong already"
