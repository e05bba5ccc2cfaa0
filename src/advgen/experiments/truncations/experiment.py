"""Truncation: the quality of samples from the middle of the latent distribution: specs, tasks and planning."""

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
    """For each generator, the quality of samples from truncated latent vectors (the truncation trick)."""

    generators: tuple[GanName, ...] = Field(min_length=1, description="GANs to evaluate")
    thresholds: Annotated[tuple[Positive, ...], Ascending] = Field(
        (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0), min_length=1, description="values of z beyond this are redrawn"
    )


class Truncate(GeneratorTask):
    """Evaluate samples of one generator from truncated latent vectors."""

    command = "truncate"
    reads = ("generator", "judge", "second", "calibration", "data")
    outputs = {"quality": "results/truncations/{truncation}/{generator}--seed{seed}.parquet"}
    labels = {"name": "truncation", "generator_name": "generator"}
    n: int
    thresholds: tuple[float, ...]


class TruncationFigure(FigureSpec):
    """Precision, recall and Fréchet distance against the truncation of z."""

    reads = {"truncation": ("quality", "untruncated")}
    kind: Literal["truncation"] = Field(description="quality against truncation threshold")
    truncation: TruncationName = Field(description="truncation study to show")


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
        inputs: dict[str, Files] = planner.get_kind("judges").evaluation_inputs(
            planner, planner.study.dataset_of(subject)
        )
        return inputs

    def task_fields(self, study: Study, definition: TruncationDefinition, subject: str) -> dict[str, Any]:
        return super().task_fields(study, definition, subject) | {"n": study.evaluation.gan_samples}

    def jobs_for(self, planner: Planner, need: Need) -> list[PlannedJob]:
        """Return its jobs, or for the role "untruncated" those that evaluate the same generators without truncation."""
        if need.role != "untruncated":
            return super().jobs_for(planner, need)
        gans = self.get_definition(planner.study, *need.names).generators
        evaluations = [
            job for gan in gans for job in planner.get_kind("gans").jobs_for(planner, Need("gans", (gan,), "quality"))
        ]
        return [replace(job, outputs={"untruncated": job.outputs["quality"]}) for job in evaluations]


KIND = Truncations()
