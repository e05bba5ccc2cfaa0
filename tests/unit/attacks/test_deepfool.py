"""DeepFool on a linear model, where the distances to the boundaries are known."""

import pytest
import torch

from advgen.attacks.deepfool import deepfool
from advgen.specs.attacks import DeepFoolAttack

BEYOND = 1e-4
"""The margin that the authors add to each step."""


class Linear(torch.nn.Module):
    """The label 0 leads class 1 by 0.8 and class 2 by 0.3 at the image of halves, and class 3 by far."""

    def forward(self, x_BCHW):
        x_BD = x_BCHW.flatten(1) - 0.5
        lead_1, lead_2 = 0.8 - 4 * x_BD[:, 0], 0.3 - 0.6 * x_BD[:, 1] - 0.8 * x_BD[:, 2]
        return torch.stack([0 * lead_1, -lead_1, -lead_2, 0 * lead_1 - 9], dim=1)


def change(label, **settings):
    x = torch.full((1, 1, 2, 2), 0.5, dtype=torch.float64)
    spec = DeepFoolAttack(kind="deepfool", **settings)
    return (deepfool(Linear(), x, torch.tensor([label]), spec, seed=0, indices=[0]) - x).flatten()


@pytest.mark.parametrize("overshoot", [0.0, 0.02, 0.5, 1.0])
def test_the_change_is_the_distance_and_the_overshoot(overshoot):
    """Class 1 is at 0.8 / 4 = 0.2, nearer than class 2 at 0.3 / 1, whose lead is less."""
    found = change(0, overshoot=overshoot)
    assert found.norm().item() == pytest.approx((1 + overshoot) * (0.2 + BEYOND), abs=1e-12)
    assert found.tolist() == pytest.approx([(1 + overshoot) * (0.2 + BEYOND), 0, 0, 0], abs=1e-12)


def test_the_scale_of_the_logits_changes_nothing():
    class Flat(Linear):
        def forward(self, x_BCHW):
            return 1e-3 * super().forward(x_BCHW)

    x = torch.full((1, 1, 2, 2), 0.5, dtype=torch.float64)
    spec = DeepFoolAttack(kind="deepfool")
    found = deepfool(Flat(), x, torch.tensor([0]), spec, seed=0, indices=[0]) - x
    torch.testing.assert_close(found.flatten(), change(0), atol=1e-12, rtol=0)


def test_it_stops_at_the_first_wrong_label():
    assert torch.equal(change(0, steps=1), change(0, steps=9))


def test_misclassified_images_stay_unchanged():
    assert change(1).abs().max() == 0


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
