"""DeepFool against its published steps in plain loops."""

import pytest
import torch

from advgen.attacks.deepfool import deepfool
from advgen.specs.attacks import DeepFoolAttack

BEYOND = 1e-4
"""The margin that the authors add to each step."""


def plain(model, x, label, spec):
    """All classes at every step [moosavi2016deepfool]; how many steps it took."""
    total, image = torch.zeros_like(x), x.clone()
    for step in range(spec.steps):
        image = image.detach().requires_grad_()
        logits = model(image[None])[0]
        if logits.argmax().item() != label:
            return image.detach(), step
        nearest = None
        for k in range(len(logits)):
            if k != label:
                (gradient,) = torch.autograd.grad(logits[k] - logits[label], image, retain_graph=True)
                away, length = (logits[label] - logits[k]).item() / gradient.norm().item(), gradient.norm().item()
                if nearest is None or away < nearest[0]:
                    nearest = away, gradient / length
        total = total + (nearest[0] + BEYOND) * nearest[1]
        image = (x + (1 + spec.overshoot) * total).clamp(0, 1)
    return image.detach(), spec.steps


@pytest.mark.parametrize("overshoot", [0.0, 0.1])
def test_it_takes_the_published_steps(model, x, y, indices, overshoot):
    """With ten times the weights, so that the boundaries bend and several steps are needed."""
    with torch.no_grad():
        model[1].weight.mul_(10)
        y = model(x).argmax(1)
        y[-1] = (y[-1] + 1) % 5
    spec = DeepFoolAttack(kind="deepfool", overshoot=overshoot)
    found = deepfool(model, x, y, spec, seed=0, indices=indices)
    taken = set()
    for row in range(len(x)):
        expected, steps = plain(model, x[row], int(y[row]), spec)
        torch.testing.assert_close(found[row], expected, atol=1e-9, rtol=0)
        taken.add(steps)
    assert len(taken) > 2
    assert max(taken) > 2


@pytest.mark.parametrize(("far", "gradients"), [(0.107, 2 + 2), (0.109, 2 + 1)])
def test_distant_boundaries_are_skipped_after_the_first_step(far, gradients):
    """Class 1 leads by e^(-10 x), so that a step of 1.02 · 0.1001 leaves it right.

    By the latest lead and gradient it is at e^-1.021 / 10 = 0.036 then; class 2, which stays, is spared beyond 0.108.
    """
    calls = []

    class Receding(torch.nn.Module):
        def forward(self, x_BCHW):
            x_BD = x_BCHW.flatten(1) - 0.5
            logits_BK = torch.stack([0 * x_BD[:, 0], -torch.exp(-10 * x_BD[:, 0]), x_BD[:, 1] - far], dim=1)
            if logits_BK.requires_grad:
                logits_BK.register_hook(lambda gradient_BK: calls.append(len(gradient_BK)))
            return logits_BK

    x = torch.full((1, 1, 2, 2), 0.5, dtype=torch.float64)
    deepfool(Receding(), x, torch.tensor([0]), DeepFoolAttack(kind="deepfool", steps=2), seed=0, indices=[0])
    assert len(calls) == gradients


def test_without_any_gradient_there_is_no_step():
    class Flat(torch.nn.Module):
        def forward(self, x_BCHW):
            flat_B = 0 * x_BCHW.flatten(1).sum(1)
            return torch.stack([flat_B + 0.1, flat_B, flat_B], dim=1)

    x = torch.full((2, 1, 2, 2), 0.5, dtype=torch.float64)
    spec = DeepFoolAttack(kind="deepfool", steps=3)
    assert torch.equal(deepfool(Flat(), x, torch.tensor([0, 0]), spec, seed=0, indices=[0, 1]), x)
