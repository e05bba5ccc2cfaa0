"""Losses and projections on numbers that are worked out by hand."""

import math

import pytest
import torch

from advgen import registry
from advgen.attacks.common import Goal, frozen, l2_norms, project, resolve_goal
from advgen.specs.attacks import FgsmAttack

Z = (1.0, 4.0, 2.0, 3.0, 0.0)
"""Sorted: 4, 3, 2, 1, 0."""


def loss(kind, label, target=None, z=Z):
    goal = Goal(torch.tensor([label]), None if target is None else torch.tensor([target]))
    return goal.loss(kind, torch.tensor([z], dtype=torch.float64)).item()


def test_dlr_of_equal_logits_is_zero_and_few_classes_are_an_error():
    with pytest.raises(ValueError, match="the dlr loss needs 3 classes, the model has 2"):
        loss("dlr", 0, z=(1.0, 2.0))
    with pytest.raises(ValueError, match="a targeted dlr loss needs 4 classes, the model has 3"):
        loss("dlr", 0, 1, z=(1.0, 2.0, 3.0))
    assert loss("dlr", 0, z=(2.0, 2.0, 2.0, 2.0)) == 0
    assert loss("dlr", 0, 1, z=(2.0, 2.0, 2.0, 2.0)) == 0


DLR = [(1, 3 - 4), (3, 4 - 3), (0, 4 - 1), (4, 4 - 0)]
TARGETED_DLR = [(1, 3, 3 - 4), (1, 2, 2 - 4), (1, 4, 0 - 4), (0, 3, 3 - 1), (0, 1, 4 - 1), (4, 0, 1 - 0)]
MARGINS = [(1, None, -1), (0, None, 3), (1, 3, -1), (1, 0, -3), (0, 1, 1)]


def test_margins_and_differences_of_logits_ratios():
    """−(z_y − max z_i) / (z_π1 − z_π3), and −(z_y − z_t) / (z_π1 − (z_π3 + z_π4) / 2) [croce2020reliable]."""
    assert [loss("margin", *goal) for *goal, _ in MARGINS] == [value for *_, value in MARGINS]
    assert [loss("dlr", label) for label, _ in DLR] == pytest.approx([lead / (4 - 2) for _, lead in DLR], abs=1e-12)
    ratios = [lead / (4 - (2 + 1) / 2) for *_, lead in TARGETED_DLR]
    assert [loss("dlr", *goal) for *goal, _ in TARGETED_DLR] == pytest.approx(ratios, abs=1e-12)
    # 10 − (5 + 1) / 2 = 7, which a mean over other ranks is not
    assert loss("dlr", 0, 1, (10.0, 7.0, 5.0, 1.0, -20.0)) == pytest.approx(-3 / 7, abs=1e-12)


def test_cross_entropy_climbs_from_the_label_or_towards_the_target():
    total = math.log(sum(math.exp(one) for one in Z))
    z = torch.tensor([Z], dtype=torch.float64)
    for label, target in ((2, None), (2, 3)):
        goal = Goal(torch.tensor([label]), None if target is None else torch.tensor([target]))
        expected = total - 2 if target is None else 3 - total
        assert goal.cross_entropy(z).item() == pytest.approx(expected)
        # what is climbed goes the same way: the log-odds of the same probability
        climbed = loss("cross_entropy", 2) if target is None else loss("cross_entropy", 2, 3)
        sign = 1 if target is None else -1
        assert climbed == pytest.approx(sign * math.log(math.exp(sign * expected) - 1))


def test_the_climbed_cross_entropy_keeps_its_gradient_where_the_label_leads_by_far():
    z = torch.tensor([[1000.0, 0.0, -5.0]], requires_grad=True)
    Goal(torch.tensor([0])).loss("cross_entropy", z).sum().backward()
    assert z.grad[0].tolist() == pytest.approx([-1, 0.9933, 0.0067], abs=1e-4)


def test_the_goal_is_reached_by_any_other_class_or_by_the_target_alone():
    z = torch.tensor([Z, Z, Z])
    assert Goal(torch.tensor([0, 1, 2])).is_reached(z).tolist() == [True, False, True]
    assert Goal(torch.tensor([0, 0, 0]), torch.tensor([1, 2, 3])).is_reached(z).tolist() == [True, False, False]


def test_projections_onto_balls_and_box():
    x = torch.tensor([0.5, 0.5, 0.9, 0.1]).view(1, 1, 2, 2)
    far = torch.tensor([0.9, 0.45, 1.5, -1.0]).view(1, 1, 2, 2)
    assert project(far, x, "linf", 0.2).flatten().tolist() == pytest.approx([0.7, 0.45, 1.0, 0.0])
    # a change of (0.3, 0.4) has length 0.5; a ball of 0.25 halves it, one of 1 leaves it
    x, far = torch.full((1, 1, 1, 2), 0.5), torch.tensor([0.8, 0.9]).view(1, 1, 1, 2)
    assert l2_norms(far - x).item() == pytest.approx(0.5)
    assert project(far, x, "l2", 0.25).flatten().tolist() == pytest.approx([0.65, 0.7])
    assert project(far, x, "l2", 1).flatten().tolist() == pytest.approx([0.8, 0.9])


class Grey(torch.nn.Module):
    """Adds its channels up, so that the gradient of several pixels is one number in one place."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x_BCHW):
        return self.model(x_BCHW.sum(1, keepdim=True).repeat(1, 2, 1, 1))


@pytest.mark.parametrize("kind", registry.kinds("attacks"))
def test_a_model_that_adds_its_channels_first_is_attacked(model, x, y, indices, kind):
    """Nothing may be written into a gradient that shares its memory."""
    fast = {"carlini_wagner": {"steps": 3}, "square": {"queries": 9}, "one_pixel": {"population": 4, "generations": 2}}
    fast |= {"hop_skip_jump": {"queries": 100, "draws": 5}}
    fast |= {"region": {"region": {"kind": "square", "size": 3}}}
    spec = registry.kinds("attacks")[kind](kind=kind, **fast.get(kind, {}))
    attack = registry.resolve(spec)
    if spec.others():
        attack = attack(Grey(model), x, y, spec, seed=0)
    found = attack(Grey(model), x, y, spec, seed=0, indices=indices)
    assert found.isfinite().all()


@pytest.mark.parametrize("label", range(5))
def test_random_targets_are_uniform_over_the_other_classes(model, x, label):
    many = x[:1].expand(400, -1, -1, -1)
    spec = FgsmAttack(kind="fgsm", target="random")
    with torch.no_grad():
        goal = resolve_goal(model, many, torch.full((400,), label), spec, seed=0, indices=list(range(400)))
    counts = goal.target_B.bincount(minlength=5).tolist()
    assert counts.pop(label) == 0
    assert all(70 < count < 130 for count in counts)  # 100, and three standard deviations of 9 to either side


def test_frozen_parameters_need_no_gradient(model):
    wanted = model[1].bias.requires_grad_(False)
    with frozen(model):
        assert not any(parameter.requires_grad for parameter in model.parameters())
    assert [parameter.requires_grad for parameter in model.parameters()] == [True, False, True, True]
    assert not wanted.requires_grad
