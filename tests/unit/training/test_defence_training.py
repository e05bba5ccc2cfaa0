"""What is particular to each defence."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from advgen import registry
from advgen.attacks.deepfool import deepfool
from advgen.attacks.fgsm import fgsm
from advgen.io.checkpoints import build
from advgen.specs.attacks import DeepFoolAttack, FgsmAttack
from advgen.specs.networks import EnsembleNetwork, FcNetwork
from advgen.training.defences.pool import PART_SIZE
from advgen.training.loop import Step

NET = FcNetwork(kind="fc", hidden=(16,)).fit((1, 6, 6))
PER_EPOCH = 10


def step(number, total=100):
    return Step(number, total, number // PER_EPOCH, False, torch.arange(30))


def loss_of(defence, x, y, at):
    return defence.loss(x, y, defence.varying(at))


@pytest.fixture
def x():
    return torch.rand(30, 1, 6, 6, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def y():
    return torch.arange(30) % 4


class Watched(torch.nn.Module):
    """Keeps what a network sees with gradients for its parameters: the images that it is trained on."""

    def __init__(self, spec=NET):
        super().__init__()
        torch.manual_seed(0)
        self.net, self.seen = build("networks", spec, 4), []

    def forward(self, x):
        if next(self.net.parameters()).requires_grad and not x.requires_grad:
            self.seen.append(x.detach().clone())
        return self.net(x)


def made(spec, model, images, labels):
    return registry.resolve(spec)(spec, model, images, labels, PER_EPOCH, 0)


def of_kind(kind, **settings):
    return registry.kinds("defences")[kind](kind=kind, **settings)


def test_ibp_is_the_cross_entropy_of_the_worst_logits(x, y):
    """For one linear layer the worst logit of a class is known: each pixel at the end that favours the class most."""
    model = Watched(FcNetwork(kind="fc").fit((1, 6, 6)))
    defence = made(of_kind("ibp", eps=0.1, kappa=0.3, eps_warmup=0), model.net, x, y)
    low, high = (x - 0.1).clamp(0, 1).flatten(1), (x + 0.1).clamp(0, 1).flatten(1)
    weight, bias = model.net.head.weight, model.net.head.bias
    towards = weight[None] - weight[y][:, None]
    worst = (towards.clamp_min(0) @ high[:, :, None] + towards.clamp_max(0) @ low[:, :, None]).squeeze(2)
    worst = worst + bias - bias[y][:, None]
    expected = 0.3 * cross_entropy(model.net(x), y) + 0.7 * cross_entropy(worst, y)
    assert loss_of(defence, x, y, step(50)).item() == pytest.approx(expected.item(), rel=1e-5)


def test_ibp_begins_with_clean_images_and_small_balls(x, y):
    model = Watched()
    defence = made(of_kind("ibp", eps=0.2, kappa=0.5, eps_warmup=2), model.net, x, y)
    assert defence.varying(step(9)) == pytest.approx((0.1, 0.75))
    assert defence.varying(step(19)) == defence.varying(step(60)) == pytest.approx((0.2, 0.5))


def trained_on(spec, x, y, number=50):
    model = Watched()
    loss_of(made(spec, model, (x * 255).byte(), y), x, y, step(number))
    return model.seen


def test_fgsm_is_the_papers_mixture(x, y):
    spec = of_kind("fgsm", eps=0.1, alpha=0.3)
    model = Watched()
    x_adv = fgsm(model, x, y, FgsmAttack(kind="fgsm", eps=0.1), seed=0, indices=list(range(30)))
    expected = 0.3 * cross_entropy(model(x), y) + 0.7 * cross_entropy(model(x_adv), y)
    torch.testing.assert_close(loss_of(made(spec, model, x, y), x, y, step(0)), expected)


@pytest.mark.parametrize(
    "spec",
    [
        of_kind("fast", eps=0.2),
        of_kind("pgd", eps=0.2, steps=5),
        of_kind("pgd", norm="l2", eps=0.7, steps=5),
        of_kind("bayesian", eps=0.2, steps=2),
    ],
    ids=["fast", "pgd", "pgd l2", "bayesian"],
)
def test_attacked_images_stay_in_ball_and_box_and_raise_the_loss(spec, x, y):
    if spec.stochastic:
        torch.manual_seed(0)
        ensemble = EnsembleNetwork(kind="ensemble", member=NET, members=2).fit((1, 6, 6))
        model = build("networks", ensemble, 4)
        x_adv = made(spec, model, x, y)._sample(x, y)
    else:
        model = Watched()
        loss_of(made(spec, model, x, y), x, y, step(0))
        [x_adv] = model.seen
    assert x_adv.min() >= 0 and x_adv.max() <= 1
    delta = (x_adv - x).flatten(1)
    size = delta.norm(dim=1) if getattr(spec, "norm", "linf") == "l2" else delta.abs().amax(1)
    assert size.max() <= spec.eps + 1e-6
    assert size.mean() > 0.9 * spec.eps
    assert cross_entropy(model(x_adv), y) > cross_entropy(model(x), y) + 0.05


@pytest.mark.parametrize("kind", ["fast", "pgd"])
def test_eps_grows_for_so_many_epochs(kind, x, y):
    spec = of_kind(kind, eps=0.2, eps_warmup=2)
    for number, share in [(0, 0.05), (9, 0.5), (19, 1), (35, 1)]:
        [x_adv] = trained_on(spec, x, y, number)
        assert (x_adv - x).abs().max().item() == pytest.approx(0.2 * share, rel=1e-4)


@pytest.mark.parametrize("kind", ["gaussian", "uniform", "sign"])
def test_noise_has_its_size(kind):
    x, y = torch.full((200, 1, 6, 6), 0.5), torch.zeros(200).long()
    [noisy] = trained_on(of_kind("noise", noise=kind, eps=0.1), x, y)
    noise = noisy - x
    assert abs(noise.mean()) < 0.01
    expected = {"gaussian": 0.1, "uniform": 0.1 / math.sqrt(3), "sign": 0.1}[kind]
    assert noise.std().item() == pytest.approx(expected, rel=0.05)
    assert {"sign": noise.abs().min() > 0.0999, "uniform": noise.abs().max() <= 0.1 + 1e-6}.get(kind, True)


def test_the_pool_fills_and_turns_over_in_its_time(x, y):
    images, labels = (x.repeat(40, 1, 1, 1) * 255).byte(), y.repeat(40)
    spec = of_kind("pool", size=3 * PART_SIZE, refresh=0.6, share=0.25)
    defence = made(spec, Watched(), images, labels)
    pool, written = defence.extras["pool"], []
    for number in range(12):  # a part every two steps, two whole turns
        before = pool.clone()
        torch.manual_seed(number)
        defence.after(step(number), 0.1)
        written.append(
            [part for part in range(3) if not torch.equal(*(p[part * PART_SIZE :][:PART_SIZE] for p in (before, pool)))]
        )
    assert written == [[], [0], [], [1], [], [2]] * 2


def test_the_pool_has_its_share_of_each_batch_once_it_holds_any(x, y):
    images, labels = (x.repeat(40, 1, 1, 1) * 255).byte(), y.repeat(40)
    model = Watched()
    defence = made(of_kind("pool", size=PART_SIZE, refresh=0.1, share=0.25), model, images, labels)
    loss_of(defence, x, y, step(0))
    assert torch.equal(model.seen[-1], x)
    defence.after(step(0), 0.1)
    loss_of(defence, x, y, step(1))
    assert torch.equal(model.seen[-1][:30], x)
    joined = model.seen[-1][30:]
    assert len(joined) == 10
    assert all((defence.extras["pool"] == one).flatten(1).all(1).any() for one in joined)


def test_the_pool_holds_examples_that_mislead_the_network_of_the_moment(x, y):
    images, model = (x.repeat(10, 1, 1, 1) * 255).byte(), Watched()
    labels = model(images / 255).argmax(1)
    defence = made(of_kind("pool", size=PART_SIZE, refresh=0.1, largest=100), model, images, labels)
    defence.after(step(0), 0.1)
    assert (model(defence.extras["pool"]).argmax(1) != defence.extras["pool_labels"]).double().mean() > 0.95


def test_the_pool_cuts_large_changes(x, y):
    images, model = (x.repeat(10, 1, 1, 1) * 255).byte(), Watched()
    labels = model(images / 255).argmax(1)
    defence = made(of_kind("pool", size=PART_SIZE, refresh=0.1, largest=0.01), model, images, labels)
    defence.after(step(0), 0.1)
    pool, x = (one.double().flatten(1) for one in (defence.extras["pool"], images / 255))
    nearest = torch.cdist(pool, x).amin(1)
    assert 0 < nearest.max() <= 0.01 + 1e-6


def test_deep_defense_measures_the_distance_to_the_boundary(x):
    """Of a linear network one step is exact."""
    model = Watched(FcNetwork(kind="fc").fit((1, 6, 6))).net
    labels = model(x).argmax(1)
    defence = made(of_kind("deep_defense", steps=1), model, x, labels)
    label, other = defence._boundary(x, labels)
    assert torch.equal(label, labels)
    delta = defence._perturbation(x, label, other).detach()
    logits = model(x + delta)
    torch.testing.assert_close(logits.gather(1, label[:, None]), logits.gather(1, other[:, None]), atol=1e-5, rtol=0)
    spec = DeepFoolAttack(kind="deepfool", steps=1, overshoot=0)
    x_adv = deepfool(model, x + 0.0, labels, spec, seed=0, indices=list(range(30)))
    inside = ((x + delta) >= 0).flatten(1).all(1) & ((x + delta) <= 1).flatten(1).all(1)
    torch.testing.assert_close((x + delta)[inside], x_adv[inside], atol=2e-3, rtol=0)


def test_deep_defense_widens_margins_and_heeds_wrong_labels(x):
    model = Watched().net
    labels = model(x).argmax(1)
    defence = made(of_kind("deep_defense"), model, x, labels)
    label, other = defence._boundary(x, (labels + 1) % 4)
    assert torch.equal(label, labels)
    assert torch.equal(other, (labels + 1) % 4)

    def rho():
        return defence._perturbation(x, *defence._boundary(x, labels)).flatten(1).norm(dim=1).mean()

    before = rho()
    penalty = loss_of(defence, x, labels, step(60)) - cross_entropy(model(x), labels)
    penalty.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter -= 1e-3 * parameter.grad
    assert rho() > before


def test_deep_defense_begins_in_the_middle(x, y):
    model = Watched().net
    defence = made(of_kind("deep_defense"), model, x, y)
    plain = cross_entropy(model(x), y)
    torch.testing.assert_close(loss_of(defence, x, y, step(49)), plain)
    assert loss_of(defence, x, y, step(50)) > plain + 1


def test_bayesian_noise_on_the_weights_has_its_temperature():
    torch.manual_seed(0)
    ensemble = EnsembleNetwork(kind="ensemble", member=NET, members=3).fit((1, 6, 6))
    model = build("networks", ensemble, 4)
    before = torch.cat([p.detach().clone().flatten() for p in model.parameters()])
    made(of_kind("bayesian", temperature=1e-3), model, torch.empty(0), torch.empty(0)).after(step(0), 0.02)
    noise = torch.cat([p.detach().flatten() for p in model.parameters()]) - before
    assert noise.std().item() == pytest.approx(math.sqrt(2 * 0.02 * 1e-3), rel=0.05)
