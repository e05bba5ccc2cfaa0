"""What training does to make a classifier robust."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from advgen.specs.base import Count, Fraction, NonNegative, Positive, Shape, Size, Spec, check_ball, check_radius


class DefenceSpec(Spec):
    """Base of all defences: what training does to make a classifier robust. `label()` names it in tables."""

    stochastic: ClassVar[bool] = False

    def check(self, shape: Shape) -> None:
        """WrongValue if images of a shape cannot be changed so."""

    def label(self) -> str:
        """The defence in a few words, with its budget."""
        raise NotImplementedError


class NoiseDefence(DefenceSpec):
    """Training on noisy images: the control of every adversarial training."""

    kind: Literal["noise"] = Field(description="random noise on every training image")
    noise: Literal["gaussian", "uniform", "sign"] = Field(
        "sign", description="gaussian of deviation eps, uniform within eps, or ±eps"
    )
    eps: Size = Field(0.25, description="size of the noise, on the [0, 1] scale of pixels")

    def label(self) -> str:
        return f"{self.noise} noise {self.eps:g}"


class FgsmDefence(DefenceSpec):
    """Cross-entropy mixed with that of the FGSM examples of the moment (Goodfellow et al. 2015)."""

    kind: Literal["fgsm"] = Field(description="FGSM-regularised training")
    eps: Size = Field(0.25, description="largest change of a pixel, on the [0, 1] scale")
    alpha: Fraction = Field(0.5, description="weight of the clean images")

    def label(self) -> str:
        return f"FGSM {self.eps:g}"


class PgdDefence(DefenceSpec):
    """Training on PGD examples alone: the saddle point of Madry et al. (2018)."""

    kind: Literal["pgd"] = Field(description="training on PGD examples")
    norm: Literal["linf", "l2"] = Field("linf", description="norm of the ball")
    eps: Positive = Field(0.3, description="radius of the ball, on the [0, 1] scale of pixels")
    steps: Count = Field(40, description="gradient steps")
    step_size: NonNegative = Field(
        default_factory=lambda given: 2.5 * given["eps"] / given["steps"] if {"eps", "steps"} <= given.keys() else 0.0,
        description="length of a step; left out: 2.5 eps / steps",
    )
    eps_warmup: NonNegative = Field(0.0, description="epochs during which eps grows from zero")

    @model_validator(mode="after")
    def _goes_together(self) -> PgdDefence:
        check_ball(self.norm, self.eps, self.step_size)
        return self

    def check(self, shape: Shape) -> None:
        if self.norm == "l2":
            check_radius("eps", self.eps, shape)

    def label(self) -> str:
        return f"PGD-{self.steps} {self.norm} {self.eps:g}"


class FastDefence(DefenceSpec):
    """Training on single-step examples from random starts (Wong et al. 2020)."""

    kind: Literal["fast"] = Field(description="single-step training with random starts")
    eps: Size = Field(0.3, description="radius of the L∞ ball, on the [0, 1] scale of pixels")
    step_size: NonNegative = Field(
        default_factory=lambda given: 1.25 * given["eps"] if "eps" in given else 0.0,
        description="length of the step; left out: 1.25 eps",
    )
    eps_warmup: NonNegative = Field(0.0, description="epochs during which eps grows from zero")

    @model_validator(mode="after")
    def _goes_together(self) -> FastDefence:
        check_ball("linf", self.eps, self.step_size)
        return self

    def label(self) -> str:
        return f"fast {self.eps:g}"


class IbpDefence(DefenceSpec):
    """Training on interval bounds, which prove what they reach (Gowal et al. 2018)."""

    kind: Literal["ibp"] = Field(description="training on interval bounds, for certified radii")
    eps: Size = Field(0.1, description="radius of the L∞ ball, on the [0, 1] scale of pixels")
    kappa: Fraction = Field(0.5, description="weight of the clean images at the full eps")
    eps_warmup: NonNegative = Field(1.0, description="epochs during which eps grows from zero")

    def label(self) -> str:
        return f"IBP {self.eps:g}"


class PoolDefence(DefenceSpec):
    """A pool of minimum-distortion examples that is mixed into the training images (Szegedy et al. 2014)."""

    kind: Literal["pool"] = Field(description="a pool of adversarial examples, refreshed during training")
    size: Count = Field(5000, description="examples in the pool")
    share: Annotated[float, Field(gt=0, lt=1)] = Field(0.2, description="share of each batch that comes from the pool")
    largest: Positive = Field(
        1.0, description="L2 length to which a longer perturbation is cut, on the [0, 1] scale of pixels"
    )
    refresh: Positive = Field(1.0, description="epochs between two refreshments of the whole pool")
    steps: Count = Field(20, description="steps of the minimum-norm search behind each example")
    overshoot: NonNegative = Field(0.2, description="share by which each perturbation goes beyond the boundary")

    def check(self, shape: Shape) -> None:
        check_radius("largest", self.largest, shape)

    def label(self) -> str:
        return "adversarial pool"


class DeepDefence(DefenceSpec):
    """A penalty on small minimum perturbations, found by DeepFool steps (Yan et al. 2018, Deep Defense)."""

    kind: Literal["deep_defense"] = Field(description="a penalty on small minimum perturbations")
    weight: Positive = Field(15.0, description="weight of the penalty (the paper's lambda)")
    c: Positive = Field(25.0, description="slope of the penalty for rightly classified images")
    d: Positive = Field(5.0, description="slope of the penalty for wrongly classified ones")
    steps: Count = Field(3, description="DeepFool steps")

    def label(self) -> str:
        return "Deep Defense"


class BayesianDefence(DefenceSpec):
    """Posterior samples of weights, trained on samples of adversarial images (Ye and Zhu 2018)."""

    stochastic: ClassVar[bool] = True
    kind: Literal["bayesian"] = Field(description="Bayesian adversarial learning; the model must be an ensemble")
    eps: Size = Field(0.3, description="radius of the L∞ ball, on the [0, 1] scale of pixels")
    steps: Count = Field(5, description="Langevin steps on the images")
    temperature: NonNegative = Field(1e-5, description="scale of the noise on the weights")

    def label(self) -> str:
        return f"Bayesian {self.eps:g}"
