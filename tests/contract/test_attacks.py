"""What every attack must do, for every registered one and each of its ways to search, on a tiny untrained network."""

import itertools

import numpy as np
import pytest
import torch

from advgen import contracts, registry
from advgen.attacks.common import ROUNDING_TRIES, Goal
from advgen.attacks.jsma import _best_pairs
from advgen.attacks.run import craft
from advgen.attacks.spatial import transform
from advgen.geometry.glasses import glasses_frame
from advgen.specs.attacks import FgsmAttack, MinimumNormAttack, PgdAttack

KINDS = registry.kinds("attacks")
N, INDICES = contracts.N, contracts.INDICES


# Settings that the tests can afford; kinds that are not named here run with their defaults.
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
WAYS = {
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


@pytest.fixture(params=WAYS)
def spec(request):
    kind, settings = WAYS[request.param]
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


def test_crafting_in_micro_batches_gives_the_facts_of_each_example(spec, model, x, y):
    images = (x * 255).to(torch.uint8)
    seen = []
    attack = registry.resolve(spec)
    facts = craft(
        attack, model, images, y, spec, seed=0, indices=INDICES, batch=5, progress=lambda *args: seen.append(args[:2])
    )
    assert seen == [(5, N), (10, N), (12, N)]
    clean = images.numpy() / np.float32(255)
    delta = (facts.attack.x_adv.astype(np.float64) - clean).reshape(N, -1)
    assert facts.attack.x_adv.dtype == np.float32
    if not spec.others():
        second = run(spec, model, torch.from_numpy(clean[5:10]), y[5:10], indices=INDICES[5:10])
        np.testing.assert_array_equal(facts.attack.x_adv[5:10], second.numpy())
    np.testing.assert_allclose(facts.measurements.linf, np.abs(delta).max(1), atol=1e-7)
    np.testing.assert_allclose(facts.measurements.l2, np.sqrt((delta**2).sum(1)), atol=1e-6)
    np.testing.assert_allclose(facts.measurements.rms, np.sqrt((delta**2).mean(1)), atol=1e-7)
    np.testing.assert_array_equal(facts.measurements.l0, (delta != 0).sum(1))
    model.eval()
    with torch.no_grad():
        probabilities = model(torch.from_numpy(facts.attack.x_adv)).softmax(1)
        np.testing.assert_array_equal(facts.measurements.predicted_clean, model(torch.from_numpy(clean)).argmax(1))
    np.testing.assert_array_equal(facts.measurements.predicted, probabilities.argmax(1))
    np.testing.assert_allclose(facts.measurements.confidence, probabilities.amax(1), atol=1e-5)


def test_crafting_refuses_examples_outside_the_ball(model, x, y):
    def cheat(model, x_BCHW, y_B, spec, *, seed, indices):
        return 1 - x_BCHW

    spec = FgsmAttack(kind="fgsm", eps=0.1)
    with pytest.raises(AssertionError, match="linf ball"):
        craft(cheat, model, x, y, spec, seed=0, indices=INDICES)


def test_counts_what_passes_through_the_model(model, x, y):
    def calls(spec):
        facts = craft(registry.resolve(spec), model, x, y, spec, seed=0, indices=INDICES, batch=5)
        return facts.attack.gradient_calls, facts.attack.forward_calls

    assert calls(make("gaussian_noise")) == (0, 0)
    assert calls(make("fgsm")) == (1, 1)
    assert calls(make("fgsm", target="nearest")) == (1, 2)
    assert calls(make("pgd", steps=7)) == (7, 7)
    without = make("square", queries=30).model_copy(update={"eps": 0.0})
    assert calls(without) == pytest.approx((0, 30), abs=29)
    model.eval()
    right_N = model(x).argmax(1) == y
    right = right_N.double().mean().item()
    # towards four other classes each, but not in a micro-batch that is all wrong already
    worth = sum(len(part) for part in right_N.split(5) if part.any()) / N
    assert calls(make("deepfool", steps=1)) == pytest.approx((4 * worth, 1))
    assert calls(make("deepfool", steps=2))[0] < 4 * 2 * worth
    assert calls(make("jsma", target=0))[0] % (1 / N) == pytest.approx(0, abs=1e-9)
    gradients, forwards = calls(make("one_pixel", search="exhaustive"))
    assert gradients == 0
    assert 1 < forwards <= 1 + right * 2 * 144
    assert not model._forward_hooks


def test_says_which_class_was_the_target(model, x, y):
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
    model.eval()
    with torch.no_grad():
        order = model(x).argsort(dim=1, descending=True)
    nearest = torch.where(order[:, 0] == y, order[:, 1], order[:, 0])
    np.testing.assert_array_equal(targets(make("fgsm", target="nearest")), nearest)
    with pytest.raises(ValueError, match="target class 5 does not exist"):
        targets(make("fgsm", target=5))


def test_crafting_refuses_examples_outside_the_region(model, x, y):
    def cheat(model, x_BCHW, y_B, spec, *, seed, indices):
        return 1 - x_BCHW

    with pytest.raises(AssertionError, match="region"):
        craft(cheat, model, x, y, make("region"), seed=0, indices=INDICES)


# --- what PGD alone promises -----------------------------------------------------------------------------------------


def pgd(**settings):
    return PgdAttack(kind="pgd", **settings)


def logits(model, x):
    model.eval()
    with torch.no_grad():
        return model(x)


def test_pgd_in_l2_uses_its_ball_up(model, x, y):
    spec = pgd(norm="l2", eps=1.5, steps=10)
    x_adv = run(spec, model, x * 0.2 + 0.4, y)
    l2 = (x_adv - (x * 0.2 + 0.4)).double().flatten(1).norm(dim=1)
    assert l2.max() <= 1.5 + 1e-6
    assert l2.median() > 1.49


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_random_start_alone_lies_in_ball_and_box(model, x, y, norm):
    """With a step of nothing the last iterate is the start; the seed and the example's index choose it."""
    spec = pgd(norm=norm, eps=0.5, steps=1, step_size=1e-12)
    start = run(spec, model, x, y)
    delta = (start - x).flatten(1)
    assert (delta.abs().amax(1) if norm == "linf" else delta.norm(dim=1)).max() <= 0.5 + 1e-6
    assert delta.abs().amax(1).min() > 0
    assert not torch.equal(run(spec, model, x, y, seed=1), start)
    assert not torch.equal(run(spec, model, x, y, indices=[index + 1 for index in INDICES]), start)


def test_restarts_only_help(model, x, y):
    """The first restart is the run without restarts, and it is kept where it fools the model."""
    model.eval()
    y = model(x).argmax(1)
    few, many = pgd(eps=0.02, steps=3), pgd(eps=0.02, steps=3, restarts=6)
    alone, best = run(few, model, x, y), run(many, model, x, y)
    with torch.no_grad():
        fooled_alone, fooled_best = model(alone).argmax(1) != y, model(best).argmax(1) != y
        loss_alone, loss_best = (
            torch.nn.functional.cross_entropy(model(images), y, reduction="none") for images in (alone, best)
        )
    assert 0 < fooled_alone.sum() < N
    assert (fooled_best >= fooled_alone).all()
    torch.testing.assert_close(best[fooled_alone], alone[fooled_alone], atol=0, rtol=0)
    assert (loss_best >= loss_alone - 1e-5)[~fooled_best].all()
    assert (loss_best > loss_alone).any()


def test_restarts_of_a_row_do_not_depend_on_its_batch(model, x, y):
    """Later restarts work on a subset of the batch; their random starts must still be those of the example."""
    model, x = model.double(), x.double()
    model.eval()
    y = model(x).argmax(1)
    spec = pgd(eps=0.02, steps=3, restarts=4)
    whole = run(spec, model, x, y)
    for row in range(N):
        alone = run(spec, model, x[[row]], y[[row]], indices=[INDICES[row]])
        torch.testing.assert_close(alone, whole[[row]], atol=1e-9, rtol=0)


class Levels(torch.nn.Module):
    """Logits by grey level: at 0 right with some loss, at 0.5 wrong with less loss, at 1 right with much loss."""

    def forward(self, x_BCHW):
        logits = torch.tensor([[1, 0.9, 0.9], [1, 1.1, -5], [1, 0.99, 0.99]])
        return logits[(2 * x_BCHW[:, 0, 0, 0]).round().long()]


@pytest.mark.parametrize(("levels", "kept"), [([0, 0.5, 1], 0.5), ([1, 0.5, 0.5], 0.5), ([0, 1, 0], 1), ([1, 0, 0], 1)])
def test_restarts_keep_the_first_that_fools_else_the_highest_loss(monkeypatch, levels, kept):
    monkeypatch.setattr(
        "advgen.attacks.pgd.random_start", lambda x, norm, eps, seed, indices, restart: x * 0 + levels[restart]
    )
    monkeypatch.setattr("advgen.attacks.pgd.climb", lambda model, x_adv, x, goal, spec, poses: x_adv)
    x_adv = run(pgd(restarts=3), Levels(), torch.zeros(2, 1, 4, 4), torch.zeros(2, dtype=torch.long), indices=[0, 1])
    assert x_adv.unique().tolist() == [kept]


def test_the_active_set_stops_at_the_first_success(model, x, y):
    """Images that full PGD fools at no step end alike; the others end earlier, at an iterate that fools."""
    model, x = model.double(), x.double()
    y = logits(model, x).argmax(1)
    settings = {"eps": 0.02, "steps": 12, "step_size": 0.003}
    full, active = run(pgd(**settings), model, x, y), run(pgd(**settings, early_stopping=True), model, x, y)
    stopped = (full != active).flatten(1).any(1)
    assert 0 < stopped.sum() < N
    assert (logits(model, active).argmax(1) != y)[stopped].all()
    for row in stopped.nonzero().flatten().tolist():
        start = run(pgd(**{**settings, "steps": 1, "step_size": 1e-14}), model, x, y)[row]
        paths = [start, *(run(pgd(**{**settings, "steps": steps}), model, x, y)[row] for steps in range(1, 12))]
        assert any(torch.allclose(active[row], one, atol=1e-12, rtol=0) for one in paths)


@pytest.mark.parametrize("loss", ["cross_entropy", "margin", "dlr"])
@pytest.mark.parametrize("target", [None, "nearest"])
def test_every_loss_grows_towards_the_goal(model, x, y, loss, target):
    spec = pgd(eps=0.3, steps=20, loss=loss, target=target)
    clean = logits(model, x)
    y = clean.argmax(1)
    attacked = logits(model, run(spec, model, x, y))
    goal = Goal(y) if target is None else Goal(y, clean.scatter(1, y[:, None], -torch.inf).argmax(1))
    assert (goal.loss(loss, attacked) > goal.loss(loss, clean)).all()
    if (target, loss) != ("nearest", "dlr"):  # which lets a third class win
        assert goal.is_reached(attacked).double().mean() > 0.9


def test_dlr_is_blind_to_the_scale_of_logits_and_needs_three_classes():
    generator = torch.Generator().manual_seed(0)
    z, y = torch.randn(50, 6, generator=generator, dtype=torch.float64), torch.arange(50) % 6
    for goal in (Goal(y), Goal(y, (y + 1) % 6)):
        torch.testing.assert_close(goal.loss("dlr", z), goal.loss("dlr", 1e4 * z))
    order = z.sort(dim=1, descending=True).values
    own = z.gather(1, y[:, None])[:, 0]
    other = torch.where(own == order[:, 0], order[:, 1], order[:, 0])
    torch.testing.assert_close(Goal(y).loss("dlr", z), (other - own) / (order[:, 0] - order[:, 2]))
    with pytest.raises(ValueError, match="the dlr loss needs 3 classes, the model has 2"):
        Goal(y % 2).loss("dlr", z[:, :2])
    with pytest.raises(ValueError, match="a targeted dlr loss needs 4 classes"):
        Goal(y % 2, 1 - y % 2).loss("dlr", z[:, :3])


# --- what the others promise -----------------------------------------------------------------------------------------

SMALLEST = [
    "hop_skip_jump",
    "hop_skip_jump linf",
    "deepfool",
    "carlini_wagner",
    "lbfgs untargeted",
    "one_pixel",
    "one_pixel exhaustive",
]


@pytest.mark.parametrize("way", SMALLEST)
def test_an_image_that_is_wrong_already_needs_no_change(model, x, y, way):
    kind, settings = WAYS[way]
    wrong = logits(model, x).argmax(1) != y
    x_adv = run(make(kind, **settings), model, x, y)
    assert 0 < wrong.sum() < N
    assert torch.equal(x_adv[wrong], x[wrong])
    assert (x_adv != x).flatten(1).any(1)[~wrong].all()


@pytest.mark.parametrize("target", [None, "random", "nearest", 1])
@pytest.mark.parametrize("kind", ["lbfgs", "carlini_wagner"])
def test_smallest_changes_reach_their_goal(model, x, y, kind, target):
    """And lie near the boundary: most would miss it if they were a fifth smaller."""
    y = logits(model, x).argmax(1)
    settings = {"lr": 0.1, "steps": 60, "searches": 5, "initial_c": 10} if kind == "carlini_wagner" else {}
    spec = KINDS[kind](kind=kind, target=target, **settings)
    facts = craft(registry.resolve(spec), model, x, y, spec, seed=0, indices=INDICES)
    if target is None:
        assert (facts.measurements.predicted != y.numpy()).all()
    else:
        np.testing.assert_array_equal(facts.measurements.predicted, facts.measurements.target_label)
    predicted = logits(model, x + 0.8 * (torch.from_numpy(facts.attack.x_adv) - x)).argmax(1).numpy()
    missed = predicted == y.numpy() if target is None else predicted != facts.measurements.target_label
    changed = facts.measurements.l2 > 0
    assert changed.sum() > N / 2
    assert missed[changed].mean() >= 0.8


FREE = [kind for kind, spec in KINDS.items() if issubclass(spec, MinimumNormAttack)]


@pytest.mark.parametrize("kind", FREE)
def test_smallest_changes_can_be_asked_to_fool_as_uint8(model, x, y, kind):
    """In 256 grey levels, without being much longer; without the option they have values between the levels."""
    assert {"lbfgs", "carlini_wagner", "deepfool", "fab", "fmn", "hop_skip_jump", "jsma"} <= set(FREE)
    x = (255 * x).round() / 255
    y = logits(model, x).argmax(1)
    settings = {**FAST.get(kind, {}), **({"theta": 0.501} if kind == "jsma" else {})}
    rest = {"queries": settings["queries"] + ROUNDING_TRIES} if kind == "hop_skip_jump" else {}
    free, told = (
        craft(registry.resolve(spec), model, x, y, spec, seed=0, indices=INDICES)
        for spec in (KINDS[kind](kind=kind, **settings), KINDS[kind](kind=kind, rounded=True, **{**settings, **rest}))
    )
    assert not np.array_equal(free.attack.x_adv, (255 * free.attack.x_adv).round() / 255)
    np.testing.assert_array_equal(255 * told.attack.x_adv, (255 * told.attack.x_adv).round())
    np.testing.assert_array_equal(told.measurements.predicted, told.measurements.predicted_rounded)
    goal = told.measurements.target_label
    reached = {
        name: facts.measurements.predicted != y.numpy() if goal is None else facts.measurements.predicted == goal
        for name, facts in (("free", free), ("rounded", told))
    }
    assert reached["free"].any()
    np.testing.assert_array_equal(reached["rounded"], reached["free"])
    assert (told.measurements.l2 <= 1.3 * free.measurements.l2 + 0.02)[reached["free"]].all()


def test_lbfgs_finds_the_nearest_point_across_a_line():
    """For a linear model inside the box the answer is known: the distance to the boundary."""
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2)).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        model[1].weight.copy_(torch.randn(2, 16, generator=generator))
        model[1].bias.zero_()
    x = 0.5 + 0.02 * torch.randn(8, 1, 4, 4, generator=generator, dtype=torch.float64)
    y = logits(model, x).argmax(1)
    x_adv = run(make("lbfgs", steps=50, searches=20), model, x, y, indices=list(range(8)))
    weight = model[1].weight[1] - model[1].weight[0]
    distance = (x.flatten(1) @ weight + model[1].bias[1] - model[1].bias[0]).abs() / weight.norm()
    found = (x_adv - x).flatten(1).norm(dim=1)
    assert (found >= distance * (1 - 1e-9)).all()
    assert (found <= distance * 1.01).all()


