"""The control of attacks: their change, without its aim."""

import torch

from advgen.attacks.run import distances
from advgen.attacks.trivial import unaimed
from advgen.specs.attacks import PgdAttack, RegionAttack


def test_a_change_at_other_pixels_has_all_the_same_norms():
    x_BCHW = 0.4 + 0.2 * torch.rand(3, 2, 5, 5, generator=torch.Generator().manual_seed(0))
    change = torch.zeros_like(x_BCHW)
    change[:, :, 1, 2:4] = torch.tensor([0.3, -0.2])
    spec = PgdAttack(kind="pgd", eps=0.3)
    moved = unaimed(x_BCHW, x_BCHW + change, spec, seed=0, indices=[4, 7, 9])
    for name, size in distances(moved, x_BCHW).items():
        torch.testing.assert_close(size, distances(x_BCHW + change, x_BCHW)[name])
    assert not torch.allclose(moved, x_BCHW + change)
    alone = unaimed(x_BCHW[1:2], (x_BCHW + change)[1:2], spec, seed=0, indices=[7])
    assert torch.equal(alone[0], moved[1])  # whatever its batch
    bright = unaimed(torch.ones(1, 1, 5, 5), torch.full((1, 1, 5, 5), 1.3), spec, seed=0, indices=[0])
    assert bright.max() == 1


def test_of_a_region_the_control_is_white():
    x_BCHW = torch.full((1, 1, 6, 6), 0.25)
    spec = RegionAttack(kind="region", region={"kind": "crosswalk"})
    white = unaimed(x_BCHW, x_BCHW, spec, seed=0, indices=[0])
    assert sorted(white.unique().tolist()) == [0.25, 1]
    assert (white == 1).sum() == 18
