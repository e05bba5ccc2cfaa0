"""Record the images of the same latent vectors at several steps of GAN training."""

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from advgen.models.generators import Generator
from advgen.models.predict import eval_mode
from advgen.seeds import normal
from advgen.training.state import Callbacks, State, unpack

IMAGES = 16
"""Number of latent vectors: the first ones of the samples in the evaluation."""
HALVINGS = 7
"""Number of recorded steps between the first and the last one; each has half the steps of the next."""
KEY = "snapshots"
"""Key of the recorded images in the saved state of an unfinished training."""


def recorded_steps(total: int) -> list[int]:
    """Return the steps to record: 0, then doubling up to the total."""
    return sorted({0, *(round(total / 2**halvings) for halvings in range(HALVINGS + 1))})


class Snapshots:
    """Record images through the callbacks of a training, without an effect on it.

    Args:
        generator: as it is before its first step.
        total: number of training steps.
        seed: seed of the latent vectors.
        is_averaged: whether the result is the moving average of the weights.
        callbacks: the callbacks that would be used without recording.
    """

    def __init__(self, generator: Generator, total: int, seed: int, is_averaged: bool, callbacks: Callbacks):
        self.generator, self.steps, self.part = (
            copy.deepcopy(generator),
            recorded_steps(total),
            "averaged" if is_averaged else "generator",
        )
        self.z_BD = normal(seed, "samples", list(range(IMAGES)), generator.latent)
        self.inner, state = callbacks, callbacks.state
        self.step = 0 if state is None else int(state["step"])
        self.images = [self._generate()] if state is None else list(state[KEY])

    def callbacks(self) -> Callbacks:
        """Return callbacks that also record."""
        return replace(self.inner, save=self._save)

    def _save(self, take: Callable[[], State]) -> None:
        self.step += 1
        if self.step in self.steps:
            unpack({key.replace(self.part, "now", 1): one for key, one in take().items()}, now=self.generator)
            self.images.append(self._generate())
        self.inner.save(lambda: {**take(), KEY: torch.stack(self.images)})

    def _generate(self) -> Tensor:
        """Return images (IMAGES, C, H, W) as uint8."""
        with eval_mode(self.generator), torch.inference_mode():
            return (255 * self.generator(self.z_BD)).round().to(torch.uint8)

    def columns(self) -> dict[str, NDArray[np.generic]]:
        """Return the columns of the table, with a row for each recorded step and image."""
        steps = self.steps[: len(self.images)]
        return {
            "step": np.repeat(steps, IMAGES),
            "index": np.tile(np.arange(IMAGES), len(steps)),
            "image": torch.cat(self.images).numpy(),
        }