def test_jsma_changes_pairs_of_pixels_to_the_extreme(model, x, y):
    spec = make("jsma", share=0.2)
    x_adv = run(spec, model, x, y)
    changed = x_adv != x
    assert (changed.flatten(1).sum(1) <= 0.2 * 144).all()
    assert (x_adv[changed] == 1).all()
    clean, attacked = logits(model, x), logits(model, x_adv)
    goal = Goal(y, clean.scatter(1, y[:, None], -torch.inf).argmax(1))
    done = goal.is_reached(clean)
    assert torch.equal(x_adv[done], x[done])
    assert (goal.margin(attacked) > goal.margin(clean))[~done].double().mean() > 0.9
    with pytest.raises(ValueError, match="jsma needs a target class"):
        run(spec.model_copy(update={"target": None}), model, x, y)


def test_jsma_takes_the_best_of_all_pairs():
    generator = torch.Generator().manual_seed(0)
    up, down = (torch.randn(30, 40, generator=generator) for _ in range(2))
    down[3] = -down[3].abs()  # not one salient pair
    open_ = torch.rand(30, 40, generator=generator) < 0.8
    pair, salient = _best_pairs(up, down, open_)
    for row in range(30):
        weights = {
            (p, q): max(up[row, p] + up[row, q], 0) * max(down[row, p] + down[row, q], 0)
            for p in range(40)
            for q in range(p)
            if open_[row, p] and open_[row, q]
        }
        best = max(weights, key=weights.get)
        assert salient[row] == (weights[best] > 0)
        if salient[row]:
            assert set(pair[row].tolist()) == set(best)
    assert not salient[3]


