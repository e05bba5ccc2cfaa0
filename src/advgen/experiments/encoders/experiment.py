"""Encoders that predict the start of a search in the latent space of a generator."""

from collections.abc import Iterator

from pydantic import Field

from advgen.core.definitions import Mistake, Study, check_fits
from advgen.core.kinds import Kind, PlannedJob, Planner
from advgen.core.tasks import DeviceTask
from advgen.registry import AnyNetwork
from advgen.specs.base import GeneratorName, Spec
from advgen.specs.training import EncoderTraining


class EncoderDefinition(Spec):
    """A network that predicts z from an image, trained on images of the generator: the start of a search."""

    generator: GeneratorName = Field(description="generator to invert")
    model: AnyNetwork = Field(description="preset name, or the keys of a network; it has one output per value of z")
    training: EncoderTraining = Field(EncoderTraining(), description="budget")


class TrainEncoder(DeviceTask):
    """Train an encoder that predicts the start of searches in one generator."""

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
    """Encoders that predict the start of searches."""

    definition = EncoderDefinition
    description = "encoders that predict the start of searches"
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
