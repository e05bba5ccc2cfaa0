"""Accuracy under five kinds of damage that nobody intended (Hendrycks and Dietterich 2019)."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from advgen.core.kinds import OnClassifiers, Summary, SourcesDefinition
from advgen.core.tasks import ClassifierTask
from advgen.specs.base import Fraction, Need, Reference
from advgen.specs.figures import FigureSpec


class CorruptionsDefinition(SourcesDefinition):
    """Accuracy of classifiers on test images that are damaged in five ways."""

    severity: Fraction = Field(0.3, description="how much of each damage; 0: none")


class Corrupt(ClassifierTask):
    """Damage test images in five ways and ask one classifier what they show."""

    command = "corrupt"
    outputs = {"answers": "results/corruptions/{corruption}/{source}--seed{seed}.parquet"}
    severity: float


class CorruptionFigure(FigureSpec):
    """Accuracy of each classifier under each kind of damage."""

    group = "Adversarial lab"
    kind: Literal["corruption"] = Field(description="accuracy under damage")
    corruption: Annotated[str, Reference(("corruptions",))] = Field(description="corruption study shown")

    def needs(self) -> Iterator[Need]:
        yield Need("corruptions", (self.corruption,), "answers")


class Corruptions(OnClassifiers[CorruptionsDefinition]):
    """Classifiers on damaged images."""

    definition = CorruptionsDefinition
    description = "classifiers on damaged images"
    tasks = (Corrupt,)
    summaries = {"corruptions": Summary("corruption_summary", "corrupt", "answers", module="summary")}
    figures = (CorruptionFigure,)


KIND = Corruptions()
