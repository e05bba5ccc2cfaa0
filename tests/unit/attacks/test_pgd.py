"""Restarts of PGD on a model whose losses are given by a table."""

import pytest
import torch

from advgen.attacks.pgd import pgd, random_start
from advgen.specs.attacks import PgdAttack

RESTARTS = 4
LEADS = [
    [-3, -1, -2, -4],  # none fools: the second is nearest to it
    [-1, 2, 5, -2],  # the second fools, before the third, which would by more
    [1, -5, -5, -5],  # the first fools
    [-1, -2, -3, 0.5],  # only the last fools
    [-1, -1, -2, -3],  # the first of two alike
    [-4, -3, -2, -1],  # none fools: the last is nearest to it
    [-2, 0, -1, -3],  # a tie of the classes is no success, and still the nearest to one
]
"""By how much the wrong class leads at each restart's point, for each example."""
KEPT = [1, 1, 0, 3, 0, 3, 1]
INDICES = [10 * row for row in range(len(LEADS))]


class RecordingModel(torch.nn.Module):
    """Records its inputs. Class 0 has the largest logit unless the table says otherwise."""

    def __init__(self, points_RBCHW=None):
        super().__init__()
        self.points_RBCHW, self.inputs = points_RBCHW, []

    def forward(self, x_BCHW):
        self.inputs.append(x_BCHW.detach().clone())
        leads = [self.lead(x) for x in x_BCHW.detach()]
        flat_B = 0 * x_BCHW.flatten(1).sum(1)
        return torch.stack([flat_B, flat_B + torch.tensor(leads, dtype=x_BCHW.dtype)], dim=1)

    def lead(self, x):
        if self.points_RBCHW is None:
            return -1.0
        [(restart, row)] = (self.points_RBCHW == x).flatten(2).all(2).nonzero().tolist()
        return LEADS[row][restart]


def attack(model, **settings):
    """A flat model has no gradient, so that the points are the random starts themselves."""
    x = torch.full((len(LEADS), 1, 2, 2), 0.5, dtype=torch.float64)
    spec = PgdAttack(kind="pgd", eps=0.25, steps=1, restarts=RESTARTS, **settings)
    return pgd(model, x, torch.zeros(len(LEADS), dtype=torch.long), spec, seed=3, indices=INDICES)


def points(**settings):
    """Where each restart starts, (R, B, C, H, W)."""
    model = RecordingModel()
    attack(model, **settings)
    assert [len(images) for images in model.inputs] == [
        len(LEADS)
    ] * 2 * RESTARTS  # a step's gradient, then the verdict
    return torch.stack(model.inputs[::2])


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_restarts_have_different_starts(norm):
    starts_XD = points(norm=norm).flatten(2).flatten(0, 1)
    assert len(starts_XD.unique(dim=0)) == RESTARTS * len(LEADS)
    # nor along one line, as starts that differ in length alone would
    assert len((starts_XD - 0.5).sign().unique(dim=0)) > 8
    change_X = (starts_XD - 0.5).norm(dim=1) if norm == "l2" else (starts_XD - 0.5).abs().amax(1)
    assert 0.2 < change_X.max() <= 0.25


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("loss", ["cross_entropy", "margin"])
def test_the_first_successful_restart_wins_else_the_highest_loss(norm, loss):
    starts_RBCHW = points(norm=norm)
    best = attack(RecordingModel(starts_RBCHW), norm=norm, loss=loss)
    assert [(starts_RBCHW[:, row] == best[row]).flatten(1).all(1).nonzero().item() for row in range(7)] == KEPT


def test_restarts_skip_successful_examples():
    """Of seven examples the first restart fools one, the second another, the third none."""
    model = RecordingModel(points())
    attack(model)
    assert [len(images) for images in model.inputs] == [7, 7, 6, 6, 5, 5, 5, 5]


@pytest.mark.parametrize(("steps", "fooled"), [(2, False), (3, True)])
def test_each_step_has_the_step_size(steps, fooled):
    """From 0.5, steps of 0.1 up the gradient: past 0.75, where the label changes, at the third."""

    class Line(torch.nn.Module):
        def forward(self, x_BCHW):
            up_B = x_BCHW.flatten(1).sum(1) - 0.75
            return torch.stack([-up_B, up_B], dim=1)

    x = torch.full((1, 1, 1, 1), 0.5, dtype=torch.float64)
    for norm in ("linf", "l2"):
        spec = PgdAttack(kind="pgd", norm=norm, eps=0.4, steps=steps, step_size=0.1, random_start=False)
        x_adv = pgd(Line(), x, torch.tensor([0]), spec, seed=0, indices=[0])
        assert x_adv.item() == pytest.approx(0.5 + 0.1 * steps, abs=1e-12)
        assert (x_adv.item() > 0.75) == fooled


def test_random_starts_are_uniform_in_the_ball():
    """In L∞ each pixel is, so its mean is 0 and that of its square eps² / 3; in L2 in n dimensions (r / eps)^n is."""
    x = torch.full((500, 1, 2, 2), 0.5, dtype=torch.float64)
    for norm in ("linf", "l2"):
        change_BD = (random_start(x, norm, 0.25, 0, list(range(500)), restart=0) - x).flatten(1) / 0.25
        assert change_BD.mean(0).abs().max() < 0.1  # four standard deviations
        if norm == "linf":
            assert change_BD.square().mean().item() == pytest.approx(1 / 3, rel=0.1)
            assert change_BD.abs().max() < 1
        else:
            share_B = change_BD.norm(dim=1) ** 4
            assert share_B.mean().item() == pytest.approx(1 / 2, rel=0.1)
            assert 0.99 < share_B.max() <= 1 + 1e-6