def test_no_single_pixel_beats_the_exhaustive_search(model, x, y):
    """Where it says that nothing works, nothing does; and evolution finds no more."""
    y = logits(model, x).argmax(1)
    found = Goal(y).margin(logits(model, run(make("one_pixel", search="exhaustive"), model, x, y)))
    best = torch.full((N,), -torch.inf)
    for place in range(144):
        for level in (0, 1):
            tried = x.flatten(1).clone()
            tried[:, place] = level
            best = best.maximum(Goal(y).margin(logits(model, tried.view_as(x))))
    torch.testing.assert_close(found[best <= 0], best[best <= 0])
    assert torch.equal(found > 0, best > 0)


def test_evolution_gets_better_with_generations(model, x, y):
    y = logits(model, x).argmax(1)
    few, many = (
        Goal(y).margin(logits(model, run(make("one_pixel", population=8, generations=n), model, x, y))) for n in (1, 20)
    )
    assert (many >= few - 1e-6)[many <= 0].all()
    assert (many > few).any()


def test_square_improves_with_queries(model, x, y):
    y = logits(model, x).argmax(1)
    few, many = (Goal(y).margin(logits(model, run(make("square", eps=0.05, queries=n), model, x, y))) for n in (2, 300))
    assert (many >= few - 1e-6)[many <= 0].all()
    assert (many > few).double().mean() > 0.5


