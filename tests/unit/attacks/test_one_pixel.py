"""One pixel by evolution and by trying all, against loops over candidates."""

import itertools

import pytest
import torch

from advgen import seeds
from advgen.attacks import one_pixel as module
from advgen.attacks.one_pixel import one_pixel
from advgen.attacks.run import CallCounts, count_calls
from advgen.specs.attacks import OnePixelAttack


def margin(model, image, label):
    with torch.no_grad():
        logits = model(image[None])[0].tolist()
    return max(one for k, one in enumerate(logits) if k != label) - logits[label]


def with_pixel(x, row, column, values):
    changed = x.clone()
    changed[:, row, column] = torch.tensor(values, dtype=x.dtype)
    return changed


def evolved(model, x, label, spec, seed, index):
    """Differential evolution: a child is a + (b - c) / 2, and replaces its parent if it is better."""
    channels, height, width = x.shape
    limits = [height - 1e-3, width - 1e-3, *[1.0] * channels]

    def bounded(agent):
        return [min(max(part, 0.0), limit) for part, limit in zip(agent, limits, strict=True)]

    def image(agent):
        return with_pixel(x, int(agent[0]), int(agent[1]), agent[2:])

    places = seeds.uniform(seed, "places", [index], spec.population, 2)[0].double()
    values = seeds.normal(seed, "values", [index], spec.population, channels)[0].double()
    agents = [
        bounded([place[0].item() * height, place[1].item() * width, *(value / 2 + 0.5).tolist()])
        for place, value in zip(places, values, strict=True)
    ]
    margins = [margin(model, image(agent), label) for agent in agents]
    for generation in range(spec.generations):
        if max(margins) > 0:
            break
        draw = seeds.uniform(seed, f"generation {generation}", [index], spec.population, spec.population)[0]
        parents = list(agents)
        for n in range(spec.population):
            a, b, c = draw[n].argsort(stable=True)[:3].tolist()
            child = bounded([p + (q - r) / 2 for p, q, r in zip(parents[a], parents[b], parents[c], strict=True)])
            if (new := margin(model, image(child), label)) > margins[n]:
                agents[n], margins[n] = child, new
    return image(agents[margins.index(max(margins))])


@pytest.mark.parametrize("generations", [1, 6])
def test_evolution_is_the_published_one(model, x, y, indices, generations):
    spec = OnePixelAttack(kind="one_pixel", population=7, generations=generations)
    found = one_pixel(model, x, y, spec, seed=3, indices=indices)
    for row, index in enumerate(indices[:-1]):
        expected = evolved(model, x[row], int(y[row]), spec, 3, index)
        torch.testing.assert_close(found[row], expected, atol=1e-7, rtol=0)
    assert torch.equal(found[-1], x[-1])  # wrong already
    assert 0 < (model(found).argmax(1) != y)[:-1].sum() < 5


EXHAUSTIVE = OnePixelAttack(kind="one_pixel", search="exhaustive", levels=3)


@pytest.mark.parametrize(("tried", "rows"), [(200, 1000), (10, 40), (1, 1)])
def test_the_exhaustive_search_takes_the_first_success_else_the_best(model, x, y, indices, tried, rows, monkeypatch):
    """Every pixel at 0, 0.5 and 1 in each channel; however many of them are shown to the model at a time."""
    monkeypatch.setattr(module, "BLOCK", tried)
    monkeypatch.setattr(module, "ROWS", rows)
    shown = []
    hook = model.register_forward_pre_hook(lambda module, inputs: shown.append(len(inputs[0])))
    found = one_pixel(model, x, y, EXHAUSTIVE, seed=3, indices=indices)
    hook.remove()
    assert shown[0] == len(x)
    assert rows / 2 < max(shown[1:]) <= rows
    places = list(itertools.product(range(x.shape[2]), range(x.shape[3]), (0, 0.5, 1), (0, 0.5, 1)))
    fooled = []
    for row in range(len(x) - 1):
        leads = [margin(model, with_pixel(x[row], i, j, values), int(y[row])) for i, j, *values in places]
        fooled.append(max(leads) > 0)
        expected = next(lead for lead in leads if lead > 0) if fooled[-1] else max(leads)
        assert margin(model, found[row], int(y[row])) == pytest.approx(expected, abs=1e-12)
    assert True in fooled
    assert False in fooled


def test_the_exhaustive_search_does_not_depend_on_the_batch(model, x, y, indices, monkeypatch):
    """Neither what is found for an image nor how often the model is asked."""
    monkeypatch.setattr(module, "ROWS", 40)

    def attacked(rows):
        calls = CallCounts()
        with count_calls(model, calls):
            found = one_pixel(model, x[rows], y[rows], EXHAUSTIVE, seed=3, indices=[indices[row] for row in rows])
        return found, calls.forward

    together, calls = attacked([0, 1, 2, 3, 4])
    alone = [attacked([row]) for row in range(5)]
    torch.testing.assert_close(torch.cat([found for found, _ in alone]), together, rtol=0, atol=0)
    assert sum(count for _, count in alone) == calls
    assert {count for _, count in alone} == {1 + 200, 1 + 252}, "some are found among the first 200"


def test_a_tie_is_not_a_success(x, indices):
    class Flat(torch.nn.Module):
        def forward(self, x_BCHW):
            return torch.zeros(len(x_BCHW), 3, dtype=x_BCHW.dtype)

    for search in ("evolution", "exhaustive"):
        spec = OnePixelAttack(kind="one_pixel", search=search, population=4, generations=2)
        found = one_pixel(Flat(), x, torch.zeros(6, dtype=torch.long), spec, seed=3, indices=indices)
        assert ((found != x).any(1).flatten(1).sum(1) == 1).all()  # it was tried
