"""Encoders that give searches in a generator's latent space a start."""

from collections.abc import Iterator

from pydantic import Field

from advgen.core.definitions import Mistake, Study, check_fits
from advgen.core.kinds import Kind, PlannedJob, Planner
from advgen.core.tasks import DeviceTask
from advgen.registry import AnyNetwork
from advgen.specs.base import GeneratorName, Spec
from advgen.specs.training import EncoderTraining


class EncoderDefinition(Spec):
    """A network that guesses z from an image, trained on a generator's own images: a start for searches."""

    generator: GeneratorName = Field(description="generator that it inverts")
    model: AnyNetwork = Field(description="preset name, or a network's own keys; it gets one output per z")
    training: EncoderTraining = Field(EncoderTraining(), description="budget")


class TrainEncoder(DeviceTask):
    """Train an encoder that gives searches in one generator a start."""

    command = "train-encoder"
    reads = ("generator",)
    outputs = {
        "model": "results/encoders/{encoder}/seed{seed}/encoder.safetensors",
        "history": "results/encoders/{encoder}/seed{seed}/history.parquet",
    }
    labels = {"name": "model"}
    name: str
    seed: int
    model: AnyNetwork
    training: EncoderTraining


class Encoders(Kind[EncoderDefinition]):
    """Encoders that give searches a start."""

    definition = EncoderDefinition
    description = "encoders that give searches a start"
    order = 33
    tasks = (TrainEncoder,)

    def plan_jobs(self, planner: Planner, name: str) -> list[PlannedJob]:
        definition = self.get_definition(planner.study, name)
        shape = planner.study.facts(planner.study.dataset_of(definition.generator)).shape
        jobs = []
        for generator, seed in planner.get_kind("generators").files(planner, definition.generator):
            task = TrainEncoder(name=name, seed=seed, model=definition.model.fit(shape), training=definition.training)
            jobs.append(planner.add(task, {"encoder": name, "seed": str(seed)}, {"generator": generator}))
        return jobs

    def check(self, study: Study) -> Iterator[Mistake]:
        for name, encoder in self.definitions(study):
            shape = study.facts(study.dataset_of(encoder.generator)).shape
            yield from check_fits(("encoders", name, "model"), encoder.model, shape)


KIND = Encoders()
