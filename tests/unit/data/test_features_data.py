"""The data sets of robust and non-robust features: what they keep, what they change."""

import numpy as np
import pytest
import torch

from advgen import registry
from advgen.io.checkpoints import build
from advgen.models.predict import predict
from advgen.specs.datasets import AdversarialLabels, RobustFeatures
from advgen.specs.networks import ConvNetwork
from advgen.specs.training import ClassifierTraining
from advgen.training.classifier import train_classifier
from advgen.training.state import Callbacks

SHAPE = (1, 9, 9)
BASE = {"base": "digits", "classifier": "net"}
ROBUST = RobustFeatures(kind="robust_features", steps=60, step_size=0.2, **BASE)
RANDOM = AdversarialLabels(kind="adversarial_labels", eps=2.0, steps=40, **BASE)
NEXT = RANDOM.model_copy(update={"target": "next"})


@pytest.fixture(scope="module")
def data():
    """Three classes that differ in which rows are bright."""
    labels = (torch.arange(600) % 3).int()
    images = torch.randint(0, 150, (600, *SHAPE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    for row in range(3):
        images[labels == row, :, 3 * row : 3 * row + 3] += 70
    return images.numpy(), labels.numpy()


@pytest.fixture(scope="module")
def classifier(data):
    torch.manual_seed(0)
    spec = ConvNetwork(kind="conv", channels=(4,), kernel=3, padding=1, hidden=(16,), dropout=0.3).fit(SHAPE)
    model = build("networks", spec, 3)
    images, labels = torch.from_numpy(data[0]), torch.from_numpy(data[1]).long()
    training = ClassifierTraining(epochs=4, batch=50, lr=0.01)
    train_classifier(model, images, labels, training, 0, (images, labels), "cpu", Callbacks())
    return model.train()


def made(spec, data, classifier, seed=0, rows=slice(None)):
    images, labels = (part[rows] for part in data)
    steps = []
    result = registry.resolve(spec)(
        images, labels, spec, classifier, split="train", seed=seed, progress=lambda *step: steps.append(step)
    )
    assert steps[-1] == (len(labels), len(labels))
    assert [step for step, _ in steps] == sorted({step for step, _ in steps})
    return result


@pytest.fixture(params=[ROBUST, RANDOM, NEXT], ids=["robust", "random", "next"])
def spec(request):
    return request.param


def test_the_set_is_like_its_base_and_the_classifier_is_left_alone(spec, data, classifier):
    weights = [parameter.clone() for parameter in classifier.parameters()]
    before, random = data[0].copy(), torch.get_rng_state()
    images, labels, cues = made(spec, data, classifier)
    assert images.shape == before.shape and images.dtype == np.uint8
    assert labels.shape == data[1].shape
    assert cues is None
    assert np.array_equal(data[0], before)
    assert not np.array_equal(images, before)
    assert torch.equal(torch.get_rng_state(), random)
    assert classifier.training and all(parameter.requires_grad for parameter in classifier.parameters())
    assert all(torch.equal(now, then) for now, then in zip(classifier.parameters(), weights, strict=True))


def test_the_seed_decides(spec, data, classifier):
    first, again, other = (made(spec, data, classifier, seed) for seed in (1, 1, 2))
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])
    if spec is not NEXT:
        assert not np.array_equal(first[0], other[0])


def features(classifier, images):
    with torch.no_grad():
        return classifier.eval().features(torch.from_numpy(images).float() / 255)


def test_robust_features_are_the_classifiers_and_nothing_else_is_kept(data, classifier):
    images, labels, _ = made(ROBUST, data, classifier)
    assert np.array_equal(labels, data[1])
    original, found = features(classifier, data[0]), features(classifier, images)
    shuffled = original[torch.randperm(len(original), generator=torch.Generator().manual_seed(0))]
    assert (found - original).norm(dim=1).mean() < 0.1 * (shuffled - original).norm(dim=1).mean()
    # By its pixels, each image is nearer to another one of the set than to the original.
    x, made_x = (torch.from_numpy(part).flatten(1).float() for part in (data[0], images))
    nearest = torch.cdist(made_x, x).argmin(1)
    assert (nearest != torch.arange(len(x))).double().mean() > 0.9


def test_no_image_starts_as_itself(data, classifier):
    nothing = ROBUST.model_copy(update={"step_size": 1e-9, "steps": 1})
    images, _, _ = made(nothing, data, classifier)
    assert not (images == data[0]).all((1, 2, 3)).any()
    assert sorted(image.tobytes() for image in images) == sorted(image.tobytes() for image in data[0])


@pytest.mark.parametrize("spec", [RANDOM, NEXT], ids=["random", "next"])
def test_adversarial_labels_are_what_the_classifier_sees(spec, data, classifier):
    images, labels, _ = made(spec, data, classifier)
    predicted, _ = predict(classifier, torch.from_numpy(images))
    assert (predicted.numpy() == labels).mean() > 0.95
    change = (images.astype(float) - data[0]) / 255
    # a pixel of a byte image is rounded by at most half a level
    assert np.sqrt((change**2).sum((1, 2, 3))).max() <= spec.eps + 0.5 / 255 * 9


def test_targets_are_the_next_class_or_say_nothing_of_the_image(data, classifier):
    assert np.array_equal(made(NEXT, data, classifier)[1], (data[1] + 1) % 3)
    targets = made(RANDOM, data, classifier)[1]
    shares = [[(targets[data[1] == label] == target).mean() for target in range(3)] for label in range(3)]
    assert np.abs(np.array(shares) - 1 / 3).max() < 0.1
