"""DeepFool on a linear model, where the distances to the boundaries are known."""

import pytest
import torch

from advgen.attacks.deepfool import deepfool
from advgen.specs import DeepFoolAttack

BEYOND = 1e-4
"""What the authors add to each step."""


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


@pytest.mark.parametrize("overshoot", [0.02, 0.5, 1.0])
def test_the_change_is_the_distance_and_the_overshoot(overshoot):
    """Class 1 is at 0.8 / 4 = 0.2, nearer than class 2 at 0.3 / 1, whose lead is less."""
    found = change(0, overshoot=overshoot)
    assert found.norm().item() == pytest.approx((1 + overshoot) * (0.2 + BEYOND), abs=1e-12)
    assert found.tolist() == pytest.approx([(1 + overshoot) * (0.2 + BEYOND), 0, 0, 0], abs=1e-12)


def test_without_an_overshoot_it_ends_just_beyond_the_boundary():
    assert change(0, overshoot=0.0).norm().item() == pytest.approx(0.2 + BEYOND, abs=1e-12)


def test_it_stops_at_the_first_wrong_label():
    assert torch.equal(change(0, steps=1), change(0, steps=9))


def test_what_is_wrong_already_stays():
    assert change(1).abs().max() == 0
