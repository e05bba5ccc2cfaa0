"""Logits along the sign of the input gradient [goodfellow2015explaining]."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from advgen.core.kinds import OnClassifiers, SourcesDefinition, Summary
from advgen.core.tasks import ClassifierTask
from advgen.specs.base import MAX_COUNT, Need, Positive, Reference
from advgen.specs.figures import FigureSpec

LinearityName = Annotated[str, Reference(("linearities",))]


class LinearityDefinition(SourcesDefinition):
    """Logits along the sign of the input gradient, from -eps to +eps."""

    eps: Positive = Field(0.5, description="largest change of each pixel along the sign of the gradient")
    points: Annotated[int, Field(ge=3, le=MAX_COUNT)] = Field(41, description="points from -eps to +eps")


class Linearity(ClassifierTask):
    """Compute the logits of a classifier along the sign of the input gradient."""

    command = "linearity"
    outputs = {"logits": "results/linearities/{linearity}/{source}--seed{seed}.parquet"}
    labels = {"name": "linearity", "source": "source"}
    eps: float
    points: int


class LinearityFigure(FigureSpec):
    """Logits along the sign of the input gradient."""

    group = "Adversarial lab"
    kind: Literal["linearity"] = Field(description="logits along the gradient's sign")
    linearity: LinearityName = Field(description="linearity study shown")

    def needs(self) -> Iterator[Need]:
        yield Need("linearities", (self.linearity,), "logits")


class Linearities(OnClassifiers[LinearityDefinition]):
    """Logits along the gradient's sign."""

    definition = LinearityDefinition
    description = "logits along the gradient's sign"
    order = 46
    tasks = (Linearity,)
    sanity_inputs = (("linearity", "logits"),)
    summaries = {"linearity": Summary("linearity_summary", "linearity", "logits", module="summary")}
    figures = (LinearityFigure,)


KIND = Linearities()
