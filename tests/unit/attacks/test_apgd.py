"""The rules of APGD, by hand: step size, finished examples, and the order of targets."""

import pytest
import torch

from advgen.attacks.apgd import Ascent, apgd, checkpoints, step
from advgen.attacks.pgd import Ball
from advgen.specs.attacks import ApgdAttack


def test_checkpoints_are_those_of_the_paper():
    assert sorted(checkpoints(100)) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert sorted(checkpoints(1)) == [1]
    assert sorted(checkpoints(20)) == [4, 7, 9, *range(10, 21)]


def places(*values):
    return torch.tensor(values)[:, None, None, None]


def test_steps_are_halved_where_the_loss_rises_too_seldom_or_nothing_better_was_found():
    """After eight steps: a rises enough; b too seldom; c found nothing better; d neither, but was halved before."""
    now = Ascent.begin(places(0.0, 0, 0, 0), places(1.0, 1, 1, 1), torch.zeros(4), torch.zeros(4, dtype=torch.bool), 2)
    now.x_adv_BCHW, now.best_BCHW = places(0.1, 0.1, 0.1, 0.1), places(0.5, 0.5, 0.5, 0.5)
    now.best_gradient_BCHW = places(7.0, 7, 7, 7)
    now.rises_B, now.best_loss_B = torch.tensor([7.0, 6, 8, 8]), torch.tensor([1.0, 1, 0, 0])
    now.halved_B = torch.tensor([False, False, False, True])
    now.check(8)
    assert now.halved_B.tolist() == [False, True, True, False]
    assert now.size_B111.flatten().tolist() == [2, 1, 1, 2]
    assert now.x_adv_BCHW.flatten().tolist() == pytest.approx([0.1, 0.5, 0.5, 0.1])
    assert now.gradient_BCHW.flatten().tolist() == [1, 7, 7, 1]
    assert now.rises_B.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_success_is_better_than_any_loss(early_stopping):
    """Two places reach it, the third does not: the better of the two is kept, or with early stopping the first."""
    loss = torch.tensor([5.0])
    now = Ascent.begin(places(0.0), places(1.0), loss, torch.tensor([False]), 2)
    for place, (one, reached) in enumerate([(1.0, True), (2.0, True), (9.0, False)], 1):
        now.x_adv_BCHW = places(float(place))
        now.update(places(1.0), torch.tensor([one]), torch.tensor([reached]), early_stopping)
    assert now.best_BCHW.item() == (1 if early_stopping else 2)
    assert now.success_B.item()


class Three(torch.nn.Module):
    """Class 0 leads, then 2, then 1; the gradient towards each lies on a pixel of its own."""

    def __init__(self):
        super().__init__()
        self.inputs = []

    def forward(self, x_BCHW):
        self.inputs.append(x_BCHW.detach())
        first, second = x_BCHW[:, 0, 0, 0], x_BCHW[:, 0, 0, 1]
        return torch.stack([torch.full_like(first, 1.0), 0.1 + first, 0.3 + second], dim=1)


def test_the_most_likely_wrong_class_is_the_first_target():
    """Only the second pixel can reach its class within eps, only the first its own in a larger ball with more steps."""
    x = torch.full((1, 1, 1, 2), 0.4)
    model = Three()
    spec = ApgdAttack(kind="apgd", eps=0.35, steps=3, loss="margin", targets=2)
    found = apgd(model, x, torch.tensor([0]), spec, seed=0, indices=[0])
    assert found[0, 0, 0, 1] > 0.7
    tries = len(model.inputs)
    assert tries <= 1 + 4  # the classes' order, and the first class alone
    model.inputs.clear()
    apgd(model, x, torch.tensor([0]), spec.model_copy(update={"eps": 0.1}), seed=0, indices=[0])
    assert len(model.inputs) == 1 + 2 * 4
    ends = [images[0, 0, 0] for images in (model.inputs[4], model.inputs[8])]
    assert ends[0][1] == pytest.approx(0.5)
    assert ends[1][0] == pytest.approx(0.5)


def test_in_l1_a_step_changes_the_largest_gradients_and_ends_on_the_border():
    """Two of four pixels, each by half of the step; the box holds one back, and a smaller ball takes from the other."""
    x = torch.tensor([0.5, 0.5, 0.95, 0.5], dtype=torch.float64).view(1, 1, 1, 4)
    gradient = torch.tensor([1.0, -3, 2, 0.5], dtype=torch.float64).view_as(x)
    now = Ascent.begin(x, gradient, torch.zeros(1), torch.tensor([False]), 0.5)
    now.share_B = torch.tensor([0.5])
    ball = Ball.around(x, 0.3)
    spec = ApgdAttack(kind="apgd", norm="l1", eps=0.3)
    moved = step(now, ball, spec, inertia=0)
    torch.testing.assert_close((moved - x).flatten().tolist(), [0.0, -0.25, 0.05, 0.0])
    spec = spec.model_copy(update={"eps": 0.2})
    moved = step(now, Ball.around(x, 0.2), spec, inertia=0)
    torch.testing.assert_close((moved - x).flatten().tolist(), [0.0, -0.15, 0.05, 0.0])


def test_in_l1_steps_grow_shorter_until_the_change_is_sparser():
    x = torch.zeros(2, 1, 1, 4)
    now = Ascent.begin(x, x, torch.zeros(2), torch.tensor([False, False]), 1.0)
    assert sorted(checkpoints(50, "l1")) == list(range(2, 51, 2))
    now.best_BCHW = torch.tensor([[1.0, 1, 1, 1], [1, 0, 0, 1]]).view_as(x)
    now.check_l1(x, eps=1.0)
    assert now.size_B111.flatten().tolist() == pytest.approx([1 / 1.5, 1])
    assert now.share_B.tolist() == pytest.approx([1 / 1.5, 0.5 / 1.5])
    assert torch.equal(now.x_adv_BCHW[1], now.best_BCHW[1])
    assert torch.equal(now.x_adv_BCHW[0], x[0])
    for _ in range(9):
        now.check_l1(x, eps=1.0)
    assert now.size_B111.flatten().tolist() == pytest.approx([0.1, 0.1])
