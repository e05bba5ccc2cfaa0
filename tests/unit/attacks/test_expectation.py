"""Averages over transformations: their poses, their mean, and what they are for."""

import pytest
import torch
import torchattacks

from advgen.attacks.apgd import apgd
from advgen.attacks.expectation import average_logits, sample_poses
from advgen.attacks.pgd import pgd
from advgen.attacks.region import region
from advgen.attacks.spatial import transform
from advgen.specs.attacks import ApgdAttack, Expectation, PgdAttack, RegionAttack

STILL = Expectation(degrees=0, pixels=0, samples=2)


class Bright(torch.nn.Module):
    """Logits are the brightness of two rows of pixels."""

    def forward(self, x_BCHW):
        return x_BCHW[:, 0, :2].sum(2)


def test_logits_are_averaged_over_what_the_poses_show():
    """One white pixel of the first row: as it is, a pixel lower, and half a pixel lower."""
    x = torch.zeros(1, 1, 4, 3)
    x[0, 0, 0, 1] = 1
    pose = torch.tensor([[[0.0, 0, 0], [0, 0, 1], [0, 0, 0.5]]])
    torch.testing.assert_close(average_logits(Bright(), pose)(x), torch.tensor([[1.5, 1.5]]) / 3)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(average_logits(Bright(), pose)(x)[0, 1], x)
    torch.testing.assert_close(gradient[0, 0, :, 1], torch.tensor([1.5, 1.5, 0, 0]) / 3)
    assert average_logits(Bright(), None)(x).equal(Bright()(x))


def test_poses_lie_within_the_limits_and_depend_on_the_example_alone():
    spec = Expectation(samples=50, degrees=20, pixels=3)
    drawn = sample_poses(spec, 4, 0, "poses", [3, 5], torch.zeros(1))
    assert drawn.shape == (2, 4, 50, 3)
    assert torch.tensor([18.0, 2.7, 2.7]).lt(drawn.abs().amax((0, 1, 2))).all()
    assert drawn.abs().amax((0, 1, 2)).le(torch.tensor([20.0, 3, 3])).all()
    assert drawn[1:].equal(sample_poses(spec, 4, 0, "poses", [5], torch.zeros(1)))
    assert sample_poses(None, 4, 0, "poses", [5], torch.zeros(1)) is None


@pytest.mark.parametrize(
    ("attack", "spec"),
    [
        (pgd, PgdAttack(kind="pgd", eps=0.1, steps=8)),
        (pgd, PgdAttack(kind="pgd", eps=0.05, steps=8, restarts=2, early_stopping=True)),
        (apgd, ApgdAttack(kind="apgd", eps=0.05, steps=30, targets=2)),
    ],
)
def test_where_nothing_moves_it_is_the_plain_attack(model, x, y, indices, attack, spec):
    plain = attack(model, x, y, spec, seed=0, indices=indices)
    still = attack(model, x, y, spec.model_copy(update={"expectation": STILL}), seed=0, indices=indices)
    torch.testing.assert_close(still, plain, atol=1e-9, rtol=0)
    moved = attack(model, x, y, spec.model_copy(update={"expectation": Expectation()}), seed=0, indices=indices)
    assert not torch.allclose(moved, plain, atol=1e-3)


def test_pgd_on_a_model_that_draws_is_torchattackss(model, x, y, indices):
    """Both see the same noise: of a normal distribution, new in each pass."""

    class Noisy(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = model

        def forward(self, x_BCHW):
            return self.net(x_BCHW + 0.05 * torch.randn(x_BCHW.shape, dtype=x_BCHW.dtype))

    # with one pass the mean of losses is the loss of the mean
    for samples in (1, 20):
        spec = PgdAttack(kind="pgd", eps=0.1, steps=5, random_start=False)
        spec = spec.model_copy(update={"expectation": Expectation(samples=samples, degrees=0, pixels=0)})
        torch.manual_seed(0)
        ours = pgd(Noisy(), x, y, spec, seed=0, indices=indices)
        torch.manual_seed(0)
        peer = torchattacks.EOTPGD(
            Noisy(), eps=0.1, alpha=spec.step_size, steps=5, eot_iter=samples, random_start=False
        )
        assert ((ours - peer(x, y)).abs() < 1e-9).double().mean() > (0.99 if samples == 1 else 0.9)


def test_a_patch_that_is_averaged_over_poses_survives_them(model, x, y, indices):
    """As often as possible on poses that the attack has not seen."""
    keys = {"region": {"kind": "square", "size": 3}, "steps": 40, "step_size": 0.05}
    spec = RegionAttack(kind="region", **keys)
    expectation = Expectation(samples=8, degrees=30, pixels=1)
    unseen = sample_poses(Expectation(samples=200, degrees=30, pixels=1), 1, 99, "unseen", indices, x)[:, 0]

    def survives(spec):
        x_adv = region(model, x, y, spec, seed=0, indices=indices)
        with torch.no_grad():
            wrong = [model(transform(x_adv, pose)).argmax(1) != y for pose in unseen.unbind(1)]
        return torch.stack(wrong).double().mean()

    assert survives(spec.model_copy(update={"expectation": expectation})) > survives(spec) + 0.1
