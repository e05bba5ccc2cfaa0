"""Detectors: they fire on failures that were planted and trained, and stay silent on healthy runs."""

import numpy as np
import pytest
import torch

from advgen.io.checkpoints import build
from advgen.metrics.detect import WINDOW, find_overpowering, find_vanishing_gradients, is_collapsed
from advgen.metrics.distribution import class_shares, support
from advgen.specs.generators import TransposedConvGenerator
from advgen.specs.networks import FcNetwork
from advgen.specs.training import GanTraining
from advgen.training.gan import train_gan
from advgen.training.state import Callbacks

STRIPES = (255 * (torch.arange(8)[None, None] % torch.tensor([2, 3, 4, 5])[:, None, None] == 0)).expand(4, 8, 8)
IMAGES = STRIPES.to(torch.uint8).repeat(50, 1, 1)[:, None]


def history(*settings):
    found = game(*settings)
    return np.array(found["gradient_generator"]), np.array(found["loss_generator"])


def game(loss, lr_generator, lr_discriminator, discriminator_steps, dropout=0.0):
    torch.manual_seed(1)
    generator = build(
        "generators",
        TransposedConvGenerator(kind="transposed_conv", latent=5, start=(6, 2, 2), channels=(4,), image_channels=1),
    )
    body = FcNetwork(kind="fc", image=(1, 8, 8), hidden=(32,), activation="leaky_relu", dropout=dropout)
    spec = GanTraining(
        loss=loss,
        epochs=40,
        batch=40,
        lr_generator=lr_generator,
        lr_discriminator=lr_discriminator,
        discriminator_steps=discriminator_steps,
    )
    return train_gan(generator, build("networks", body, 1), IMAGES, spec, 0, "cpu", Callbacks())


def test_a_saturated_discriminator_under_cross_entropy_is_flagged():
    flags = find_vanishing_gradients(*history("cross_entropy", 1e-5, 1e-2, 2))
    assert flags[-WINDOW:].all(), "the discriminator has won by then"
    assert not flags[:10].any(), "it had to learn first"


def test_the_same_game_without_saturation_of_the_loss_is_not_flagged():
    """The discriminator wins here too, but the non-saturating loss goes on pulling at the generator."""
    assert not find_vanishing_gradients(*history("non_saturating", 1e-5, 1e-2, 2)).any()


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("loss", ["non_saturating", "cross_entropy", "mse", "wasserstein"])
def test_healthy_runs_are_not_flagged(loss, dropout):
    found = game(loss, 2e-3, 2e-3, 1, dropout)
    assert not find_vanishing_gradients(found["gradient_generator"], found["loss_generator"]).any()
    if loss != "wasserstein":
        assert not find_overpowering(found["logit_real"], found["logit_fake"]).any()


@pytest.mark.parametrize("loss", ["non_saturating", "cross_entropy", "mse"])
def test_a_discriminator_that_has_won_overpowers(loss):
    found = game(loss, 1e-5, 1e-2, 2)
    flags = find_overpowering(found["logit_real"], found["logit_fake"])
    assert flags[-WINDOW:].all()
    assert not flags[:5].any(), "it had to learn first"


def test_a_dip_shorter_than_the_window_is_no_failure():
    gradient, losses = np.ones(300), np.random.default_rng(0).normal(size=300)
    gradient[100 : 100 + WINDOW - 1], losses[100 : 100 + WINDOW - 1] = 0, 0
    assert not find_vanishing_gradients(gradient, losses).any()


def test_short_runs_are_one_window():
    assert find_vanishing_gradients([0.0] * 5, [0.1] * 5).all()
    assert not find_vanishing_gradients([1.0] * 5, [0.1] * 5).any()
    assert find_vanishing_gradients([], []).tolist() == []
    assert find_vanishing_gradients([0.0], [0.0]).tolist() == [False]


