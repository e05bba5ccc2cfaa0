"""Data sets made with a trained model: robust features, adversarial labels, real against generated images."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from advgen import seeds
from advgen.attacks.common import Goal, frozen, l2_norms
from advgen.attacks.pgd import climb
from advgen.data.choice import permutation
from advgen.models.generators import Generator
from advgen.models.networks import Network
from advgen.models.predict import device_of, to_unit_range
from advgen.specs.attacks import PgdAttack
from advgen.specs.datasets import AdversarialLabels, RealFake, RobustFeatures

Array = np.ndarray[Any, Any]
Progress = Callable[[int, int], None]
BATCH = 500


def robust_features(
    images: Array,
    labels: Array,
    spec: RobustFeatures,
    classifier: Network,
    *,
    split: str,
    seed: int,
    progress: Progress,
) -> tuple[Array, Array, None]:
    """Images with the features of the originals and otherwise those of other images [ilyas2019adversarial].

    Each image starts as another one of the set and takes normalised L2 gradient steps towards the original's features.
    What the classifier does not use stays that of the other image, whose class is unrelated to the label.

    Args:
        images: uint8, (N, C, H, W).
    """
    order = permutation(len(images), seed, f"starts {split}")
    start = np.empty_like(order)
    start[order] = np.roll(order, 1)  # one cycle: no image starts as itself

    def match(rows: slice) -> Tensor:
        x_BCHW, start_BCHW = (_to_device(images[index], classifier) for index in (rows, start[rows]))
        return _match_features(classifier, start_BCHW, x_BCHW, spec)

    return _make_images(images, match, progress), labels, None


def _match_features(classifier: Network, start_BCHW: Tensor, x_BCHW: Tensor, spec: RobustFeatures) -> Tensor:
    with frozen(classifier):
        target_BF = classifier.features(x_BCHW)
        for _ in range(spec.steps):
            start_BCHW = start_BCHW.detach().requires_grad_()
            distance_B = (classifier.features(start_BCHW) - target_BF).flatten(1).norm(dim=1)
            (gradient_BCHW,) = torch.autograd.grad(distance_B.sum(), start_BCHW)
            direction_BCHW = gradient_BCHW / l2_norms(gradient_BCHW).clamp_min(1e-30).to(gradient_BCHW)
            start_BCHW = (start_BCHW.detach() - spec.step_size * direction_BCHW).clamp(0, 1)
    return start_BCHW


def adversarial_labels(
    images: Array,
    labels: Array,
    spec: AdversarialLabels,
    classifier: Network,
    *,
    split: str,
    seed: int,
    progress: Progress,
) -> tuple[Array, Array, None]:
    """Each image after targeted L2 PGD, labelled as its target [ilyas2019adversarial].

    A random target is uniform over all classes, so that it is independent of the image.

    Args:
        images: uint8, (N, C, H, W).
    """
    classes: int = classifier.outputs  # type: ignore[assignment]
    labels_N = torch.from_numpy(np.asarray(labels, dtype=np.int64))
    if spec.target == "next":
        targets_N = (labels_N + 1) % classes
    else:
        targets_N = torch.randint(classes, labels_N.shape, generator=seeds.generator(seed, "targets", split))
    attack = PgdAttack(kind="pgd", norm="l2", eps=spec.eps, steps=spec.steps)
    device = device_of(classifier)

    def attack_rows(rows: slice) -> Tensor:
        x_BCHW = _to_device(images[rows], classifier)
        goal = Goal(labels_N[rows].to(device), targets_N[rows].to(device))
        with frozen(classifier), torch.no_grad():
            return climb(classifier, x_BCHW, x_BCHW, goal, attack)

    return _make_images(images, attack_rows, progress), targets_N.numpy().astype(np.int32), None


def real_fake(
    images_NCHW: Array,
    labels_N: Array,
    spec: RealFake,
    generator: Generator,
    *,
    split: str,
    seed: int,
    progress: Progress,
) -> tuple[Array, Array, None]:
    """The images (class 1) and as many samples (class 0), alternating; samples are rounded to 256 levels."""
    device = device_of(generator)

    def sample(rows: slice) -> Tensor:
        indices = list(range(rows.start, min(rows.stop, len(images_NCHW))))
        with torch.inference_mode():
            return generator(seeds.normal(seed, f"real and fake {split}", indices, generator.latent).to(device))

    both = np.stack([images_NCHW, _make_images(images_NCHW, sample, progress)], 1)
    labels = np.tile(np.array([1, 0], labels_N.dtype), len(images_NCHW))
    return both.reshape(-1, *images_NCHW.shape[1:]), labels, None


def _to_device(images: Array, model: nn.Module) -> Tensor:
    return to_unit_range(torch.from_numpy(images).to(device_of(model)))


def _make_images(like: Array, make: Callable[[slice], Tensor], progress: Progress) -> Array:
    """Images of the shape of `like` in uint8, from `make`, which gives BATCH rows in [0, 1] at a time."""
    images = np.empty_like(like)
    for first in range(0, len(images), BATCH):
        rows = slice(first, first + BATCH)
        images[rows] = (make(rows) * 255).round().byte().cpu().numpy()
        progress(min(first + BATCH, len(images)), len(images))
    return images
