"""Defences: training methods that make classifiers robust."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from advgen.specs.base import Count, Fraction, NonNegative, Positive, Shape, Size, Spec, check_ball, check_radius


class DefenceSpec(Spec):
    """Base of all defences. `label()` is the name in tables; a `stochastic` defence needs an ensemble."""

    stochastic: ClassVar[bool] = False

    def check(self, shape: Shape) -> None:
        """Raise WrongValue if the defence cannot be used on images of this shape."""

    def label(self) -> str:
        """Return a short name with the budget."""
        raise NotImplementedError


class NoiseDefence(DefenceSpec):
    """Training on noisy images: the control for adversarial training."""

    kind: Literal["noise"] = Field(description="random noise on every training image")
    noise: Literal["gaussian", "uniform", "sign"] = Field(
        "sign", description="gaussian: standard deviation eps; uniform: within ±eps; sign: +eps or -eps"
    )
    eps: Size = Field(0.25, description="size of the noise, on the [0, 1] scale of pixels")

    def label(self) -> str:
        return f"{self.noise} noise {self.eps:g}"


class FgsmDefence(DefenceSpec):
    """Cross-entropy on clean images and on FGSM examples of the current weights (Goodfellow et al. 2015)."""

    kind: Literal["fgsm"] = Field(description="FGSM-regularised training")
    eps: Size = Field(0.25, description="largest change of a pixel, on the [0, 1] scale")
    alpha: Fraction = Field(0.5, description="weight of the clean images")

    def label(self) -> str:
        return f"FGSM {self.eps:g}"


class PgdDefence(DefenceSpec):
    """Adversarial training on PGD examples (Madry et al. 2018)."""

    kind: Literal["pgd"] = Field(description="training on PGD examples")
    norm: Literal["linf", "l2"] = Field("linf", description="norm of the ball")
    eps: Positive = Field(0.3, description="radius of the ball, on the [0, 1] scale of pixels")
    steps: Count = Field(40, description="gradient steps")
    step_size: NonNegative = Field(
        default_factory=lambda keys: 2.5 * keys["eps"] / keys["steps"] if {"eps", "steps"} <= keys.keys() else 0.0,
        description="length of a step; omitted: 2.5 eps / steps",
    )
    eps_warmup: NonNegative = Field(0.0, description="epochs in which eps grows from zero")

    @model_validator(mode="after")
    def _check_keys_fit(self) -> PgdDefence:
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
        default_factory=lambda keys: 1.25 * keys["eps"] if "eps" in keys else 0.0,
        description="length of the step; omitted: 1.25 eps",
    )
    eps_warmup: NonNegative = Field(0.0, description="epochs in which eps grows from zero")

    @model_validator(mode="after")
    def _check_keys_fit(self) -> FastDefence:
        check_ball("linf", self.eps, self.step_size)
        return self

    def label(self) -> str:
        return f"fast {self.eps:g}"


class IbpDefence(DefenceSpec):
    """Training on interval bounds, which give certified robustness (Gowal et al. 2018)."""

    kind: Literal["ibp"] = Field(description="training on interval bounds, for certified radii")
    eps: Size = Field(0.1, description="radius of the L∞ ball, on the [0, 1] scale of pixels")
    kappa: Fraction = Field(0.5, description="weight of the clean images at the full eps")
    eps_warmup: NonNegative = Field(1.0, description="epochs in which eps grows from zero")

    def label(self) -> str:
        return f"IBP {self.eps:g}"


class PoolDefence(DefenceSpec):
    """Training images mixed with a pool of minimum-norm adversarial examples (Szegedy et al. 2014)."""

    kind: Literal["pool"] = Field(description="a pool of adversarial examples, refreshed during training")
    size: Count = Field(5000, description="examples in the pool")
    share: Annotated[float, Field(gt=0, lt=1)] = Field(0.2, description="fraction of each batch from the pool")
    largest: Positive = Field(
        1.0, description="largest L2 norm of a perturbation, on the [0, 1] scale of pixels; longer ones are shortened"
    )
    refresh: Positive = Field(1.0, description="epochs between two updates of the whole pool")
    steps: Count = Field(20, description="steps of the minimum-norm search behind each example")
    overshoot: NonNegative = Field(0.2, description="fraction by which each perturbation exceeds the boundary")

    def check(self, shape: Shape) -> None:
        check_radius("largest", self.largest, shape)

    def label(self) -> str:
        return "adversarial pool"


class DeepDefence(DefenceSpec):
    """A penalty on small minimum perturbations, found by DeepFool steps (Yan et al. 2018, Deep Defense)."""

    kind: Literal["deep_defense"] = Field(description="a penalty on small minimum perturbations")
    weight: Positive = Field(15.0, description="weight of the penalty (the paper's lambda)")
    c: Positive = Field(25.0, description="slope of the penalty for correctly classified images")
    d: Positive = Field(5.0, description="slope of the penalty for misclassified images")
    steps: Count = Field(3, description="DeepFool steps")

    def label(self) -> str:
        return "Deep Defense"


class BayesianDefence(DefenceSpec):
    """Samples of the weights from their posterior, given samples of adversarial images (Ye and Zhu 2018)."""

    stochastic: ClassVar[bool] = True
    kind: Literal["bayesian"] = Field(description="Bayesian adversarial learning; the model must be an ensemble")
    eps: Size = Field(0.3, description="radius of the L∞ ball, on the [0, 1] scale of pixels")
    steps: Count = Field(5, description="Langevin steps on the images")
    temperature: NonNegative = Field(1e-5, description="scale of the noise on the weights")

    def label(self) -> str:
        return f"Bayesian {self.eps:g}"