def test_transform_turns_and_moves():
    x = torch.rand(1, 2, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def moved(*pose):
        return transform(x, torch.tensor([pose], dtype=torch.float64))

    torch.testing.assert_close(moved(0, 0, 0), x)
    torch.testing.assert_close(moved(90, 0, 0), x.rot90(1, (2, 3)))
    torch.testing.assert_close(moved(0, 2, 0)[..., 2:], x[..., :-2])
    torch.testing.assert_close(moved(0, 0, 3)[..., 3:, :], x[..., :-3, :])
    assert moved(0, 2, 0)[..., :2].abs().max() < 1e-12
    torch.testing.assert_close(moved(90, 2, 0)[..., 2:], x.rot90(1, (2, 3))[..., :-2])


def test_transform_takes_oblong_images():
    x = torch.zeros(1, 1, 9, 15, dtype=torch.float64)
    x[0, 0, 4, 9] = 1  # two pixels right of the centre
    turned = transform(x, torch.tensor([[90.0, 0, 0]], dtype=torch.float64))
    assert turned[0, 0].argmax() == 2 * 15 + 7
    assert turned.max() == pytest.approx(1)


def test_no_rotation_and_no_shift_is_the_identity(model, x, y):
    for search in ("grid", "random", "first_order"):
        x_adv = run(make("spatial", search=search, degrees=0, pixels=0, angles=1, shifts=1), model, x, y)
        torch.testing.assert_close(x_adv, x, atol=1e-5, rtol=0)


def test_the_grid_is_at_least_as_bad_as_any_pose_of_it(model, x, y):
    y = logits(model, x).argmax(1)
    spec = make("spatial", degrees=20, pixels=2, angles=3, shifts=3)
    fooled = logits(model, run(spec, model, x, y)).argmax(1) != y
    for pose in itertools.product((-20.0, 0.0, 20.0), (-2.0, 0.0, 2.0), (-2.0, 0.0, 2.0)):
        wrong = logits(model, transform(x, torch.tensor([pose]).expand(N, 3))).argmax(1) != y
        assert (fooled >= wrong).all()


def test_the_region_alone_changes(model, x, y):
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
