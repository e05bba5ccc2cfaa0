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
Loss = Literal["cross_entropy", "normalized_cross_entropy", "margin", "dlr"]
DLR_CLASSES = 3
"""Classes that the difference of logits ratio compares; with a target, one more."""


class Threat(NamedTuple):
    """The threat model of an attack, as table columns. `eps` is None for attacks that minimise the perturbation.

    `loss` is the objective that the attack maximises. Attacks with different objectives are different attacks.
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
    """Base of all attacks. Every table with a robustness result has the columns of `threat()`."""

    def threat(self) -> Threat:
        """Return norm, budget and effort of the attack."""
        raise NotImplementedError

    def members(self) -> dict[str, AttackSpec]:
        """Return the attacks that an ensemble runs one after the other, by name; empty for a single attack."""
        return {}

    def stays_in_box(self) -> bool:
        """Return whether its images stay in [0, 1]. If not, only transfer studies may use it."""
        return True

    def others(self) -> int:
        """Return the number of images, besides the attacked ones, that the attack is trained on."""
        return 0

    def check(self, shape: Shape, classes: int) -> None:
        """Raise WrongValue if the attack cannot run on images of this shape and this number of classes."""

    def _threat(self, **fields: Any) -> Threat:
        """Return a white-box threat model with the attack's own keys, and with `fields` in their place."""
        names = ("norm", "eps", "steps", "restarts", "step_size")
        keys = {name: getattr(self, name) for name in names if name in type(self).model_fields}
        target = getattr(self, "target", None)
        return Threat(**{"access": "white-box", "target": "none" if target is None else str(target), **keys, **fields})


class TargetedAttack(AttackSpec):
    """Base of attacks that can aim at a class."""

    target: Target = Field(
        None, description="target class: a number, random, or nearest (the most likely wrong class); null: untargeted"
    )

    def check(self, shape: Shape, classes: int) -> None:
        if isinstance(self.target, int) and self.target >= classes:
            raise WrongValue("target", self.target, f"does not exist; there are classes 0 to {classes - 1}")


class MinimumNormAttack(AttackSpec):
    """Base of attacks that minimise the perturbation; they have no budget."""

    rounded: bool = Field(
        False,
        description="return 8-bit images that are still adversarial: the perturbation grows until its rounded "
        "image is; if none is, the image stays unchanged",
    )


def check_loss(loss: str, targeted: bool, classes: int) -> None:
    """Raise WrongValue if a loss compares more classes than there are."""
    needed = DLR_CLASSES + targeted
    if loss == "dlr" and classes < needed:
        which = "with a target" if targeted else "without a target"
        message = f"{which} needs {needed} classes, and there are {classes}; choose margin or cross_entropy"
        raise WrongValue("loss", loss, message)


class Expectation(Spec):
    """Random transformations of the image over which each step of an attack averages (Athalye et al. 2018)."""

    samples: Count = Field(
        10,
        description="number of samples per step: transformed images or, if degrees and pixels are 0, "
        "repeated forward passes",
    )
    degrees: Annotated[float, Field(ge=0, le=180)] = Field(15.0, description="largest rotation in each direction")
    pixels: NonNegative = Field(2.0, description="largest shift in each direction")


def name_loss(loss: str, expectation: Expectation | None) -> str:
    """Return the name of a loss that may be averaged over transformations."""
    return loss if expectation is None else f"expected {loss}"


RADIUS = Field(0.3, description="radius of the ball, on the [0, 1] scale of pixels")
BALL_NORM = "norm of the ball"
MINIMISED_NORM = "norm of the perturbation that is minimised"
RESTARTS = Field(1, description="random starts; an image counts as robust only if all of them fail")
WITHIN = Field(
    0.0, description="stop working on an image at a perturbation of at most this norm; 0: search for the smallest"
)
EXPECTATION = Field(
    None,
    description="average each step over random transformations of the image, or over forward passes of a random model",
)


class FgsmAttack(TargetedAttack):
    """One step of size eps along the sign of the input gradient (Goodfellow et al. 2015)."""

    kind: Literal["fgsm"] = Field(description="fast gradient sign method")
    eps: Size = Field(0.25, description="largest change of a pixel, on the [0, 1] scale")

    def threat(self) -> Threat:
        return self._threat(norm="linf", steps=1, step_size=self.eps, loss="cross_entropy")


