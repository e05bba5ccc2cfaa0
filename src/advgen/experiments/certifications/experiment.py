"""What is proven of classifiers: radii around test images within which no image gets another label."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from advgen.core.definitions import Mistake, Study
from advgen.core.kinds import OnClassifiers, SourcesDefinition, Summary
from advgen.core.tasks import ClassifierTask
from advgen.experiments.attacks.experiment import WorstCaseFigure
from advgen.specs.base import Ascending, Count, Need, NonNegative, Positive, Reference, Spec
from advgen.specs.networks import EnsembleNetwork

CertificationName = Annotated[str, Reference(("certifications",))]


class IntervalBounds(Spec):
    """Interval bound propagation (Gowal et al. 2018): what each layer can give at most and at least, in L∞."""

    kind: Literal["interval_bounds"] = Field(description="interval bound propagation, L∞")


class RandomisedSmoothing(Spec):
    """The label that a network gives most often under noise (Cohen et al. 2019), in L2."""

    kind: Literal["randomised_smoothing"] = Field(description="randomised smoothing, L2")
    sigma: Positive = Field(0.25, description="standard deviation of the noise, on the [0, 1] scale of pixels")
    n0: Count = Field(100, description="noisy images that choose the class")
    n: Count = Field(1000, description="noisy images that bound its probability")
    alpha: Annotated[float, Field(gt=0, lt=1)] = Field(0.001, description="chance that a radius does not hold")


class CertificationDefinition(SourcesDefinition):
    """Radii around test images, the first of those that are attacked, within which a classifier's label is proven."""

    certificate: Annotated[IntervalBounds | RandomisedSmoothing, Field(discriminator="kind")] = Field(
        description="how it is proven"
    )
    radii: Annotated[tuple[NonNegative, ...], Field(min_length=1), Ascending] = Field(
        (0.0, 0.1), description="radii at which the summary says how many are certified"
    )


class Certify(ClassifierTask):
    """Prove around test images within which radius a classifier's label holds."""

    command = "certify"
    outputs = {"radii": "results/certifications/{certification}/{source}--seed{seed}.parquet"}
    labels = {"name": "certification", "source": "source"}
    certificate: Annotated[IntervalBounds | RandomisedSmoothing, Field(discriminator="kind")]
    radii: tuple[float, ...]


class CertifiedAccuracyFigure(WorstCaseFigure):
    """Clean, attacked and certified accuracy against eps, a panel for each classifier."""

    kind: Literal["certified_accuracy"] = Field(description="clean, attacked and certified accuracy against eps")
    certifications: tuple[CertificationName, ...] = Field(min_length=1, description="certifications shown")

    def needs(self) -> Iterator[Need]:
        yield from super().needs()
        for certification in self.certifications:
            yield Need("certifications", (certification,), "radii")


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
        """Refuse bounds of networks that have none, and figures of what no certification is about."""
        yield from super().check(study)
        for name, definition in self.definitions(study):
            if isinstance(definition.certificate, IntervalBounds):
                for source in definition.sources:
                    known = study.classifiers.get(source)
                    if known and isinstance(known.model, EnsembleNetwork):
                        message = f": {source!r} is an ensemble, of which interval bounds are not known; leave it out"
                        yield ("certifications", name, "sources"), message
        for name, figure in study.figures.items():
            if isinstance(figure, CertifiedAccuracyFigure):
                about = {one for key in figure.certifications for one in study.certifications[key].sources}
                for source in figure.sources:
                    if source not in about:
                        message = f": {source!r} is no source of {', '.join(figure.certifications)}; add it there"
                        yield ("figures", name, "sources"), message


KIND = Certifications()
