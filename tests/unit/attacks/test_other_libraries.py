"""Our attacks against the same ones of foolbox, torchattacks and SciPy, on the same networks and images."""

import math

import foolbox
import numpy as np
import pytest
import torch
import torchattacks
from scipy.optimize import minimize
from torch.nn.functional import cross_entropy

from advgen.attacks import apgd as apgd_module
from advgen.attacks import hop_skip_jump as hop_skip_jump_module
from advgen.attacks.apgd import apgd
from advgen.attacks.common import Goal, l2_norms, project, project_l1
from advgen.attacks.deepfool import deepfool
from advgen.attacks.fgsm import fgsm
from advgen.attacks.fmn import fmn, measure_norm
from advgen.attacks.hop_skip_jump import hop_skip_jump
from advgen.attacks.lbfgs import FIRST_C, lbfgs
from advgen.attacks.pgd import pgd
from advgen.io.checkpoints import build
from advgen.metrics.intervals import paired_difference
from advgen.specs.attacks import (
    ApgdAttack,
    DeepFoolAttack,
    FgsmAttack,
    FmnAttack,
    HopSkipJumpAttack,
    LbfgsAttack,
    PgdAttack,
)
from advgen.specs.networks import ConvNetwork, FcNetwork

N = 40


@pytest.fixture(params=["relu", "sigmoid"])
def model(request):
    torch.manual_seed(0)
    network = ConvNetwork(kind="conv", channels=(4, 8), kernel=3, padding=1, hidden=(20,), activation=request.param)
    return build("networks", network.fit((1, 14, 14)), 10).double().eval()


@pytest.fixture(params=[(), (30,), (30, 30)])
def fc_net(request):
    return trained(FcNetwork(kind="fc", hidden=request.param, activation="sigmoid"))


def trained(network, classes=3):
    """A network trained a little on clouds of images, so that its labels mean something."""
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
    """Images of some classes: bright noise around the pattern of each, with black borders as digits have."""
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


def theirs(attack, model, x, y, eps):
    _, clipped, _ = attack(foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu"), x, y, epsilons=eps)
    return clipped


def predicted(model, x):
    with torch.no_grad():
        return model(x).argmax(1)


def test_fgsm_is_foolboxs(model, x, y):
    ours = fgsm(model, x, y, FgsmAttack(kind="fgsm", eps=0.1), seed=0, indices=list(range(N)))
    reference = theirs(foolbox.attacks.LinfFastGradientAttack(), model, x, y, 0.1)
    torch.testing.assert_close(ours, reference, atol=1e-12, rtol=0)


def test_targeted_fgsm_is_foolboxs(model, x, y):
    spec = FgsmAttack(kind="fgsm", eps=0.1, target=3)
    ours = fgsm(model, x, y, spec, seed=0, indices=list(range(N)))
    goal = foolbox.criteria.TargetedMisclassification(torch.full_like(y, 3))
    reference = theirs(foolbox.attacks.LinfPGD(abs_stepsize=0.1, steps=1, random_start=False), model, x, goal, 0.1)
    torch.testing.assert_close(ours, reference, atol=1e-12, rtol=0)


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.2), ("l2", 1.5)])
def test_pgd_without_random_start_is_foolboxs(model, x, y, norm, eps):
    spec = PgdAttack(kind="pgd", norm=norm, eps=eps, steps=20, random_start=False)
    ours = pgd(model, x, y, spec, seed=0, indices=list(range(N)))
    kind = foolbox.attacks.LinfPGD if norm == "linf" else foolbox.attacks.L2PGD
    reference = theirs(kind(abs_stepsize=2.5 * eps / 20, steps=20, random_start=False), model, x, y, eps)
    assert ((ours - reference).abs() < 1e-6).double().mean() >= 0.99
    assert ((reference - x).abs() > 0.01).double().mean() > 0.5
    assert (predicted(model, ours) == predicted(model, reference)).double().mean() >= 0.999


