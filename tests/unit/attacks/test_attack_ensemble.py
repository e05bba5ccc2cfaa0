"""Attack ensembles: the inputs of each member, the result, and the member that found it."""

import pytest
import torch
from tests.scaled import Scaled

from advgen.attacks import ensemble as module
from advgen.attacks.apgd import apgd
from advgen.attacks.ensemble import ensemble
from advgen.attacks.run import craft
from advgen.specs.attacks import ApgdAttack, EnsembleAttack, FabAttack, SquareAttack


class Brightness(torch.nn.Module):
    """Class 0 below a mean of .5, class 1 above."""

    def __init__(self):
        super().__init__()
        self.middle = torch.nn.Parameter(torch.tensor(0.5))

    def forward(self, x_BCHW):
        up_B = x_BCHW.flatten(1).mean(1) - self.middle
        return torch.stack([-up_B, up_B], dim=1)


X = torch.tensor([0.9, 0.48, 0.44, 0.35, 0.42, 0.1]).view(-1, 1, 1, 1).expand(-1, 1, 2, 2).contiguous()
Y = torch.zeros(len(X), dtype=torch.long)  # the first is wrong already
INDICES = [3, 14, 15, 92, 65, 35]
SPEC = EnsembleAttack(kind="ensemble", eps=0.1)


def moved(by, shown):
    """An attack that adds so much, and notes which examples it is shown."""

    def attack(model, x_BCHW, y_B, spec, *, seed, indices):
        shown.append(indices)
        return x_BCHW + by

    return attack


@pytest.fixture
def shown(monkeypatch):
    """Members that go ever farther, the last but one out of the ball."""
    shown = []
    far = iter([0.03, 0.03, 0.07, 0.3, 0.05])
    members = {kind: lambda *given, **keys: moved(next(far), shown)(*given, **keys) for kind in module.MEMBERS}
    monkeypatch.setattr(module, "MEMBERS", members)
    return shown


def test_each_member_runs_on_the_examples_still_correct(shown):
    member = []
    found = ensemble(Brightness(), X, Y, SPEC, seed=0, indices=INDICES, note=lambda row: member.extend(row.tolist()))
    assert shown == [[14, 15, 92, 65, 35], *[[15, 92, 65, 35]] * 2, [92, 65, 35], [92, 35]]
    assert member == [-1, 0, 2, -1, 3, -1]
    # 3 goes no farther than the ball; where nobody succeeds, the farthest way that was tried
    assert found[:, 0, 0, 0].tolist() == pytest.approx([0.9, 0.51, 0.51, 0.45, 0.52, 0.2])


def test_craft_returns_the_member_that_found_an_example(shown):
    facts = craft(ensemble, Brightness(), X, Y, SPEC, seed=0, indices=INDICES)
    assert facts.attack.found_by == [None, "APGD-CE", "APGD-T", None, "FAB", None]
    assert facts.measurements.predicted.tolist() == [1, 1, 1, 0, 1, 0]
    alone = ApgdAttack(kind="apgd", eps=0.1, steps=2)
    assert craft(apgd, Brightness(), X, Y, alone, seed=0, indices=INDICES).attack.found_by is None


@pytest.mark.parametrize(("classes", "loss"), [(2, "margin"), (3, "dlr"), (10, "dlr")])
def test_dlr_is_replaced_by_the_margin_for_two_classes(classes, loss, monkeypatch):
    met = []

    def attack(model, x_BCHW, y_B, spec, *, seed, indices):
        met.append(spec)
        return x_BCHW

    monkeypatch.setattr(module, "MEMBERS", dict.fromkeys(module.MEMBERS, attack))
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, classes))
    y = model(X).argmax(1)
    SPEC.check((1, 2, 2), classes)
    ensemble(model, X, y, SPEC, seed=0, indices=INDICES)
    assert [spec.loss for spec in met if isinstance(spec, ApgdAttack)] == ["normalized_cross_entropy", loss, "margin"]


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("effort", ["standard", "quick"])
def test_members_share_a_ball_and_the_cheapest_come_first(norm, effort):
    members = list(EnsembleAttack(kind="ensemble", norm=norm, eps=0.1, effort=effort).members().values())
    for member in members:
        if isinstance(member, FabAttack):
            assert (member.norm, member.within) == (norm, 0.1)
        else:
            assert (member.threat().norm, member.threat().eps) == (norm, 0.1)
    assert isinstance(members[0], ApgdAttack)
    assert any(isinstance(member, SquareAttack) for member in members) == (effort == "standard")
    threats = [member.threat() for member in members if isinstance(member, ApgdAttack)]
    costs = [threat.steps * threat.restarts for threat in threats]
    assert costs == sorted(costs)


