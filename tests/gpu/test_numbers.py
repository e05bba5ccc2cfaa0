"""Every training and every attack on the pretended GPU finds the CPU's numbers, and goes on from a saved state."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from tests.gpu.device import OnGpu, PretendedGpu

from advgen import registry, seeds
from advgen.attacks.run import craft
from advgen.io.checkpoints import build
from advgen.models.ensemble import Ensemble
from advgen.specs.autoencoders import ConvAutoencoder
from advgen.specs.generators import TransposedConvGenerator
from advgen.specs.networks import ConvNetwork, EnsembleNetwork
from advgen.specs.training import AutoencoderTraining, ClassifierTraining, EncoderTraining, GanTraining, MomentMatching
from advgen.training.autoencoder import train_autoencoder
from advgen.training.classifier import train_classifier
from advgen.training.defences.common import Defence
from advgen.training.encoder import train_encoder
from advgen.training.gan import train_gan
from advgen.training.loop import FETCH_INTERVAL, gather, run
from advgen.training.probe import train_head
from advgen.training.state import Callbacks

SHAPE, CLASSES, N = (1, 12, 12), 3, 60
DEVICE = "cuda:0"
GENERATOR = TransposedConvGenerator(
    kind="transposed_conv", latent=4, start=(4, 6, 6), channels=(), image_channels=1, kernel=4
)
NETWORK = ConvNetwork(kind="conv", channels=(4, 6), hidden=(8,), dropout=0.2).fit(SHAPE)
DEFENCES = sorted(registry.kinds("defences"))


def data():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (N, *SHAPE), dtype=torch.uint8, generator=generator)
    return images, torch.randint(0, CLASSES, (N,), generator=generator)


def classifier(device, callbacks, kind=None):
    torch.manual_seed(0)
    settings = {"bayesian": {"steps": 2}, "pool": {"size": 20, "refresh": 0.5}}.get(kind, {})
    defence = registry.kinds("defences")[kind](kind=kind, **settings) if kind else None
    network = NETWORK
    if defence is not None and defence.stochastic:
        network = EnsembleNetwork(kind="ensemble", member=NETWORK.model_copy(update={"dropout": 0.0}), members=2)
    model = build("networks", network.fit(SHAPE), CLASSES)
    assert isinstance(model, Ensemble) == (network is not NETWORK)
    spec = ClassifierTraining(epochs=2, batch=20, lr=1e-3)
    make = registry.resolve(defence) if defence else Defence
    history = train_classifier(model, *data(), spec, 0, data(), device, callbacks, defence, make)
    return history, [model]


def autoencoder(device, callbacks):
    torch.manual_seed(0)
    model = build("autoencoders", ConvAutoencoder(kind="conv", latent=5).fit((1, 28, 28)))
    images = torch.randint(0, 256, (N, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    spec = AutoencoderTraining(epochs=2, batch=20, moments=MomentMatching(kind="covariance"))
    history, snapshots = train_autoencoder(model, images, spec, 0, device, callbacks)
    return {**history, **{name: column for name, column in snapshots.items() if name != "epoch"}}, [model]


def encoder(device, callbacks):
    torch.manual_seed(0)
    generator, model = build("generators", GENERATOR), build("networks", NETWORK, GENERATOR.latent)
    spec = EncoderTraining(steps=6, batch=20)
    return train_encoder(model, generator.eval(), spec, 0, device, callbacks), [model]


def probe(device, callbacks):
    torch.manual_seed(0)
    head = build("networks", NETWORK, CLASSES)
    spec = ClassifierTraining(epochs=2, batch=20, lr=1e-3)
    return train_head(head, *data(), spec, 0, data(), device, callbacks), [head]


def gan(device, callbacks, spectral_norm=False, **keys):
    torch.manual_seed(0)
    # a GPU is sent all latent vectors of a step before it begins, so that dropout would draw other numbers
    discriminator = NETWORK.model_copy(update={"dropout": 0.0, "spectral_norm": spectral_norm})
    pair = build("generators", GENERATOR), build("networks", discriminator, 1)
    spec = GanTraining(epochs=2, batch=20, ema=0.9, **keys)

    def score(generator):
        return generator(torch.ones(2, GENERATOR.latent).to(device)).mean().item()

    return train_gan(*pair, data()[0], spec, 0, device, callbacks, score), list(pair)


TRAININGS = {
    "classifier": classifier,
    "autoencoder": autoencoder,
    "encoder": encoder,
    "probe": probe,
    "gan": gan,
    "gan, looking ahead, the best of two": partial(gan, unroll=1, checkpoint_selection=2),
    "gan, penalised every second step": partial(gan, r1=5.0, r1_every=2),
    "gan, with a gradient penalty": partial(gan, loss="wasserstein", gradient_penalty=10.0),
    "gan, of spectral norms": partial(gan, spectral_norm=True, unroll=1),
    "gan, unrolled exactly": partial(gan, unroll=1, unroll_mode="exact"),
    **{f"classifier, {kind}": partial(classifier, kind=kind) for kind in DEFENCES},
}


def on_gpu(train, callbacks):
    """History, and the weights of all models on the CPU."""
    with PretendedGpu():
        history, models = train(DEVICE, callbacks)
        assert all(isinstance(one, OnGpu) for model in models for one in model.parameters())
        return history, [one.cpu() for model in models for one in model.state_dict().values()]


def numbers(history):
    return {name: torch.tensor(column) for name, column in history.items()}


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_runs_to_its_end_and_resumes(name):
    """The device computes with the CPU's kernels, in another order here and there: almost the CPU's numbers."""
    train = TRAININGS[name]
    history, models = train("cpu", Callbacks())
    states = []

    def save(take):
        states.append(take() if len(states) == 3 else None)

    found, weights = on_gpu(train, Callbacks(save=save))
    assert len(states) >= 6
    torch.testing.assert_close(numbers(found), numbers(history), rtol=1e-3, atol=1e-4, equal_nan=True)
    expected = [one for model in models for one in model.state_dict().values()]
    # the gradient of a bias before a batch norm is rounding alone, and the autoencoder's Adam is fused on a GPU alone
    torch.testing.assert_close(weights, expected, rtol=1e-3, atol=6e-3 if name == "autoencoder" else 1e-4)
    resumed, again = on_gpu(train, Callbacks(state=states[3]))
    torch.testing.assert_close(numbers(resumed), numbers(found), rtol=0, atol=0, equal_nan=True)
    assert all(map(torch.equal, again, weights))


def test_numbers_are_gathered_wherever_they_lie():
    with PretendedGpu() as gpu:
        there = torch.tensor(2.5).to(DEVICE)
        before = gpu.syncs.total()
        row = gather([1.5, there, math.nan, torch.tensor(3.5, dtype=torch.float64), there * 2], DEVICE)
        assert gpu.syncs.total() == before
    assert isinstance(row, OnGpu)
    assert row.dtype == torch.float32
    assert row.nan_to_num(-1).tolist() == [1.5, 2.5, -1, 3.5, 5.0]


def broken(callbacks, device=DEVICE):
    """A training whose loss is not a number in the sixth of 50 steps."""
    weight = torch.nn.Linear(1, 1)

    def play(step):
        return [torch.tensor(math.nan if step.number == 5 else 1.0).to(device, non_blocking=device != "cpu")]

    keywords = {"parts": {"weight": weight}, "columns": ("loss",), "callbacks": callbacks, "remedy": "lower lr"}
    return run(play, examples=50, batch=1, epochs=1, seed=0, device=device, **keywords)


def test_on_the_cpu_a_training_that_breaks_down_says_so_at_once():
    reports = []
    with pytest.raises(ValueError, match="broke down at step 6 of 50"):
        broken(Callbacks(progress=lambda *numbers: reports.append(numbers)), "cpu")
    assert [step for step, *_ in reports] == [1, 2, 3, 4, 5]


def test_a_training_that_breaks_down_names_the_step_when_its_numbers_are_fetched():
    reports = []
    with PretendedGpu() as gpu:
        with pytest.raises(ValueError, match=r"broke down at step 6 of 50 \(loss is nan\): lower lr"):
            broken(
                Callbacks(
                    progress=lambda *numbers: reports.append(numbers), save=lambda take: reports.append(gpu.launches)
                )
            )
    assert len(reports) == FETCH_INTERVAL - 1, "it continues until they are fetched, and reports nothing"
    assert gpu.syncs.total() == 1


def test_no_state_is_kept_of_a_training_that_has_broken_down():
    states = []
    with PretendedGpu(), pytest.raises(ValueError, match="broke down at step 6 of 50"):
        broken(Callbacks(save=lambda take: states.append(take())))
    assert len(states) == 5


def test_each_step_seeds_the_devices_own_random_numbers(monkeypatch):
    """So that dropout and noise that are drawn there are the same after a resume."""
    seeded = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    with PretendedGpu(), pytest.raises(ValueError, match="broke down"):
        broken(Callbacks())
    assert seeded == [seeds.derive(0, "step", number) for number in range(FETCH_INTERVAL)]


ATTACKS = {
    **{kind: {} for kind in registry.kinds("attacks")},
    "carlini_wagner": {"steps": 5, "searches": 2},
    "lbfgs": {"steps": 5, "searches": 3},
    "one_pixel": {"population": 6, "generations": 2},
    "pgd": {"steps": 3, "restarts": 2, "loss": "dlr"},
    "region": {"region": {"kind": "glasses"}, "steps": 3},
    "spatial": {"search": "first_order", "tries": 3},
    "square": {"queries": 20},
}


@pytest.mark.parametrize("kind", ATTACKS)
def test_an_attack_finds_the_cpus_examples(kind):
    torch.manual_seed(0)
    model = build("networks", NETWORK, CLASSES).eval()
    images, labels = data()
    spec = registry.parse("attacks", {"kind": kind, **ATTACKS[kind]})
    keywords = {"seed": 0, "indices": list(range(N))}
    plain = craft(registry.resolve(spec), model, images, labels, spec, **keywords)
    with PretendedGpu():
        found = craft(registry.resolve(spec), model.to(DEVICE), images, labels, spec, **keywords)
    # without the CPU's own convolutions the last digits differ, and with them now and then which example is found
    away = np.abs(found.attack.x_adv - plain.attack.x_adv).max((1, 2, 3))
    assert np.mean(away < 1e-3) >= 0.9
