"""HopSkipJump on boundaries that are known, and what it asks for."""

import pytest
import torch

from advgen.attacks import hop_skip_jump as module
from advgen.attacks.hop_skip_jump import hop_skip_jump
from advgen.attacks.run import CallCounts, count_calls
from advgen.specs.attacks import HopSkipJumpAttack


class Plane(torch.nn.Module):
    """Labels alone, as logits of 0 and 1: class 1 where w·x is over 1.2."""

    def __init__(self):
        super().__init__()
        self.register_buffer("w", torch.tensor([1.0, 2.0, -1.0, 0.5], dtype=torch.float64))

    def forward(self, x_BCHW):
        over_B = (x_BCHW.flatten(1) @ self.w > 1.2).double()
        return torch.stack([1 - over_B, over_B], dim=1)


X = torch.tensor([0.5, 0.3, 0.5, 0.5], dtype=torch.float64).view(1, 1, 2, 2)
Y = torch.zeros(1, dtype=torch.long)
LEAD = 1.2 - 0.85  # w·x is .85


def test_it_finds_the_nearest_point_of_a_plane():
    """In L2 at LEAD / ‖w‖₂ along w, in L∞ at LEAD / ‖w‖₁ along its signs."""
    w = Plane().w.view(1, 1, 2, 2)
    nearest = {"l2": LEAD * w / w.square().sum(), "linf": LEAD * w.sign() / w.abs().sum()}
    for norm, expected in nearest.items():
        spec = HopSkipJumpAttack(kind="hop_skip_jump", norm=norm, queries=20_000)
        found = hop_skip_jump(Plane(), X, Y, spec, seed=0, indices=[0])
        assert Plane()(found).argmax(1).item() == 1
        size = (found - X).norm() if norm == "l2" else (found - X).abs().max()
        least = expected.norm() if norm == "l2" else expected.abs().max()
        assert 1 <= size / least < 1.02


def test_more_queries_find_less_and_none_asks_for_more():
    sizes = []
    for queries in (1, 20, 200, 2000):
        model, calls = Plane(), CallCounts()
        spec = HopSkipJumpAttack(kind="hop_skip_jump", queries=queries, draws=20)
        with count_calls(model, calls):
            found = hop_skip_jump(model, X, Y, spec, seed=1, indices=[0])
        assert calls.forward <= queries
        assert calls.gradient == 0
        sizes.append((found - X).norm().item())
    assert sizes[0] == 0, "one query tells that the image is right, and that is all"
    assert sizes[1] > sizes[2] > sizes[3] > 0.99 * LEAD / Plane().w.norm().item()
    assert calls.forward > 1800


class Between(Plane):
    """As Plane, but what is made of grey levels is of class 0."""

    def forward(self, x_BCHW):
        grey_B = (x_BCHW == (255 * x_BCHW).round() / 255).flatten(1).all(1)
        return torch.where(grey_B[:, None], torch.tensor([1.0, 0.0], dtype=torch.float64), super().forward(x_BCHW))


@pytest.mark.parametrize(("queries", "model", "fools"), [(30, Plane(), 0), (200, Plane(), 1), (200, Between(), 0)])
def test_the_queries_of_rounding_count(queries, model, fools):
    """All that may be tried is tried where no rounded image fools; that image stays as it is."""
    spec, calls = HopSkipJumpAttack(kind="hop_skip_jump", queries=queries, draws=20, rounded=True), CallCounts()
    with count_calls(model, calls):
        found = hop_skip_jump(model, X, Y, spec, seed=1, indices=[0])
    assert calls.forward <= queries
    assert model(found).argmax(1).item() == fools
    assert torch.equal(255 * found, (255 * found).round()) if fools else torch.equal(found, X)


def test_the_estimated_normal_is_that_of_the_plane():
    """From labels at random points, around a point of the boundary."""
    here = X + LEAD * Plane().w.view(1, 1, 2, 2) / Plane().w.square().sum()
    radius = torch.full((1,), 0.01, dtype=torch.float64)
    goal = module.Goal(Y)
    normal = module._estimate_normal(Plane(), here, goal, radius, 4000, "l2", 0, 1, [7])
    assert torch.nn.functional.cosine_similarity(normal.flatten(), Plane().w, dim=0) > 0.99
    signs = module._estimate_normal(Plane(), here, goal, radius, 4000, "linf", 0, 1, [7])
    assert torch.equal(signs.flatten(), Plane().w.sign())


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_an_image_without_a_start_stays_as_it_is(norm):
    class Certain(torch.nn.Module):
        def forward(self, x_BCHW):
            return torch.tensor([[1.0, 0.0]]).expand(len(x_BCHW), -1)

    spec = HopSkipJumpAttack(kind="hop_skip_jump", norm=norm, queries=500)
    assert torch.equal(hop_skip_jump(Certain(), X, Y, spec, seed=0, indices=[0]), X)


def test_coarse_noise_is_of_one_value_in_each_square():
    noise = torch.arange(12.0).view(1, 1, 3, 4)
    assert module._coarse(noise, 2)[0, 0].tolist() == [[0, 0, 2, 2], [0, 0, 2, 2], [8, 8, 10, 10]]
    assert torch.equal(module._coarse(noise, 1), noise)
