"""Data sets made without a classifier: parts, shuffled labels, real and fake, stimuli."""

import numpy as np
import pytest
import torch

from advgen.data.choice import choose, split_validation
from advgen.data.from_models import real_fake
from advgen.data.stimuli import stimuli
from advgen.data.subsets import learnt_images, part, shuffled_labels
from advgen.io.checkpoints import build
from advgen.presets import PRESETS
from advgen.specs.datasets import LearntImages, PartDataset, RealFake, ShuffledLabels, Stimuli

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 10, 120).astype(np.int64)
IMAGES = np.zeros((120, 1, 28, 28), np.uint8)
IMAGES[:, :, 6:22, 10:18] = 200
IMAGES[:, 0, 0, 0] = np.arange(120)  # tells images apart


def test_parts_are_disjoint_and_keep_pairs_together() -> None:
    seen = []
    for number in range(3):
        spec = PartDataset(kind="part", base="mnist", part=number, parts=3)
        images, labels, cues = part(IMAGES, LABELS, spec, split="train", seed=5)
        assert cues is None
        assert len(images) == len(labels) == 40
        names = images[:, 0, 0, 0]
        assert (LABELS[names] == labels).all()
        seen += names.tolist()
    assert sorted(seen) == list(range(120))


def test_shuffled_labels_keep_images_and_counts() -> None:
    spec = ShuffledLabels(kind="shuffled_labels", base="mnist")
    images, labels, _ = shuffled_labels(IMAGES, LABELS, spec, split="train", seed=0)
    assert images is IMAGES
    assert (np.bincount(labels, minlength=10) == np.bincount(LABELS, minlength=10)).all()
    assert (labels == LABELS).mean() < 0.3
    assert (labels == shuffled_labels(IMAGES, LABELS, spec, split="train", seed=0)[1]).all()
    assert (labels != shuffled_labels(IMAGES, LABELS, spec, split="train", seed=1)[1]).any()


@pytest.mark.parametrize("images", [10, 40])
def test_learnt_images_are_among_those_that_as_many_or_more_are_trained_on(images: int) -> None:
    spec = LearntImages(kind="learnt_images", base="mnist", images=10)
    made, labels, _ = learnt_images(IMAGES, LABELS, spec, split="test", seed=3, validation=30)
    (kept, named), (apart, _) = split_validation(torch.from_numpy(IMAGES), torch.from_numpy(LABELS), 30)
    rows = choose(len(named), images, 0, "training images")  # as trainings choose
    trained_on, known = kept[rows][:, 0, 0, 0].tolist(), named[rows].tolist()
    assert len(made) == len(labels) == 10
    for name, label in zip(made[:, 0, 0, 0].tolist(), labels.tolist(), strict=True):
        assert known[trained_on.index(name)] == label
        assert name not in apart[:, 0, 0, 0].tolist()


def test_real_and_fake_in_turn() -> None:
    torch.manual_seed(0)
    generator = build("generators", PRESETS["generators"]["M5"].fit((1, 28, 28))).eval()
    spec = RealFake(kind="real_fake", base="mnist", gan="gan")
    calls = []
    images, labels, _ = real_fake(
        IMAGES, LABELS, spec, generator, split="test", seed=0, progress=lambda *now: calls.append(now[:2])
    )
    assert images.shape == (240, 1, 28, 28)
    assert images.dtype == np.uint8
    assert (images[::2] == IMAGES).all()
    assert labels.tolist() == [1, 0] * 120
    assert calls[-1] == (120, 120)
    assert len(np.unique(images[1::2].reshape(120, -1), axis=0)) > 100
    again = real_fake(IMAGES, LABELS, spec, generator, split="train", seed=0, progress=lambda *_: None)[0]
    assert (again[1::2] != images[1::2]).any()


@pytest.mark.parametrize("stimulus", Stimuli.model_fields["stimulus"].annotation.__args__)
def test_stimuli(stimulus: str) -> None:
    spec = Stimuli(kind="stimuli", base="mnist", stimulus=stimulus)
    images, labels, cues = stimuli(IMAGES, LABELS, spec, split="train", seed=0)
    assert images.shape == IMAGES.shape
    assert images.dtype == np.uint8
    assert (labels == LABELS).all()
    if stimulus == "cue_conflict":
        assert (cues != labels).all()
    elif stimulus == "random_texture":
        assert 0 < (cues == labels).mean() < 0.4
    else:
        assert (cues == labels).all()
    shape, ground = images[:, 0, 6:22, 10:18], images[:, 0, 24:, :]
    if stimulus == "edges":
        assert (shape[:, 1:-1, 1:-1] == 0).all()
        assert (shape[:, 0] == 255).all()
    elif stimulus == "texture":
        assert ground.min() > 0
    elif stimulus in ("original", "cue_conflict", "random_texture"):
        assert shape.min() > 0
        assert (ground == 0).all()


@pytest.mark.parametrize("stimulus", ["cue_conflict", "random_texture"])
def test_either_cue_may_be_the_label_of_the_same_images(stimulus: str) -> None:
    by_shape, by_texture = (
        stimuli(
            IMAGES,
            LABELS,
            Stimuli(kind="stimuli", base="mnist", stimulus=stimulus, label=label),
            split="test",
            seed=0,
        )
        for label in ("shape", "texture")
    )
    assert (by_shape[0] == by_texture[0]).all()
    assert (by_shape[1] == LABELS).all()
    assert (by_texture[1] == by_shape[2]).all()
    assert (by_texture[1] != LABELS).any()


@pytest.mark.parametrize("stimulus", ["original", "grey", "silhouette", "edges", "texture"])
def test_the_texture_is_no_label_where_it_says_nothing_else(stimulus: str) -> None:
    with pytest.raises(ValueError, match="label = texture: is not allowed with stimulus"):
        Stimuli(kind="stimuli", base="mnist", stimulus=stimulus, label="texture")


def test_a_class_has_one_texture_at_several_places() -> None:
    spec = Stimuli(kind="stimuli", base="mnist", stimulus="texture")
    images, _, cues = stimuli(IMAGES, LABELS, spec, split="train", seed=0)
    spectra = np.abs(np.fft.fft2(images[:, 0].astype(float)))
    spectra[:, 0, 0] = 0
    spectra /= np.linalg.norm(spectra, axis=(1, 2), keepdims=True)
    alike = np.einsum("nhw,mhw->nm", spectra, spectra)
    same = cues[:, None] == cues
    assert alike[same].mean() > alike[~same].mean() + 0.3
    twins = images[cues == cues[0]]
    assert len(np.unique(twins.reshape(len(twins), -1), axis=0)) > 1
