"""The keys that every study has: seeds, evaluation, reference classifiers and CV. The base class of all studies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, field_validator

from advgen import presets, registry
from advgen.core.deprecated import renamed_attribute
from advgen.files.user_files import dataset_facts
from advgen.specs.base import MAX_COUNT, Count, DatasetName, Seed, Seeds, Shape, Spec, WrongValue
from advgen.specs.cv import CvFormat, SectionName
from advgen.specs.datasets import CustomDataset, DerivedDataset, Facts
from advgen.specs.training import ClassifierTraining

Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
FilePath = Annotated[str, Field(min_length=1)]


class Definition(Spec):
    """Fields of every trained model."""

    dataset: DatasetName = Field(description="data set of the training images")
    seeds: Seeds | None = Field(None, description="one training run per seed; null: the seeds of the study")

    def seeds_in(self, study: Study) -> tuple[int, ...]:
        """Return the seeds of the training runs."""
        return self.seeds or study.seeds


class JudgeDefinition(Spec):
    """The reference classifiers behind Fréchet distances and class counts, two per data set."""

    model: registry.AnyNetwork = Field(
        presets.PRESETS["networks"]["judge-cnn"], description="name of a preset, or keys of a network"
    )
    second: registry.AnyNetwork = Field(
        presets.PRESETS["networks"]["judge-fc"],
        description="another network, trained in the same way with the next seed, which shows how much a class count "
        "depends on the reference classifier; name of a preset, or keys of a network",
    )
    training: ClassifierTraining = Field(ClassifierTraining(), description="optimiser and budget of both networks")
    seed: Seed = Field(0, description="seed of the training")


class Evaluation(Spec):
    """Sizes of the evaluations."""

    attack_examples: Count = Field(1000, description="number of attacked test images, a random subset")
    gan_samples: Annotated[int, Field(ge=100, le=MAX_COUNT)] = Field(
        5000, description="samples drawn from each generator to evaluate it"
    )
    validation: Count = Field(
        5000,
        description="training images held out for validation; at most a third of a small data set",
    )
    seed: Seed = Field(0, description="seed of the random subsets")


class CvVariant(Spec):
    """A CV with a part of the content."""

    selected: bool = Field(False, description="only publications with selected = {true}")
    tags: tuple[str, ...] = Field(
        (), description="publications with one of these keywords, and items with one of these tags or without any"
    )
    sections: tuple[SectionName, ...] = Field((), description="only these sections; empty: all sections of the profile")
    overlay: FilePath | None = Field(None, description="overlay of this variant instead of the CV's")
    formats: tuple[CvFormat, ...] | None = Field(None, description="formats of this variant instead of the CV's")


class CvDefinition(Spec):
    """A CV built from YAML and BibTeX, with numbers and figures of the study."""

    profile: FilePath = Field("config/cv/profile.yaml", description="file with the person and the sections")
    bibliography: FilePath | None = Field(
        "config/cv/publications.bib", description="BibTeX file of the publications; null: none"
    )
    metrics: FilePath | None = Field(
        "config/cv/metrics.yaml", description="file with citations and stars and their date; null: none"
    )
    overlay: FilePath | None = Field(
        None, description="private YAML file, merged into the profile by item id, for this CV and its variants"
    )
    formats: Annotated[tuple[CvFormat, ...], Field(min_length=1)] | None = Field(
        None, description="file extensions to write; null: all, with latex.pdf only if latexmk is installed"
    )
    variants: dict[Name, CvVariant] = Field({}, description="further CVs from the same content, results/cv/<name>.*")

    @field_validator("variants")
    @classmethod
    def _check_variant_names(cls, variants: dict[str, CvVariant]) -> dict[str, CvVariant]:
        if "cv" in variants:
            raise ValueError("'cv' is the name of the whole CV; choose another")
        return variants


class Study(Spec):
    """Base of a study. `advgen.study.tree` adds one map of definitions per kind."""

    title: str = Field("advgen", max_length=200, description="heading of the report")
    base: FilePath | None = Field(
        None,
        description="path of another study, relative to this file. Its definitions are available here; those "
        "that this study does not use do not run",
    )
    plugins: tuple[FilePath, ...] = Field(
        (), description="Python files that register custom attacks, masks, networks and so on, relative to this file"
    )
    seeds: Seeds = Field((0,), description="seeds of all training runs without their own")
    evaluation: Evaluation = Field(Evaluation(), description="sizes of the evaluations")
    tf32: bool = Field(False, description="allow TF32 on GPUs: faster, but results differ more from those of a CPU")
    judge: JudgeDefinition = Field(
        JudgeDefinition(), description="reference classifiers behind Fréchet distances and class counts"
    )

    if TYPE_CHECKING:  # the maps of definitions, one per kind

        def __getattr__(self, family: str) -> Any: ...

    def family_of(self, name: str) -> str:
        """Return the family of a model; names are unique across families."""
        families = (family for family in type(self).model_fields if isinstance(getattr(self, family), dict))
        return next(family for family in families if family != "figures" and name in getattr(self, family))

    def facts(self, dataset: str) -> Facts:
        """Return shape, classes and sizes of a data set, which may be derived from others."""
        spec = self.datasets[dataset]
        if isinstance(spec, CustomDataset):
            return dataset_facts(spec)
        facts: Facts = spec.facts(self.facts(spec.base) if isinstance(spec, DerivedDataset) else None)
        return facts

    def validation_images(self, dataset: str) -> int:
        """Return the number of training images that are held out for validation."""
        return min(self.evaluation.validation, self.facts(dataset).train // 3)

    def training_images(self, dataset: str) -> int:
        """Return the number of training images without those for validation."""
        return self.facts(dataset).train - self.validation_images(dataset)

    def dataset_of(self, model: str) -> str:
        """Return the data set of a trained model."""
        dataset: str = getattr(self, self.family_of(model))[model].dataset
        return dataset

    def tested_on(self, model: str) -> str:
        """Return the data set on whose test images a trained model is tested."""
        definition = getattr(self, self.family_of(model))[model]
        dataset: str = getattr(definition, "tested_on", None) or definition.dataset
        return dataset

    def seeds_of(self, model: str) -> tuple[int, ...]:
        """Return the seeds of a trained model."""
        seeds: tuple[int, ...] = getattr(self, self.family_of(model))[model].seeds_in(self)
        return seeds

    left: ClassVar[Any] = renamed_attribute("left", "training_images")
    validation: ClassVar[Any] = renamed_attribute("validation", "validation_images")


Mistake = tuple[tuple[Any, ...], str]
"""A mistake in a study: the path of a key, and the message that follows the path."""


def check_fits(path: tuple[Any, ...], model: Any, shape: Shape) -> Iterator[Mistake]:
    """Yield a mistake if a model does not support images of this shape."""
    try:
        model.fit(shape)
    except ValueError as error:
        yield path, f": {error}; choose another model or data set"


def check_spec(path: tuple[Any, ...], check: Callable[..., None], *facts: Any) -> Iterator[Mistake]:
    """Yield a mistake if the `check` of a spec fails on these properties of a data set."""
    try:
        check(*facts)
    except WrongValue as wrong:
        yield (*path, wrong.key), f" = {wrong.value}: {wrong.message}"


def check_batch(path: tuple[Any, ...], training: Any, images: int) -> Iterator[Mistake]:
    """Yield a mistake if an explicit batch size exceeds the number of training images."""
    if "batch" in training.model_fields_set and training.batch > images:
        yield (*path, "batch"), f" = {training.batch}: there are only {images} images to train on"
