"""Augmentation: what moves, how far, and what stays."""

import pytest
import torch

from advgen.io.checkpoints import build
from advgen.specs.networks import FcNetwork
from advgen.specs.training import ClassifierTraining
from advgen.training.augmentation import augment
from advgen.training.classifier import train_classifier
from advgen.training.state import Callbacks

X = torch.rand(200, 2, 7, 9, generator=torch.Generator().manual_seed(0)) + 0.1


def moved(image, down, right):
    """An image moved by hand, zeros behind it."""
    out = torch.zeros_like(image)
    height, width = image.shape[1:]
    rows = [(row, row + down) for row in range(height) if 0 <= row + down < height]
    columns = [(column, column + right) for column in range(width) if 0 <= column + right < width]
    for row, to_row in rows:
        for column, to_column in columns:
            out[:, to_row, to_column] = image[:, row, column]
    return out


def test_images_move_each_by_its_own_way_up_to_the_shift():
    torch.manual_seed(1)
    found = []
    for image, changed in zip(X, augment(X, 2, False), strict=True):
        places = [(a, b) for a in range(-2, 3) for b in range(-2, 3) if torch.equal(changed, moved(image, a, b))]
        assert len(places) == 1
        found += places
    assert len(set(found)) == 25


def test_about_half_are_mirrored():
    torch.manual_seed(1)
    changed = augment(X, 0, True)
    mirrored = [torch.equal(one, image.flip(2)) for image, one in zip(X, changed, strict=True)]
    same = [torch.equal(one, image) for image, one in zip(X, changed, strict=True)]
    assert all(a != b for a, b in zip(mirrored, same, strict=True))
    assert 70 < sum(mirrored) < 130


def test_without_either_nothing_is_drawn():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    assert augment(X, 0, False) is X
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("keys", [{"shift": 1}, {"flip": True}])
def test_training_uses_it_and_is_repeated_bit_for_bit(keys):
    images = (X[:60, :1, :, :7] * 200).byte()
    labels = torch.arange(60) % 3

    def trained(**keys):
        torch.manual_seed(0)
        model = build("networks", FcNetwork(kind="fc", hidden=(5,)).fit((1, 7, 7)), 3)
        spec = ClassifierTraining(epochs=2, batch=20, **keys)
        train_classifier(model, images, labels, spec, 0, (images[:9], labels[:9]), "cpu", Callbacks())
        return torch.cat([weight.flatten() for weight in model.parameters()])

    assert torch.equal(trained(**keys), trained(**keys))
    assert not torch.equal(trained(**keys), trained())
