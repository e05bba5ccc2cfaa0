"""Comparisons with the attacks of Foolbox, torchattacks and SciPy, on the same networks and images."""

import math

import foolbox
import numpy as np
import pytest
import torch
import torchattacks
from scipy.optimize import minimize
from torch.nn.functional import cross_entropy

from advgen import registry
from advgen.attacks import apgd as apgd_module
from advgen.attacks import hop_skip_jump as hop_skip_jump_module
from advgen.attacks.common import Goal, l2_norms, measure_norm, project, project_l1
from advgen.attacks.lbfgs import FIRST_C
from advgen.io.checkpoints import build
from advgen.metrics.intervals import paired_difference
from advgen.specs.networks import ConvNetwork, FcNetwork

N = 40
CONV = ConvNetwork(kind="conv", channels=(4, 8), kernel=3, padding=1, hidden=(20,))
NAMES = {"linf": "Linf", "l2": "L2", "cross_entropy": "ce", "dlr": "dlr"}  # of torchattacks


@pytest.fixture(params=["relu", "sigmoid"])
def model(request):
    torch.manual_seed(0)
    network = CONV.model_copy(update={"activation": request.param})
    return build("networks", network.fit((1, 14, 14)), 10).double().eval()


@pytest.fixture(params=[(), (30,), (30, 30)])
def fc_net(request):
    return trained(FcNetwork(kind="fc", hidden=request.param, activation="sigmoid"))


def trained(network, classes=3):
    """A network trained briefly on `clouds`, so that its labels mean something."""
    torch.manual_seed(0)
    model = build("networks", network.fit((1, 14, 14)), classes)
    x, y = clouds(300, classes)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        optimizer.step()
    return model.eval()


def clouds(n, classes=3):
    """Images of a few classes: bright noise around each class's pattern, with black borders like digits."""
    generator = torch.Generator().manual_seed(1)
    y = torch.arange(n) % classes
    patterns = torch.rand(classes, 1, 14, 14, generator=generator)
    x = (patterns[y] + 0.3 * torch.randn(n, 1, 14, 14, generator=generator)).clamp(0, 1)
    x[..., :3], x[..., -3:] = 0, 0
    return x, y


@pytest.fixture
def x():
    return torch.rand(N, 1, 14, 14, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.fixture
def y():
    return torch.arange(N) % 10


def advgen_attack(kind, model, x, y, **settings):
    spec = registry.parse("attacks", {"kind": kind, **settings})
    return registry.resolve(spec)(model, x, y, spec, seed=0, indices=list(range(len(x))))


def foolbox_attack(attack, model, x, y, eps=None):
    _, clipped, _ = attack(foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu"), x, y, epsilons=eps)
    return clipped


def predicted(model, x):
    with torch.no_grad():
        return model(x).argmax(1)


@pytest.mark.parametrize("target", [None, 3])
def test_fgsm_equals_foolbox(model, x, y, target):
    ours = advgen_attack("fgsm", model, x, y, eps=0.1, target=target)
    goal = y if target is None else foolbox.criteria.TargetedMisclassification(torch.full_like(y, target))
    peer = foolbox.attacks.LinfPGD(abs_stepsize=0.1, steps=1, random_start=False)
    torch.testing.assert_close(ours, foolbox_attack(peer, model, x, goal, 0.1), atol=1e-12, rtol=0)


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.2), ("l2", 1.5)])
def test_pgd_without_random_start_equals_foolbox(model, x, y, norm, eps):
    ours = advgen_attack("pgd", model, x, y, norm=norm, eps=eps, steps=20, random_start=False)
    kind = foolbox.attacks.LinfPGD if norm == "linf" else foolbox.attacks.L2PGD
    peer = kind(abs_stepsize=2.5 * eps / 20, steps=20, random_start=False)
    reference = foolbox_attack(peer, model, x, y, eps)
    assert ((ours - reference).abs() < 1e-6).double().mean() >= 0.99
    assert ((reference - x).abs() > 0.01).double().mean() > 0.5
    assert (predicted(model, ours) == predicted(model, reference)).double().mean() >= 0.999


