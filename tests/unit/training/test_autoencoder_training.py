"""Autoencoder training: it learns, and goes on after an interruption bit for bit."""

import numpy as np
import pytest
import torch
from scipy.stats import kurtosis

from advgen.io.checkpoints import build
from advgen.specs.autoencoders import ConvAutoencoder
from advgen.specs.training import AutoencoderTraining, MomentMatching
from advgen.training.autoencoder import LEVELS, moment_factor, moment_loss, quantiles, train_autoencoder
from advgen.training.state import Callbacks

SPEC = ConvAutoencoder(kind="conv", latent=6, channels=(4, 6)).fit((1, 8, 8))
STRIPES = (255 * (torch.arange(8)[None, :, None] % torch.tensor([2, 3, 4, 5])[:, None, None] == 0)).expand(4, 8, 8)
IMAGES = STRIPES.to(torch.uint8).repeat(13, 1, 1)[:50, None]
NUMBERS = ("loss", "moment_loss", "moment_factor")


def moments(kind):
    return MomentMatching(kind=kind)


def train(seed=0, callbacks=Callbacks(), images=IMAGES, **changes):  # noqa: B008
    torch.manual_seed(1)
    model = build("autoencoders", SPEC)
    training = AutoencoderTraining(**{"epochs": 3, "batch": 16, "lr": 1e-2, **changes})
    return model, train_autoencoder(model, images, training, seed, "cpu", callbacks)


def same(one, other):
    others = other.state_dict()
    return all(torch.equal(value, others[key]) for key, value in one.state_dict().items())


def test_loss_falls_far_below_the_best_constant_image():
    model, (history, _) = train(epochs=40)
    x_BCHW = IMAGES.float() / 255
    constant = (x_BCHW - x_BCHW.mean(0)).square().mean().item()
    assert history["loss"][0] > constant
    assert (model(x_BCHW)[0] - x_BCHW).square().mean() < 0.1 * constant
    assert not model.training


def test_history_has_one_row_per_batch():
    seen = []
    _, (history, _) = train(epochs=1.5, callbacks=Callbacks(progress=lambda *report: seen.append(report)))
    assert history["step"] == [1, 2, 3, 4, 5, 6]
    assert history["epoch"] == [0.25, 0.5, 0.75, 1, 1.25, 1.5]
    assert seen == [(step, 6, {name: history[name][step - 1] for name in NUMBERS}) for step in range(1, 7)]
    assert history["moment_factor"] == [0] * 6
    assert all(value > 0 for value in history["moment_loss"]), "it is watched where it is not minimised"


@pytest.mark.parametrize("moments", [None, *map(moments, ("pooled", "covariance"))], ids=str)
def test_resumed_run_equals_uninterrupted_run(moments):
    states = []
    whole, tables = train(callbacks=Callbacks(save=lambda take: states.append(take())), moments=moments)
    assert len(states) == 12
    for stop in (0, 4, 9, 11):
        state = {key: t.clone() for key, t in states[stop].items()}
        resumed, again = train(callbacks=Callbacks(state=state), moments=moments)
        assert same(whole, resumed)
        assert tables == again


def test_the_factor_follows_the_published_schedule():
    spec = MomentMatching()
    factors = [moment_factor(spec, epoch) for epoch in range(1, 21)]
    assert factors[:12] == pytest.approx([0.001 * 2**power for power in range(12)])
    assert factors[11:] == [2.048] * 9
    _, (history, _) = train(epochs=3, moments=moments("pooled"))
    assert history["moment_factor"] == pytest.approx([0.001] * 4 + [0.002] * 4 + [0.004] * 4)


def test_pooled_moments_are_those_of_all_numbers_together():
    z_BD = torch.randn(40, 5, dtype=torch.float64) * 2 + 1
    z = z_BD.flatten().numpy()
    expected = [z.mean(), z.var(), kurtosis(z, fisher=False)]
    expected = np.square(np.array(expected) - [0, 1, 3]).mean()
    assert moment_loss(z_BD, "pooled").item() == pytest.approx(expected)


def test_covariance_term_is_the_distance_from_the_identity_per_dimension():
    z_BD = torch.randn(60, 4, dtype=torch.float64) @ torch.randn(4, 4, dtype=torch.float64)
    z = z_BD.numpy()
    moments = np.stack([z.mean(0), z.var(0), kurtosis(z, fisher=False)])
    expected = np.square(moments - [[0], [1], [3]]).mean()
    expected += np.square(np.cov(z.T, ddof=0) - np.eye(4)).sum() / 4
    assert moment_loss(z_BD, "covariance").item() == pytest.approx(expected)


def test_pooled_moments_are_blind_to_what_the_covariance_sees():
    """One number repeated in every dimension, and dimensions of very different size: pooled, both look normal."""
    z_B1 = torch.randn(20_000, 1, generator=torch.Generator().manual_seed(0))
    assert moment_loss(z_B1.expand(-1, 10), "pooled") < 0.01
    assert moment_loss(z_B1.expand(-1, 10), "covariance") > 5
    z_BD = torch.randn(20_000, 10, generator=torch.Generator().manual_seed(1))
    assert moment_loss(z_BD, "pooled") < 0.01
    assert moment_loss(z_BD, "covariance") < 0.05


@pytest.mark.parametrize("kind", ["pooled", "covariance"])
def test_matching_brings_the_latents_nearer_to_normal(kind):
    """Of random images, since stripes of four kinds have only three directions."""
    random = torch.randint(0, 256, (160, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    reached = []
    for matching in (None, MomentMatching(kind=kind, first=0.5, constant_from=1)):
        model, (history, _) = train(epochs=12, moments=matching, images=random)
        assert history["moment_factor"] == [0.5 if matching else 0] * len(history["step"])
        with torch.no_grad():
            reached.append(moment_loss(model.encode(random.float() / 255), kind).item())
    assert reached[1] < 0.5 * reached[0]


def test_snapshots_hold_quantiles_of_each_epoch():
    model, (_, snapshots) = train(epochs=2.5)
    assert snapshots["epoch"] == [epoch for epoch in (1, 2, 3) for _ in LEVELS]
    assert snapshots["level"] == LEVELS * 3
    with torch.no_grad():
        z_BD = model.encode(IMAGES.float() / 255)
    last = slice(2 * len(LEVELS), None)
    pooled = np.quantile(z_BD.flatten().numpy(), LEVELS, method="nearest")
    np.testing.assert_allclose(snapshots["pooled"][last], pooled, atol=0.05)
    per_dimension = np.quantile(z_BD.numpy(), LEVELS, axis=0)
    for name, level in (("dimension_low", 0.1), ("dimension_high", 0.9)):
        np.testing.assert_allclose(snapshots[name][last], np.quantile(per_dimension, level, axis=1), atol=1e-4)


def test_quantiles_of_normal_numbers_are_those_of_the_normal_distribution():
    found = quantiles(torch.randn(20_000, 8, generator=torch.Generator().manual_seed(0)))
    expected = torch.special.ndtri(torch.tensor(LEVELS))
    for column in found.T:
        torch.testing.assert_close(column, expected, atol=0.06, rtol=0)


def test_seed_decides_the_order_of_the_images():
    assert same(train(seed=0)[0], train(seed=0)[0])
    assert not same(train(seed=0)[0], train(seed=1)[0])


def test_broken_training_ends_in_a_sentence():
    torch.manual_seed(1)
    model = build("autoencoders", SPEC)
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(ValueError, match="lower lr"):
        train_autoencoder(model, IMAGES, AutoencoderTraining(), 0, "cpu", Callbacks())
