"""The controls of attacks: shuffled changes, plain frames and random poses."""

import torch
from torch import nn

from advgen.attacks.common import measure_perturbations
from advgen.attacks.controls import make_controls
from advgen.attacks.run import craft
from advgen.attacks.spatial import spatial
from advgen.specs.attacks import PgdAttack, RegionAttack, SpatialAttack


def test_a_shuffled_change_has_the_same_norms():
    x_BCHW = 0.4 + 0.2 * torch.rand(3, 2, 5, 5, generator=torch.Generator().manual_seed(0))
    change = torch.zeros_like(x_BCHW)
    change[:, :, 1, 2:4] = torch.tensor([0.3, -0.2])
    spec = PgdAttack(kind="pgd", eps=0.3)
    [moved] = make_controls(x_BCHW, x_BCHW + change, spec, seed=0, indices=[4, 7, 9])
    for name, size in measure_perturbations(moved, x_BCHW).items():
        torch.testing.assert_close(size, measure_perturbations(x_BCHW + change, x_BCHW)[name])
    assert not torch.allclose(moved, x_BCHW + change)
    [alone] = make_controls(x_BCHW[1:2], (x_BCHW + change)[1:2], spec, seed=0, indices=[7])
    assert torch.equal(alone[0], moved[1])  # whatever its batch
    [bright] = make_controls(torch.ones(1, 1, 5, 5), torch.full((1, 1, 5, 5), 1.3), spec, seed=0, indices=[0])
    assert bright.max() == 1


CROSSWALK = RegionAttack(kind="region", region={"kind": "crosswalk"}, steps=1)


def test_the_controls_of_a_region_are_a_white_and_a_black_frame():
    x_BCHW = torch.full((1, 1, 6, 6), 0.25)
    white, black = make_controls(x_BCHW, x_BCHW, CROSSWALK, seed=0, indices=[0])
    assert [sorted(one.unique().tolist()) for one in (white, black)] == [[0.25, 1], [0, 0.25]]
    assert [(one != x_BCHW).sum() for one in (white, black)] == [18, 18]
    assert torch.equal(white != x_BCHW, black != x_BCHW)


class Brightness(nn.Module):
    """Class 0 is dark, 1 is between, 2 is bright."""

    def forward(self, x_BCHW):
        mean_B = x_BCHW.flatten(1).mean(1)
        return -torch.stack([(mean_B - level).square() for level in (0.0, 0.3, 0.8)], 1)


def test_the_first_control_that_fools_counts():
    images = torch.tensor([0.7, 0.45, 0.35])[:, None, None, None].expand(3, 1, 6, 6)  # white: .85, .73, .68
    labels = torch.tensor([2, 1, 1])

    def nothing(model, x_BCHW, *rest, **options):
        return x_BCHW

    found = craft(nothing, Brightness(), images, labels, CROSSWALK, seed=0, indices=[0, 1, 2])
    assert found.measurements.predicted.tolist() == labels.tolist()
    # only black fools the first, which becomes .35; white the others
    assert found.predicted_unaimed.tolist() == [1, 2, 2]


def test_the_control_of_rotations_and_translations_is_a_random_pose():
    x_BCHW = torch.zeros(40, 1, 15, 15)
    x_BCHW[:, :, 7, 7] = 1
    spec = SpatialAttack(kind="spatial", search="random", degrees=0, pixels=3, tries=1)
    [moved] = make_controls(x_BCHW, x_BCHW, spec, seed=0, indices=list(range(40)))
    place = torch.arange(15.0)
    for sum_BL in (moved.sum((1, 2)), moved.sum((1, 3))):
        shift_B = (sum_BL * place).sum(1) - 7
        assert 2 < shift_B.abs().max() <= 3.001
        assert shift_B.min() < 0 < shift_B.max()
    attacked = spatial(Brightness(), x_BCHW, torch.zeros(40).long(), spec, seed=0, indices=list(range(40)))
    assert not torch.equal(attacked, moved)  # another draw than that of an attack at random
