"""Attacks on classifiers, and their threat models."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, SerializeAsAny, model_validator

from advgen.specs.base import (
    Count,
    Fraction,
    Index,
    LearningRate,
    NonNegative,
    Positive,
    Shape,
    Size,
    Spec,
    WrongValue,
    check_ball,
    check_radius,
    format_shape,
    of_family,
)
from advgen.specs.masks import MaskSpec

Access = Literal["white-box", "score-based", "decision-based", "none"]
Target = Index | Literal["random", "nearest"] | None


class Threat(NamedTuple):
    """The threat model of one attack, as columns. `eps` is None where the attack seeks the smallest change.

    `loss` is what the attack climbs: two attacks that climb different ones are different attacks.
    """

    norm: str
    eps: float | None
    steps: int
    access: Access
    restarts: int = 1
    step_size: float = 0.0
    target: str = "none"
    loss: str = "none"


class AttackSpec(Spec):
    """Base of all attacks. `threat()` is what stands in every table beside a robustness number."""

    def threat(self) -> Threat:
        """Norm, budget and effort of the attack."""
        raise NotImplementedError

    def members(self) -> dict[str, AttackSpec]:
        """The attacks by name that it runs one after the other, if it is made of others; then it notes who did it."""
        return {}

    def stays_in_box(self) -> bool:
        """Whether its images keep to [0, 1]; if not, they serve transfer studies alone and no robustness number."""
        return True

    def others(self) -> int:
        """How many images that are not attacked it learns from first, if any."""
        return 0

    def check(self, shape: Shape, classes: int) -> None:
        """WrongValue if it cannot attack a classifier that tells so many classes of such images apart."""


class TargetedAttack(AttackSpec):
    """Base of attacks that can aim at a class."""

    target: Target = Field(
        None, description="class to reach: a number, random, nearest (the likeliest wrong one); null: any wrong one"
    )

    def check(self, shape: Shape, classes: int) -> None:
        if isinstance(self.target, int) and self.target >= classes:
            raise WrongValue("target", self.target, f"does not exist; there are classes 0 to {classes - 1}")

    def _target(self) -> str:
        return "none" if self.target is None else str(self.target)


class MinimumNormAttack(AttackSpec):
    """Base of attacks that seek the smallest change; they have no budget."""

    rounded: bool = Field(
        False,
        description="give images of 256 grey levels that fool as they are: the change grows until it fools when "
        "rounded; where it never does, the image stays as it is",
    )


LEAST_FOR_DLR = 3
"""Classes that the difference of logits ratio compares."""


def check_loss(loss: str, targeted: bool, classes: int) -> None:
    """WrongValue if a loss compares more classes than there are."""
    needed = LEAST_FOR_DLR + targeted
    if loss == "dlr" and classes < needed:
        which = "with a target" if targeted else "without a target"
        message = f"{which} needs {needed} classes, and there are {classes}; choose margin or cross_entropy"
        raise WrongValue("loss", loss, message)


class Expectation(Spec):
    """Random transformations of the image over which each step of an attack averages (Athalye et al. 2018)."""

    samples: Count = Field(10, description="transformations per step; with degrees and pixels 0, passes of the model")
    degrees: Annotated[float, Field(ge=0, le=180)] = Field(15.0, description="largest rotation to either side")
    pixels: NonNegative = Field(2.0, description="largest shift in each direction")


def expected(loss: str, expectation: Expectation | None) -> str:
    """What an attack climbs that may average over transformations."""
    return loss if expectation is None else f"expected {loss}"


EXPECTATION = Field(
    None, description="average each step over random transformations of the image, or over passes of a random model"
)


class FgsmAttack(TargetedAttack):
    """One step of size eps along the sign of the input gradient (Goodfellow et al. 2015)."""

    kind: Literal["fgsm"] = Field(description="fast gradient sign method")
    eps: Size = Field(0.25, description="largest change of a pixel, on the [0, 1] scale")

    def threat(self) -> Threat:
        return Threat(
            norm="linf",
            eps=self.eps,
            steps=1,
            step_size=self.eps,
            access="white-box",
            target=self._target(),
            loss="cross_entropy",
        )


class PgdAttack(TargetedAttack):
    """Projected gradient steps inside a ball around the image (Madry et al. 2018)."""

    kind: Literal["pgd"] = Field(description="projected gradient descent")
    eps: Positive = Field(0.3, description="radius of the ball, on the [0, 1] scale of pixels")
    norm: Literal["linf", "l2"] = Field("linf", description="norm of the ball")
    steps: Count = Field(40, description="gradient steps per restart")
    step_size: NonNegative = Field(
        default_factory=lambda given: 2.5 * given["eps"] / given["steps"] if {"eps", "steps"} <= given.keys() else 0.0,
        description="length of a step; left out: 2.5 eps / steps",
    )
    restarts: Count = Field(1, description="random starts; a point counts as safe only if all fail")
    random_start: bool = Field(True, description="start at a random point of the ball")
    loss: Literal["cross_entropy", "normalized_cross_entropy", "margin", "dlr"] = Field(
        "cross_entropy",
        description="what is climbed: cross-entropy, the margin of Carlini and Wagner, or the difference of logits "
        "ratio of Croce and Hein",
    )
    early_stopping: bool = Field(
        False, description="stop working on an image as soon as it is fooled: faster, but the last iterate is lost"
    )
    expectation: Expectation | None = EXPECTATION

    @model_validator(mode="after")
    def _goes_together(self) -> PgdAttack:
        if self.restarts > 1 and not self.random_start:
            message = "without random_start the same attack is repeated; set random_start: true"
            raise WrongValue("restarts", self.restarts, message)
        check_ball(self.norm, self.eps, self.step_size)
        return self

    def check(self, shape: Shape, classes: int) -> None:
        super().check(shape, classes)
        if self.norm == "l2":
            check_radius("eps", self.eps, shape)
        check_loss(self.loss, self.target is not None, classes)

    def threat(self) -> Threat:
        return Threat(
            norm=self.norm,
            eps=self.eps,
            steps=self.steps,
            restarts=self.restarts,
            step_size=self.step_size,
            access="white-box",
            target=self._target(),
            loss=expected(self.loss, self.expectation),
        )


class ApgdAttack(TargetedAttack):
    """Projected gradient steps with momentum that halve their own size (Croce and Hein 2020)."""

    kind: Literal["apgd"] = Field(description="Auto-PGD: projected gradient steps that find their own size")
    eps: Positive = Field(0.3, description="radius of the ball, on the [0, 1] scale of pixels")
    norm: Literal["linf", "l2", "l1"] = Field("linf", description="norm of the ball")
    steps: Count = Field(100, description="gradient steps from each start")
    restarts: Count = Field(1, description="random starts; a point counts as safe only if all fail")
    loss: Literal["cross_entropy", "normalized_cross_entropy", "margin", "dlr"] = Field(
        "cross_entropy", description="what is climbed, as in pgd"
    )
    targets: Count | None = Field(
        None,
        description="climb the loss towards each of so many likeliest wrong classes, one after the other, until one "
        "fools; null: away from the label",
    )
    early_stopping: bool = Field(
        True, description="stop working on an image as soon as it is fooled; false: go on to the highest loss"
    )
    expectation: Expectation | None = EXPECTATION

    @model_validator(mode="after")
    def _goes_together(self) -> ApgdAttack:
        if self.targets is not None and self.target is not None:
            message = "asks for many classes, and target for one; leave one of them out"
            raise WrongValue("targets", self.targets, message)
        check_ball(self.norm, self.eps, 0.0)
        return self

    def check(self, shape: Shape, classes: int) -> None:
        super().check(shape, classes)
        if self.norm != "linf":
            check_radius("eps", self.eps, shape, self.norm)
        check_loss(self.loss, self.target is not None or self.targets is not None, classes)

    def threat(self) -> Threat:
        return Threat(
            norm=self.norm,
            eps=self.eps,
            steps=self.steps,
            restarts=self.restarts * (self.targets or 1),
            step_size=self.eps if self.norm == "l1" else 2 * self.eps,
            access="white-box",
            target=self._target(),
            loss=expected(self.loss if self.targets is None else f"targeted {self.loss}", self.expectation),
        )


class UniversalAttack(AttackSpec):
    """One change for all images, learnt on other ones (Moosavi-Dezfooli et al. 2017, Shafahi et al. 2020)."""

    kind: Literal["universal"] = Field(description="universal perturbation: one change for all images")
    eps: Positive = Field(0.3, description="radius of the ball, on the [0, 1] scale of pixels")
    norm: Literal["linf", "l2"] = Field("linf", description="norm of the ball")
    images: Count = Field(500, description="test images that are not attacked, from which the change is learnt")
    epochs: Count = Field(10, description="passes over these images")
    batch: Count = Field(50, description="images per gradient step")
    step_size: NonNegative = Field(
        default_factory=lambda given: given["eps"] / 10 if "eps" in given else 0.0,
        description="length of a step; left out: eps / 10",
    )
    clip: Positive = Field(9.0, description="cross-entropy beyond which an image's share in the mean stays as it is")

    @model_validator(mode="after")
    def _goes_together(self) -> UniversalAttack:
        check_ball(self.norm, self.eps, self.step_size)
        return self

    def others(self) -> int:
        return self.images

    def check(self, shape: Shape, classes: int) -> None:
        if self.norm == "l2":
            check_radius("eps", self.eps, shape)

    def threat(self) -> Threat:
        return Threat(
            norm=self.norm,
            eps=self.eps,
            steps=self.epochs * -(-self.images // self.batch),
            step_size=self.step_size,
            access="white-box",
            loss="universal cross_entropy",
        )


class RegionAttack(TargetedAttack):
    """Projected gradient steps that change only the pixels of a region, as much as they like (Sharif et al. 2016)."""

    kind: Literal["region"] = Field(description="changes only pixels of a region, such as glasses")
    region: Annotated[SerializeAsAny[MaskSpec], of_family("masks")] = Field(
        description="a mask's own keys; the pixels that it blackens may change"
    )
    steps: Count = Field(100, description="gradient steps")
    step_size: Size = Field(0.1, description="length of a step, on the [0, 1] scale of pixels")
    expectation: Expectation | None = EXPECTATION

    def check(self, shape: Shape, classes: int) -> None:
        super().check(shape, classes)
        if not 0 < self.region.missing(shape) < shape[1] * shape[2]:
            message = f"leaves nothing or everything of {format_shape(shape)} images; change the mask"
            raise WrongValue("region", self.region.kind, message)  # type: ignore[attr-defined]

    def threat(self) -> Threat:
        return Threat(
            norm="region",
            eps=1.0,
            steps=self.steps,
            step_size=self.step_size,
            access="white-box",
            target=self._target(),
            loss=expected("cross_entropy", self.expectation),
        )


class LbfgsAttack(MinimumNormAttack, TargetedAttack):
    """The smallest change that misleads, by box-constrained L-BFGS and a search over c (Szegedy et al. 2014)."""

    kind: Literal["lbfgs"] = Field(description="box-constrained L-BFGS")
    target: Target = Field(
        "nearest",
        description="class to reach: a number, random, nearest (the likeliest wrong one); null: any wrong one",
    )
    steps: Count = Field(30, description="iterations for each c")
    searches: Count = Field(8, description="values of c tried for each image")
    memory: Count = Field(
        3, description="pairs that the approximation of the Hessian keeps; more find no smaller changes"
    )

    def threat(self) -> Threat:
        return Threat(
            norm="l2",
            eps=None,
            steps=self.steps * self.searches,
            access="white-box",
            target=self._target(),
            loss="cross_entropy",
        )


class DeepFoolAttack(MinimumNormAttack):
    """Steps to the nearest linearised boundary until the label changes (Moosavi-Dezfooli et al. 2016)."""

    kind: Literal["deepfool"] = Field(description="DeepFool, L2")
    steps: Count = Field(50, description="most steps")
    overshoot: NonNegative = Field(0.02, description="share by which the change goes beyond the boundary")

    def threat(self) -> Threat:
        return Threat(norm="l2", eps=None, steps=self.steps, access="white-box", target="none")


class FmnAttack(MinimumNormAttack, TargetedAttack):
    """The smallest change, on a walk along the boundary in a ball that adapts (Pintor et al. 2021)."""

    kind: Literal["fmn"] = Field(description="fast minimum-norm attack, L∞, L2, L1 or L0")
    norm: Literal["linf", "l2", "l1", "l0"] = Field("l2", description="norm of the change that is made small")
    steps: Count = Field(100, description="gradient steps")
    step_size: Positive = Field(1.0, description="L2 length of the first step; the last one has a hundredth of it")
    shrink: Size = Field(0.05, description="share by which the first steps change the ball")
    within: NonNegative = Field(
        0.0, description="stop working on an image once it is fooled by so small a change; 0: seek the smallest"
    )

    def threat(self) -> Threat:
        return Threat(
            norm=self.norm,
            eps=None,
            steps=self.steps,
            step_size=self.step_size,
            access="white-box",
            target=self._target(),
            loss="margin",
        )


class FabAttack(MinimumNormAttack):
    """The smallest change, by projections onto linearised boundaries inside the box (Croce and Hein 2020)."""

    kind: Literal["fab"] = Field(description="fast adaptive boundary attack, L∞, L2 or L1")
    norm: Literal["linf", "l2", "l1"] = Field("l2", description="norm of the change that is made small")
    steps: Count = Field(100, description="gradient steps towards each class")
    targets: Count = Field(9, description="likeliest wrong classes towards which it walks, one after the other")
    within: NonNegative = Field(
        0.0, description="stop working on an image once it is fooled by so small a change; 0: seek the smallest"
    )

    def threat(self) -> Threat:
        return Threat(
            norm=self.norm,
            eps=None,
            steps=self.steps,
            restarts=self.targets,
            access="white-box",
            loss="targeted margin",
        )


class JsmaAttack(MinimumNormAttack, TargetedAttack):
    """Pixels changed to the extreme one pair after the other, by a saliency map (Papernot et al. 2016)."""

    kind: Literal["jsma"] = Field(description="Jacobian saliency map attack")
    target: Index | Literal["random", "nearest"] = Field(
        "nearest", description="class to reach: a number, random, nearest (the likeliest wrong one)"
    )
    share: Annotated[float, Field(gt=0, le=1)] = Field(0.15, description="largest share of the pixels changed")
    theta: Annotated[float, Field(gt=0, le=1)] = Field(1.0, description="change of each chosen pixel")

    def threat(self) -> Threat:
        return Threat(norm="l0", eps=None, steps=0, step_size=self.theta, access="white-box", target=self._target())


class CarliniWagnerAttack(MinimumNormAttack, TargetedAttack):
    """The smallest L2 change in tanh space with a binary search over c (Carlini and Wagner 2017)."""

    kind: Literal["carlini_wagner"] = Field(description="Carlini and Wagner's L2 attack")
    steps: Count = Field(200, description="Adam steps for each c")
    searches: Count = Field(5, description="values of c tried for each image")
    lr: LearningRate = Field(0.05, description="Adam learning rate in tanh space")
    confidence: NonNegative = Field(0.0, description="margin that the wrong class must reach")
    initial_c: Positive = Field(0.1, description="first weight of the margin")
    early_stopping: bool = Field(
        True, description="end the search of an image for a c once a tenth of the steps has not lowered its loss"
    )

    def threat(self) -> Threat:
        return Threat(
            norm="l2",
            eps=None,
            steps=self.steps * self.searches,
            step_size=self.lr,
            access="white-box",
            target=self._target(),
            loss="margin",
        )


class SquareAttack(AttackSpec):
    """Changes of random squares, kept when they raise the loss; sees scores alone (Andriushchenko et al. 2020)."""

    kind: Literal["square"] = Field(description="Square attack, L∞, L2 or L1, from scores alone")
    eps: Positive = Field(0.3, description="radius of the ball, on the [0, 1] scale of pixels")
    norm: Literal["linf", "l2", "l1"] = Field("linf", description="norm of the ball")
    queries: Count = Field(1000, description="most queries per image")
    initial: Annotated[float, Field(gt=0, le=1)] = Field(0.8, description="share of the image in the first squares")

    @model_validator(mode="after")
    def _goes_together(self) -> SquareAttack:
        check_ball(self.norm, self.eps, 0.0)
        return self

    def check(self, shape: Shape, classes: int) -> None:
        if self.norm != "linf":
            check_radius("eps", self.eps, shape, self.norm)

    def threat(self) -> Threat:
        return Threat(
            norm=self.norm,
            eps=self.eps,
            steps=self.queries,
            access="score-based",
            loss="margin",
        )


class HopSkipJumpAttack(MinimumNormAttack):
    """The smallest change, on a walk along the boundary that sees labels alone (Chen et al. 2020)."""

    kind: Literal["hop_skip_jump"] = Field(description="HopSkipJump, L2 or L∞, from labels alone")
    norm: Literal["linf", "l2"] = Field("l2", description="norm of the change that is made small")
    queries: Count = Field(5000, description="most queries per image; where rounded, 60 of them are kept for that")
    draws: Count = Field(
        100, description="random points at which the first step asks for labels; the n-th asks √n times as many"
    )

    def threat(self) -> Threat:
        return Threat(norm=self.norm, eps=None, steps=self.queries, access="decision-based")


class EnsembleAttack(AttackSpec):
    """Several attacks, each on what the ones before it have left right, after Croce and Hein (2020)."""

    kind: Literal["ensemble"] = Field(description="attack ensemble: the worst of several attacks of one ball")
    effort: Literal["standard", "quick"] = Field(
        "standard",
        description="standard: APGD on the cross-entropy and on the difference of logits ratio, APGD towards the "
        "likeliest wrong classes, FAB and Square; quick: a small part of its cost, APGD with fewer steps on images "
        "whose label came near to losing its lead, and in L2 and L1 FAB with fewer",
    )
    norm: Literal["linf", "l2", "l1"] = Field("linf", description="norm of the ball")
    eps: Positive = Field(0.3, description="radius of the ball, on the [0, 1] scale of pixels")
    queries: Count = Field(
        5000, description="standard: most queries of Square for each image that the other attacks leave correct"
    )

    @model_validator(mode="after")
    def _goes_together(self) -> EnsembleAttack:
        check_ball(self.norm, self.eps, 0.0)
        return self

    def members(self, classes: int = LEAST_FOR_DLR) -> dict[str, AttackSpec]:
        """The attacks by name, in the order in which they are tried; of two classes there is no DLR, but a margin."""

        def apgd(**keys: Any) -> ApgdAttack:
            return ApgdAttack(kind="apgd", eps=self.eps, norm=self.norm, **keys)

        def fab(**keys: Any) -> FabAttack:
            return FabAttack(kind="fab", norm=self.norm, within=self.eps, **keys)

        # every member gives the same examples whatever the scale of the logits is
        first = apgd(loss="normalized_cross_entropy", steps=8 if self.effort == "quick" else 100)
        if self.effort == "quick" and self.norm == "linf":
            return {"APGD-CE": first, "APGD-T": apgd(loss="margin", steps=20, targets=2)}
        if self.effort == "quick":
            return {"APGD-CE": first, "APGD-margin": apgd(loss="margin", steps=20), "FAB": fab(steps=30, targets=3)}
        return {
            "APGD-CE": first,
            "APGD-DLR": apgd(loss="dlr" if classes >= LEAST_FOR_DLR else "margin"),
            "APGD-T": apgd(loss="margin", steps=60, targets=5),
            "FAB": fab(steps=50, targets=5) if self.norm == "linf" else fab(),
            "Square": SquareAttack(kind="square", norm=self.norm, eps=self.eps, queries=self.queries),
        }

    def check(self, shape: Shape, classes: int) -> None:
        for member in self.members(classes).values():
            member.check(shape, classes)

    def threat(self) -> Threat:
        members = [member.threat() for member in self.members().values()]
        return Threat(
            norm=self.norm,
            eps=self.eps,
            steps=sum(member.steps * member.restarts for member in members),
            access="white-box",
            loss=self.effort,
        )


class OnePixelAttack(AttackSpec):
    """One pixel set to any value (Su et al. 2019)."""

    kind: Literal["one_pixel"] = Field(description="one pixel, by differential evolution or exhaustively")
    search: Literal["evolution", "exhaustive"] = Field(
        "evolution", description="evolution: as published; exhaustive: every pixel at every level, a proof for those"
    )
    population: Count = Field(100, description="candidates of the evolution")
    generations: Count = Field(20, description="generations of the evolution")
    levels: Annotated[int, Field(ge=2, le=256)] = Field(2, description="grey levels per channel tried exhaustively")

    def threat(self) -> Threat:
        steps = self.generations if self.search == "evolution" else self.levels
        return Threat(
            norm="l0",
            eps=1.0,
            steps=steps,
            access="score-based",
            loss="margin",
        )


class SpatialAttack(AttackSpec):
    """A rotation and a translation of the whole image (Engstrom et al. 2019)."""

    kind: Literal["spatial"] = Field(description="rotation and translation")
    search: Literal["grid", "random", "first_order"] = Field(
        "grid", description="grid: the worst of all combinations; random: the worst of some; first_order: by gradient"
    )
    degrees: Annotated[float, Field(ge=0, le=180)] = Field(30.0, description="largest rotation to either side")
    pixels: NonNegative = Field(3.0, description="largest shift in each direction")
    angles: Count = Field(31, description="angles in the grid")
    shifts: Count = Field(5, description="shifts in each direction in the grid")
    tries: Count = Field(10, description="random transformations, or gradient steps")

    def check(self, shape: Shape, classes: int) -> None:
        if self.pixels >= min(shape[1:]):
            raise WrongValue("pixels", self.pixels, f"shifts {format_shape(shape)} images out of sight")

    def threat(self) -> Threat:
        steps = self.angles * self.shifts**2 if self.search == "grid" else self.tries
        access: Access = "white-box" if self.search == "first_order" else "score-based"
        return Threat(
            norm="spatial",
            eps=None,
            steps=steps,
            access=access,
            loss="cross_entropy",
        )


class GaussianNoise(AttackSpec):
    """Gaussian noise of a given RMS: the control that every attack must beat."""

    kind: Literal["gaussian_noise"] = Field(description="Gaussian noise; no gradient is used")
    sd: Fraction = Field(0.3, description="standard deviation, on the [0, 1] scale of pixels")
    clipped: bool = Field(
        True,
        description="clip to [0, 1], which brightens black pixels by 0.4 sd on average; false: as published noise, in "
        "transfers alone",
    )

    def stays_in_box(self) -> bool:
        return self.clipped

    def threat(self) -> Threat:
        return Threat(norm="none", eps=self.sd, steps=0, access="none")
