"""Classifiers to attack, and the test errors of all of them."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field

from advgen.core.definitions import Definition, Mistake, Study, check_batch, check_fits, check_told
from advgen.core.kinds import Files, Kind, PlannedJob, Planner
from advgen.core.schema import INT, REAL, REAL64, TEXT, Table
from advgen.core.tasks import DeviceTask, Varied
from advgen.registry import AnyDefence, AnyNetwork
from advgen.specs.base import Count, Spec
from advgen.specs.defences import PoolDefence
from advgen.specs.networks import EnsembleNetwork
from advgen.specs.training import ClassifierTraining


class ClassifierDefinition(Definition):
    """A network trained to name the class."""

    model: AnyNetwork = Field(description="preset name, or a network's own keys")
    training: ClassifierTraining = Field(ClassifierTraining(), description="optimiser and budget")
    images: Count | None = Field(
        None, description="train on only this many images (a seeded choice, more contain fewer); null: on all"
    )
    defence: AnyDefence | None = Field(None, description="what makes it robust; null: plain training")
    obfuscated_gradients: bool = Field(
        False,
        description="its gradients are known to be masked or random: failed statistical checks of it are warnings",
    )


class TrainClassifier(DeviceTask):
    """Train one classifier with one seed."""

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
    model: AnyNetwork
    classes: int
    images: int | None
    defence: AnyDefence | None
    training: ClassifierTraining
    validation: int


class Origin(Spec):
    """What tables say of a classifier beside its name."""

    dataset: str
    images: int = Field(description="training images")
    defence: str


class Tested(Origin):
    """One classifier of the table."""

    classifier: str
    seed: int


class EvaluateClassifiers(DeviceTask):
    """Measure the test error of all classifiers and probes."""

    command = "evaluate-classifiers"
    run = "evaluate"
    reads = ("models", "histories", "data")
    outputs = {"table": "results/tables/classifiers.parquet"}
    tested: tuple[Tested, ...]
    varied: Varied = {}


def origin(study: Study, source: str) -> Origin:
    """What tables say of a classifier or probe beside its name."""
    dataset = study.dataset_of(source)
    definition: ClassifierDefinition | None = study.classifiers.get(source)
    defence = definition.defence if definition else None
    images = definition.images if definition else None
    return Origin(
        dataset=dataset,
        images=images or study.left(dataset),
        defence=defence.label() if defence else "none",
    )


class Classifiers(Kind[ClassifierDefinition]):
    """Classifiers to attack."""

    definition = ClassifierDefinition
    about = "classifiers to attack"
    order = 22
    tasks = (TrainClassifier, EvaluateClassifiers)
    attackable = True
    tables = {
        "training": Table(
            ("model", "seed", "step"),
            {"model": TEXT, "seed": INT, "step": INT, "epoch": REAL64, "loss": REAL, "accuracy": REAL},
        ),
        "classifier_quality": Table(
            ("classifier", "seed"),
            {
                "classifier": TEXT,
                "seed": INT,
                "dataset": TEXT,
                "images": INT,
                "parameters": INT,
                "defence": TEXT,
                "n": INT,
                "error": REAL64,
                "error_low": REAL64,
                "error_high": REAL64,
                "validation_error": REAL64,
            },
            "Classifiers",
            "Adversarial lab",
            measured=("error", "validation_error"),
        ),
    }

    def jobs(self, planner: Planner, name: str) -> list[PlannedJob]:
        study, definition = planner.study, self.defined(planner.study, name)
        facts = study.facts(definition.dataset)
        [data] = planner.of("datasets", definition.dataset)
        jobs = []
        for seed in study.seeds_of(name):
            task = TrainClassifier(
                name=name,
                seed=seed,
                model=definition.model.fit(facts.shape),
                classes=facts.classes,
                images=definition.images,
                defence=definition.defence,
                training=definition.training,
                validation=study.validation(definition.dataset),
            )
            wildcards = {"classifier": name, "seed": str(seed)}
            jobs.append(planner.add(task, wildcards, {"data": data.outputs["train"]}))
        return jobs

    def after(self, planner: Planner) -> None:
        """The test errors of all classifiers and probes, in one table."""
        rules = tuple(kind.tasks[0].rule for kind in planner.kinds if kind.attackable)
        trained = [job for job in planner.jobs.values() if job.rule in rules]
        if not trained:
            return
        tested, data = [], []
        for job in trained:
            name: str = job.task.name  # type: ignore[attr-defined]
            facts = origin(planner.study, name)
            tested.append(Tested(classifier=name, seed=job.seed, **facts.model_dump()))
            data.append(planner.test_images(facts.dataset))
        inputs: dict[str, Files] = {
            "models": tuple(job.outputs["model"] for job in trained),
            "histories": tuple(job.outputs["history"] for job in trained),
            "data": tuple(data),
        }
        varied = planner.varied_in(*rules)
        task = EvaluateClassifiers(tested=tuple(tested), varied=varied)
        planner.add(task, {}, inputs)

    def check(self, study: Study) -> Iterator[Mistake]:
        for name, definition in self.all(study):
            facts = study.facts(definition.dataset)
            yield from check_fits(("classifiers", name, "model"), definition.model, facts.shape)
            stochastic = definition.defence is not None and definition.defence.stochastic
            if stochastic != isinstance(definition.model, EnsembleNetwork):
                message = ": an ensemble is trained by the defence 'bayesian' alone, and that defence needs an ensemble"
                yield ("classifiers", name, "model"), message
            if definition.defence is not None:
                yield from check_told(("classifiers", name, "defence"), definition.defence.check, facts.shape)
            left = study.left(definition.dataset)
            if definition.images is not None and definition.images > left:
                message = f" = {definition.images}: only {left} training images are left beside validation"
                yield ("classifiers", name, "images"), message
            yield from check_batch(("classifiers", name, "training"), definition.training, definition.images or left)
            pool = definition.defence if isinstance(definition.defence, PoolDefence) else None
            if pool and "size" in pool.model_fields_set and pool.size > (definition.images or left):
                message = f" = {pool.size}: there are only {definition.images or left} images to train on"
                yield ("classifiers", name, "defence", "size"), message


KIND = Classifiers()