def test_uneven_but_varied_samples_have_not_collapsed():
    assert not is_collapsed(class_shares(np.arange(1000) % 10, 10))
    assert not is_collapsed([0.22, 0.02, 0.04, 0.12, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    assert not is_collapsed([0.6, 0.4]), "of two classes, one always has half or more"
    assert is_collapsed([1.0, 0.0])


def test_the_limits_are_where_they_stand():
    """Half of the classes is not enough; over 1 % means over; .55 of ten is not yet too much."""
    assert not is_collapsed([0.16] * 6 + [0.01] * 4)
    assert is_collapsed([0.2] * 5 + [0.0] * 5)
    assert is_collapsed([0.192] * 5 + [0.01] * 4 + [0.0]), "a class of just 1 % does not count"
    assert not is_collapsed([0.55] + [0.05] * 9)
    assert is_collapsed([0.56] + [0.44 / 9] * 9)


def test_a_signal_at_its_limit_is_there():
    steps = np.arange(WINDOW)
    still, moving = np.full(WINDOW, 0.7), 0.7 + 0.0011 * (-1.0) ** steps
    assert find_vanishing_gradients(np.full(WINDOW, 0.0099), still).all()
    assert not find_vanishing_gradients(np.full(WINDOW, 0.01), still).any()
    assert find_vanishing_gradients(np.full(WINDOW, 1e-5), 0.7 + 0.0009 * (-1.0) ** steps).all()
    assert not find_vanishing_gradients(np.full(WINDOW, 1e-5), moving).any()
    assert find_vanishing_gradients([0.0, 0.0], [0.7, 0.7]).tolist() == [True, True]
    assert find_vanishing_gradients(np.zeros(5), np.zeros(5), window=3).all()


RANDOM = np.random.default_rng(3)


def test_a_dead_generator_is_seen_while_the_discriminator_goes_on_learning():
    """Its loss drifts, by the other's progress alone; with dropout there it even jumps about."""
    gradient = np.concatenate([np.ones(100), np.full(300, 3e-4)])
    drifting = np.concatenate([RANDOM.normal(1, 0.1, 100), 1 + 4 * np.log1p(np.arange(300) / 5000)])
    assert np.array_equal(np.flatnonzero(find_vanishing_gradients(gradient, drifting)), np.arange(100, 400))
    gradient[100:] = 1e-8
    noisy = drifting + 0.2 * RANDOM.standard_normal(400)
    assert np.array_equal(np.flatnonzero(find_vanishing_gradients(gradient, noisy)), np.arange(100, 400))


def test_an_overpowering_discriminator_is_seen_where_it_is_sure_of_all_images():
    real, fake = RANDOM.normal(1, 1, 400), RANDOM.normal(-1, 1, 400)
    assert not find_overpowering(real, fake).any()
    real[150:300] += 9
    assert not find_overpowering(real, fake).any(), "sure of real images alone"
    fake[150:250] -= 9
    fake[200] = 0.0
    assert np.array_equal(np.flatnonzero(find_overpowering(real, fake)), np.arange(150, 250))
    assert not find_overpowering(real[150 : 150 + WINDOW - 1], np.concatenate([fake[150:190], [3.0] * 9])).any()


def test_ten_images_repeated_have_collapsed_however_even_their_classes():
    real = RANDOM.normal(size=(400, 6))
    few = np.repeat(real[:10], 40, axis=0)
    for fakes in (few, few + 0.005 * RANDOM.standard_normal(few.shape)):
        variety = support(real, fakes).variety
        assert variety < 0.1
        assert is_collapsed([0.1] * 10, variety)
    variety = support(real, RANDOM.normal(size=(400, 6))).variety
    assert variety == pytest.approx(1, abs=0.2)
    assert not is_collapsed([0.1] * 10, variety)
    assert not is_collapsed([0.1] * 10, support(real, 0.5 * RANDOM.normal(size=(400, 6))).variety)


@pytest.mark.parametrize(("steps", "ends_span"), [(4, False), (5, False), (6, True)])
def test_a_spike_of_five_steps_does_not_end_a_span_and_one_of_six_does(steps, ends_span):
    """The number stands here again, so that a change of SPIKE or of its comparison is noticed."""
    spike = slice(100, 100 + steps)
    gradient, real = np.full(300, 1e-4), np.full(300, 9.0)
    gradient[spike], real[spike] = 3.0, 0.0
    expected = np.ones(300, dtype=bool)
    expected[spike] = not ends_span
    assert np.array_equal(find_vanishing_gradients(gradient, np.full(300, 0.7)), expected)
    assert np.array_equal(find_vanishing_gradients(gradient / 1e4, np.arange(300.0)), expected), (
        "a dead generator, its loss moving"
    )
    assert np.array_equal(find_overpowering(real, np.full(300, -9.0)), expected)
