"""What is pictured of a training or a search before its end: the same as if it had ended there."""

import copy

import numpy as np
import pytest
import torch

from advgen.experiments.gans.snapshots import IMAGES, KEY, Snapshots, recorded_steps
from advgen.experiments.inversions.run import recorded_steps as search_steps
from advgen.inversion.search import search
from advgen.io.checkpoints import build
from advgen.seeds import normal
from advgen.specs.generators import TransposedConvGenerator
from advgen.specs.networks import FcNetwork
from advgen.specs.searches import LatentSearch
from advgen.specs.training import GanTraining
from advgen.training.gan import train_gan
from advgen.training.state import Callbacks

REAL = torch.randint(0, 256, (50, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
GENERATOR = TransposedConvGenerator(kind="transposed_conv", latent=5, start=(6, 2, 2), channels=(4,), image_channels=1)
DISCRIMINATOR = FcNetwork(kind="fc", image=(1, 8, 8), hidden=(12, 8), activation="leaky_relu")
STEPS = 12


def networks():
    torch.manual_seed(1)
    return build("generators", GENERATOR), build("networks", DISCRIMINATOR, 1)


def trained(average, callbacks=Callbacks(), watch=True):  # noqa: B008
    generator, discriminator = networks()
    spec = GanTraining(epochs=3, batch=16, lr_generator=1e-2, lr_discriminator=1e-2, ema=average)
    watched = Snapshots(generator, STEPS, 3, bool(average), callbacks)
    callbacks = watched.callbacks() if watch else callbacks
    history = train_gan(generator, discriminator, REAL, spec, 3, "cpu", callbacks)
    return generator, history, watched.columns()


def made(generator):
    with torch.no_grad():
        return (255 * generator.eval()(normal(3, "samples", list(range(IMAGES)), 5))).round().to(torch.uint8).numpy()


@pytest.mark.parametrize(
    ("total", "expected"), [(1, [0, 1]), (12, [0, 1, 2, 3, 6, 12]), (1280, [0, *(10 * 2**k for k in range(8))])]
)
def test_stops_double_from_none_to_all(total, expected):
    assert recorded_steps(total) == expected


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_snapshots_are_of_the_generator_that_counts_and_change_nothing(average):
    generator, history, columns = trained(average)
    untouched, plain, _ = trained(average, watch=False)
    assert history == plain
    assert all(torch.equal(a, b) for a, b in zip(generator.parameters(), untouched.parameters(), strict=True))
    assert columns["step"].tolist() == list(np.repeat(recorded_steps(STEPS), IMAGES))
    assert columns["index"].tolist() == list(range(IMAGES)) * len(recorded_steps(STEPS))
    by_step = {step: columns["image"][columns["step"] == step] for step in recorded_steps(STEPS)}
    np.testing.assert_array_equal(by_step[0], made(networks()[0]))
    np.testing.assert_array_equal(by_step[STEPS], made(generator))
    assert len({images.tobytes() for images in by_step.values()}) == len(by_step)


@pytest.mark.parametrize("stop", [0, 4, 5, 11])
def test_a_resumed_training_remembers_its_snapshots(stop):
    states = []
    *_, whole = trained(0.9, Callbacks(save=lambda take: states.append(take())))
    assert KEY in states[stop]
    *_, resumed = trained(0.9, Callbacks(state={key: one.clone() for key, one in states[stop].items()}))
    assert resumed.keys() == whole.keys()
    assert all(np.array_equal(resumed[name], whole[name]) for name in whole)


@pytest.mark.parametrize("keys", [{"optimizer": "adam"}, {"optimizer": "sgd", "lr": 10}])
def test_a_shorter_search_is_the_beginning_of_a_longer_one(keys):
    generator = build("generators", GENERATOR).eval()
    with torch.no_grad():
        targets = copy.deepcopy(generator)(torch.randn(4, 5, generator=torch.Generator().manual_seed(2)))
    spec = LatentSearch(steps=20, starts=2, **keys)
    whole = search(generator, targets, spec, seed=0, indices=[3, 1, 2, 0], record_every=1)
    for step in search_steps(20):
        part = search(generator, targets[:2], spec.model_copy(update={"steps": step}), seed=0, indices=[3, 1])
        torch.testing.assert_close(part.mse, whole.history[:2, :, step])
    assert search_steps(150) == [0, 2, 5, 9, 19, 38, 75]
