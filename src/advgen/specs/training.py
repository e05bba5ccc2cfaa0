"""Objectives and budgets of training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from advgen.specs.base import Count, Epochs, Fraction, LearningRate, NonNegative, Positive, Spec, WrongValue


class ClassifierTraining(Spec):
    """How a classifier is trained with cross-entropy."""

    epochs: Epochs = Field(5.0, description="passes over the training images")
    batch: Count = Field(100, description="images per step")
    optimizer: Literal["adam", "sgd"] = Field("adam", description="sgd uses momentum 0.9")
    lr: LearningRate = Field(1e-3, description="learning rate")
    weight_decay: NonNegative = Field(0.0, description="L2 penalty on the weights")
    decay: bool = Field(True, description="cosine decay of the learning rate to zero")
    shift: Annotated[int, Field(ge=0, le=16)] = Field(
        0, description="augmentation: pixels by which an image is moved at random each way, black behind it"
    )
    flip: bool = Field(False, description="augmentation: mirror an image left and right, every other time at random")


class EncoderTraining(Spec):
    """How an encoder learns to find z from G(z)."""

    steps: Count = Field(1000, description="batches of fresh samples")
    batch: Count = Field(128, description="samples per batch")
    lr: LearningRate = Field(1e-3, description="Adam learning rate")


class GanTraining(Spec):
    """How a generator and a discriminator are trained against each other."""

    loss: Literal["non_saturating", "cross_entropy", "mse", "wasserstein"] = Field(
        "non_saturating",
        description="objective: non-saturating, minimax cross-entropy, least squares, or the Wasserstein distance",
    )
    epochs: Epochs = Field(10.0, description="passes over the training images")
    batch: Count = Field(128, description="images per step")
    lr_generator: LearningRate = Field(1e-4, description="Adam learning rate of the generator")
    lr_discriminator: LearningRate = Field(4e-4, description="Adam learning rate of the discriminator")
    beta1: Fraction = Field(0.5, description="Adam's first-moment decay, both networks")
    generator_steps: Count = Field(1, description="generator updates per batch (the report's gs)")
    discriminator_steps: Count = Field(1, description="discriminator updates per batch (the report's ds)")
    unroll: Annotated[int, Field(ge=0, le=16)] = Field(
        0, description="discriminator steps to look ahead before a generator update (the report's k)"
    )
    unroll_mode: Literal["look_ahead", "exact"] = Field(
        "look_ahead", description="look_ahead: the report's; exact: the generator's gradient goes through those steps"
    )
    real_label: Annotated[float, Field(gt=0.5, le=1)] = Field(
        1.0, description="target for real images; 0.9 is one-sided label smoothing"
    )
    r1: NonNegative = Field(
        0.0, description="weight of R1, a penalty on the discriminator's gradient at real images; 0: none"
    )
    r1_every: Count = Field(8, description="steps from one such penalty to the next, which counts so many times")
    gradient_penalty: NonNegative = Field(
        0.0,
        description="weight of WGAN-GP's penalty, on norms other than 1 of the discriminator's gradient between real "
        "and generated images; 0: none",
    )
    adversarial_eps: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0,
        description="the discriminator learns on images moved by PGD within this L∞ radius, real and generated ones, "
        "on the [0, 1] scale of pixels; 0: on the images themselves",
    )
    adversarial_steps: Count = Field(3, description="gradient steps of that attack, each of 2.5 eps / steps")
    ema: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="decay of a running average of the generator's weights that is saved instead; 0: none"
    )
    checkpoint_selection: Annotated[int, Field(ge=0, le=100)] = Field(
        0, description="judge the generator so many times, evenly spaced, and keep the best; 0: keep the last"
    )

    @model_validator(mode="after")
    def _goes_together(self) -> GanTraining:
        if self.adversarial_eps and self.unroll and self.unroll_mode == "exact":
            message = "has no gradient for exact unrolling; take unroll_mode: look_ahead, or leave one of them out"
            raise WrongValue("adversarial_eps", self.adversarial_eps, message)
        return self


class MomentMatching(Spec):
    """A penalty that makes latent vectors look normal: mean, variance and kurtosis against 0, 1 and 3."""

    kind: Literal["pooled", "covariance"] = Field(
        "pooled",
        description="pooled: over all numbers of a batch together, as the report; covariance: per dimension, and the "
        "correlations between dimensions too",
    )
    first: Positive = Field(0.001, description="factor in the first epoch; it doubles with each epoch")
    constant_from: Count = Field(12, description="epoch from which the factor stays")


class AutoencoderTraining(Spec):
    """How an autoencoder is trained with mean squared error."""

    epochs: Epochs = Field(20.0, description="passes over the training images")
    batch: Count = Field(128, description="images per step")
    lr: LearningRate = Field(1e-3, description="Adam learning rate")
    moments: MomentMatching | None = Field(None, description="moment matching of the latent vectors; null: none")
