"""The contract of attacks, for every registered attack and its main settings, on a tiny untrained network."""

import numpy as np
import pytest
import torch

from advgen import contracts, registry
from advgen.attacks.common import ROUNDING_TRIES, Goal
from advgen.attacks.run import craft
from advgen.geometry.glasses import glasses_frame
from advgen.specs.attacks import MinimumNormAttack

KINDS = registry.kinds("attacks")
N, INDICES = contracts.N, contracts.INDICES
FAST = {
    "apgd": {"steps": 10},
    "carlini_wagner": {"steps": 20, "searches": 3},
    "ensemble": {"queries": 40},
    "fab": {"steps": 10, "targets": 3},
    "fmn": {"steps": 10},
    "hop_skip_jump": {"queries": 200, "draws": 10},
    "lbfgs": {"steps": 10, "searches": 4},
    "one_pixel": {"population": 10, "generations": 3},
    "pgd": {"steps": 10},
    "region": {"region": {"kind": "square", "size": 5}, "steps": 10},
    "spatial": {"angles": 5, "shifts": 3, "tries": 4},
    "square": {"queries": 60},
}
"""Fast settings; the other kinds run with their defaults."""
VARIANTS = {
    **{kind: (kind, {}) for kind in KINDS},
    "fgsm targeted": ("fgsm", {"target": "random"}),
    "pgd l2": ("pgd", {"norm": "l2", "eps": 1.5}),
    "pgd active": ("pgd", {"early_stopping": True, "eps": 0.03}),
    "pgd restarts": ("pgd", {"restarts": 3, "eps": 0.01, "loss": "margin"}),
    "pgd targeted": ("pgd", {"target": 2, "loss": "dlr"}),
    "apgd l2": ("apgd", {"norm": "l2", "eps": 1.5, "loss": "dlr"}),
    "apgd l1": ("apgd", {"norm": "l1", "eps": 6.0, "steps": 30}),
    "apgd to the end": ("apgd", {"early_stopping": False, "eps": 0.03}),
    "apgd towards classes": ("apgd", {"targets": 3, "restarts": 2, "eps": 0.02, "loss": "dlr"}),
    "apgd targeted": ("apgd", {"target": 2, "loss": "margin"}),
    "fmn linf": ("fmn", {"norm": "linf", "within": 0.01}),
    "fmn l1": ("fmn", {"norm": "l1"}),
    "fmn l0": ("fmn", {"norm": "l0", "target": "random"}),
    "fmn rounded": ("fmn", {"rounded": True}),
    "fab linf": ("fab", {"norm": "linf"}),
    "fab l1": ("fab", {"norm": "l1", "within": 2.0}),
    "square l2": ("square", {"norm": "l2", "eps": 1.0}),
    "square l1": ("square", {"norm": "l1", "eps": 6.0}),
    "ensemble quick": ("ensemble", {"effort": "quick", "eps": 0.02}),
    "ensemble l2": ("ensemble", {"norm": "l2", "eps": 0.2}),
    "ensemble l1": ("ensemble", {"norm": "l1", "eps": 2.0}),
    "ensemble quick l2": ("ensemble", {"effort": "quick", "norm": "l2", "eps": 0.2}),
    "universal l2": ("universal", {"norm": "l2", "eps": 1.5}),
    "hop_skip_jump linf": ("hop_skip_jump", {"norm": "linf"}),
    "pgd expected": ("pgd", {"expectation": {"samples": 3}, "early_stopping": True}),
    "apgd expected": ("apgd", {"expectation": {"samples": 3}}),
    "region expected": ("region", {"expectation": {"samples": 3}}),
    "region targeted": ("region", {"target": "nearest"}),
    "lbfgs untargeted": ("lbfgs", {"target": None}),
    "carlini_wagner targeted": ("carlini_wagner", {"target": "random"}),
    "one_pixel exhaustive": ("one_pixel", {"search": "exhaustive"}),
    "spatial random": ("spatial", {"search": "random"}),
    "spatial first_order": ("spatial", {"search": "first_order"}),
}