class PgdAttack(TargetedAttack):
    """Projected gradient steps inside a ball around the image (Madry et al. 2018)."""

    kind: Literal["pgd"] = Field(description="projected gradient descent")
    eps: Positive = RADIUS
    norm: Literal["linf", "l2"] = Field("linf", description=BALL_NORM)
    steps: Count = Field(40, description="gradient steps per restart")
    step_size: NonNegative = Field(
        default_factory=lambda keys: 2.5 * keys["eps"] / keys["steps"] if {"eps", "steps"} <= keys.keys() else 0.0,
        description="length of a step; omitted: 2.5 eps / steps",
    )
    restarts: Count = RESTARTS
    random_start: bool = Field(True, description="start at a random point of the ball")
    loss: Loss = Field(
        "cross_entropy",
        description="objective that is maximised: cross-entropy, the margin loss of Carlini and Wagner, or the "
        "difference of logits ratio (DLR) of Croce and Hein",
    )
    early_stopping: bool = Field(
        False, description="stop working on an image once it is misclassified: faster, but the last iterate is lost"
    )
    expectation: Expectation | None = EXPECTATION

    @model_validator(mode="after")
    def _check_keys_fit(self) -> PgdAttack:
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
        return self._threat(loss=name_loss(self.loss, self.expectation))


class ApgdAttack(TargetedAttack):
    """Projected gradient steps with momentum that halve their own size (Croce and Hein 2020)."""

    kind: Literal["apgd"] = Field(description="Auto-PGD: projected gradient steps that adapt their size")
    eps: Positive = RADIUS
    norm: Literal["linf", "l2", "l1"] = Field("linf", description=BALL_NORM)
    steps: Count = Field(100, description="gradient steps from each start")
    restarts: Count = RESTARTS
    loss: Loss = Field("cross_entropy", description="objective that is maximised, as in pgd")
    targets: Count | None = Field(
        None,
        description="number of most likely wrong classes to aim at, one after the other, until one succeeds; null: "
        "untargeted",
    )
    early_stopping: bool = Field(
        True, description="stop working on an image once it is misclassified; false: continue to the highest loss"
    )
    expectation: Expectation | None = EXPECTATION

    @model_validator(mode="after")
    def _check_keys_fit(self) -> ApgdAttack:
        if self.targets is not None and self.target is not None:
            raise WrongValue("targets", self.targets, "cannot be combined with target; remove one of them")
        check_ball(self.norm, self.eps, 0.0)
        return self

    def check(self, shape: Shape, classes: int) -> None:
        super().check(shape, classes)
        if self.norm != "linf":
            check_radius("eps", self.eps, shape, self.norm)
        check_loss(self.loss, self.target is not None or self.targets is not None, classes)

    def threat(self) -> Threat:
        loss = self.loss if self.targets is None else f"targeted {self.loss}"
        return self._threat(
            restarts=self.restarts * (self.targets or 1),
            step_size=self.eps if self.norm == "l1" else 2 * self.eps,
            loss=name_loss(loss, self.expectation),
        )


