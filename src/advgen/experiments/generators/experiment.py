"""Generators from files, which are not trained."""

from pathlib import Path

from pydantic import Field

from advgen.core.definitions import FilePath, Study
from advgen.core.errors import ConfigError
from advgen.core.kinds import Kind, PlannedJob, Planner
from advgen.specs.base import DatasetName, Spec


class GeneratorDefinition(Spec):
    """A generator from a file, for inversion and inpainting."""

    dataset: DatasetName = Field(description="data set that it generates")
    file: FilePath = Field(description="checkpoint, a generator.safetensors")

    def seeds_in(self, study: Study) -> tuple[int, ...]:
        """Return the only seed: files differ by their name."""
        return (0,)


class Generators(Kind[GeneratorDefinition]):
    """Generators from files."""

    definition = GeneratorDefinition
    description = "generators from files"
    order = 32

    def plan_jobs(self, planner: Planner, name: str) -> list[PlannedJob]:
        """Check that the file exists; a generator from a file has no jobs."""
        path = self.get_definition(planner.study, name).file
        if not Path(path).is_file():
            message = f" = {path!r}: no such file; name a generator.safetensors"
            raise ConfigError(message, ("generators", name, "file"))
        return []

    def files(self, planner: Planner, name: str) -> list[tuple[str, int]]:
        """Return the checkpoints of a generator with their seeds, of a GAN or from a file."""
        if name in planner.study.generators:
            self.plan_jobs(planner, name)
            return [(self.get_definition(planner.study, name).file, 0)]
        return [(job.outputs["generator"], job.seed) for job in planner.jobs_of("gans", name)]


KIND = Generators()
