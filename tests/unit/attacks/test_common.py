"""Losses and projections on numbers that are worked out by hand."""

import math

import pytest
import torch

from advgen.attacks.common import Goal, norms, project

Z = (1.0, 4.0, 2.0, 3.0, 0.0)
"""Sorted: 4, 3, 2, 1, 0."""


def loss(kind, label, target=None, z=Z):
    goal = Goal(torch.tensor([label]), None if target is None else torch.tensor([target]))
    return goal.loss(kind, torch.tensor([z], dtype=torch.float64)).item()


# −(z_y − z_t) / (z_π1 − (z_π3 + z_π4) / 2) [croce2020reliable]: the denominator is 4 − (2 + 1) / 2 = 2.5
@pytest.mark.parametrize(
    ("label", "target", "value"),
    [
        (1, 3, (3 - 4) / 2.5),
        (1, 2, (2 - 4) / 2.5),
        (1, 4, (0 - 4) / 2.5),
        (0, 3, (3 - 1) / 2.5),  # wrong already, towards what is not in front
        (0, 1, (4 - 1) / 2.5),
        (4, 0, (1 - 0) / 2.5),
    ],
)
def test_aimed_dlr(label, target, value):
    assert loss("dlr", label, target) == pytest.approx(value, abs=1e-12)


def test_aimed_dlr_takes_the_third_and_fourth_of_more_classes():
    """10, 7, 5, 1, −20: 10 − (5 + 1) / 2 = 7. A mean over other ranks would be another number each time."""
    assert loss("dlr", 0, 1, (10.0, 7.0, 5.0, 1.0, -20.0)) == pytest.approx(-3 / 7, abs=1e-12)


# −(z_y − max z_i) / (z_π1 − z_π3): the denominator is 4 − 2 = 2
@pytest.mark.parametrize(("label", "value"), [(1, (3 - 4) / 2), (3, (4 - 3) / 2), (0, (4 - 1) / 2), (4, (4 - 0) / 2)])
def test_dlr(label, value):
    assert loss("dlr", label) == pytest.approx(value, abs=1e-12)


def test_dlr_of_equal_logits_is_nothing():
    assert loss("dlr", 0, z=(2.0, 2.0, 2.0, 2.0)) == 0
    assert loss("dlr", 0, 1, z=(2.0, 2.0, 2.0, 2.0)) == 0


@pytest.mark.parametrize(("label", "target", "value"), [(1, None, -1), (0, None, 3), (1, 3, -1), (1, 0, -3), (0, 1, 1)])
def test_margin(label, target, value):
    assert loss("margin", label, target) == value


def test_cross_entropy_climbs_from_the_label_or_towards_the_target():
    total = math.log(sum(math.exp(one) for one in Z))
    assert loss("cross_entropy", 2) == pytest.approx(total - 2)
    assert loss("cross_entropy", 2, 3) == pytest.approx(3 - total)


def test_the_goal_is_reached_by_any_other_class_or_by_the_target_alone():
    z = torch.tensor([Z, Z, Z])
    assert Goal(torch.tensor([0, 1, 2])).reached(z).tolist() == [True, False, True]
    assert Goal(torch.tensor([0, 0, 0]), torch.tensor([1, 2, 3])).reached(z).tolist() == [True, False, False]


def test_projections_onto_balls_and_box():
    x = torch.tensor([0.5, 0.5, 0.9, 0.1]).view(1, 1, 2, 2)
    far = torch.tensor([0.9, 0.45, 1.5, -1.0]).view(1, 1, 2, 2)
    assert project(far, x, "linf", 0.2).flatten().tolist() == pytest.approx([0.7, 0.45, 1.0, 0.0])
    # a change of (0.3, 0.4) has length 0.5; a ball of 0.25 halves it, one of 1 leaves it
    x, far = torch.full((1, 1, 1, 2), 0.5), torch.tensor([0.8, 0.9]).view(1, 1, 1, 2)
    assert norms(far - x).item() == pytest.approx(0.5)
    assert project(far, x, "l2", 0.25).flatten().tolist() == pytest.approx([0.65, 0.7])
    assert project(far, x, "l2", 1).flatten().tolist() == pytest.approx([0.8, 0.9])