@pytest.mark.parametrize("library", ["foolbox", "torchattacks"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_robust_accuracy_agrees(library, early_stopping):
    """Random starts differ, so the robust accuracies are compared by a paired interval, not image by image."""
    model, (x, y), eps, steps = trained(CONV), clouds(300), 0.08, 20
    ours = advgen_attack("pgd", model, x, y, eps=eps, steps=steps, early_stopping=early_stopping)
    torch.manual_seed(0)
    if library == "foolbox":
        peer = foolbox.attacks.LinfPGD(abs_stepsize=2.5 * eps / steps, steps=steps)
        reference = foolbox_attack(peer, model, x, y, eps)
    else:
        reference = torchattacks.PGD(model, eps=eps, alpha=2.5 * eps / steps, steps=steps)(x, y)
    a, b = ((predicted(model, one) == y).double().numpy() for one in (ours, reference))
    assert 0.05 < b.mean() < 0.95
    _, low, high = paired_difference(a, b, seed=0, confidence=0.95)
    assert low <= 0 <= high
    assert high - low < 0.1


@pytest.mark.parametrize("loss", ["cross_entropy", "dlr"])
@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.05), ("l2", 0.6)])
def test_apgd_from_the_same_start_equals_torchattacks(model, x, norm, eps, loss, monkeypatch):
    """torchattacks draws a uniform or normal start and moves it onto the border of the ball."""
    y = predicted(model, x)
    draw = torch.rand(x.shape, generator=torch.Generator().manual_seed(2), dtype=x.dtype) * 2 - 1
    size = draw.abs().amax((1, 2, 3), keepdim=True) if norm == "linf" else l2_norms(draw)
    start = project(x + eps * draw / size, x, norm, eps)
    monkeypatch.setattr(apgd_module, "random_start", lambda *arguments: start)
    monkeypatch.setattr(torch, "rand", lambda *shape: (draw + 1) / 2)
    monkeypatch.setattr(torch, "randn", lambda *shape: draw)
    ours = advgen_attack("apgd", model, x, y, norm=norm, eps=eps, steps=60, loss=loss, early_stopping=False)
    peer = torchattacks.APGD(model, norm=NAMES[norm], eps=eps, steps=60, loss=NAMES[loss])
    best, right, _, fooling = peer.attack_single_run(x, y)
    keeps_best = (predicted(model, best) == y) & ~right
    reference = torch.where(keeps_best[:, None, None, None], fooling, best)
    # not all: torchattacks counts the first step as a rise of the loss whenever the loss is positive
    assert ((ours - reference).abs() < 1e-6).double().mean() >= 0.85
    assert (predicted(model, ours) == y).tolist() == (predicted(model, reference) == y).tolist()


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.05), ("l2", 0.4)])
def test_targeted_apgd_equals_torchattacks(norm, eps, monkeypatch):
    """All images and classes have the same start, because torchattacks draws one for the images that are correct."""
    model, x = trained(CONV, 10).double(), clouds(100, 10)[0].double()
    y = predicted(model, x)
    draw = torch.rand(x[:1].shape, generator=torch.Generator().manual_seed(2), dtype=x.dtype) * 2 - 1
    size = draw.abs().amax() if norm == "linf" else draw.norm()
    monkeypatch.setattr(apgd_module, "random_start", lambda x, *rest: project(x + eps * draw / size, x, norm, eps))
    monkeypatch.setattr(torch, "rand", lambda shape: (draw.expand(shape) + 1) / 2)
    monkeypatch.setattr(torch, "randn", draw.expand)
    ours = advgen_attack("apgd", model, x, y, norm=norm, eps=eps, steps=40, loss="dlr", targets=9)
    peer = torchattacks.APGDT(model, norm=NAMES[norm], eps=eps, steps=40, n_classes=10)
    right = [predicted(model, one) == y for one in (ours, peer(x, y))]
    assert 0.05 < right[1].double().mean() < 0.95
    assert right[0].tolist() == right[1].tolist()