def test_quick_continues_on_labels_that_lost_most_of_their_lead(monkeypatch):
    """Leads of .04, .12, .3, .16 and .8 at first; the first member takes .06 from each."""
    shown = []
    monkeypatch.setattr(module, "MEMBERS", {ApgdAttack: moved(0.03, shown), FabAttack: moved(0.07, shown)})
    monkeypatch.setattr(module, "CLOSE", 0.7)
    spec = EnsembleAttack(kind="ensemble", norm="l2", eps=0.2, effort="quick")
    member = []
    ensemble(Brightness(), X, Y, spec, seed=0, indices=INDICES, note=lambda row: member.extend(row.tolist()))
    # steps along the boundary are tried on all that are left
    assert shown == [[14, 15, 92, 65, 35], [15, 65], [15, 92, 65, 35]]
    assert member == [-1, 0, 2, -1, -1, -1]


def test_quick_attacks_all_targets_in_one_batch():
    """The likeliest wrong class is out of reach, the next one is not; rows do not depend on their batch."""

    def net(x_BCHW):
        value_B = x_BCHW.flatten(1).mean(1)
        return torch.stack([torch.zeros_like(value_B), -0.01 * value_B - 0.1, 6 * value_B - 3.5], dim=1)

    model = torch.nn.Module()
    model.forward = net
    x, y = torch.tensor([0.5, 0.3]).view(-1, 1, 1, 1), torch.zeros(2, dtype=torch.long)
    spec = ApgdAttack(kind="apgd", eps=0.1, loss="margin", steps=8, targets=2)
    with torch.no_grad():
        found = module._apgd_in_one_batch(model, x, y, spec, seed=3, indices=[7, 8])
        first = module._apgd_in_one_batch(model, x, y, spec.model_copy(update={"targets": 1}), seed=3, indices=[7, 8])
        alone = module._apgd_in_one_batch(model, x[1:], y[1:], spec, seed=3, indices=[8])
    assert net(found).argmax(1).tolist() == [2, 0]
    assert net(first).argmax(1).tolist() == [0, 0]
    assert torch.equal(found[1:], alone)


@pytest.mark.parametrize("scale", [2.0**14, 2.0**-14])
@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.03), ("l2", 0.2), ("l1", 0.6)])
def test_the_scale_of_the_logits_changes_no_example(norm, eps, scale, model, x, y, indices):
    """Powers of two are exact, so `quick` must choose the same images and take the same steps."""
    spec = EnsembleAttack(kind="ensemble", norm=norm, eps=eps, effort="quick")
    first, second = [], []
    found = ensemble(model, x, y, spec, seed=0, indices=indices, note=first.append)
    scaled = ensemble(Scaled(model, scale), x, y, spec, seed=0, indices=indices, note=second.append)
    assert torch.equal(found, scaled)
    assert torch.equal(first[0], second[0])
    assert 1 < (first[0] >= 0).sum() + (model(x).argmax(1) != y).sum() < len(x)


def test_every_member_alone_ignores_the_scale_of_the_logits(model, x, y, indices):
    for norm, eps in (("linf", 0.03), ("l2", 0.2), ("l1", 0.6)):
        for effort in ("standard", "quick"):
            spec = EnsembleAttack(kind="ensemble", norm=norm, eps=eps, effort=effort, queries=30)
            for name, member in spec.members().items():
                if not isinstance(member, SquareAttack):
                    member = member.model_copy(update={"steps": 8})
                attack = module.MEMBERS[type(member)]
                found, scaled = (
                    attack(one, x, y, member, seed=0, indices=indices) for one in (model, Scaled(model, 2.0**14))
                )
                assert torch.equal(found, scaled), (name, norm, effort)
                assert not torch.equal(found, x), (name, norm, effort)
