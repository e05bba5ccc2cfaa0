"""FAB: its projections against SciPy's solvers, and its changes against torchattacks' and the exact ones."""

import numpy as np
import pytest
import torch
import torchattacks
from scipy.optimize import linprog, minimize

from advgen.attacks.common import measure_norm
from advgen.attacks.fab import fab, to_plane
from advgen.specs.attacks import FabAttack

NORMS = ["linf", "l2", "l1"]


def smallest_change(x, w, rise, norm):
    """The norm of the smallest change inside the box with w · change = rise, by a general solver."""
    n = len(x)
    if norm == "l2":
        plane = {"type": "eq", "fun": lambda d: d @ w - rise, "jac": lambda d: w}
        start = np.where(w * rise > 0, 0.5 * (1 - x), -0.5 * x)
        bounds = list(zip(-x, 1 - x, strict=True))
        found = minimize(lambda d: d @ d, start, jac=lambda d: 2 * d, bounds=bounds, constraints=[plane], tol=1e-14)
        return found.fun**0.5 if found.success else None
    # the change is up - down; in L-infinity the last variable bounds both
    bounds = [(0, one) for one in 1 - x] + [(0, one) for one in x]
    if norm == "l1":
        found = linprog(np.ones(2 * n), A_eq=[np.concatenate([w, -w])], b_eq=[rise], bounds=bounds)
        return found.fun if found.status == 0 else None
    below = np.hstack([np.eye(2 * n), -np.ones((2 * n, 1))])
    cost, plane = np.append(np.zeros(2 * n), 1), [np.concatenate([w, -w, [0]])]
    found = linprog(cost, A_ub=below, b_ub=np.zeros(2 * n), A_eq=plane, b_eq=[rise], bounds=[*bounds, (0, None)])
    return found.fun if found.status == 0 else None


@pytest.mark.parametrize("norm", NORMS)
def test_the_projection_onto_a_plane_is_the_nearest_one_in_the_box(norm):
    generator = torch.Generator().manual_seed(0)
    x = (1.4 * torch.rand(40, 1, 2, 4, generator=generator, dtype=torch.float64) - 0.2).clamp(0, 1)
    w = torch.randn(40, 1, 2, 4, generator=generator, dtype=torch.float64)
    w[:, :, 0, 0] = 0  # a pixel without influence stays as it is
    rise = torch.randn(40, generator=generator, dtype=torch.float64)
    change = to_plane(x, w, rise, norm)
    assert (x + change).min() >= 0
    assert (x + change).max() <= 1
    assert (change[:, :, 0, 0] == 0).all()
    reached = unreached = 0
    for row in range(len(x)):
        expected = smallest_change(x[row].flatten().numpy(), w[row].flatten().numpy(), rise[row].item(), norm)
        got = (w[row] * change[row]).sum()
        if expected is None:
            unreached += 1
            room = torch.where(w[row] * rise[row] > 0, 1 - x[row], x[row]) * w[row].abs()
            assert got.abs().item() == pytest.approx(room.sum().item())
        else:
            reached += 1
            assert got.item() == pytest.approx(rise[row].item(), abs=1e-9)
            assert measure_norm(change[row : row + 1], norm).item() == pytest.approx(expected, rel=1e-3, abs=1e-4)
    assert reached > 20
    assert unreached > 0


@pytest.mark.parametrize("norm", NORMS)
def test_of_a_linear_model_it_finds_the_smallest_change_there_is(norm):
    generator = torch.Generator().manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 3)).double()
    with torch.no_grad():
        model[1].weight.copy_(torch.randn(3, 12, generator=generator))
    x = torch.rand(30, 1, 3, 4, generator=generator, dtype=torch.float64)
    logits = model(x).detach()
    y = logits.argmax(1)
    spec = FabAttack(kind="fab", norm=norm, steps=40)
    found = fab(model, x, y, spec, seed=0, indices=list(range(30)))
    weight = model[1].weight.detach()
    checked = 0
    for row in range(len(x)):
        sizes = []
        for rival in {0, 1, 2} - {int(y[row])}:
            w, rise = weight[rival] - weight[y[row]], logits[row, y[row]] - logits[row, rival]
            sizes.append(smallest_change(x[row].flatten().numpy(), w.numpy(), rise.item(), norm))
        known = [size for size in sizes if size is not None]
        changed = measure_norm(found[row : row + 1] - x[row], norm).item()
        assert (changed > 0) == bool(known)
        if known:
            checked += 1
            assert min(known) <= changed * (1 + 1e-6)
            assert changed <= 1.06 * min(known) + 1e-6
    assert checked > 20


@pytest.mark.parametrize("norm", ["linf", "l2"])  # theirs in L1 fails with an UnboundLocalError
def test_it_changes_no_more_than_torchattacks(norm, model, x, y, indices):
    y = model(x).argmax(1)
    found = fab(model, x, y, FabAttack(kind="fab", norm=norm, steps=60), seed=0, indices=indices)
    names = {"linf": "Linf", "l2": "L2", "l1": "L1"}
    peer = torchattacks.FAB(
        model.float(), norm=names[norm], eps=9.0, steps=60, n_classes=5, multi_targeted=True, seed=0
    )
    theirs = peer(x.float(), y).double()
    model.double()
    assert (model(found).argmax(1) != y).all()
    assert (model(theirs).argmax(1) != y).all()
    sizes = [measure_norm(one - x, norm).median() for one in (found, theirs)]
    assert sizes[0] <= 1.02 * sizes[1]


def test_images_that_are_wrong_already_stay_and_within_stops_early(model, x, y, indices):
    spec = FabAttack(kind="fab", norm="l2", steps=60, within=0.5)
    found = fab(model, x, y, spec, seed=0, indices=indices)
    smallest = fab(model, x, y, spec.model_copy(update={"within": 0.0}), seed=0, indices=indices)
    assert torch.equal(found[-1], x[-1])
    sizes = [measure_norm(one - x, "l2")[:-1] for one in (found, smallest)]
    assert (sizes[1] <= sizes[0] + 1e-12).all()
    assert (sizes[1] < sizes[0] - 1e-6).any()
    assert (sizes[0] <= 0.5).sum() == (sizes[1] <= 0.5).sum()
