"""Training: objectives and budgets."""

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
    decay: bool = Field(True, description="decay the learning rate to zero by a cosine schedule")
    shift: Annotated[int, Field(ge=0, le=16)] = Field(
        0, description="augmentation: largest random shift in each direction in pixels, filled with black"
    )
    flip: bool = Field(False, description="augmentation: mirror half of the images horizontally, at random")


class EncoderTraining(Spec):
    """How an encoder is trained to predict z from G(z)."""

    steps: Count = Field(1000, description="batches of new samples")
    batch: Count = Field(128, description="samples per batch")
    lr: LearningRate = Field(1e-3, description="Adam learning rate")


class GanTraining(Spec):
    """How a GAN is trained."""

    loss: Literal["non_saturating", "cross_entropy", "mse", "wasserstein"] = Field(
        "non_saturating",
        description="objective: non-saturating, minimax cross-entropy, least squares, or the Wasserstein distance",
    )
    epochs: Epochs = Field(10.0, description="passes over the training images")
    batch: Count = Field(128, description="images per step")
    lr_generator: LearningRate = Field(1e-4, description="Adam learning rate of the generator")
    lr_discriminator: LearningRate = Field(4e-4, description="Adam learning rate of the discriminator")
    beta1: Fraction = Field(0.5, description="Adam's beta1 for both networks")
    generator_steps: Count = Field(1, description="generator updates per batch")
    discriminator_steps: Count = Field(1, description="discriminator updates per batch")
    unroll: Annotated[int, Field(ge=0, le=16)] = Field(
        0, description="unrolled discriminator steps before each generator update"
    )
    unroll_mode: Literal["look_ahead", "exact"] = Field(
        "look_ahead", description="look_ahead: without the gradient through the unrolled steps; exact: with it"
    )
    real_label: Annotated[float, Field(gt=0.5, le=1)] = Field(
        1.0, description="target for real images; 0.9 is one-sided label smoothing"
    )
    r1: NonNegative = Field(
        0.0, description="weight of R1, a penalty on the discriminator's gradient at real images; 0: none"
    )
    r1_every: Count = Field(8, description="apply the R1 penalty only every n-th step, multiplied by n")
    gradient_penalty: NonNegative = Field(
        0.0,
        description="weight of WGAN-GP's penalty, which draws the norm of the discriminator's gradient between real "
        "and generated images to 1; 0: none",
    )
    adversarial_eps: Annotated[float, Field(ge=0, le=1)] = Field(
        0.0,
        description="L∞ radius of the PGD attack on the discriminator's real and generated training images, on the "
        "[0, 1] scale of pixels; 0: no attack",
    )
    adversarial_steps: Count = Field(3, description="gradient steps of this attack, each of size 2.5 eps / steps")
    ema: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0,
        description="decay of the moving average of the generator's weights that is saved in their place; 0: none",
    )
    checkpoint_selection: Annotated[int, Field(ge=0, le=100)] = Field(
        0, description="number of evenly spaced checkpoints from which the best generator is selected; 0: use the last"
    )

    @model_validator(mode="after")
    def _check_keys_fit(self) -> GanTraining:
        if self.adversarial_eps and self.unroll and self.unroll_mode == "exact":
            message = "cannot be combined with exact unrolling; use unroll_mode: look_ahead, or remove one of them"
            raise WrongValue("adversarial_eps", self.adversarial_eps, message)
        return self


class MomentMatching(Spec):
    """A penalty that makes latent vectors normally distributed: mean 0, variance 1 and kurtosis 3."""

    kind: Literal["pooled", "covariance"] = Field(
        "pooled",
        description="pooled: moments over all numbers of a batch; covariance: moments per dimension, and correlations "
        "between dimensions",
    )
    first: Positive = Field(0.001, description="weight in the first epoch; it doubles with each epoch")
    constant_from: Count = Field(12, description="epoch from which the weight is constant")


class AutoencoderTraining(Spec):
    """How an autoencoder is trained with mean squared error."""

    epochs: Epochs = Field(20.0, description="passes over the training images")
    batch: Count = Field(128, description="images per step")
    lr: LearningRate = Field(1e-3, description="Adam learning rate")
    moments: MomentMatching | None = Field(None, description="moment matching of the latent vectors; null: none")
