"""What a generator makes of the same latent vectors at some steps of its training."""

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
"""Latent vectors followed: the first ones of the samples that are judged."""
HALVINGS = 7
"""Of the whole training, between the first step looked at and the last."""
KEY = "snapshots"
"""Where the images made so far stand in the state of an unfinished training."""


def stops(total: int) -> list[int]:
    """Steps looked at: none, then twice as many each time until all."""
    return sorted({0, *(round(total / 2**halvings) for halvings in range(HALVINGS + 1))})


class Snapshots:
    """Watches a training through its callbacks; changes nothing about it."""

    def __init__(self, generator: Generator, total: int, seed: int, averaged: bool, callbacks: Callbacks):
        """`generator` as it is before its first step; `averaged`: whether the average of its weights counts."""
        self.generator, self.stops, self.part = copy.deepcopy(generator), stops(total), "generator"
        if averaged:
            self.part = "averaged"
        self.z_BD = normal(seed, "samples", list(range(IMAGES)), generator.latent)
        self.inner, state = callbacks, callbacks.state
        self.step = 0 if state is None else int(state["step"])
        self.images = [self._made()] if state is None else list(state[KEY])

    def callbacks(self) -> Callbacks:
        """Those of the training, watched."""
        return replace(self.inner, save=self._save)

    def _save(self, take: Callable[[], State]) -> None:
        self.step += 1
        if self.step in self.stops:
            unpack({key.replace(self.part, "now", 1): one for key, one in take().items()}, now=self.generator)
            self.images.append(self._made())
        self.inner.save(lambda: {**take(), KEY: torch.stack(self.images)})

    def _made(self) -> Tensor:
        """Images (IMAGES, C, H, W) in whole grey levels."""
        with eval_mode(self.generator), torch.inference_mode():
            return (255 * self.generator(self.z_BD)).round().to(torch.uint8)

    def columns(self) -> dict[str, NDArray[np.generic]]:
        """A row for each step looked at and image."""
        steps = self.stops[: len(self.images)]
        return {
            "step": np.repeat(steps, IMAGES),
            "index": np.tile(np.arange(IMAGES), len(steps)),
            "image": torch.cat(self.images).numpy(),
        }