def test_apgd_in_l1_is_stronger_than_foolbox_sparse_descent():
    """Both take as many steps from the image itself; Foolbox does not reach the border of ball and box."""
    model, (x, _), eps = trained(CONV), clouds(200), 4.0
    y = predicted(model, x)
    ours = advgen_attack("apgd", model, x, y, norm="l1", eps=eps, steps=50)
    reference = foolbox_attack(foolbox.attacks.SparseL1DescentAttack(steps=50), model, x, y, eps)
    accuracies = [(predicted(model, one) == y).double().mean() for one in (ours, reference)]
    assert 0.05 < accuracies[0] < accuracies[1] < 1


def test_the_projection_onto_l1_ball_and_box_equals_scipy():
    """SciPy minimises the distance under the same bounds."""
    generator = torch.Generator().manual_seed(4)
    x = torch.rand(6, 1, 2, 4, generator=generator, dtype=torch.float64)
    x[:, :, :, 0] = 0
    delta = 1.5 * torch.randn(x.shape, generator=generator, dtype=torch.float64)
    eps = torch.tensor([0.0, 0.1, 0.5, 1.0, 2.0, 9.0], dtype=torch.float64)
    projected = project_l1(delta, x, eps)
    for row in range(6):
        clean, wanted = x[row].flatten().numpy(), delta[row].flatten().numpy()
        sign = np.sign(wanted)
        bounds = [(0, 1 - value if side > 0 else value) for value, side in zip(clean, sign, strict=True)]
        ball = {"type": "ineq", "fun": lambda size, row=row: eps[row].item() - size.sum()}
        distance = lambda size, wanted=wanted: ((size - abs(wanted)) ** 2).sum()  # noqa: E731
        nearest = minimize(distance, 0 * wanted, bounds=bounds, constraints=[ball])
        np.testing.assert_allclose(projected[row].flatten().numpy(), sign * nearest.x, atol=1e-5)


@pytest.mark.parametrize("network", [FcNetwork(kind="fc", hidden=(30,), activation="sigmoid"), CONV])
def test_deepfool_changes_are_as_small_as_foolbox(network):
    model, (x, _) = trained(network), clouds(60)
    y = predicted(model, x)
    peer = foolbox.attacks.L2DeepFoolAttack(steps=50, overshoot=0.02)
    both = advgen_attack("deepfool", model, x, y), foolbox_attack(peer, model, x, y)
    assert all((predicted(model, one) != y).all() for one in both)
    sizes = [measure_norm(one - x, "l2").median() for one in both]
    assert sizes[0] <= 1.02 * sizes[1]


