"""Carlini and Wagner's attack against torch's Adam on one image after the other."""

import math
from itertools import pairwise

import pytest
import torch
from tests.scaled import Scaled

from advgen.attacks.carlini_wagner import carlini_wagner
from advgen.attacks.run import CallCounts, count_calls
from advgen.specs.attacks import CarliniWagnerAttack


def lead(logits, label, target):
    others = [one for k, one in enumerate(logits) if k != (label if target is None else target)]
    best = torch.stack(others).max()
    return best - logits[label] if target is None else logits[target] - best


def plain(model, x, label, target, spec):
    """Minimises the squared change + c · max(confidence − lead, 0); the values of c that were tried, and the best."""
    low, high, c, tried = 0.0, math.inf, spec.initial_c, []
    best, smallest = x, math.inf
    start = x.clone().requires_grad_()
    first = lead(model(start[None])[0], label, target)
    (gradient,) = torch.autograd.grad(first, start)
    least = 2 * first.abs().item() / gradient.norm().item() ** 2
    for _ in range(spec.searches):
        tried.append(c)
        w = torch.atanh((2 * x - 1) * (1 - 1e-6)).requires_grad_()
        adam = torch.optim.Adam([w], lr=spec.lr)
        found = math.inf
        for _ in range(spec.steps):
            adam.zero_grad()
            image = (w.tanh() + 1) / 2
            margin = lead(model(image[None])[0], label, target)
            size = (image - x).norm().item()
            if margin.item() > spec.confidence and size < found:
                found = size
                if size < smallest:
                    best, smallest = image.detach().clone(), size
            ((image - x).square().sum() + c * (spec.confidence - margin).clamp_min(0)).backward()
            adam.step()
        if math.isfinite(found):
            high = c
        else:
            low = c
        c = max(10 * c, least) if math.isinf(high) else (low + high) / 2
    return best, tried


@pytest.mark.parametrize(("target", "confidence"), [(None, 0.0), (None, 0.3), ("nearest", 0.1)])
def test_it_is_adam_in_tanh_space_with_a_search_over_c(model, x, y, indices, target, confidence):
    settings = {"steps": 30, "searches": 5, "lr": 0.03, "initial_c": 0.02, "early_stopping": False}
    spec = CarliniWagnerAttack(kind="carlini_wagner", target=target, confidence=confidence, **settings)
    found = carlini_wagner(model, x, y, spec, seed=0, indices=indices)
    grown, bisected = 0, 0
    for row in range(len(x)):
        logits = model(x[row][None])[0].detach()
        label = int(y[row])
        aim = None if target is None else int(logits.masked_fill(torch.arange(5) == label, -math.inf).argmax())
        if lead(logits, label, aim) > confidence:
            assert torch.equal(found[row], x[row])
            continue
        expected, tried = plain(model, x[row], label, aim, spec)
        torch.testing.assert_close(found[row], expected, atol=1e-7, rtol=0)
        ratios = [b / a for a, b in pairwise(tried)]
        grown, bisected = grown + sum(r > 5 for r in ratios), bisected + sum(r < 5 for r in ratios)
    assert grown > 0
    assert bisected > 0


@pytest.mark.parametrize("target", [None, "nearest"])
def test_early_stopping_spares_gradients_and_finds_changes_as_small(model, x, y, indices, target):
    keys = {"kind": "carlini_wagner", "target": target, "steps": 400, "searches": 6}
    spent, norms = {}, {}
    for stops in (False, True):
        spec, calls = CarliniWagnerAttack(**keys, early_stopping=stops), CallCounts()
        with count_calls(model, calls):
            found = carlini_wagner(model, x, y, spec, seed=0, indices=indices)
        spent[stops], norms[stops] = calls.gradient, (found - x).flatten(1).norm(dim=1)
    attacked = norms[False] > 0
    assert attacked.sum() >= len(x) - 1
    assert spent[False] == (400 * 6 + 1) * attacked.sum()  # one gradient at the image itself
    assert spent[True] < 0.8 * spent[False]
    assert ((norms[True] > 0) == attacked).all()
    assert (norms[True] <= 1.01 * norms[False]).all()


def test_small_logits_keep_no_image_from_being_fooled(model, x, y, indices):
    """With logits of a ten-thousandth, five values of c that grow tenfold are all too small."""
    y = model(x).argmax(1)
    spec = CarliniWagnerAttack(kind="carlini_wagner", steps=60, searches=5)
    found = carlini_wagner(model, x, y, spec, seed=0, indices=indices)
    scaled = carlini_wagner(Scaled(model, 1e-4), x, y, spec, seed=0, indices=indices)
    assert (model(found).argmax(1) != y).all()
    assert (model(scaled).argmax(1) != y).all()
    sizes = [(one - x).flatten(1).norm(dim=1).median() for one in (found, scaled)]
    assert sizes[1] <= 1.3 * sizes[0]
