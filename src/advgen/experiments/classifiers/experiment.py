"""Classifiers to attack, and their test errors."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from advgen.core.definitions import Definition, FilePath, Mistake, Study, check_batch, check_fits, check_spec
from advgen.core.kinds import Files, Kind, PlannedJob, Planner
from advgen.core.tasks import DeviceTask, SweptValues
from advgen.files.user_files import is_checkpoint, model_digest
from advgen.registry import AnyDefence, AnyNetwork
from advgen.specs.base import ClassifierName, Count, DatasetName, Need, Shape, Spec, format_shape
from advgen.specs.defences import PoolDefence
from advgen.specs.figures import FigureSpec
from advgen.specs.networks import Channels, EnsembleNetwork, FileNetwork
from advgen.specs.training import ClassifierTraining


class ClassifierDefinition(Definition):
    """A network trained as a classifier."""

    kind: Literal["trained"] = Field("trained", description="trained by the study")
    model: AnyNetwork = Field(description="preset name, or a network's own keys")
    training: ClassifierTraining = Field(ClassifierTraining(), description="optimiser and budget")
    tested_on: DatasetName | None = Field(
        None, description="data set with the images for tests and attacks; null: its own"
    )
    images: Count | None = Field(None, description="number of training images (a seeded, nested subset); null: all")
    defence: AnyDefence | None = Field(None, description="defence; null: plain training")
    obfuscated_gradients: bool = Field(
        False,
        description="its gradients are known to be masked or random: failed statistical checks become warnings",
    )


class FileClassifier(Spec):
    """A custom classifier from a file, which is attacked without training.

    The file is an exported program (`torch.export.save`), TorchScript, a checkpoint of advgen, or safetensors with the
    code of its module. It maps images (B, C, H, W) to logits (B, K), one for each class of the data set. It is never
    unpickled.
    """

    kind: Literal["file"] = Field(description="from a file")
    dataset: DatasetName = Field(description="data set whose classes the model predicts")
    path: FilePath = Field(description="the file, relative to the working directory of snakemake")
    factory: FilePath | None = Field(
        None, description="function that makes the module of a safetensors file: module:function, or path.py:function"
    )
    bounds: tuple[float, float] = Field((0.0, 1.0), description="pixel values of black and white that it expects")
    mean: Channels = Field(
        None, description="mean, subtracted after pixels are scaled to `bounds`: one number, or one per channel"
    )
    std: Channels = Field(None, description="pixels are then divided by it: one number, or one per channel")
    obfuscated_gradients: bool = Field(
        False,
        description="its gradients are known to be masked or random: failed statistical checks become warnings",
    )
    images: ClassVar[None] = None
    defence: ClassVar[None] = None
    tested_on: ClassVar[None] = None

    def seeds_in(self, study: Study) -> tuple[int, ...]:
        """Return a single seed, because a file is identified by its name."""
        return (0,)

    def network(self) -> FileNetwork:
        """Return the specification that rebuilds it; ValueError if a file does not exist."""
        keys = self.model_dump(include={"path", "factory", "bounds", "mean", "std"})
        return FileNetwork(**keys, content=model_digest(self.path, self.factory))


def _with_kind(value: Any) -> Any:
    return {"kind": "trained", **value} if isinstance(value, Mapping) else value


AnyClassifier = Annotated[
    ClassifierDefinition | FileClassifier, Field(discriminator="kind"), BeforeValidator(_with_kind)
]


class TrainClassifier(DeviceTask):
    """Train one classifier with one seed, or import one from a file."""

    command = "train-classifier"
    run = "train"
    reads = ("data",)
    outputs = {
        "model": "results/classifiers/{classifier}/seed{seed}/classifier.safetensors",
        "history": "results/classifiers/{classifier}/seed{seed}/history.parquet",
    }
    labels = {"name": "model"}
    name: str
    seed: int
    model: AnyNetwork | FileNetwork
    classes: int
    images: int | None
    defence: AnyDefence | None
    training: ClassifierTraining | None
    validation: int


class Origin(Spec):
    """Columns of tables that describe a classifier."""

    dataset: str
    tested_on: str = Field(description="data set of the test images")
    images: int = Field(description="training images; 0: not trained here")
    defence: str


class Tested(Origin):
    """One classifier in the table of test errors."""

    classifier: str
    seed: int


class EvaluateClassifiers(DeviceTask):
    """Measure the test error of all classifiers and probes."""

    command = "evaluate-classifiers"
    run = "evaluate"
    reads = ("models", "histories", "data")
    outputs = {"table": "results/tables/classifiers.parquet"}
    tested: tuple[Tested, ...]
    varied: SweptValues = {}


def find_origin(study: Study, source: str) -> Origin:
    """Return the columns of tables that describe a classifier or probe."""
    dataset = study.dataset_of(source)
    definition: ClassifierDefinition | FileClassifier | None = study.classifiers.get(source)
    defence = definition.defence if definition else None
    images = definition.images if definition else None
    trained = 0 if isinstance(definition, FileClassifier) else images or study.training_images(dataset)
    return Origin(
        dataset=dataset,
        tested_on=study.tested_on(source),
        images=trained,
        defence=defence.label() if defence else "none",
    )


class ClassifierErrorsFigure(FigureSpec):
    """Test error of each classifier over its seeds, with the published error if there is one."""

    group = "Adversarial lab"
    kind: Literal["test_errors"] = Field(description="test errors, with published ones")
    classifiers: tuple[ClassifierName, ...] = Field(min_length=1, description="classifiers and probes shown")
    published_nets: dict[str, str] = Field({}, description="classifier: the published network that it is compared with")

    def needs(self) -> Iterator[Need]:
        yield Need("classifiers", self.classifiers, "table")


class Classifiers(Kind[ClassifierDefinition | FileClassifier]):
    """Classifiers to attack."""

    definition = AnyClassifier
    description = "classifiers to attack"
    order = 22
    tasks = (TrainClassifier, EvaluateClassifiers)
    attackable = True

    figures = (ClassifierErrorsFigure,)

    def jobs_for(self, planner: Planner, need: Need) -> list[PlannedJob]:
        """Return the training jobs, or the job of the table with the test errors of all models."""
        if need.role != "table":
            return super().jobs_for(planner, need)
        jobs = [job for name in need.names for job in planner.training_jobs(name)]
        return [replace(jobs[0], outputs=EvaluateClassifiers.outputs)]  # planned after all other jobs

    def plan_jobs(self, planner: Planner, name: str) -> list[PlannedJob]:
        study, definition = planner.study, self.get_definition(planner.study, name)
        facts = study.facts(definition.dataset)
        [data] = planner.jobs_of("datasets", definition.dataset)
        jobs = []
        model: FileNetwork | AnyNetwork
        training = None
        if isinstance(definition, FileClassifier):
            model = definition.network()
        else:
            model, training = definition.model.fit(facts.shape), definition.training
        for seed in study.seeds_of(name):
            task = TrainClassifier(
                name=name,
                seed=seed,
                model=model,
                classes=facts.classes,
                images=definition.images,
                defence=definition.defence,
                training=training,
                validation=study.validation_images(definition.dataset),
            )
            wildcards = {"classifier": name, "seed": str(seed)}
            jobs.append(planner.add(task, wildcards, {"data": data.outputs["train"]}))
        return jobs

    def plan_summaries(self, planner: Planner) -> None:
        """Plan the table with the test errors of all classifiers and probes."""
        rules = tuple(kind.tasks[0].rule for kind in planner.kinds if kind.attackable)
        trained = [job for job in planner.jobs.values() if job.rule in rules]
        if not trained:
            return
        tested, data = [], []
        for job in trained:
            name: str = job.task.name  # type: ignore[attr-defined]
            facts = find_origin(planner.study, name)
            tested.append(Tested(classifier=name, seed=job.seed, **facts.model_dump()))
            data.append(planner.test_split(facts.tested_on))
        inputs: dict[str, Files] = {
            "models": tuple(job.outputs["model"] for job in trained),
            "histories": tuple(job.outputs["history"] for job in trained),
            "data": tuple(data),
        }
        varied = planner.swept_values_in(*rules)
        task = EvaluateClassifiers(tested=tuple(tested), varied=varied)
        planner.add(task, {}, inputs)

    def check(self, study: Study) -> Iterator[Mistake]:
        for name, definition in self.definitions(study):
            facts = study.facts(definition.dataset)
            if isinstance(definition, FileClassifier):
                yield from _check_file(("classifiers", name), definition, facts.shape)
                continue
            yield from check_fits(("classifiers", name, "model"), definition.model, facts.shape)
            tested = study.facts(study.tested_on(name))
            if (tested.shape, tested.classes) != (facts.shape, facts.classes):
                message = f"has {format_shape(tested.shape)} images of {tested.classes} classes, not "
                message += f"{format_shape(facts.shape)} of {facts.classes}; name one made from the same images"
                yield ("classifiers", name, "tested_on"), f" = {definition.tested_on!r}: {message}"
            stochastic = definition.defence is not None and definition.defence.stochastic
            if stochastic != isinstance(definition.model, EnsembleNetwork):
                message = ": an ensemble needs the defence 'bayesian', and that defence needs an ensemble"
                yield ("classifiers", name, "model"), message
            if definition.defence is not None:
                yield from check_spec(("classifiers", name, "defence"), definition.defence.check, facts.shape)
            available = study.training_images(definition.dataset)
            if definition.images is not None and definition.images > available:
                message = f" = {definition.images}: only {available} training images remain after the validation split"
                yield ("classifiers", name, "images"), message
            images = definition.images or available
            yield from check_batch(("classifiers", name, "training"), definition.training, images)
            pool = definition.defence if isinstance(definition.defence, PoolDefence) else None
            if pool and "size" in pool.model_fields_set and pool.size > images:
                message = f" = {pool.size}: there are only {images} images to train on"
                yield ("classifiers", name, "defence", "size"), message


def _check_file(path: tuple[str, ...], classifier: FileClassifier, shape: Shape) -> Iterator[Mistake]:
    """Yield mistakes in the definition of a model from a file that can be found without torch."""
    try:
        classifier.network()
    except ValueError as error:
        key = "factory" if Path(classifier.path).is_file() else "path"
        yield (*path, key), f" = {getattr(classifier, key)!r}: {error}"
    has_only_weights = classifier.path.endswith(".safetensors") and not is_checkpoint(Path(classifier.path))
    if has_only_weights and classifier.factory is None:
        message = " is missing: the file contains only weights; name the code of the module, such as net.py:function"
        yield (*path, "factory"), message
    if classifier.bounds[0] >= classifier.bounds[1]:
        yield (
            (*path, "bounds"),
            f" = {list(classifier.bounds)}: must be the lowest and the highest pixel, such as [0, 1]",
        )
    for key in ("mean", "std"):
        value = getattr(classifier, key)
        if isinstance(value, tuple) and len(value) not in (1, shape[0]):
            yield (*path, key), f" = {list(value)}: has {len(value)} numbers for {shape[0]} channels; give one for each"
        if key == "std" and value is not None and min(value if isinstance(value, tuple) else (value,)) <= 0:
            yield (*path, key), f" = {value}: must be positive; it divides the pixels"


KIND = Classifiers()
