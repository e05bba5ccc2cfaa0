"""The saliency map attack against all pairs in loops."""

import itertools

import pytest
import torch

from advgen.attacks import jsma as module
from advgen.attacks.jsma import jsma
from advgen.specs.attacks import JsmaAttack


def plain(model, x, target, spec):
    """Pair after pair on one image; the changed pixels."""
    x, changed = x.flatten().clone(), set()
    most = int(spec.share * len(x))
    while True:
        jacobian = torch.autograd.functional.jacobian(lambda z: model(z[None])[0], x)
        reached = model(x[None])[0].argmax().item() == target
        up, down = jacobian[target], jacobian[target] - jacobian.sum(0)
        weights = {
            (p, q): max((up[p] + up[q]).item(), 0) * max((down[p] + down[q]).item(), 0)
            for p, q in itertools.combinations(range(len(x)), 2)
            if x[p] < 1 and x[q] < 1
        }
        pair = max(weights, key=weights.get)
        if reached or len(changed) + 2 > most or weights[pair] <= 0:
            return x, changed
        for pixel in pair:
            x[pixel] = min(x[pixel].item() + spec.theta, 1)
            changed.add(pixel)


@pytest.mark.parametrize(("theta", "share"), [(1.0, 0.2), (0.25, 0.15)])
@pytest.mark.parametrize("pairs", [20_000_000, 1])
def test_it_takes_the_published_pairs(model, x, indices, theta, share, pairs, monkeypatch):
    monkeypatch.setattr(module, "PAIRS", pairs)
    model[0] = torch.nn.Flatten()
    with torch.no_grad():
        order = model(x).argsort(1, descending=True)
    spec = JsmaAttack(kind="jsma", target="nearest", theta=theta, share=share)
    found = jsma(model, x, order[:, 0], spec, seed=0, indices=indices)
    done = set()
    for row in range(len(x)):
        expected, changed = plain(model, x[row], int(order[row, 1]), spec)
        torch.testing.assert_close(found[row].flatten(), expected, atol=1e-12, rtol=0)
        done.add(len(changed))
    assert len(done) > 1


def test_the_share_is_used_up_to_the_last_pair(model, x, indices):
    """A target that is never reached: 11 of 56 values may change, so five pairs do."""
    with torch.no_grad():
        model[3].bias[2] -= 1e3
    spec = JsmaAttack(kind="jsma", target=2, share=0.2)
    found = jsma(model, 0.5 * x, torch.zeros(6, dtype=torch.long), spec, seed=0, indices=indices)
    assert (found != 0.5 * x).flatten(1).sum(1).tolist() == [10] * 6