@pytest.mark.parametrize("who", ["foolbox", "torchattacks"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_robust_accuracy_is_that_of_the_others(who, early_stopping):
    """Random starts differ, so the same images need not fall; their share must agree in a paired interval."""
    model = trained(ConvNetwork(kind="conv", channels=(4, 8), kernel=3, padding=1, hidden=(20,)))
    (x, y), eps, steps = clouds(300), 0.08, 20
    spec = PgdAttack(kind="pgd", eps=eps, steps=steps, early_stopping=early_stopping)
    ours = pgd(model, x, y, spec, seed=0, indices=list(range(len(y))))
    torch.manual_seed(0)
    if who == "foolbox":
        attack = foolbox.attacks.LinfPGD(abs_stepsize=spec.step_size, steps=steps)
        reference = theirs(attack, model, x, y, eps)
    else:
        reference = torchattacks.PGD(model, eps=eps, alpha=spec.step_size, steps=steps)(x, y)
    a, b = ((predicted(model, one) == y).double().numpy() for one in (ours, reference))
    assert 0.05 < b.mean() < 0.95
    _, low, high = paired_difference(a, b, seed=0, confidence=0.95)
    assert low <= 0 <= high
    assert high - low < 0.1


@pytest.mark.parametrize("loss", ["cross_entropy", "dlr"])
@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.05), ("l2", 0.6)])
def test_apgd_from_the_same_start_is_torchattackss(model, x, norm, eps, loss, monkeypatch):
    """Its own start is drawn in this shape: uniform, or normal, and moved onto the border of the ball."""
    y = predicted(model, x)
    generator = torch.Generator().manual_seed(2)
    draw = torch.rand(x.shape, generator=generator, dtype=x.dtype) * 2 - 1
    size = draw.abs().amax((1, 2, 3), keepdim=True) if norm == "linf" else l2_norms(draw)
    start = project(x + eps * draw / size, x, norm, eps)
    monkeypatch.setattr(apgd_module, "random_start", lambda *given: start)
    monkeypatch.setattr(torch, "rand", lambda *shape: (draw + 1) / 2)
    monkeypatch.setattr(torch, "randn", lambda *shape: draw)
    spec = ApgdAttack(kind="apgd", norm=norm, eps=eps, steps=60, loss=loss, early_stopping=False)
    ours = apgd(model, x, y, spec, seed=0, indices=list(range(N)))
    names = {"linf": "Linf", "l2": "L2", "cross_entropy": "ce", "dlr": "dlr"}
    peer = torchattacks.APGD(model, norm=names[norm], eps=eps, steps=60, loss=names[loss])
    best, right, _, fooling = peer.attack_single_run(x, y)
    reference = torch.where(
        (predicted(model, best) == y)[:, None, None, None] & ~right[:, None, None, None], fooling, best
    )
    # not all: the peer takes the first step for a rise of the loss wherever the loss is positive then
    assert ((ours - reference).abs() < 1e-6).double().mean() >= 0.85
    assert (predicted(model, ours) == y).tolist() == (predicted(model, reference) == y).tolist()


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.05), ("l2", 0.4)])
def test_apgd_towards_the_likeliest_classes_is_torchattackss(norm, eps, monkeypatch):
    """From the same start for all images and classes, since the peer draws one for those that are still right."""
    network = ConvNetwork(kind="conv", channels=(4, 8), kernel=3, padding=1, hidden=(20,))
    model, x = trained(network, 10).double(), clouds(100, 10)[0].double()
    y = predicted(model, x)
    draw = torch.rand(x[:1].shape, generator=torch.Generator().manual_seed(2), dtype=x.dtype) * 2 - 1
    size = draw.abs().amax() if norm == "linf" else draw.norm()
    monkeypatch.setattr(apgd_module, "random_start", lambda x, *given: project(x + eps * draw / size, x, norm, eps))
    monkeypatch.setattr(torch, "rand", lambda shape: (draw.expand(shape) + 1) / 2)
    monkeypatch.setattr(torch, "randn", draw.expand)
    spec = ApgdAttack(kind="apgd", norm=norm, eps=eps, steps=40, loss="dlr", targets=9)
    ours = apgd(model, x, y, spec, seed=0, indices=list(range(100)))
    peer = torchattacks.APGDT(model, norm={"linf": "Linf", "l2": "L2"}[norm], eps=eps, steps=40, n_classes=10)
    right = [predicted(model, one) == y for one in (ours, peer(x, y))]
    assert 0.05 < right[1].double().mean() < 0.95
    assert right[0].tolist() == right[1].tolist()