class UniversalAttack(AttackSpec):
    """One perturbation for all images, trained on others (Moosavi-Dezfooli et al. 2017, Shafahi et al. 2020)."""

    kind: Literal["universal"] = Field(description="universal perturbation: the same for all images")
    eps: Positive = RADIUS
    norm: Literal["linf", "l2"] = Field("linf", description=BALL_NORM)
    images: Count = Field(
        500, description="number of test images on which the perturbation is trained; none of them is attacked later"
    )
    epochs: Count = Field(10, description="passes over these images")
    batch: Count = Field(50, description="images per gradient step")
    step_size: NonNegative = Field(
        default_factory=lambda keys: keys["eps"] / 10 if "eps" in keys else 0.0,
        description="length of a step; omitted: eps / 10",
    )
    clip: Positive = Field(9.0, description="limit on the cross-entropy of each image before averaging")

    @model_validator(mode="after")
    def _check_keys_fit(self) -> UniversalAttack:
        check_ball(self.norm, self.eps, self.step_size)
        return self

    def others(self) -> int:
        return self.images

    def check(self, shape: Shape, classes: int) -> None:
        if self.norm == "l2":
            check_radius("eps", self.eps, shape)

    def threat(self) -> Threat:
        return self._threat(steps=self.epochs * -(-self.images // self.batch), loss="universal cross_entropy")


class RegionAttack(TargetedAttack):
    """Projected gradient steps that change only the pixels of a region, without a bound (Sharif et al. 2016)."""

    kind: Literal["region"] = Field(description="changes only the pixels of a region, such as glasses")
    region: Annotated[SerializeAsAny[MaskSpec], of_family("masks")] = Field(
        description="keys of a mask; the attack may change the pixels that this mask hides"
    )
    steps: Count = Field(100, description="gradient steps")
    step_size: Size = Field(0.1, description="length of a step, on the [0, 1] scale of pixels")
    expectation: Expectation | None = EXPECTATION

    def check(self, shape: Shape, classes: int) -> None:
        super().check(shape, classes)
        if not 0 < self.region.missing(shape) < shape[1] * shape[2]:
            message = f"has no pixel or all pixels of {format_shape(shape)} images; change the mask"
            raise WrongValue("region", self.region.kind, message)  # type: ignore[attr-defined]

    def threat(self) -> Threat:
        return self._threat(norm="region", eps=1.0, loss=name_loss("cross_entropy", self.expectation))


class LbfgsAttack(MinimumNormAttack, TargetedAttack):
    """The smallest adversarial perturbation by box-constrained L-BFGS and a search over c (Szegedy et al. 2014)."""

    kind: Literal["lbfgs"] = Field(description="box-constrained L-BFGS")
    target: Target = Field("nearest", description=TargetedAttack.model_fields["target"].description)
    steps: Count = Field(30, description="iterations for each c")
    searches: Count = Field(8, description="values of c tried for each image")
    memory: Count = Field(
        3, description="pairs in the approximation of the Hessian; more do not find smaller perturbations"
    )

    def threat(self) -> Threat:
        return self._threat(norm="l2", eps=None, steps=self.steps * self.searches, loss="cross_entropy")


class DeepFoolAttack(MinimumNormAttack):
    """Steps to the nearest linearised boundary until the label changes (Moosavi-Dezfooli et al. 2016)."""

    kind: Literal["deepfool"] = Field(description="DeepFool, L2")
    steps: Count = Field(50, description="maximum number of steps")
    overshoot: NonNegative = Field(0.02, description="fraction by which the perturbation exceeds the boundary")

    def threat(self) -> Threat:
        return self._threat(norm="l2", eps=None)


class FmnAttack(MinimumNormAttack, TargetedAttack):
    """The smallest perturbation, by steps along the boundary in a ball that adapts (Pintor et al. 2021)."""

    kind: Literal["fmn"] = Field(description="fast minimum-norm attack, L∞, L2, L1 or L0")
    norm: Literal["linf", "l2", "l1", "l0"] = Field("l2", description=MINIMISED_NORM)
    steps: Count = Field(100, description="gradient steps")
    step_size: Positive = Field(1.0, description="L2 length of the first step; the last one has a hundredth of it")
    shrink: Size = Field(0.05, description="relative change of the radius in the first steps")
    within: NonNegative = WITHIN

    def threat(self) -> Threat:
        return self._threat(eps=None, loss="margin")


class FabAttack(MinimumNormAttack):
    """The smallest perturbation, by projections onto linearised boundaries in the box (Croce and Hein 2020)."""

    kind: Literal["fab"] = Field(description="fast adaptive boundary attack, L∞, L2 or L1")
    norm: Literal["linf", "l2", "l1"] = Field("l2", description=MINIMISED_NORM)
    steps: Count = Field(100, description="gradient steps towards each class")
    targets: Count = Field(9, description="number of most likely wrong classes to aim at, one after the other")
    within: NonNegative = WITHIN

    def threat(self) -> Threat:
        return self._threat(eps=None, restarts=self.targets, loss="targeted margin")


class JsmaAttack(MinimumNormAttack, TargetedAttack):
    """Sets pairs of pixels to an extreme value, chosen by a saliency map (Papernot et al. 2016)."""

    kind: Literal["jsma"] = Field(description="Jacobian saliency map attack")
    target: Index | Literal["random", "nearest"] = Field(
        "nearest", description="target class: a number, random, or nearest (the most likely wrong class)"
    )
    share: Annotated[float, Field(gt=0, le=1)] = Field(0.15, description="largest fraction of the pixels changed")
    theta: Annotated[float, Field(gt=0, le=1)] = Field(1.0, description="change of each chosen pixel")

    def threat(self) -> Threat:
        return self._threat(norm="l0", eps=None, steps=0, step_size=self.theta)


class CarliniWagnerAttack(MinimumNormAttack, TargetedAttack):
    """The smallest L2 perturbation in tanh space with a binary search over c (Carlini and Wagner 2017)."""

    kind: Literal["carlini_wagner"] = Field(description="Carlini and Wagner's L2 attack")
    steps: Count = Field(200, description="Adam steps for each c")
    searches: Count = Field(5, description="values of c tried for each image")
    lr: LearningRate = Field(0.05, description="Adam learning rate in tanh space")
    confidence: NonNegative = Field(0.0, description="margin that the wrong class must reach")
    initial_c: Positive = Field(0.1, description="first weight of the margin")
    early_stopping: bool = Field(
        True, description="for each c, stop an image if its loss has not fallen for a tenth of the steps"
    )

    def threat(self) -> Threat:
        steps = self.steps * self.searches
        return self._threat(norm="l2", eps=None, steps=steps, step_size=self.lr, loss="margin")


class SquareAttack(AttackSpec):
    """Random squares that are kept if they raise the loss; uses scores only (Andriushchenko et al. 2020)."""

    kind: Literal["square"] = Field(description="Square attack, L∞, L2 or L1, from scores only")
    eps: Positive = RADIUS
    norm: Literal["linf", "l2", "l1"] = Field("linf", description=BALL_NORM)
    queries: Count = Field(1000, description="maximum number of queries per image")
    initial: Annotated[float, Field(gt=0, le=1)] = Field(0.8, description="fraction of the image in the first squares")

    @model_validator(mode="after")
    def _check_keys_fit(self) -> SquareAttack:
        check_ball(self.norm, self.eps, 0.0)
        return self

    def check(self, shape: Shape, classes: int) -> None:
        if self.norm != "linf":
            check_radius("eps", self.eps, shape, self.norm)

    def threat(self) -> Threat:
        return self._threat(steps=self.queries, access="score-based", loss="margin")


class HopSkipJumpAttack(MinimumNormAttack):
    """The smallest perturbation, by steps along the boundary that use labels only (Chen et al. 2020)."""

    kind: Literal["hop_skip_jump"] = Field(description="HopSkipJump, L2 or L∞, from labels only")
    norm: Literal["linf", "l2"] = Field("l2", description=MINIMISED_NORM)
    queries: Count = Field(
        5000, description="maximum number of queries per image; if rounded, 60 of them are reserved for rounding"
    )
    draws: Count = Field(
        100, description="random points queried in the first step; the n-th step queries √n times more"
    )

    def threat(self) -> Threat:
        return self._threat(eps=None, steps=self.queries, access="decision-based")


class EnsembleAttack(AttackSpec):
    """Several attacks, each on the images that the previous ones left correctly classified (Croce and Hein 2020)."""

    kind: Literal["ensemble"] = Field(description="attack ensemble: the worst case over several attacks in one ball")
    effort: Literal["standard", "quick"] = Field(
        "standard",
        description="standard: APGD on the cross-entropy and on the difference of logits ratio, APGD towards the most "
        "likely wrong classes, FAB and Square; quick: cheaper, APGD with fewer steps on images with a small "
        "margin only, and in L2 and L1 also FAB with fewer steps",
    )
    norm: Literal["linf", "l2", "l1"] = Field("linf", description=BALL_NORM)
    eps: Positive = RADIUS
    queries: Count = Field(
        5000,
        description="standard: maximum number of queries of Square, for each image that survives the other attacks",
    )

    @model_validator(mode="after")
    def _check_keys_fit(self) -> EnsembleAttack:
        check_ball(self.norm, self.eps, 0.0)
        return self

    def members(self, classes: int = DLR_CLASSES) -> dict[str, AttackSpec]:
        """Return the attacks by name, in order. With two classes, a margin loss replaces the DLR loss."""

        def apgd(**keys: Any) -> ApgdAttack:
            return ApgdAttack(kind="apgd", eps=self.eps, norm=self.norm, **keys)

        def fab(**keys: Any) -> FabAttack:
            return FabAttack(kind="fab", norm=self.norm, within=self.eps, **keys)

        # the examples of every member are invariant to the scale of the logits
        first = apgd(loss="normalized_cross_entropy", steps=8 if self.effort == "quick" else 100)
        if self.effort == "quick" and self.norm == "linf":
            return {"APGD-CE": first, "APGD-T": apgd(loss="margin", steps=20, targets=2)}
        if self.effort == "quick":
            return {"APGD-CE": first, "APGD-margin": apgd(loss="margin", steps=20), "FAB": fab(steps=30, targets=3)}
        return {
            "APGD-CE": first,
            "APGD-DLR": apgd(loss="dlr" if classes >= DLR_CLASSES else "margin"),
            "APGD-T": apgd(loss="margin", steps=60, targets=5),
            "FAB": fab(steps=50, targets=5) if self.norm == "linf" else fab(),
            "Square": SquareAttack(kind="square", norm=self.norm, eps=self.eps, queries=self.queries),
        }

    def check(self, shape: Shape, classes: int) -> None:
        for member in self.members(classes).values():
            member.check(shape, classes)

    def threat(self) -> Threat:
        members = [member.threat() for member in self.members().values()]
        return self._threat(steps=sum(member.steps * member.restarts for member in members), loss=self.effort)


class OnePixelAttack(AttackSpec):
    """One pixel set to any value (Su et al. 2019)."""

    kind: Literal["one_pixel"] = Field(description="one pixel, by differential evolution or exhaustive search")
    search: Literal["evolution", "exhaustive"] = Field(
        "evolution",
        description="evolution: as published; exhaustive: all pixels and levels, which proves robustness to these",
    )
    population: Count = Field(100, description="candidates of the evolution")
    generations: Count = Field(20, description="generations of the evolution")
    levels: Annotated[int, Field(ge=2, le=256)] = Field(
        2, description="grey levels per channel in the exhaustive search"
    )

    def threat(self) -> Threat:
        steps = self.generations if self.search == "evolution" else self.levels
        return self._threat(norm="l0", eps=1.0, steps=steps, access="score-based", loss="margin")


class SpatialAttack(AttackSpec):
    """A rotation and a translation of the whole image (Engstrom et al. 2019)."""

    kind: Literal["spatial"] = Field(description="rotation and translation")
    search: Literal["grid", "random", "first_order"] = Field(
        "grid", description="grid: the worst of all combinations; random: the worst of some; first_order: by gradient"
    )
    degrees: Annotated[float, Field(ge=0, le=180)] = Field(30.0, description="largest rotation in each direction")
    pixels: NonNegative = Field(3.0, description="largest shift in each direction")
    angles: Count = Field(31, description="angles in the grid")
    shifts: Count = Field(5, description="shifts in each direction in the grid")
    tries: Count = Field(10, description="random transformations, or gradient steps")

    def check(self, shape: Shape, classes: int) -> None:
        if self.pixels >= min(shape[1:]):
            raise WrongValue("pixels", self.pixels, f"shifts {format_shape(shape)} images out of the frame")

    def threat(self) -> Threat:
        steps = self.angles * self.shifts**2 if self.search == "grid" else self.tries
        access = "white-box" if self.search == "first_order" else "score-based"
        return self._threat(norm="spatial", eps=None, steps=steps, access=access, loss="cross_entropy")


class GaussianNoise(AttackSpec):
    """Gaussian noise: the random-noise control that every attack must beat."""

    kind: Literal["gaussian_noise"] = Field(description="Gaussian noise, without gradients")
    sd: Fraction = Field(0.3, description="standard deviation, on the [0, 1] scale of pixels")
    clipped: bool = Field(
        True,
        description="clip to [0, 1], which brightens black pixels by 0.4 sd on average; false: not clipped; "
        "only for transfers",
    )

    def stays_in_box(self) -> bool:
        return self.clipped

    def threat(self) -> Threat:
        return self._threat(norm="none", eps=self.sd, steps=0, access="none")
