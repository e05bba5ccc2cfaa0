"""Classifiers made from parts of other models."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from advgen import registry
from advgen.core.definitions import Mistake, Study, check_batch
from advgen.core.kinds import Kind, PlannedJob, Planner
from advgen.core.tasks import DeviceTask
from advgen.specs.autoencoders import FcAutoencoder
from advgen.specs.base import DatasetName, Reference, Seeds, Spec
from advgen.specs.networks import EnsembleNetwork, FcNetwork
from advgen.specs.training import ClassifierTraining


class ProbeDefinition(Spec):
    """A classifier made from another model: a discriminator's decision, a linear head, a fine-tuned model."""

    of: Annotated[str, Reference(("gans", "autoencoders", "classifiers"))] = Field(
        description="the source model: a GAN (its discriminator), a classifier (its body) or a fully connected "
        "autoencoder (its encoder)"
    )
    part: Literal["decision", "features", "whole"] = Field(
        description="decision: the discriminator as a classifier of real (1) and fake (0); features: a head is trained "
        "on frozen features; whole: head and body are fine-tuned"
    )
    body: Literal["trained", "random"] = Field(
        "trained", description="random: the same body with new initial weights, a control for every probe"
    )
    threshold: Literal["fitted", "zero"] = Field(
        "fitted",
        description="logit above which a decision predicts real; fitted: the one with the highest training "
        "accuracy; zero: the discriminator's own",
    )
    dataset: DatasetName = Field(description="data set that it is trained, tested and attacked on")
    seeds: Seeds | None = Field(None, description="seeds of the model in `of`; null: all")
    training: ClassifierTraining = Field(
        ClassifierTraining(), description="of the head, or of the whole model; unused for a decision"
    )
    obfuscated_gradients: bool = Field(False, description="as for classifiers")

    def seeds_in(self, study: Study) -> tuple[int, ...]:
        """Return the selected seeds of the model that it is made from."""
        return self.seeds or study.seeds_of(self.of)


class TrainProbe(DeviceTask):
    """Make a classifier from another model: a discriminator's decision, a linear head, or a model to fine-tune."""

    command = "train-probe"
    reads = ("model", "data")
    outputs = {
        "model": "results/probes/{probe}/seed{seed}/classifier.safetensors",
        "history": "results/probes/{probe}/seed{seed}/history.parquet",
    }
    labels = {"name": "model"}
    name: str
    seed: int
    part: Literal["decision", "features", "whole"]
    body: Literal["trained", "random"]
    threshold: Literal["fitted", "zero"]
    classes: int
    training: ClassifierTraining
    validation: int

    def code_targets(self) -> set[str]:
        """Return also the network that an autoencoder's encoder becomes."""
        return super().code_targets() | {registry.NETWORKS[FcNetwork]}


class Probes(Kind[ProbeDefinition]):
    """Classifiers made from parts of other models."""

    definition = ProbeDefinition
    description = "classifiers made from parts of other models"
    order = 34
    tasks = (TrainProbe,)
    attackable = True

    def plan_jobs(self, planner: Planner, name: str) -> list[PlannedJob]:
        study, definition = planner.study, self.get_definition(planner.study, name)
        [data] = planner.jobs_of("datasets", definition.dataset)
        role = "discriminator" if definition.of in study.gans else "model"
        jobs = []
        for trained in planner.training_jobs(definition.of):
            if trained.seed not in study.seeds_of(name):
                continue
            task = TrainProbe(
                name=name,
                seed=trained.seed,
                part=definition.part,
                body=definition.body,
                threshold=definition.threshold,
                classes=study.facts(definition.dataset).classes,
                training=definition.training,
                validation=study.validation_images(definition.dataset),
            )
            inputs = {"model": trained.outputs[role], "data": data.outputs["train"]}
            jobs.append(planner.add(task, {"probe": name, "seed": str(trained.seed)}, inputs))
        return jobs

    def check(self, study: Study) -> Iterator[Mistake]:
        """Yield probes of models without the part, of images with another shape, and keys that do not apply."""
        for name, probe in self.definitions(study):
            facts, trained = study.facts(probe.dataset), study.seeds_of(probe.of)
            unknown = set(probe.seeds or ()) - set(trained)
            if unknown:
                seeds = ", ".join(map(str, trained))
                yield ("probes", name, "seeds"), f": {min(unknown)} is no seed of {probe.of!r} (trained with {seeds})"
            if study.facts(study.dataset_of(probe.of)).shape != facts.shape:
                yield ("probes", name, "dataset"), f" = {probe.dataset!r}: {probe.of!r} has images of another shape"
            if not _has_part(study, probe):
                message = "must be a GAN, or for features or whole a trained classifier or an autoencoder of kind 'fc'"
                yield ("probes", name, "of"), f" = {probe.of!r}: {message}"
            if probe.part == "decision" and probe.body == "random":
                yield (
                    ("probes", name, "body"),
                    " = 'random': a decision always uses the trained discriminator; remove it",
                )
            if probe.part != "decision" and "threshold" in probe.model_fields_set:
                message = f" = {probe.threshold!r}: only a decision has a threshold, not {probe.part!r}; remove it"
                yield ("probes", name, "threshold"), message
            yield from check_batch(("probes", name, "training"), probe.training, study.training_images(probe.dataset))
            if probe.part == "decision" and facts.classes != 2:
                message = f" = {probe.dataset!r}: a decision needs a data set of kind 'real_fake'"
                yield ("probes", name, "dataset"), message


def _has_part(study: Study, probe: ProbeDefinition) -> bool:
    """Whether a model has the part that a probe uses."""
    if probe.of in study.gans:
        return True
    if probe.part == "decision":
        return False
    if probe.of in study.autoencoders:
        return isinstance(study.autoencoders[probe.of].model, FcAutoencoder)
    model = getattr(study.classifiers[probe.of], "model", None)  # the parts of a model from a file are unknown
    return model is not None and not isinstance(model, EnsembleNetwork)


KIND = Probes()
