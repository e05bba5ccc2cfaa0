"""Classifiers out of discriminators and autoencoders."""

import math

import pytest
import torch

from advgen.core.provenance import Stamp
from advgen.io.checkpoints import build, load_model, save_model
from advgen.models.layers import plain_weights
from advgen.models.predict import predict
from advgen.specs.autoencoders import FcAutoencoder
from advgen.specs.networks import ConvNetwork, FcNetwork
from advgen.specs.training import ClassifierTraining
from advgen.training.probe import body_spec, copy_body, decision, train_head
from advgen.training.state import Callbacks

STAMP = Stamp("test", {}, "x")
SHAPE = (1, 9, 9)
CONV = ConvNetwork(kind="conv", channels=(3, 5), kernel=3, padding=1, batch_norm=True, dropout=0.4).fit(SHAPE)
FC = FcNetwork(kind="fc", hidden=(12,), dropout=0.4).fit(SHAPE)
NORMALISED = CONV.model_copy(update={"spectral_norm": True})
AUTOENCODER = FcAutoencoder(kind="fc", latent=11, image=SHAPE)


def data(n=90):
    labels = torch.arange(n) % 3
    images = torch.randint(0, 120, (n, *SHAPE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    for row in range(3):
        images[labels == row, :, 3 * row : 3 * row + 3] += 100
    return images, labels


def discriminator(spec):
    torch.manual_seed(0)
    model = build("networks", spec, 1)
    model.train()(data()[0].float() / 255)  # batch norm has statistics of its own
    return model.eval()


@pytest.fixture(params=[CONV, FC, NORMALISED], ids=["conv", "fc", "spectral norms"])
def trained(request):
    return discriminator(request.param)


def probe_of(model, classes):
    torch.manual_seed(5)
    return build("networks", body_spec(model), classes)


def test_the_decision_is_the_discriminators(trained, tmp_path):
    images, _ = data()
    real = (trained(images.float() / 255).flatten() > 0).long()
    probe = probe_of(trained, 2)
    history = decision(probe, trained, (images, real))
    assert {name: value for name, value in history.items() if name != "loss"} == {
        "step": [1],
        "epoch": [0.0],
        "accuracy": [1.0],
    }
    assert math.isnan(history["loss"][0])
    save_model(tmp_path / "probe.safetensors", probe, STAMP)
    logits = load_model(tmp_path / "probe.safetensors")(images.float() / 255)
    logit = trained(images.float() / 255).flatten()
    torch.testing.assert_close(logits, torch.stack([-logit / 2, logit / 2], dim=1))
    torch.testing.assert_close(logits.softmax(1)[:, 1], logit.sigmoid())


TRAINING = ClassifierTraining(epochs=40, batch=10, lr=0.02)


def head_of(model, **callbacks):
    images, labels = data()
    probe = probe_of(model, 3)
    copy_body(probe, model)
    apart = (images[:15], labels[:15])
    return probe, train_head(probe, images[15:], labels[15:], TRAINING, 0, apart, "cpu", Callbacks(**callbacks))


def assert_same(a, b):
    for name, value in a.state_dict().items():
        assert torch.equal(value, b.state_dict()[name]), name


def test_a_head_learns_on_features_that_stay_as_they_are(trained, tmp_path):
    images, labels = data()
    probe, history = head_of(trained)
    assert_same(probe.body, plain_weights(trained.body))
    assert history["accuracy"][-1] >= 0.9
    assert not probe.training
    save_model(tmp_path / "probe.safetensors", probe, STAMP)
    again = load_model(tmp_path / "probe.safetensors")
    right = (predict(again, images[:15])[0] == labels[:15]).double().mean().item()
    assert right == pytest.approx(history["accuracy"][-1])  # kept as float32


def test_the_encoder_of_an_autoencoder_is_a_body():
    torch.manual_seed(0)
    autoencoder = build("autoencoders", AUTOENCODER).eval()
    probe, history = head_of(autoencoder)
    x = data()[0].float() / 255
    torch.testing.assert_close(probe.features(x), autoencoder.encode(x))
    assert history["accuracy"][-1] >= 0.9


def test_an_interrupted_head_ends_bit_equal(trained):
    states = []
    whole, history = head_of(trained, save=lambda take: states.append(take()))
    pieces, again = head_of(trained, state=states[20])
    assert_same(whole, pieces)
    assert again["loss"] == history["loss"]


def test_features_far_from_zero_and_of_many_scales_are_learnt_and_the_head_takes_them_as_they_are(trained):
    images, labels = data()
    with torch.no_grad():
        last = [layer for layer in trained.body if isinstance(layer, (torch.nn.Linear, torch.nn.Conv2d))][-1]
        last.weight.mul_(torch.logspace(-2, 2, len(last.weight)).view(-1, *[1] * (last.weight.ndim - 1)))
    probe, history = head_of(trained)
    assert history["accuracy"][-1] >= 0.9
    right = (predict(probe, images[:15])[0] == labels[:15]).double().mean().item()
    assert right == pytest.approx(history["accuracy"][-1])
