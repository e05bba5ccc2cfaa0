"""The steps of craft, on a network with one input."""

import numpy as np
import pytest
import torch

from advgen.attacks.checks import SLACK, assert_within_threat_model
from advgen.attacks.common import measure_perturbations
from advgen.attacks.run import craft
from advgen.specs.attacks import FgsmAttack, PgdAttack


class Flat(torch.nn.Module):
    """Blind to images under a half: there its gradient is exactly zero."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, x_BCHW):
        seen_B = (x_BCHW.flatten(1).mean(1) - 0.5).clamp_min(0) * self.weight
        return torch.stack([0.1 + 0 * seen_B, seen_B], dim=1)


def test_distances_by_hand():
    a = torch.tensor([[[[0.0, 1.0]], [[0.5, 0.5]]], [[[0.2, 0.2]], [[0.2, 0.2]]]])
    b = torch.tensor([[[[0.3, 1.0]], [[0.9, 0.5]]], [[[0.2, 0.2]], [[0.2, 0.2]]]])
    found = {name: values.tolist() for name, values in measure_perturbations(a, b).items()}
    assert found["linf"] == pytest.approx([0.4, 0])
    assert found["l2"] == pytest.approx([0.5, 0])
    assert found["l0"] == [1, 0]  # one pixel, in both of its channels
    assert found["rms"] == pytest.approx([0.25, 0])  # 0.5 / √4


def test_measurements_by_hand():
    """Three images in parts of two: one blind, one right, one just over the line."""
    images = torch.tensor([0.2, 0.55, 0.9]).view(3, 1, 1, 1)
    spec = FgsmAttack(kind="fgsm", eps=0.1)

    def add(model, x_BCHW, y_B, spec, *, seed, indices):
        assert len(x_BCHW) == len(y_B) == len(indices) <= 2
        model(x_BCHW)
        return (x_BCHW + 0.1).clamp(0, 1)

    calls = []
    labels = torch.tensor([0, 0, 1])
    crafted = craft(
        add, Flat(), images, labels, spec, seed=0, indices=[4, 5, 6], batch=2, progress=lambda *args: calls.append(args)
    )
    assert crafted.measurements.zero_gradient.tolist() == [True, False, False]
    assert crafted.measurements.predicted_clean.tolist() == [0, 0, 1]
    assert crafted.measurements.predicted.tolist() == [0, 1, 1]
    assert crafted.attack.x_adv.flatten().tolist() == pytest.approx([0.3, 0.65, 1.0])
    confidence = [1 / (1 + np.exp(-lead)) for lead in (0.1, 0.05, 0.4)]
    assert crafted.measurements.confidence.tolist() == pytest.approx(confidence, abs=1e-5)
    assert (crafted.attack.forward_calls, crafted.attack.gradient_calls) == (1, 0)
    assert crafted.measurements.target_label is None
    assert calls == [(2, 3, {}), (3, 3, {})]


def test_rounding_to_grey_levels_can_undo_an_example():
    """The boundary lies between the grey levels 153 and 154, where .6015 is rounded to the nearer, right one."""
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(1, 2))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[-100.0], [100.0]]))
        model[1].bias.copy_(torch.tensor([60.1, -60.1]))
    images = torch.tensor([0.59, 0.65, 0.2]).view(3, 1, 1, 1)
    spec = FgsmAttack(kind="fgsm", eps=0.1)

    def add(model, x_BCHW, y_B, spec, *, seed, indices):
        return x_BCHW + 0.0115

    crafted = craft(add, model, images, torch.zeros(3, dtype=torch.long), spec, seed=0, indices=[0, 1, 2])
    assert crafted.measurements.predicted.tolist() == [1, 1, 0]
    assert crafted.measurements.predicted_rounded.tolist() == [0, 1, 0]


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_examples_outside_ball_or_box_are_rejected(norm):
    spec = PgdAttack(kind="pgd", norm=norm, eps=0.25)
    x = torch.full((2, 1, 1, 1), 0.5, dtype=torch.float64)
    far = x.clone()
    far[1] += 0.25 + 0.9 * SLACK
    assert_within_threat_model(craft, far, x, spec, 0, [0, 1])
    far[1] += 0.2 * SLACK
    with pytest.raises(AssertionError, match=f"craft left the {norm} ball"):
        assert_within_threat_model(craft, far, x, spec, 0, [0, 1])
    for beyond in (-1e-9, 1 + 1e-9):
        far[1] = beyond
        with pytest.raises(AssertionError, match="craft left the box"):
            assert_within_threat_model(craft, far, x, spec, 0, [0, 1])
    edges = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)
    assert_within_threat_model(craft, edges, edges, spec, 0, [0, 1])
    assert 0 < SLACK <= 1e-6
