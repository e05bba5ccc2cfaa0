"""Contract of all registered defences, on a tiny network."""

import math

import pytest
import torch

from advgen import registry
from advgen.io.checkpoints import build
from advgen.specs.networks import ConvNetwork, EnsembleNetwork
from advgen.specs.training import ClassifierTraining
from advgen.training.classifier import train_classifier
from advgen.training.loop import Step
from advgen.training.state import Callbacks

KINDS = registry.kinds("defences")
BODY = ConvNetwork(kind="conv", channels=(3, 4), kernel=3, padding=1, hidden=(9,), batch_norm=True, dropout=0.2)
# Settings that the tests can afford, and that let everything happen within a few steps.
FAST = {
    "pgd": {"steps": 3, "eps_warmup": 0.5},
    "fast": {"eps_warmup": 0.5},
    "pool": {"size": 20, "refresh": 0.3, "steps": 5},
    "bayesian": {"steps": 2, "eps": 0.1},
}
WAYS = {
    **{kind: (kind, {}) for kind in KINDS},
    "pgd l2": ("pgd", {"norm": "l2", "eps": 1.5}),
    "noise gaussian": ("noise", {"noise": "gaussian"}),
    "noise uniform": ("noise", {"noise": "uniform"}),
}
N, BATCH = 48, 8


@pytest.fixture(params=WAYS)
def spec(request):
    kind, settings = WAYS[request.param]
    return KINDS[kind](kind=kind, **{**FAST.get(kind, {}), **settings})


def data():
    """Return images of three classes with different bright rows."""
    labels = torch.arange(N) % 3
    images = torch.randint(0, 120, (N, 1, 9, 9), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    for row in range(3):
        images[labels == row, :, 3 * row : 3 * row + 3] += 100
    return images, labels


def network(spec):
    body = EnsembleNetwork(kind="ensemble", member=BODY, members=2) if spec.stochastic else BODY
    torch.manual_seed(0)
    return build("networks", body.fit((1, 9, 9)), 3).train()


def made(spec, model):
    images, labels = data()
    return registry.resolve(spec)(spec, model, images, labels, N // BATCH, 0)


def step(number=40):
    """Return a step of the second half of the training, where Deep Defense is active."""
    return Step(number, 60, number // (N // BATCH), False, torch.arange(BATCH))


def loss_of(defence, x, y, at):
    return defence.loss(x, y, defence.varying(at))


def batch():
    images, labels = data()
    return images[:BATCH].float() / 255, labels[:BATCH]


def test_the_loss_is_finite_and_every_parameter_has_a_gradient(spec):
    model = network(spec)
    loss = loss_of(made(spec, model), *batch(), step())
    assert loss.shape == ()
    assert math.isfinite(loss.item())
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    assert model.head.weight.grad.abs().sum() > 0


def test_the_inner_attack_changes_no_gradients_weights_or_modes(spec):
    model = network(spec)
    model.head.eval()
    modes = [module.training for module in model.modules()]
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 7)
    weights = [parameter.clone() for parameter in model.parameters()]
    x, y = batch()
    before = x.clone()
    defence = made(spec, model)
    loss_of(defence, x, y, step())
    assert torch.equal(x, before)
    assert all(torch.equal(parameter, weight) for parameter, weight in zip(model.parameters(), weights, strict=True))
    if not spec.stochastic:  # whose work after a step is noise on the weights
        defence.after(step(), 0.1)
    assert all((parameter.grad == 7).all() and parameter.requires_grad for parameter in model.parameters())
    assert [module.training for module in model.modules()] == modes
    assert not any(tensor.requires_grad for tensor in defence.extras.values())


def test_the_inner_attack_does_not_update_batch_norm(spec):
    """It runs in eval mode, so the running statistics come from the training batches only."""
    model = network(spec)
    loss_of(made(spec, model), *batch(), step())
    for name, buffer in model.named_buffers():
        if name.endswith("num_batches_tracked"):
            assert buffer <= 2, name


def test_the_same_seed_gives_the_same_loss(spec):
    losses = []
    for seed in (3, 3):
        defence = made(spec, network(spec))
        torch.manual_seed(seed)
        losses.append(loss_of(defence, *batch(), step()).item())
    assert losses[0] == losses[1]


class Interrupted(Exception):
    pass


def train(spec, model, **callbacks):
    images, labels = data()
    training = ClassifierTraining(epochs=2, batch=BATCH, lr=0.01)
    return train_classifier(
        model,
        images,
        labels,
        training,
        0,
        (images, labels),
        "cpu",
        Callbacks(**callbacks),
        spec,
        registry.resolve(spec),
    )


def test_an_interrupted_run_gives_the_same_weights(spec):
    whole, pieces, states = network(spec), network(spec), []
    history = train(spec, whole)

    def save(take):
        states.append(take())
        if len(states) == 5:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(spec, network(spec), save=save)
    torch.manual_seed(99)
    assert train(spec, pieces, state=states[-1])["loss"] == history["loss"]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, pieces.state_dict()[name]), name


def test_training_reaches_a_high_accuracy(spec):
    images, labels = data()
    model = network(spec)
    training = ClassifierTraining(epochs=16, batch=BATCH, lr=0.01)
    weak = spec.model_copy(update={"eps": 0.02}) if "eps" in type(spec).model_fields else spec
    history = train_classifier(
        model, images, labels, training, 0, (images, labels), "cpu", Callbacks(), weak, registry.resolve(weak)
    )
    assert history["accuracy"][-1] >= 0.9
