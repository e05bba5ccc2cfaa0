"""Real images and a generator's samples: the task of the generator's discriminator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from advgen import seeds
from advgen.models.generators import Generator
from advgen.models.predict import device_of
from advgen.specs.datasets import RealFake

Array = np.ndarray[Any, Any]
BATCH = 500


def real_fake(
    images_NCHW: Array,
    labels_N: Array,
    spec: RealFake,
    generator: Generator,
    *,
    split: str,
    seed: int,
    progress: Callable[[int, int, Mapping[str, float]], None],
) -> tuple[Array, Array, None]:
    """The images (class 1) and as many samples (class 0), in turn; samples are rounded to 256 levels, as images are."""
    fakes_NCHW = np.empty_like(images_NCHW)
    for start in range(0, len(fakes_NCHW), BATCH):
        rows = list(range(start, min(start + BATCH, len(fakes_NCHW))))
        z_BD = seeds.normal(seed, f"real and fake {split}", rows, generator.latent).to(device_of(generator))
        with torch.inference_mode():
            fakes_NCHW[rows] = (generator(z_BD) * 255).round().byte().cpu().numpy()
        progress(rows[-1] + 1, len(fakes_NCHW), {})
    both = np.stack([images_NCHW, fakes_NCHW], 1).reshape(-1, *images_NCHW.shape[1:])
    return both, np.tile(np.array([1, 0], labels_N.dtype), len(images_NCHW)), None
