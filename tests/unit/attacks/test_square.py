"""The Square attack against itself in plain loops, one image and one pixel at a time."""

import pytest
import torch

from advgen import seeds
from advgen.attacks.square import square
from advgen.specs.attacks import SquareAttack

# After these shares of the queries the area is halved [andriushchenko2020square].
SCHEDULE = [0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8]


def margin(model, image, label):
    """By how much another class leads."""
    with torch.no_grad():
        logits = model(image[None])[0].tolist()
    return max(one for k, one in enumerate(logits) if k != label) - logits[label]


def plain(model, x, label, spec, seed, index):
    """The attack on one image; how many squares were drawn, and how many drawn again."""
    channels, height, width = x.shape

    def moved(value, sign):
        return min(max(value + spec.eps * sign, 0), 1)

    stripes = seeds.uniform(seed, "stripes", [index], channels, 1, width)[0]
    best = x.clone()
    for c in range(channels):
        for i in range(height):
            for j in range(width):
                best[c, i, j] = moved(x[c, i, j].item(), -1 if stripes[c, 0, j] < 0.5 else 1)
    lead = margin(model, best, label)
    draws = seeds.uniform(seed, "squares", [index], spec.queries - 1, 2 + channels)[0]
    asked = again = 0
    for query in range(spec.queries - 1):
        if lead > 0:
            break
        area = spec.initial
        for share in SCHEDULE:
            if query > share * spec.queries:
                area /= 2
        side = min(max(round((area * height * width) ** 0.5), 1), height, width)
        top = int(draws[query, 0] * (height - side + 1))
        start = int(draws[query, 1] * (width - side + 1))
        signs = [-1 if draw < 0.5 else 1 for draw in draws[query, 2:]]
        tries = []
        for turn in (1, -1):
            tried = best.clone()
            for c in range(channels):
                for i in range(top, top + side):
                    for j in range(start, start + side):
                        tried[c, i, j] = moved(x[c, i, j].item(), turn * signs[c])
            tries.append(tried)
        drawn_again = torch.equal(tries[0], best)
        tried = tries[1] if drawn_again else tries[0]
        asked, again = asked + 1, again + drawn_again
        if (new := margin(model, tried, label)) > lead:
            best, lead = tried, new
    return best, asked, again


@pytest.mark.parametrize(("eps", "queries", "initial"), [(0.02, 60, 0.8), (0.08, 200, 0.3), (0.04, 300, 0.05)])
def test_it_is_the_published_search(model, x, y, indices, eps, queries, initial):
    spec = SquareAttack(kind="square", eps=eps, queries=queries, initial=initial)
    found = square(model, x, y, spec, seed=4, indices=indices)
    asked, again = 0, 0
    for row, index in enumerate(indices):
        expected, squares, opposite = plain(model, x[row], int(y[row]), spec, 4, index)
        torch.testing.assert_close(found[row], expected, atol=1e-12, rtol=0)
        asked, again = asked + squares, again + opposite
    assert asked > 60
    assert again > 5


def test_a_tie_is_attacked_and_one_query_returns_the_stripes(model, x, y, indices):
    class Flat(torch.nn.Module):
        def forward(self, x_BCHW):
            return torch.zeros(len(x_BCHW), 3, dtype=x_BCHW.dtype)

    spec = SquareAttack(kind="square", eps=0.1, queries=1)
    stripes = square(Flat(), 0 * x + 0.5, 0 * y, spec, seed=4, indices=indices)
    assert sorted({round(value, 9) for value in stripes.unique().tolist()}) == [0.4, 0.6]
    assert torch.equal(stripes, stripes[:, :, :1].expand_as(stripes))


@pytest.mark.parametrize(("norm", "eps"), [("l2", 0.4), ("l1", 1.5)])
def test_in_l2_and_l1_it_uses_the_whole_ball_and_more_queries_fool_more(norm, eps, model, x, y, indices):
    """The box cuts nothing off the norm of the change."""
    order, leads = 2 if norm == "l2" else 1, []
    for queries in (1, 400):
        spec = SquareAttack(kind="square", norm=norm, eps=eps, queries=queries)
        found = square(model, x, y, spec, seed=4, indices=indices)
        size = (found - x).flatten(1).norm(order, dim=1)
        assert (size <= eps * (1 + 1e-9)).all()
        assert (size >= 0.98 * eps).all()
        leads.append([margin(model, found[row], int(y[row])) for row in range(len(x))])
    assert sum(leads[1]) > sum(leads[0]) + 0.1


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.3), ("l2", 1.5), ("l1", 6.0)])
def test_it_needs_no_gradient(norm, eps, model, x, y, indices):
    class Quantized(torch.nn.Module):
        def forward(self, x_BCHW):
            return model((8 * x_BCHW).round() / 8)

    spec = SquareAttack(kind="square", norm=norm, eps=eps, queries=300)
    found = square(Quantized(), x, y, spec, seed=4, indices=indices)
    assert (Quantized()(found).argmax(1) != y).float().mean() > 0.8