@pytest.mark.parametrize("target", [None, 2])
@pytest.mark.parametrize("norm", ["linf", "l2", "l1", "l0"])
def test_fmn_changes_are_as_small_as_foolbox(norm, target):
    """The examples that Foolbox finds are compared: in L1 it wastes its ball outside the box and misses many images.

    In L0 a pixel is the unit.
    """
    model, (x, _) = trained(CONV), clouds(60)
    y = predicted(model, x)
    kinds = {"linf": "LInfFMNAttack", "l2": "L2FMNAttack", "l1": "L1FMNAttack", "l0": "L0FMNAttack"}
    goal = y if target is None else foolbox.criteria.TargetedMisclassification(torch.full_like(y, target))
    peer = getattr(foolbox.attacks, kinds[norm])()
    both = advgen_attack("fmn", model, x, y, norm=norm, target=target), foolbox_attack(peer, model, x, goal)
    labels = [predicted(model, one) for one in both]
    success, peer_success = (label != y if target is None else label == target for label in labels)
    assert success.all()
    assert peer_success.all() or (norm == "l1" and peer_success.any())
    sizes = [measure_norm(one - x, norm)[peer_success].median() for one in both]
    assert sizes[0] <= 1.02 * sizes[1] + (norm == "l0")


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_hop_skip_jump_changes_are_as_small_as_foolbox(norm):
    """From the same starts, with no more queries than Foolbox needs for as many steps."""
    model, (x, _) = trained(CONV), clouds(24)
    y = predicted(model, x)
    ours = advgen_attack("hop_skip_jump", model, x, y, norm=norm, queries=2000, draws=50)
    starts, started, _ = hop_skip_jump_module._start(model, x, Goal(y), 100, 0, list(range(24)))
    assert started.all()
    queries = []
    hook = model.register_forward_hook(lambda module, inputs, logits: queries.append(len(logits)))
    torch.manual_seed(0)
    settings = {"initial_gradient_eval_steps": 50, "stepsize_search": "geometric_progression"}
    peer = foolbox.attacks.HopSkipJumpAttack(steps=13, constraint=norm, **settings)
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    reference = peer.run(wrapped, x, foolbox.criteria.Misclassification(y), starting_points=starts)
    hook.remove()
    assert sum(queries) / 24 > 1800
    assert (predicted(model, ours) != y).all()
    sizes = [measure_norm(one - x, norm).median() for one in (ours, reference)]
    assert sizes[0] <= 1.05 * sizes[1]


@pytest.mark.parametrize("target", ["nearest", 2])
def test_lbfgs_always_succeeds_with_changes_as_small_as_scipy(fc_net, target):
    """SciPy's L-BFGS-B, image by image, with the same search over c."""
    x, y = clouds(12)
    assert (predicted(fc_net, x) == y).double().mean() > 0.9
    spec = registry.parse("attacks", {"kind": "lbfgs", "target": target})
    ours = advgen_attack("lbfgs", fc_net, x, y, target=target)
    with torch.no_grad():
        goal = fc_net(x).scatter(1, y[:, None], -math.inf).argmax(1) if target == "nearest" else torch.full_like(y, 2)
    rows = (predicted(fc_net, x) != goal).nonzero().flatten().tolist()
    assert torch.equal(predicted(fc_net, ours), goal)
    sizes = (ours - x).double().flatten(1).norm(dim=1)[rows].numpy()
    reference = np.array([scipy_lbfgs(fc_net, x[row], int(goal[row]), spec) for row in rows])
    assert np.isfinite(reference).all()
    assert sizes.mean() <= 1.05 * reference.mean()
    assert np.median(sizes / reference) <= 1.05
    assert (sizes / reference).max() <= 1.2


def scipy_lbfgs(model, image, target, spec):
    """L2 norm of the smallest successful change, infinite if there is none."""
    clean, target_1 = image.flatten().double().numpy(), torch.tensor([target])

    def value_and_gradient(z, c):
        x = torch.from_numpy(z).float().view(1, *image.shape).requires_grad_()
        loss = cross_entropy(model(x), target_1)
        (gradient,) = torch.autograd.grad(loss, x)
        r = z - clean
        return loss.item() + c * (r @ r), gradient.flatten().double().numpy() + 2 * c * r

    settings = {"bounds": [(0, 1)] * clean.size, "options": {"maxiter": spec.steps, "maxcor": spec.memory}}
    best, c, low, high = math.inf, FIRST_C, 0.0, math.inf
    for _ in range(spec.searches):
        result = minimize(value_and_gradient, clean, (c,), "L-BFGS-B", True, **settings)
        if predicted(model, torch.from_numpy(result.x).float().view(1, *image.shape)).item() == target:
            low, best = c, min(best, float(np.linalg.norm(result.x - clean)))
        else:
            high = c
        c = 10 * c if high == math.inf else c / 10 if low == 0 else math.sqrt(low * high)
    return best
