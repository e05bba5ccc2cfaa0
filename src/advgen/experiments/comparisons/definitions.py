"""Definitions of comparisons in a study, one class for each kind of measure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from advgen.core.definitions import Study
from advgen.experiments.comparisons.facts import Facts, describe_inversion, describe_model
from advgen.experiments.inpaintings.experiment import InpaintingName, Method
from advgen.experiments.inversions.experiment import InversionName
from advgen.experiments.linearities.experiment import LinearityName
from advgen.specs.base import AttackName, AutoencoderName, ClassifierName, GanName, MaskName, Need, Spec, WrongValue


class ComparisonDefinition(Spec):
    """Base of all comparisons: the question, the arms, and what they differ in.

    Everything else must be equal, or the study is an error: the keys of the definitions and of those that they name,
    the seeds, and what follows from them (training steps and test images). A name with keys below it covers the kind
    and the keys that only one arm has; a key that both arms have is named itself.
    """

    asks: Annotated[str, Field(min_length=1, max_length=200)] = Field(description="the question, in a sentence")
    baseline: str = Field(description="the arm that all others are compared with")
    differs: tuple[str, ...] = Field((), description="keys in which the arms differ: what the comparison is about")
    besides: tuple[str, ...] = Field(
        (), description="further keys in which they differ: remaining confounds, listed wherever the result is shown"
    )
    costly: bool = Field(
        False,
        description="a run of an arm takes a minute or more, so that three runs of each arm suffice instead of five",
    )
    arms: Mapping[str, Any] = Field(min_length=2, description="what is compared, by label")
    family: ClassVar[str]
    role: ClassVar[str]
    """Family and output role of the tables of a run."""

    def needs(self, arm: str) -> Iterator[Need]:
        """The tables of an arm's runs."""
        for name in self.arms[arm]:
            yield Need(self.family, (name,), self.role)

    def runs(self, study: Study, arm: str) -> list[Facts]:
        """The settings of each run of an arm, in the order of their tables."""
        return [
            describe_model(study, name) | {"seed": seed} for name in self.arms[arm] for seed in study.seeds_of(name)
        ]


Arms = Field(min_length=2, description="label: definitions, each with its seeds; the n-th runs of two arms form a pair")


class AccuracyComparison(ComparisonDefinition):
    """Accuracy of classifiers on the same images: under one attack, clean, or on all validation images.

    No training decision uses the validation images. They are more than the attacked images; each run is one number.
    """

    kind: Literal["accuracy"] = Field(description="accuracy of classifiers, under an attack or clean")
    arms: dict[str, Annotated[tuple[ClassifierName, ...], Field(min_length=1)]] = Arms
    attack: AttackName | None = Field(
        None, description="the attack whose attacked test images are compared; required except for validation_accuracy"
    )
    measure: Literal["robust_accuracy", "clean_accuracy", "validation_accuracy"] = Field(
        "robust_accuracy", description="what is compared"
    )

    @model_validator(mode="after")
    def _has_images(self) -> AccuracyComparison:
        if (self.attack is None) != (self.measure == "validation_accuracy"):
            message = f"goes with {self.measure} only if " + ("there is none" if self.attack else "it names the attack")
            raise WrongValue("attack", self.attack, message)
        return self

    def needs(self, arm: str) -> Iterator[Need]:
        for name in self.arms[arm]:
            if self.attack is None:
                yield Need("", (name,), "history")
            else:
                yield Need("attacks", (name, self.attack), "examples")

    def is_single_step(self, study: Study) -> bool:
        """Whether the robust accuracy is only that under FGSM."""
        return self.measure == "robust_accuracy" and bool(study.attacks[self.attack].kind == "fgsm")


class GanComparison(ComparisonDefinition):
    """One measure of the samples of GANs."""

    kind: Literal["gans"] = Field(description="a measure of the samples of GANs")
    arms: dict[str, Annotated[tuple[GanName, ...], Field(min_length=1)]] = Arms
    measure: Literal["frechet_distance", "classifier_score", "precision", "recall", "total_variation", "vanishing"] = (
        Field("frechet_distance", description="what is compared")
    )
    family, role = "gans", "quality"


class AutoencoderComparison(ComparisonDefinition):
    """One measure of autoencoders."""

    kind: Literal["autoencoders"] = Field(description="a measure of autoencoders")
    arms: dict[str, Annotated[tuple[AutoencoderName, ...], Field(min_length=1)]] = Arms
    measure: Literal["frechet_distance_decoded", "mse", "ks_dimension_mean", "sharpness_decoded"] = Field(
        "frechet_distance_decoded", description="what is compared"
    )
    family, role = "autoencoders", "quality"


class InversionComparison(ComparisonDefinition):
    """Error of inversions of the same images."""

    kind: Literal["inversions"] = Field(description="error of inversions of the same images")
    arms: dict[str, Annotated[tuple[InversionName, ...], Field(min_length=1)]] = Arms
    measure: ClassVar[str] = "mse"
    family, role = "inversions", "inversion"

    def runs(self, study: Study, arm: str) -> list[Facts]:
        return [
            describe_inversion(study, name, generator) | {"seed": seed}
            for name in self.arms[arm]
            for generator in study.inversions[name].generators
            for seed in study.seeds_of(generator)
        ]


class LinearityComparison(ComparisonDefinition):
    """How well a straight line explains the logits of classifiers along the gradient's sign."""

    kind: Literal["linearities"] = Field(description="how straight the logits of classifiers are")
    arms: dict[str, Annotated[tuple[ClassifierName, ...], Field(min_length=1)]] = Arms
    linearity: LinearityName = Field(description="linearity study with these classifiers")
    measure: ClassVar[str] = "r_squared"

    def needs(self, arm: str) -> Iterator[Need]:
        for name in self.arms[arm]:
            yield Need("linearities", (self.linearity, name), "logits")


class InpaintingComparison(ComparisonDefinition):
    """Error of inpainting methods on the missing pixels, for the same masked images."""

    kind: Literal["inpaintings"] = Field(description="error of methods of inpainting with one mask")
    arms: dict[str, Method] = Field(min_length=2, description="label: method")
    inpainting: InpaintingName = Field(description="inpainting with these methods")
    mask: MaskName = Field(description="one of its masks")
    differs: tuple[str, ...] = Field(("method",), description="what the comparison is about: the method")
    measure: Literal["mse_missing", "mse_whole"] = Field("mse_missing", description="what is compared")

    def needs(self, arm: str) -> Iterator[Need]:
        yield Need("inpaintings", (self.inpainting,), "inpainting")

    def runs(self, study: Study, arm: str) -> list[Facts]:
        generators = study.inpaintings[self.inpainting].generators
        return [{"method": self.arms[arm], "seed": seed} for name in generators for seed in study.seeds_of(name)]


AnyComparison = Annotated[
    AccuracyComparison
    | GanComparison
    | AutoencoderComparison
    | InversionComparison
    | LinearityComparison
    | InpaintingComparison,
    Field(discriminator="kind"),
]