def test_apgd_in_l1_leaves_no_more_right_than_foolboxs_sparse_descent():
    """With as many steps, from the image itself; foolbox's ends in the ball, but not on its border cut by the box."""
    model = trained(ConvNetwork(kind="conv", channels=(4, 8), kernel=3, padding=1, hidden=(20,)))
    x, _ = clouds(200)
    y, eps = predicted(model, x), 4.0
    spec = ApgdAttack(kind="apgd", norm="l1", eps=eps, steps=50)
    ours = apgd(model, x, y, spec, seed=0, indices=list(range(200)))
    reference = theirs(foolbox.attacks.SparseL1DescentAttack(steps=50), model, x, y, eps)
    left = [(predicted(model, one) == y).double().mean() for one in (ours, reference)]
    assert 0.05 < left[0] < left[1] < 1


def test_the_projection_onto_ball_and_box_is_the_nearest_point():
    """SciPy minimises the distance under the same bounds."""
    generator = torch.Generator().manual_seed(4)
    x = torch.rand(6, 1, 2, 4, generator=generator, dtype=torch.float64)
    x[:, :, :, 0] = 0
    delta = 1.5 * torch.randn(x.shape, generator=generator, dtype=torch.float64)
    eps = torch.tensor([0.0, 0.1, 0.5, 1.0, 2.0, 9.0], dtype=torch.float64)
    found = project_l1(delta, x, eps)
    for row in range(6):
        clean, wanted = x[row].flatten().numpy(), delta[row].flatten().numpy()
        sign = np.sign(wanted)
        bounds = [(0, 1 - value if side > 0 else value) for value, side in zip(clean, sign, strict=True)]
        ball = {"type": "ineq", "fun": lambda size, row=row: eps[row].item() - size.sum()}
        nearest = minimize(
            lambda size, wanted=wanted: ((size - abs(wanted)) ** 2).sum(), 0 * wanted, bounds=bounds, constraints=[ball]
        )
        np.testing.assert_allclose(found[row].flatten().numpy(), sign * nearest.x, atol=1e-5)


@pytest.mark.parametrize(
    "network",
    [
        FcNetwork(kind="fc", hidden=(30,), activation="sigmoid"),
        ConvNetwork(kind="conv", channels=(4, 8), kernel=3, padding=1, hidden=(20,)),
    ],
)
def test_deepfool_changes_no_more_than_foolboxs(network):
    model = trained(network)
    x, _ = clouds(60)
    y = predicted(model, x)
    ours = deepfool(model, x, y, DeepFoolAttack(kind="deepfool"), seed=0, indices=list(range(60)))
    reference = theirs(foolbox.attacks.L2DeepFoolAttack(steps=50, overshoot=0.02), model, x, y, None)
    assert (predicted(model, ours) != y).all()
    assert (predicted(model, reference) != y).all()
    sizes = [(x_adv - x).flatten(1).norm(dim=1).median() for x_adv in (ours, reference)]
    assert sizes[0] <= 1.02 * sizes[1]


