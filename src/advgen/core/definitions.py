"""What every study has, whatever kinds of things it holds: seeds, evaluation, judge, CV, facts about its models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, field_validator

from advgen import presets, registry
from advgen.files.user_files import dataset_facts
from advgen.specs.base import MAX_COUNT, Count, DatasetName, Seed, Seeds, Shape, Spec, WrongValue
from advgen.specs.cv import CvFormat, SectionName
from advgen.specs.datasets import CustomDataset, DerivedDataset, Facts
from advgen.specs.training import ClassifierTraining

Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
FilePath = Annotated[str, Field(min_length=1)]


class Definition(Spec):
    """Fields of everything that is trained."""

    dataset: DatasetName = Field(description="data set it is trained on")
    seeds: Seeds | None = Field(None, description="one training run per seed; null: the study's seeds")

    def seeds_in(self, study: Study) -> tuple[int, ...]:
        """The seeds that it is trained with."""
        return self.seeds or study.seeds


class JudgeDefinition(Spec):
    """The frozen classifiers behind Fréchet distances and class counts, two per data set."""

    model: registry.AnyNetwork = Field(
        presets.PRESETS["networks"]["judge-cnn"], description="preset name, or a network's own keys"
    )
    second: registry.AnyNetwork = Field(
        presets.PRESETS["networks"]["judge-fc"],
        description="another network, trained alike with the next seed, which says how far a class count is the "
        "judge's own; preset name, or a network's own keys",
    )
    training: ClassifierTraining = Field(ClassifierTraining(), description="optimiser and budget of both")
    seed: Seed = Field(0, description="seed of the judge's training")


class Evaluation(Spec):
    """How much is measured."""

    attack_examples: Count = Field(1000, description="test images attacked, a seeded choice")
    gan_samples: Annotated[int, Field(ge=100, le=MAX_COUNT)] = Field(
        5000, description="samples drawn from each generator to judge it"
    )
    validation: Count = Field(
        5000,
        description="training images set apart for validation, never trained on; of a small data set a third at most",
    )
    seed: Seed = Field(0, description="seed of the choice of images")


class CvVariant(Spec):
    """A CV that shows a part of the source."""

    selected: bool = Field(False, description="of the publications, only those with selected = {true}")
    tags: tuple[str, ...] = Field(
        (), description="publications with one of these keywords, and items with one of these tags or without any"
    )
    sections: tuple[SectionName, ...] = Field((), description="only these sections; empty: all that the profile orders")
    overlay: FilePath | None = Field(None, description="its own overlay instead of the CV's")
    formats: tuple[CvFormat, ...] | None = Field(None, description="its own formats instead of the CV's")


class CvDefinition(Spec):
    """The researcher's CV, built from YAML and BibTeX with numbers and figures of the study."""

    profile: FilePath = Field("config/cv/profile.yaml", description="who, where, and the sections")
    bibliography: FilePath | None = Field("config/cv/publications.bib", description="publications; null: a CV without")
    metrics: FilePath | None = Field(
        "config/cv/metrics.yaml", description="citations and stars with their date; null: none are shown"
    )
    overlay: FilePath | None = Field(
        None, description="private YAML, merged over the profile by item id, for this CV and its variants"
    )
    formats: Annotated[tuple[CvFormat, ...], Field(min_length=1)] | None = Field(
        None, description="endings of the files written; null: all, and latex.pdf where latexmk is installed"
    )
    variants: dict[Name, CvVariant] = Field({}, description="more CVs from the same source, results/cv/<name>.*")

    @field_validator("variants")
    @classmethod
    def _not_the_cv_itself(cls, variants: dict[str, CvVariant]) -> dict[str, CvVariant]:
        if "cv" in variants:
            raise ValueError("'cv' is the name of the whole CV; choose another")
        return variants


class Study(Spec):
    """Everything that is computed and shown. Each kind of thing adds its key: see `advgen.study.tree`."""

    title: str = Field("advgen", max_length=200, description="heading of the report")
    base: FilePath | None = Field(
        None, description="another study, relative to this file: its definitions can be used here, and run where used"
    )
    plugins: tuple[FilePath, ...] = Field(
        (), description="Python files that register attacks, masks, networks … of one's own, relative to this file"
    )
    seeds: Seeds = Field((0,), description="seeds of every training run that names none")
    evaluation: Evaluation = Field(Evaluation(), description="how much is measured")
    tf32: bool = Field(
        False, description="let GPUs round factors to 10 bits (TF32): faster, and results differ more from the CPU's"
    )
    judge: JudgeDefinition = Field(
        JudgeDefinition(), description="the judge: the reference classifier behind distances and class counts"
    )

    if TYPE_CHECKING:  # the maps of definitions, one per kind

        def __getattr__(self, family: str) -> Any: ...

    def family_of(self, name: str) -> str:
        """The family of a model, by its name; names are unique across families."""
        families = (family for family in type(self).model_fields if isinstance(getattr(self, family), dict))
        return next(family for family in families if family != "figures" and name in getattr(self, family))

    def facts(self, dataset: str) -> Facts:
        """Shape, classes and sizes of a data set, through all that it is made from."""
        spec = self.datasets[dataset]
        if isinstance(spec, CustomDataset):
            return dataset_facts(spec)
        facts: Facts = spec.facts(self.facts(spec.base) if isinstance(spec, DerivedDataset) else None)
        return facts

    def validation_images(self, dataset: str) -> int:
        """Training images of a data set that are set apart for validation."""
        return min(self.evaluation.validation, self.facts(dataset).train // 3)

    def training_images(self, dataset: str) -> int:
        """Training images of a data set beside those for validation."""
        return self.facts(dataset).train - self.validation_images(dataset)

    def dataset_of(self, model: str) -> str:
        """The data set of a trained model, by its name."""
        dataset: str = getattr(self, self.family_of(model))[model].dataset
        return dataset

    def tested_on(self, model: str) -> str:
        """The data set on whose test images a trained model is tested, by its name: its own, or one that it names."""
        definition = getattr(self, self.family_of(model))[model]
        dataset: str = getattr(definition, "tested_on", None) or definition.dataset
        return dataset

    def seeds_of(self, model: str) -> tuple[int, ...]:
        """The seeds of a trained model, by its name."""
        seeds: tuple[int, ...] = getattr(self, self.family_of(model))[model].seeds_in(self)
        return seeds


Mistake = tuple[tuple[Any, ...], str]
"""A mistake in a study: the path of the key from the top, and what is wrong, to stand behind it."""


def check_fits(path: tuple[Any, ...], model: Any, shape: Shape) -> Iterator[Mistake]:
    """Whether a model cannot see images of a shape."""
    try:
        model.fit(shape)
    except ValueError as error:
        yield path, f": {error}; choose another model or data set"


def check_spec(path: tuple[Any, ...], check: Callable[..., None], *facts: Any) -> Iterator[Mistake]:
    """What a spec's own `check` says of the data that it meets."""
    try:
        check(*facts)
    except WrongValue as wrong:
        yield (*path, wrong.key), f" = {wrong.value}: {wrong.message}"


def check_batch(path: tuple[Any, ...], training: Any, images: int) -> Iterator[Mistake]:
    """Whether a batch that the study names is larger than all images to train on."""
    if "batch" in training.model_fields_set and training.batch > images:
        yield (*path, "batch"), f" = {training.batch}: there are only {images} images to train on"
