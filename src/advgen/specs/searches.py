"""Searches in the latent space of a generator (GAN inversion)."""

from typing import Literal

from pydantic import Field

from advgen.specs.base import Count, LearningRate, NonNegative, Spec


class LatentSearch(Spec):
    """Gradient search for the latent vector whose image is nearest to a target, from several starts."""

    optimizer: Literal["adam", "sgd"] = Field("adam", description="optimizer of z")
    lr: LearningRate = Field(0.15, description="learning rate; about 0.15 for adam, 1 to 30 for sgd")
    steps: Count = Field(200, description="gradient steps")
    starts: Count = Field(
        5, description="starts per image, random or around the output of an encoder; the best result is used"
    )
    prior: NonNegative = Field(
        0.003, description="weight of the discriminator's loss, for methods that use it (Yeh et al. 2017)"
    )
