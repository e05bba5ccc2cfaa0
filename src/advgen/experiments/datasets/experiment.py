"""Data sets: verified raw files, then Parquet; and data sets made from other ones."""

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
from advgen.specs.base import Count, DatasetName, Need
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
    """Turn raw files, or images of the user's own, into Parquet."""

    command = "make-dataset"
    run = "make"
    reads = ("raw",)
    outputs = {
        "train": "results/datasets/{raw}/train.parquet",
        "test": "results/datasets/{raw}/test.parquet",
    }
    labels = {}
    local = True
    dataset: AnyDataset = Field(description="data set to make")
    seed: int = Field(0, description="seed of the choice where only a part is used")
    content: str = Field("", description="digest of images of the user's own")

    def code_targets(self) -> set[str]:
        """Where the files came from does not matter, only how they are read."""
        if isinstance(self.dataset, CustomDataset):
            return super().code_targets()
        assert isinstance(self.dataset, RawDataset)
        return super().code_targets() - {registry.target(self.dataset)} | {self.dataset.reader, self.dataset.intact}

    def stamped_packages(self) -> tuple[str, ...]:
        """Also what draws or opens the images."""
        if isinstance(self.dataset, CustomDataset):
            return *super().stamped_packages(), "pillow"
        assert isinstance(self.dataset, RawDataset)
        return *super().stamped_packages(), *self.dataset.packages


class DeriveDataset(DeviceTask):
    """Make a data set from another one, with a trained model if it needs one."""

    command = "derive-dataset"
    run = "derive"
    reads = ("train", "test", "model")
    outputs = {
        "train": "results/datasets/{derived}/train.parquet",
        "test": "results/datasets/{derived}/test.parquet",
    }
    labels = {"name": "name"}
    dataset: AnyDataset = Field(description="data set to make")
    name: str
    seed: int
    validation: int = Field(0, description="images set apart from training, where that matters; 0: where not")

    def uses_gpu(self) -> bool:
        """Where a model makes it."""
        assert isinstance(self.dataset, DerivedDataset)
        return any(self.dataset.needs())


class DatasetSamplesFigure(FigureSpec):
    """Images of each class of a data set."""

    group = "Data and judge"
    kind: Literal["dataset_samples"] = Field(description="images of each class")
    dataset: DatasetName = Field(description="data set shown")
    per_class: Count = Field(12, description="images per class")

    def size_limits(self, study: Study) -> Iterator[tuple[str, int, str]]:
        facts = study.facts(self.dataset)
        yield "per_class", facts.test // facts.classes, f"test images of each class in {self.dataset!r}"

    def needs(self) -> Iterator[Need]:
        yield Need("datasets", (self.dataset,), "test")


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
            return [self._derived(planner, name, dataset)]
        seed = 0 if dataset.train is None and dataset.test is None else planner.study.evaluation.seed  # type: ignore[attr-defined]
        if isinstance(dataset, CustomDataset):
            own = MakeDataset(dataset=dataset, seed=seed, content=user_file_digest(dataset))
            return [planner.add(own, {"raw": name}, {"raw": ()})]
        assert isinstance(dataset, RawDataset)
        files = {file: raw_file(name, file) for file in dataset.files()}
        bare = type(dataset)(**dataset.model_dump(include={"kind", *dataset.source}))
        fetch = PlannedJob("fetch", {"dataset": name}, Fetch(dataset=bare), {}, files)
        planner.jobs.setdefault(key_of("fetch", fetch.wildcards), fetch)
        task = MakeDataset(dataset=dataset, seed=seed)
        return [planner.add(task, {"raw": name}, {"raw": tuple(files.values())})]

    def _derived(self, planner: Planner, name: str, dataset: DerivedDataset) -> PlannedJob:
        [base] = self.plan_jobs(planner, dataset.base)
        inputs: dict[str, Files] = {
            "train": base.outputs["train"],
            "test": base.outputs["test"],
            "model": tuple(path for need in dataset.needs() for path in planner.files_for(need)),
        }
        # what trains apart from validation images must be known where training images are asked for
        validation = planner.study.validation_images(dataset.base) if dataset.source("test") == "train" else 0
        seed = planner.study.evaluation.seed
        task = DeriveDataset(dataset=dataset, name=name, seed=seed, validation=validation)
        return planner.add(task, {"derived": name}, inputs)

    def check(self, study: Study) -> Iterator[Mistake]:
        """Refuse data sets that are smaller than what is taken from them, or made with a model that is not trained."""
        attacked = study.evaluation.attack_examples
        for name, dataset in self.definitions(study):
            for need in dataset.needs() if isinstance(dataset, DerivedDataset) else ():
                seeds = study.seeds_of(need.names[0])
                if need.seed not in seeds:
                    trained = ", ".join(map(str, seeds))
                    message = f" = {need.seed}: is no seed of {need.names[0]!r} (trained with {trained})"
                    yield ("datasets", name, "seed"), message
            own = isinstance(dataset, RobustFeatures) and study.classifiers.get(dataset.classifier)
            if getattr(own, "kind", "") == "file":
                message = " names a model from a file, and nothing tells its features from its outputs"
                yield ("datasets", name, "classifier"), message
            facts = study.facts(name)
            if isinstance(dataset, LearntImages) and dataset.images > study.training_images(dataset.base):
                left = study.training_images(dataset.base)
                message = f" = {dataset.images}: only {left} training images are left beside validation"
                yield ("datasets", name, "images"), message
            if isinstance(dataset, DerivedDataset):
                yield from check_spec(("datasets", name), dataset.check, facts.shape)
            if not study.validation_images(name):
                message = f": data set {name!r} has {facts.train} images to train, too few to set some apart"
                yield ("evaluation", "validation"), message
            if attacked > facts.test:
                message = f" = {attacked}: data set {name!r} has only {facts.test} test images; lower it"
                yield ("evaluation", "attack_examples"), message


KIND = Datasets()
