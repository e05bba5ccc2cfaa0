"""Classifiers out of discriminators and autoencoders."""

import math
from itertools import pairwise

import pytest
import torch

from advgen.files.provenance import Stamp
from advgen.io.checkpoints import build, load_model, save_model
from advgen.models.layers import copy_without_spectral_norm
from advgen.models.predict import predict
from advgen.specs.autoencoders import FcAutoencoder
from advgen.specs.networks import ConvNetwork, FcNetwork
from advgen.specs.training import ClassifierTraining
from advgen.training.probe import best_threshold, body_spec, copy_body, copy_decision, train_head
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
    history = copy_decision(probe, trained, (images, real))
    assert {name: value for name, value in history.items() if name != "loss"} == {
        "step": [0],
        "epoch": [0.0],
        "accuracy": [1.0],
        "threshold": [0.0],
    }
    assert math.isnan(history["loss"][0])
    save_model(tmp_path / "probe.safetensors", probe, STAMP)
    logits = load_model(tmp_path / "probe.safetensors")(images.float() / 255)
    logit = trained(images.float() / 255).flatten()
    torch.testing.assert_close(logits, torch.stack([-logit / 2, logit / 2], dim=1))
    torch.testing.assert_close(logits.softmax(1)[:, 1], logit.sigmoid())


def test_a_fitted_threshold_moves_the_zero_of_the_decision_and_nothing_else(trained, tmp_path):
    images, _ = data()
    logit = trained(images.float() / 255).flatten().detach()
    middle = logit.median()  # of 90 the 45th, so that 45 are above it
    real = (logit > middle).long()
    flipped = torch.where(torch.arange(len(real)) % 10 == 0, 1 - real, real)  # of both parts, in some order
    probe = probe_of(trained, 2)
    history = copy_decision(probe, trained, (images, real), (images, flipped))
    own = ((logit > 0) == real.bool()).double().mean().item()
    assert history["step"] == [0, 1]
    assert history["threshold"] == [0.0, pytest.approx(best_threshold(logit, flipped), rel=1e-4)]
    assert history["accuracy"][0] == pytest.approx(own)
    save_model(tmp_path / "probe.safetensors", probe, STAMP)
    moved = logit - history["threshold"][1]
    logits = load_model(tmp_path / "probe.safetensors")(images.float() / 255)
    torch.testing.assert_close(logits, torch.stack([-moved / 2, moved / 2], dim=1), rtol=1e-4, atol=1e-5)
    right = (logits.argmax(1) == real).double().mean().item()
    assert history["accuracy"][1] == pytest.approx(right)
    assert (logits.argmax(1) == flipped).sum() >= ((logit > 0) == flipped.bool()).sum()


@pytest.mark.parametrize(
    ("logits", "labels", "threshold"),
    [
        ([1, 2, 4, 8], [0, 0, 1, 1], 3),  # midway
        ([8, 1, 4, 2], [1, 0, 1, 0], 3),  # in any order
        ([-9, -5, -4, -1], [0, 1, 0, 1], -2.5),  # -7 is as good, but farther from zero
        ([-3, -1, 1, 3], [0, 1, 0, 1], -2),  # 2 is as good and as near; the lower
        ([1, 1, 1, 3], [0, 1, 0, 1], 2),  # equal logits fall on one side
        ([1, 2, 3], [1, 1, 1], 0.5),  # all real: below the lowest
        ([1, 2, 3], [0, 0, 0], 3.5),  # all fake: above the highest
        ([5, 5], [0, 1], 4.5),  # nothing to tell them apart by
    ],
)
def test_the_best_threshold_by_hand(logits, labels, threshold):
    assert best_threshold(torch.tensor(logits).float(), torch.tensor(labels)) == threshold


@pytest.mark.parametrize("seed", range(20))
def test_no_threshold_is_better_than_the_best(seed):
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 2, (60,), generator=random)
    logits = (torch.randn(60, generator=random) + labels - 3).mul(4).round().div(4)  # many are equal
    values = sorted({*logits.tolist()})
    tried = [
        values[0] - 0.5,
        *[(low + high) / 2 for low, high in pairwise(values)],
        values[-1] + 0.5,
    ]
    right = {t: int(((logits > t) == labels.bool()).sum()) for t in tried}
    best = min((t for t in tried if right[t] == max(right.values())), key=lambda t: (abs(t), t))
    assert best_threshold(logits, labels) == best
    assert right[best] > int(((logits > 0) == labels.bool()).sum())  # zero says fake of nearly all


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
    assert_same(probe.body, copy_without_spectral_norm(trained.body))
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