@pytest.mark.parametrize("target", [None, 2])
@pytest.mark.parametrize("norm", ["linf", "l2", "l1", "l0"])
def test_fmn_changes_no_more_than_foolboxs(norm, target):
    """In L2 theirs never moves an image back into its ball, so that ours finds much less. In L0 a pixel is the unit.

    In L1 theirs spends its ball on pixels outside the box, and misses many images: those that it finds are compared.
    """
    model = trained(ConvNetwork(kind="conv", channels=(4, 8), kernel=3, padding=1, hidden=(20,)))
    x, _ = clouds(60)
    y = predicted(model, x)
    spec = FmnAttack(kind="fmn", norm=norm, target=target)
    ours = fmn(model, x, y, spec, seed=0, indices=list(range(60)))
    kinds = {
        "linf": foolbox.attacks.LInfFMNAttack,
        "l2": foolbox.attacks.L2FMNAttack,
        "l1": foolbox.attacks.L1FMNAttack,
        "l0": foolbox.attacks.L0FMNAttack,
    }
    goal = y if target is None else foolbox.criteria.TargetedMisclassification(torch.full_like(y, target))
    reference = theirs(kinds[norm](), model, x, goal, None)
    labels = [predicted(model, one) for one in (ours, reference)]
    found, theirs_found = (label != y if target is None else label == target for label in labels)
    assert found.all()
    assert theirs_found.all() or (norm == "l1" and theirs_found.any())
    sizes = [measure_norm(one - x, norm)[theirs_found].median() for one in (ours, reference)]
    assert sizes[0] <= 1.02 * sizes[1] + (norm == "l0")


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_hop_skip_jump_changes_no_more_than_foolboxs(norm):
    """From the same starts, with no more queries than theirs needs for as many steps."""
    model = trained(ConvNetwork(kind="conv", channels=(4, 8), kernel=3, padding=1, hidden=(20,)))
    x, _ = clouds(24)
    y = predicted(model, x)
    spec = HopSkipJumpAttack(kind="hop_skip_jump", norm=norm, queries=2000, draws=50)
    ours = hop_skip_jump(model, x, y, spec, seed=0, indices=list(range(24)))
    starts, found, _ = hop_skip_jump_module._start(model, x, Goal(y), 100, 0, list(range(24)))
    assert found.all()
    asked = []
    hook = model.register_forward_hook(lambda module, inputs, logits: asked.append(len(logits)))
    torch.manual_seed(0)
    attack = foolbox.attacks.HopSkipJumpAttack(
        steps=13, initial_gradient_eval_steps=50, constraint=norm, stepsize_search="geometric_progression"
    )
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    reference = attack.run(wrapped, x, foolbox.criteria.Misclassification(y), starting_points=starts)
    hook.remove()
    assert sum(asked) / 24 > 1800
    assert (predicted(model, ours) != y).all()
    sizes = [measure_norm(one - x, norm).median() for one in (ours, reference)]
    assert sizes[0] <= 1.05 * sizes[1]


@pytest.mark.parametrize("target", ["nearest", 2])
def test_lbfgs_always_succeeds_with_as_small_a_change_as_scipys(fc_net, target):
    """SciPy's L-BFGS-B, image by image, with the same search over c."""
    x, y = clouds(12)
    assert (predicted(fc_net, x) == y).double().mean() > 0.9
    spec = LbfgsAttack(kind="lbfgs", target=target)
    ours = lbfgs(fc_net, x, y, spec, seed=0, indices=list(range(len(y))))
    with torch.no_grad():
        goal = fc_net(x).scatter(1, y[:, None], -math.inf).argmax(1) if target == "nearest" else torch.full_like(y, 2)
    work = (predicted(fc_net, x) != goal).nonzero().flatten().tolist()
    assert torch.equal(predicted(fc_net, ours), goal)
    sizes = (ours - x).double().flatten(1).norm(dim=1)[work].numpy()
    reference = np.array([scipys(fc_net, x[row], int(goal[row]), spec) for row in work])
    assert np.isfinite(reference).all()
    assert sizes.mean() <= 1.05 * reference.mean()
    assert np.median(sizes / reference) <= 1.05
    assert (sizes / reference).max() <= 1.2


def scipys(model, image, target, spec):
    """L2 norm of the smallest successful change, infinite if there is none."""
    clean, aim = image.flatten().double().numpy(), torch.tensor([target])

    def value_and_gradient(z, c):
        x = torch.from_numpy(z).float().view(1, *image.shape).requires_grad_()
        loss = cross_entropy(model(x), aim)
        (gradient,) = torch.autograd.grad(loss, x)
        r = z - clean
        return loss.item() + c * (r @ r), gradient.flatten().double().numpy() + 2 * c * r

    options = {"maxiter": spec.steps, "maxcor": spec.memory}
    best, c, low, high = math.inf, FIRST_C, 0.0, math.inf
    for _ in range(spec.searches):
        found = minimize(
            value_and_gradient, clean, (c,), "L-BFGS-B", True, bounds=[(0, 1)] * clean.size, options=options
        )
        if predicted(model, torch.from_numpy(found.x).float().view(1, *image.shape)).item() == target:
            low, best = c, min(best, float(np.linalg.norm(found.x - clean)))
        else:
            high = c
        c = 10 * c if high == math.inf else c / 10 if low == 0 else math.sqrt(low * high)
    return best