def make(kind, **settings):
    return KINDS[kind](kind=kind, **{**FAST.get(kind, {}), **settings})


@pytest.fixture(params=VARIANTS)
def spec(request):
    kind, settings = VARIANTS[request.param]
    return make(kind, **settings)


@pytest.fixture
def model():
    return contracts.classifier()


@pytest.fixture
def x():
    return contracts.examples()[0]


@pytest.fixture
def y():
    return contracts.examples()[1]


def run(spec, model, x, y, seed=0, indices=INDICES):
    return contracts.run_attack(spec, model, x, y, indices, seed)


@pytest.mark.parametrize("check", [*contracts.CHECKS["attacks"], *contracts.EVERY], ids=lambda check: check.__name__)
def test_keeps_its_contract(spec, check):
    if reason := check(spec):
        pytest.skip(reason)


def test_craft_measures_each_example_in_batches(spec, model, x, y):
    images = (x * 255).to(torch.uint8)
    calls = []
    progress = lambda *args: calls.append(args[:2])  # noqa: E731
    attack = registry.resolve(spec)
    result = craft(attack, model, images, y, spec, seed=0, indices=INDICES, batch=5, progress=progress)
    x_adv, measured = result.attack.x_adv, result.measurements
    assert calls == [(5, N), (10, N), (12, N)]
    clean = images.numpy() / np.float32(255)
    delta = (x_adv.astype(np.float64) - clean).reshape(N, -1)
    assert x_adv.dtype == np.float32
    if not spec.others():
        second = run(spec, model, torch.from_numpy(clean[5:10]), y[5:10], indices=INDICES[5:10])
        np.testing.assert_array_equal(x_adv[5:10], second.numpy())
    np.testing.assert_allclose(measured.linf, np.abs(delta).max(1), atol=1e-7)
    np.testing.assert_allclose(measured.l2, np.sqrt((delta**2).sum(1)), atol=1e-6)
    np.testing.assert_allclose(measured.rms, np.sqrt((delta**2).mean(1)), atol=1e-7)
    np.testing.assert_array_equal(measured.l0, (delta != 0).sum(1))
    probabilities = logits(model, torch.from_numpy(x_adv)).softmax(1)
    np.testing.assert_array_equal(measured.predicted_clean, logits(model, torch.from_numpy(clean)).argmax(1))
    np.testing.assert_array_equal(measured.predicted, probabilities.argmax(1))
    np.testing.assert_allclose(measured.confidence, probabilities.amax(1), atol=1e-5)


@pytest.mark.parametrize(("kind", "message"), [("fgsm", "linf ball"), ("region", "region")])
def test_craft_rejects_examples_outside_the_threat_model(model, x, y, kind, message):
    def cheat(model, x_BCHW, y_B, spec, *, seed, indices):
        return 1 - x_BCHW

    with pytest.raises(AssertionError, match=message):
        craft(cheat, model, x, y, make(kind), seed=0, indices=INDICES)


def test_craft_counts_images_and_gradients(model, x, y):
    def calls(spec):
        attack = craft(registry.resolve(spec), model, x, y, spec, seed=0, indices=INDICES, batch=5).attack
        return attack.gradient_calls, attack.forward_calls

    assert calls(make("gaussian_noise")) == (0, 0)
    assert calls(make("fgsm")) == (1, 1)
    assert calls(make("fgsm", target="nearest")) == (1, 2)
    assert calls(make("pgd", steps=7)) == (7, 7)
    without_budget = make("square", queries=30).model_copy(update={"eps": 0.0})
    assert calls(without_budget) == pytest.approx((0, 30), abs=29)
    right_N = logits(model, x).argmax(1) == y
    # towards four other classes each, except in a batch without a correct image
    worth = sum(len(part) for part in right_N.split(5) if part.any()) / N
    assert calls(make("deepfool", steps=1)) == pytest.approx((4 * worth, 1))
    assert calls(make("deepfool", steps=2))[0] < 4 * 2 * worth
    assert calls(make("jsma", target=0))[0] % (1 / N) == pytest.approx(0, abs=1e-9)
    gradients, forwards = calls(make("one_pixel", search="exhaustive"))
    assert gradients == 0
    assert 1 < forwards <= 1 + right_N.double().mean() * 2 * 144
    assert not model._forward_hooks


