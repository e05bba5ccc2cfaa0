"""Searches in a generator's latent space."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from advgen.specs.base import Count, LearningRate, NonNegative, Spec


class LatentSearch(Spec):
    """Gradient search for the latent vector whose image is nearest to a target, from several starts at once."""

    optimizer: Literal["adam", "sgd"] = Field("adam", description="what moves z")
    lr: LearningRate = Field(0.15, description="learning rate; sgd wants about 1 to 30, adam about 0.15")
    steps: Count = Field(200, description="gradient steps")
    starts: Count = Field(5, description="starts per image, random or around an encoder's; the best one is kept")
    prior: NonNegative = Field(
        0.003, description="weight of the discriminator's opinion where a method uses it (Yeh et al. 2017)"
    )
