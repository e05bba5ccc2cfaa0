"""Shapes filled with textures, to measure which of the two a network relies on [geirhos2019imagenet]."""

from typing import Any

import numpy as np

from advgen.seeds import derive
from advgen.specs.datasets import Stimuli

Array = np.ndarray[Any, Any]
INK = 96  # brighter pixels belong to the shape
LOW, HIGH = 64, 255  # grey levels of a texture: never black, so that the shape stays visible


def stimuli(
    images_NCHW: Array, labels_N: Array, spec: Stimuli, *, split: str, seed: int, **_: Any
) -> tuple[Array, Array, Array]:
    """Images (N, C, H, W), labels (N,) and cues (N,): the class of each image's texture. See the spec for the stimuli.

    Each class has one texture, stripes of its own angle and width, which every image has at a random phase.
    """
    count, (height, width) = len(images_NCHW), images_NCHW.shape[2:]
    random = np.random.default_rng(derive(seed, "stimuli", split))
    classes = int(labels_N.max()) + 1
    other = (labels_N + random.integers(1, classes, count)) % classes
    cues = {"cue_conflict": other, "random_texture": random.integers(0, classes, count)}.get(spec.stimulus, labels_N)
    ink = images_NCHW.mean(1, keepdims=True) > INK
    if spec.stimulus == "grey":
        return images_NCHW, labels_N, cues
    if spec.stimulus == "silhouette":
        images = np.where(ink, 255, 0)
    elif spec.stimulus == "edges":
        images = np.where(ink & ~_inside(ink), 255, 0)
    else:
        texture = textures(cues, classes, height, width, random)
        images = texture if spec.stimulus == "texture" else np.where(ink, texture, 0)
    labels = cues if spec.label == "texture" else labels_N
    return np.broadcast_to(images, images_NCHW.shape).astype(np.uint8), labels, cues


def textures(cues_N: Array, classes: int, height: int, width: int, random: np.random.Generator) -> Array:
    """Grey stripes (N, 1, H, W): angle and period depend on the class, the phase is random."""
    rows, columns = np.mgrid[:height, :width]
    angles = np.pi * cues_N / classes
    periods = np.where(cues_N % 2, 3.0, 5.0)
    phases = random.uniform(0, 2 * np.pi, len(cues_N))
    along = columns * np.cos(angles)[:, None, None] + rows * np.sin(angles)[:, None, None]
    waves = np.sin(2 * np.pi * along / periods[:, None, None] + phases[:, None, None])
    stripes: Array = np.where(waves > 0, HIGH, LOW)[:, None]
    return stripes


def _inside(ink_N1HW: Array) -> Array:
    """Pixels of a shape whose four neighbours belong to it as well."""
    padded = np.pad(ink_N1HW, ((0, 0), (0, 0), (1, 1), (1, 1)))
    inside: Array = padded[..., :-2, 1:-1] & padded[..., 2:, 1:-1] & padded[..., 1:-1, :-2] & padded[..., 1:-1, 2:]
    return inside
