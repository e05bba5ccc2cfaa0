"""Shapes that carry textures, after geirhos2019imagenet: which of the two does a network go by?"""

from __future__ import annotations

from typing import Any

import numpy as np

from advgen.seeds import derive
from advgen.specs.datasets import Stimuli

Array = np.ndarray[Any, Any]
INK = 96  # pixels brighter than this belong to the shape
LOW, HIGH = 64, 255  # grey levels of a texture: never black, so that the shape stays visible


def stimuli(
    images_NCHW: Array, labels_N: Array, spec: Stimuli, *, split: str, seed: int, **_: Any
) -> tuple[Array, Array, Array]:
    """Images (N, C, H, W), labels and cues (N,), the class of each image's texture; see the spec for the stimuli.

    Every class has one texture: stripes at its own angle and width. Each image sees it at a place of its own.
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
        shown = np.where(ink, 255, 0)
    elif spec.stimulus == "edges":
        shown = np.where(ink & ~_inside(ink), 255, 0)
    else:
        filled = textures(cues, classes, height, width, random)
        shown = filled if spec.stimulus == "texture" else np.where(ink, filled, 0)
    named_N = cues if spec.label == "texture" else labels_N
    return np.broadcast_to(shown, images_NCHW.shape).astype(np.uint8), named_N, cues


def textures(cues_N: Array, classes: int, height: int, width: int, random: np.random.Generator) -> Array:
    """Grey stripes (N, 1, H, W), whose angle and period tell the class and whose phase is random."""
    rows, columns = np.mgrid[:height, :width]
    angles = np.pi * cues_N / classes
    periods = np.where(cues_N % 2, 3.0, 5.0)
    phases = random.uniform(0, 2 * np.pi, len(cues_N))
    along = columns * np.cos(angles)[:, None, None] + rows * np.sin(angles)[:, None, None]
    waves = np.sin(2 * np.pi * along / periods[:, None, None] + phases[:, None, None])
    stripes: Array = np.where(waves > 0, HIGH, LOW)[:, None]
    return stripes


def _inside(ink_N1HW: Array) -> Array:
    """Pixels of a shape whose four neighbours belong to it, too."""
    padded = np.pad(ink_N1HW, ((0, 0), (0, 0), (1, 1), (1, 1)))
    inside: Array = padded[..., :-2, 1:-1] & padded[..., 2:, 1:-1] & padded[..., 1:-1, :-2] & padded[..., 1:-1, 2:]
    return inside
