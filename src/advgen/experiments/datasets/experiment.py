"""Data sets from verified raw files, from custom images, and derived from other data sets."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from advgen import registry
from advgen.core.definitions import Mistake, Study, check_spec
from advgen.core.kinds import Files, Kind, PlannedJob, Planner, key_of
from advgen.core.paths import raw_file
from advgen.core.tasks import DeviceTask, Task
from advgen.files.user_files import user_file_digest
from advgen.registry import AnyDataset
from advgen.specs.base import Count, DatasetName
from advgen.specs.datasets import CustomDataset, DatasetSpec, DerivedDataset, LearntImages, RawDataset, RobustFeatures
from advgen.specs.figures import FigureSpec


class Fetch(Task):
    """Download and check the raw files of one data set."""

    command = "fetch"
    run = "fetch"
    local = True
    has_custom_rule = True
    dataset: AnyDataset = Field(description="data set to download")


class MakeDataset(Task):
    """Convert raw files or custom images to Parquet."""

    command = "make-dataset"
    run = "make"
    reads = ("raw",)
    outputs = {
        "train": "results/datasets/{raw}/train.parquet",
        "test": "results/datasets/{raw}/test.parquet",
    }
    labels = {}
    local = True
    dataset: AnyDataset = Field(description="data set to create")
    seed: int = Field(0, description="seed of the selection if only a part is used")
    content: str = Field("", description="digest of custom images")

    def code_targets(self) -> set[str]:
        """Return the code that reads the files, without the code that downloads them."""
        if isinstance(self.dataset, CustomDataset):
            return super().code_targets()
        assert isinstance(self.dataset, RawDataset)
        return super().code_targets() - {registry.target(self.dataset)} | {self.dataset.reader, self.dataset.intact}

    def stamped_packages(self) -> tuple[str, ...]:
        """Return the packages of the task, with those that draw or open the images."""
        if isinstance(self.dataset, CustomDataset):
            return *super().stamped_packages(), "pillow"
        assert isinstance(self.dataset, RawDataset)
        return *super().stamped_packages(), *self.dataset.packages


class DeriveDataset(DeviceTask):
    """Derive a data set from another one, with a trained model if necessary."""

    command = "derive-dataset"
    run = "derive"
    reads = ("train", "test", "model")
    outputs = {
        "train": "results/datasets/{derived}/train.parquet",
        "test": "results/datasets/{derived}/test.parquet",
    }
    labels = {"name": "name"}
    dataset: AnyDataset = Field(description="data set to create")
    name: str
    seed: int
    validation: int = Field(0, description="validation images to leave out, if it matters; else 0")

    def uses_gpu(self) -> bool:
        """Return whether a model creates the images."""
        assert isinstance(self.dataset, DerivedDataset)
        return any(self.dataset.needs())


class DatasetSamplesFigure(FigureSpec):
    """Images of each class of a data set."""

    group = "Data and judge"
    reads = {"dataset": ("test",)}
    kind: Literal["dataset_samples"] = Field(description="images of each class")
    dataset: DatasetName = Field(description="data set to show")
    per_class: Count = Field(12, description="number of images per class")

    def size_limits(self, study: Study) -> Iterator[tuple[str, int, str]]:
        facts = study.facts(self.dataset)
        yield "per_class", facts.test // facts.classes, f"test images of each class in {self.dataset!r}"


class Datasets(Kind[DatasetSpec]):
    """Data sets."""

    definition = AnyDataset
    description = "data sets"
    order = 10
    tasks = (Fetch, MakeDataset, DeriveDataset)
    figures = (DatasetSamplesFigure,)

    def plan_jobs(self, planner: Planner, name: str) -> list[PlannedJob]:
        dataset = self.get_definition(planner.study, name)
        if isinstance(dataset, DerivedDataset):
            return [self._plan_derived(planner, name, dataset)]
        seed = 0 if dataset.train is None and dataset.test is None else planner.study.evaluation.seed  # type: ignore[attr-defined]
        if isinstance(dataset, CustomDataset):
            task = MakeDataset(dataset=dataset, seed=seed, content=user_file_digest(dataset))
            return [planner.add(task, {"raw": name}, {"raw": ()})]
        assert isinstance(dataset, RawDataset)
        files = {file: raw_file(name, file) for file in dataset.files()}
        source = type(dataset)(**dataset.model_dump(include={"kind", *dataset.source}))
        fetch = PlannedJob("fetch", {"dataset": name}, Fetch(dataset=source), {}, files)
        planner.jobs.setdefault(key_of("fetch", fetch.wildcards), fetch)
        task = MakeDataset(dataset=dataset, seed=seed)
        return [planner.add(task, {"raw": name}, {"raw": tuple(files.values())})]

    def _plan_derived(self, planner: Planner, name: str, dataset: DerivedDataset) -> PlannedJob:
        [base] = self.plan_jobs(planner, dataset.base)
        inputs: dict[str, Files] = {
            "train": base.outputs["train"],
            "test": base.outputs["test"],
            "model": tuple(path for need in dataset.needs() for path in planner.files_for(need)),
        }
        # A model that is trained on the base must not have seen its validation images.
        validation = planner.study.validation_images(dataset.base) if dataset.source("test") == "train" else 0
        seed = planner.study.evaluation.seed
        task = DeriveDataset(dataset=dataset, name=name, seed=seed, validation=validation)
        return planner.add(task, {"derived": name}, inputs)

    def check(self, study: Study) -> Iterator[Mistake]:
        """Report data sets that are too small, or derived with a model that the study does not train."""
        attacked = study.evaluation.attack_examples
        for name, dataset in self.definitions(study):
            for need in dataset.needs() if isinstance(dataset, DerivedDataset) else ():
                seeds = study.seeds_of(need.names[0])
                if need.seed not in seeds:
                    trained = ", ".join(map(str, seeds))
                    message = f" = {need.seed}: is not a seed of {need.names[0]!r} (trained with {trained})"
                    yield ("datasets", name, "seed"), message
            classifier = isinstance(dataset, RobustFeatures) and study.classifiers.get(dataset.classifier)
            if getattr(classifier, "kind", "") == "file":
                message = " is a model from a file, whose features are unknown; use a classifier that the study trains"
                yield ("datasets", name, "classifier"), message
            facts = study.facts(name)
            if isinstance(dataset, LearntImages) and dataset.images > study.training_images(dataset.base):
                available = study.training_images(dataset.base)
                message = (
                    f" = {dataset.images}: there are only {available} training images without the validation images"
                )
                yield ("datasets", name, "images"), message
            if isinstance(dataset, DerivedDataset):
                yield from check_spec(("datasets", name), dataset.check, facts.shape)
            if not study.validation_images(name):
                message = f": data set {name!r} has only {facts.train} training images, too few for a validation split"
                yield ("evaluation", "validation"), message
            if attacked > facts.test:
                message = f" = {attacked}: data set {name!r} has only {facts.test} test images; lower it"
                yield ("evaluation", "attack_examples"), message


KIND = Datasets()