def test_craft_returns_the_target_classes(model, x, y):
    def targets(spec, indices=INDICES):
        return craft(registry.resolve(spec), model, x, y, spec, seed=0, indices=indices).measurements.target_label

    assert targets(make("fgsm")) is None
    assert targets(make("gaussian_noise")) is None
    assert targets(make("fgsm", target=3)).tolist() == [3] * N
    random = targets(make("pgd", target="random"))
    assert (random != y.numpy()).all()
    assert len(set((random - y.numpy()) % 5)) > 2
    np.testing.assert_array_equal(random, targets(make("fgsm", target="random")))
    assert (random != targets(make("fgsm", target="random"), [index + 1 for index in INDICES])).any()
    order = logits(model, x).argsort(dim=1, descending=True)
    nearest = torch.where(order[:, 0] == y, order[:, 1], order[:, 0])
    np.testing.assert_array_equal(targets(make("fgsm", target="nearest")), nearest)
    with pytest.raises(ValueError, match="target class 5 does not exist"):
        targets(make("fgsm", target=5))


def logits(model, x):
    with torch.no_grad():
        return model.eval()(x)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_random_start_of_pgd_depends_on_seed_and_index(model, x, y, norm):
    """With a step size of almost 0, the result is the start."""
    spec = make("pgd", norm=norm, eps=0.5, steps=1, step_size=1e-12)
    start = run(spec, model, x, y)
    assert (start - x).flatten(1).abs().amax(1).min() > 0
    assert not torch.equal(run(spec, model, x, y, seed=1), start)
    assert not torch.equal(run(spec, model, x, y, indices=[index + 1 for index in INDICES]), start)


def test_early_stopping_of_pgd_returns_the_first_success(model, x, y):
    """Images that full PGD fools at no step end alike; the others end earlier, at an iterate that fools."""
    model, x = model.double(), x.double()
    y = logits(model, x).argmax(1)
    settings = {"eps": 0.02, "steps": 12, "step_size": 0.003}
    full, early = (run(make("pgd", **settings, early_stopping=stop), model, x, y) for stop in (False, True))
    stopped = (full != early).flatten(1).any(1)
    assert 0 < stopped.sum() < N
    assert (logits(model, early).argmax(1) != y)[stopped].all()
    start = run(make("pgd", **{**settings, "steps": 1, "step_size": 1e-14}), model, x, y)
    path = [start, *(run(make("pgd", **{**settings, "steps": steps}), model, x, y) for steps in range(1, 12))]
    for row in stopped.nonzero().flatten().tolist():
        assert any(torch.allclose(early[row], one[row], atol=1e-12, rtol=0) for one in path)


@pytest.mark.parametrize("loss", ["cross_entropy", "margin", "dlr"])
@pytest.mark.parametrize("target", [None, "nearest"])
def test_pgd_raises_every_loss(model, x, y, loss, target):
    spec = make("pgd", eps=0.3, steps=20, loss=loss, target=target)
    clean = logits(model, x)
    y = clean.argmax(1)
    attacked = logits(model, run(spec, model, x, y))
    goal = Goal(y) if target is None else Goal(y, clean.scatter(1, y[:, None], -torch.inf).argmax(1))
    assert (goal.loss(loss, attacked) > goal.loss(loss, clean)).all()
    if (target, loss) != ("nearest", "dlr"):  # a third class may win
        assert goal.is_reached(attacked).double().mean() > 0.9


MISCLASSIFIED = ("hop_skip_jump", "hop_skip_jump linf", "deepfool", "carlini_wagner", "lbfgs untargeted", "one_pixel")


