"""Encoder training: it learns to invert its generator, leaves that alone, and resumes bit for bit."""

import copy

import pytest
import torch

from advgen.io.checkpoints import build
from advgen.specs.generators import TransposedConvGenerator
from advgen.specs.networks import ConvNetwork
from advgen.specs.training import EncoderTraining
from advgen.training.encoder import train_encoder
from advgen.training.state import Callbacks

BODY = ConvNetwork(kind="conv", image=(1, 8, 8), channels=(8,), hidden=(32,), kernel=3, padding=1)


def networks():
    torch.manual_seed(1)
    generator = build(
        "generators",
        TransposedConvGenerator(kind="transposed_conv", latent=3, start=(8, 2, 2), channels=(6,), image_channels=1),
    )
    with torch.no_grad():
        for weight in generator.parameters():
            weight.mul_(2)
        for _ in range(20):
            generator(torch.randn(64, 3))
    return build("networks", BODY, 3), generator


def train(steps=12, seed=0, callbacks=Callbacks()):  # noqa: B008
    encoder, generator = networks()
    spec = EncoderTraining(steps=steps, batch=32, lr=3e-3)
    return encoder, generator, train_encoder(encoder, generator, spec, seed, "cpu", callbacks)


def same(one, other):
    others = other.state_dict()
    return all(torch.equal(value, others[key]) for key, value in one.state_dict().items())


def test_it_learns_to_find_z():
    encoder, generator, history = train(steps=400)
    z_BD = torch.randn(200, 3, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        error = (encoder(generator.eval()(z_BD)) - z_BD).square().mean()
    assert error < 0.3, "guessing 0 would give 1"
    assert history["loss"][0] > 0.8
    assert not encoder.training


def test_history_has_a_row_per_step_and_no_accuracy():
    *_, history = train()
    assert history["step"] == list(range(1, 13))
    assert history["epoch"] == history["step"]
    assert set(history) == {"step", "epoch", "loss", "accuracy"}
    assert all(value != value for value in history["accuracy"])


def test_the_generator_is_left_as_it_was():
    before = copy.deepcopy(networks()[1])
    _, generator, _ = train()
    assert same(before, generator)
    assert generator.training
    assert all(weight.requires_grad and weight.grad is None for weight in generator.parameters())


def test_same_seed_same_bits_and_a_resumed_run_too():
    states = []
    whole, _, history = train(callbacks=Callbacks(save=lambda take: states.append(take())))
    assert not same(whole, train(seed=1)[0])
    for stop in (0, 6, 11):
        resumed, _, again = train(callbacks=Callbacks(state={key: t.clone() for key, t in states[stop].items()}))
        assert same(whole, resumed)
        assert again["loss"] == history["loss"]


def test_broken_training_ends_in_a_sentence():
    encoder, generator = networks()
    with torch.no_grad():
        encoder.head.bias.fill_(float("nan"))
    with pytest.raises(ValueError, match="lower lr"):
        train_encoder(encoder, generator, EncoderTraining(steps=2), 0, "cpu", Callbacks())
