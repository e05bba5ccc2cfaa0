"""Generators judged with latent vectors from the middle of their distribution."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from advgen.core.definitions import Study
from advgen.core.kinds import Files, OnGenerators, PlannedJob, Planner, Summary
from advgen.core.tasks import GeneratorTask
from advgen.specs.base import Ascending, GanName, Need, Positive, Reference, Spec
from advgen.specs.figures import FigureSpec

TruncationName = Annotated[str, Reference(("truncations",))]


class TruncationDefinition(Spec):
    """Each generator judged with latent vectors from the middle of their distribution (the truncation trick)."""

    generators: tuple[GanName, ...] = Field(min_length=1, description="GANs whose generators are judged")
    thresholds: Annotated[tuple[Positive, ...], Ascending] = Field(
        (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0), min_length=1, description="numbers of z beyond this are drawn again"
    )


class Truncate(GeneratorTask):
    """Judge one generator's samples from truncated latent vectors."""

    command = "truncate"
    reads = ("generator", "judge", "second", "calibration", "data")
    outputs = {"quality": "results/truncations/{truncation}/{generator}--seed{seed}.parquet"}
    labels = {"name": "truncation", "generator_name": "generator"}
    n: int
    thresholds: tuple[float, ...]


class TruncationFigure(FigureSpec):
    """Precision, recall and Fréchet distance against the truncation of z."""

    kind: Literal["truncation"] = Field(description="quality against the truncation of z")
    truncation: TruncationName = Field(description="truncation study shown")

    def needs(self) -> Iterator[Need]:
        yield Need("truncations", (self.truncation,), "quality")
        yield Need("truncations", (self.truncation,), "untruncated")


class Truncations(OnGenerators[TruncationDefinition]):
    """Samples from truncated latent vectors."""

    definition = TruncationDefinition
    description = "samples from truncated latent vectors"
    order = 43
    tasks = (Truncate,)
    summaries = {"truncations": Summary("truncation", "truncate", "quality")}
    figures = (TruncationFigure,)

    def extra_inputs(
        self, planner: Planner, definition: TruncationDefinition, subject: str, seed: int
    ) -> dict[str, Files]:
        judging: dict[str, Files] = planner.get_kind("judges").judging(planner, planner.study.dataset_of(subject))
        return judging

    def task_fields(self, study: Study, definition: TruncationDefinition, subject: str) -> dict[str, Any]:
        return super().task_fields(study, definition, subject) | {"n": study.evaluation.gan_samples}

    def jobs_for(self, planner: Planner, need: Need) -> list[PlannedJob]:
        """Its own jobs, or those that judge the same generators with all of z."""
        if need.role != "untruncated":
            return super().jobs_for(planner, need)
        gans = self.get_definition(planner.study, *need.names).generators
        judged = [
            job for gan in gans for job in planner.get_kind("gans").jobs_for(planner, Need("gans", (gan,), "quality"))
        ]
        return [replace(job, outputs={"untruncated": job.outputs["quality"]}) for job in judged]


KIND = Truncations()
