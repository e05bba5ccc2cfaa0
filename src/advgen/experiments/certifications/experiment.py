"""Certificates of classifiers: radii around test images within which the prediction does not change."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from advgen.core.definitions import Mistake, Study
from advgen.core.kinds import OnClassifiers, SourcesDefinition, Summary
from advgen.core.tasks import ClassifierTask
from advgen.experiments.attacks.experiment import WorstCaseFigure
from advgen.specs.base import Ascending, Count, NonNegative, Positive, Reference, Spec
from advgen.specs.networks import EnsembleNetwork

CertificationName = Annotated[str, Reference(("certifications",))]


class IntervalBounds(Spec):
    """Interval bound propagation in L∞ (Gowal et al. 2018): lower and upper bounds of the outputs of each layer."""

    kind: Literal["interval_bounds"] = Field(description="interval bound propagation, L∞")


class RandomisedSmoothing(Spec):
    """Randomised smoothing in L2 (Cohen et al. 2019): the most frequent prediction under noise."""

    kind: Literal["randomised_smoothing"] = Field(description="randomised smoothing, L2")
    sigma: Positive = Field(0.25, description="standard deviation of the noise, on the [0, 1] scale of pixels")
    n0: Count = Field(100, description="noisy images that select the class")
    n: Count = Field(1000, description="noisy images for the bound on its probability")
    alpha: Annotated[float, Field(gt=0, lt=1)] = Field(0.001, description="probability that a radius is wrong")


AnyCertificate = Annotated[IntervalBounds | RandomisedSmoothing, Field(discriminator="kind")]


class CertificationDefinition(SourcesDefinition):
    """Certified radii around the first of the attacked test images."""

    certificate: AnyCertificate = Field(description="method of certification")
    radii: Annotated[tuple[NonNegative, ...], Field(min_length=1), Ascending] = Field(
        (0.0, 0.1), description="radii at which the summary reports the certified accuracy"
    )


class Certify(ClassifierTask):
    """Certify radii around test images within which the prediction of a classifier does not change."""

    command = "certify"
    outputs = {"radii": "results/certifications/{certification}/{source}--seed{seed}.parquet"}
    labels = {"name": "certification", "source": "source"}
    certificate: AnyCertificate
    radii: tuple[float, ...]


class CertifiedAccuracyFigure(WorstCaseFigure):
    """Clean, attacked and certified accuracy against eps, a panel for each classifier."""

    reads = {"certifications": ("radii",)}
    kind: Literal["certified_accuracy"] = Field(description="clean, attacked and certified accuracy against eps")
    certifications: tuple[CertificationName, ...] = Field(min_length=1, description="certifications shown")


class Certifications(OnClassifiers[CertificationDefinition]):
    """Certified radii."""

    definition = CertificationDefinition
    description = "certified radii of classifiers"
    order = 48
    tasks = (Certify,)
    sanity_inputs = (("certify", "radii"),)
    summaries = {"certified": Summary("certified", "certify", "radii", module="summary")}
    figures = (CertifiedAccuracyFigure,)

    def check(self, study: Study) -> Iterator[Mistake]:
        """Yield interval bounds of ensembles, and figures of classifiers without a certification."""
        yield from super().check(study)
        for name, definition in self.definitions(study):
            if isinstance(definition.certificate, IntervalBounds):
                for source in definition.sources:
                    classifier = study.classifiers.get(source)
                    if classifier and isinstance(classifier.model, EnsembleNetwork):
                        message = f": {source!r} is an ensemble, which interval bounds do not support; remove it"
                        yield ("certifications", name, "sources"), message
        for name, figure in study.figures.items():
            if isinstance(figure, CertifiedAccuracyFigure):
                certified = {source for key in figure.certifications for source in study.certifications[key].sources}
                for source in figure.sources:
                    if source not in certified:
                        message = f": {source!r} is no source of {', '.join(figure.certifications)}; add it there"
                        yield ("figures", name, "sources"), message


KIND = Certifications()