@pytest.mark.parametrize("variant", [*MISCLASSIFIED, "one_pixel exhaustive"])
def test_misclassified_images_stay_unchanged(model, x, y, variant):
    kind, settings = VARIANTS[variant]
    wrong = logits(model, x).argmax(1) != y
    x_adv = run(make(kind, **settings), model, x, y)
    assert 0 < wrong.sum() < N
    assert torch.equal(x_adv[wrong], x[wrong])
    assert (x_adv != x).flatten(1).any(1)[~wrong].all()


@pytest.mark.parametrize("target", [None, "random", "nearest", 1])
@pytest.mark.parametrize("kind", ["lbfgs", "carlini_wagner"])
def test_the_smallest_changes_reach_their_goal(model, x, y, kind, target):
    """They are also near the boundary: most miss the goal if they are a fifth smaller."""
    y = logits(model, x).argmax(1)
    settings = {"lr": 0.1, "steps": 60, "searches": 5, "initial_c": 10} if kind == "carlini_wagner" else {}
    spec = KINDS[kind](kind=kind, target=target, **settings)
    crafted = craft(registry.resolve(spec), model, x, y, spec, seed=0, indices=INDICES)
    assert reaches_goal(crafted.measurements, crafted.measurements.predicted, y).all()
    shorter = logits(model, x + 0.8 * (torch.from_numpy(crafted.attack.x_adv) - x)).argmax(1).numpy()
    changed = crafted.measurements.l2 > 0
    assert changed.sum() > N / 2
    assert reaches_goal(crafted.measurements, shorter, y)[changed].mean() <= 0.2


def reaches_goal(measured, predicted, y):
    return predicted != y.numpy() if measured.target_label is None else predicted == measured.target_label


MINIMUM_NORM = [kind for kind, spec in KINDS.items() if issubclass(spec, MinimumNormAttack)]


@pytest.mark.parametrize("kind", MINIMUM_NORM)
def test_rounded_examples_of_minimum_norm_attacks_still_fool(model, x, y, kind):
    """The rounded changes are not much larger; without the option, values lie between the grey levels."""
    assert {"lbfgs", "carlini_wagner", "deepfool", "fab", "fmn", "hop_skip_jump", "jsma"} <= set(MINIMUM_NORM)
    x = (255 * x).round() / 255
    y = logits(model, x).argmax(1)
    settings = {**FAST.get(kind, {}), **({"theta": 0.501} if kind == "jsma" else {})}
    more = {"queries": settings["queries"] + ROUNDING_TRIES} if kind == "hop_skip_jump" else {}
    plain, rounded = (
        craft(registry.resolve(spec), model, x, y, spec, seed=0, indices=INDICES)
        for spec in (KINDS[kind](kind=kind, **settings), KINDS[kind](kind=kind, rounded=True, **{**settings, **more}))
    )
    levels_plain, levels = 255 * plain.attack.x_adv, 255 * rounded.attack.x_adv
    assert not np.array_equal(plain.attack.x_adv, levels_plain.round() / 255)
    np.testing.assert_array_equal(levels, levels.round())
    found, measured = plain.measurements, rounded.measurements
    np.testing.assert_array_equal(measured.predicted, measured.predicted_rounded)
    success = reaches_goal(found, found.predicted, y)
    assert success.any()
    np.testing.assert_array_equal(reaches_goal(measured, measured.predicted, y), success)
    assert (measured.l2 <= 1.3 * found.l2 + 0.02)[success].all()


def test_a_region_attack_changes_the_region_only(model, x, y):
    spec = make("region", region={"kind": "glasses"}, steps=30)
    y = logits(model, x).argmax(1)
    x_adv = run(spec, model, x, y)
    inside = torch.zeros(12, 12, dtype=torch.bool)
    for row, column in glasses_frame((1, 12, 12), spec.region.thickness):
        inside[row, column] = True
    changed = (x_adv != x)[:, 0]
    assert changed[:, inside].any()
    assert not changed[:, ~inside].any()
    assert (logits(model, x_adv).argmax(1) != y).any()
