"""Generators from files: nothing is trained."""

from pathlib import Path

from pydantic import Field

from advgen.core.definitions import FilePath, Study
from advgen.core.errors import ConfigError
from advgen.core.kinds import Kind, PlannedJob, Planner
from advgen.specs.base import DatasetName, Spec


class GeneratorDefinition(Spec):
    """A generator from a file: it is inverted and inpaints, and nothing is trained."""

    dataset: DatasetName = Field(description="data set whose images it makes")
    file: FilePath = Field(description="its checkpoint, a generator.safetensors")

    def seeds_in(self, study: Study) -> tuple[int, ...]:
        """A file has one, and is told apart by its name."""
        return (0,)


class Generators(Kind[GeneratorDefinition]):
    """Generators from files."""

    definition = GeneratorDefinition
    description = "generators from files"
    order = 32

    def plan_jobs(self, planner: Planner, name: str) -> list[PlannedJob]:
        """Nothing is made for a generator from a file, but the file must be there."""
        path = self.get_definition(planner.study, name).file
        if not Path(path).is_file():
            message = f" = {path!r}: no such file; name a generator.safetensors"
            raise ConfigError(message, ("generators", name, "file"))
        return []

    def files(self, planner: Planner, name: str) -> list[tuple[str, int]]:
        """The checkpoints of a GAN's generator, or the file of a given one, with their seeds."""
        if name in planner.study.generators:
            self.plan_jobs(planner, name)
            return [(self.get_definition(planner.study, name).file, 0)]
        return [(job.outputs["generator"], job.seed) for job in planner.jobs_of("gans", name)]


KIND = Generators()
