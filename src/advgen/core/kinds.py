"""Kinds of definitions in a study, and the planning of their jobs, each at most once. Torch-free.

A kind is one package below `experiments/` or `outcomes/`. Its `experiment.py` or `outcome.py` has the fields of a
definition, its jobs, tables and figures.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from pydantic import Field

from advgen.core.definitions import Mistake, Study
from advgen.core.deprecated import accept_old_names, renamed_attribute
from advgen.core.errors import ConfigError
from advgen.core.paths import wildcards_of
from advgen.core.schema import Table, read_tables
from advgen.core.tasks import DeviceTask, SweptValues, Task
from advgen.specs.base import ClassifierName, Count, Need, Spec
from advgen.specs.figures import FigureSpec

Files = str | tuple[str, ...]
MAX_JOBS = 100_000
"""Jobs of one study; Snakemake needs minutes and gigabytes for more."""
D = TypeVar("D", bound=Spec)


@dataclass(frozen=True)
class PlannedJob:
    """One run of one rule."""

    rule: str
    wildcards: Mapping[str, str]
    task: Task
    inputs: Mapping[str, Files]
    outputs: Mapping[str, str]

    @property
    def seed(self) -> int:
        """The seed among its wildcards."""
        return int(self.wildcards["seed"])

    @cached_property
    def spec(self) -> str:
        """The canonical JSON that the command receives."""
        return self.task.canonical()

    @cached_property
    def code(self) -> str:
        """The digest of the code that its result depends on."""
        return self.task.code()


Key = tuple[str, frozenset[tuple[str, str]]]


def key_of(rule: str, wildcards: Mapping[str, str]) -> Key:
    """Return the key that identifies a job."""
    return rule, frozenset(wildcards.items())


class Planner:
    """The jobs planned so far. Kinds use it to plan jobs of other kinds."""

    def __init__(self, study: Study, kinds: tuple[Kind[Any], ...], file: str = "", varied: SweptValues | None = None):
        self.study, self.kinds, self.file, self.varied = study, kinds, file, varied or {}
        self.jobs: dict[Key, PlannedJob] = {}
        self.planned: dict[tuple[str, ...], list[PlannedJob]] = {}
        self.kinds_by_name = {kind.name: kind for kind in kinds}
        self.rules = {task.rule: task.outputs for kind in kinds for task in kind.tasks}

    def add(self, task: Task, wildcards: Mapping[str, str], inputs: Mapping[str, Files]) -> PlannedJob:
        """Plan a job unless it is already planned, and return it."""
        key = key_of(task.rule, wildcards)
        if isinstance(task, DeviceTask):
            task = task.model_copy(update={"tf32": self.study.tf32})
        if key not in self.jobs:
            if len(self.jobs) == MAX_JOBS:
                raise ConfigError(f"{self.file}: plans more than {MAX_JOBS:,} jobs; sweep or select less")
            outputs = {role: pattern.format(**wildcards) for role, pattern in task.outputs.items()}
            self.jobs[key] = PlannedJob(task.rule, dict(wildcards), task, inputs, outputs)
        return self.jobs[key]

    def get_kind(self, name: str) -> Any:
        """Return a kind by its name, for methods that only this kind has."""
        return self.kinds_by_name[name]

    def jobs_of(self, kind: str, *names: str) -> list[PlannedJob]:
        """Return the jobs of one definition, one per seed; plan them if necessary."""
        if (kind, *names) not in self.planned:
            self.planned[kind, *names] = self.kinds_by_name[kind].plan_jobs(self, *names)
        return self.planned[kind, *names]

    def training_jobs(self, name: str) -> list[PlannedJob]:
        """Return the training jobs of a model of any kind."""
        return self.jobs_of(self.study.family_of(name), name)

    def test_split(self, dataset: str) -> str:
        """Return the file with the test images of a data set."""
        return self.jobs_of("datasets", dataset)[0].outputs["test"]

    def outputs_of(self, rule: str, role: str) -> tuple[str, ...]:
        """Return the outputs of all planned jobs of a rule; TypeError if no kind has such a rule and role."""
        if role not in self.rules.get(rule, {}):
            raise TypeError(f"no kind has a rule {rule!r} with an output {role!r}")
        return tuple(job.outputs[role] for job in self.jobs.values() if job.rule == rule)

    def swept_values_in(self, *rules: str) -> SweptValues:
        """Return the swept values of all definitions that the wildcards of these rules' jobs name."""
        names = {name for job in self.jobs.values() if job.rule in rules for name in job.wildcards.values()}
        return {name: keys for name, keys in self.varied.items() if name in names}

    def files_for(self, need: Need) -> tuple[str, ...]:
        """Return the files of one input of a figure or data set, of all seeds or of one."""
        family = need.family or self.study.family_of(need.names[0])
        jobs = self.kinds_by_name[family].jobs_for(self, need)
        return tuple(job.outputs[need.role] for job in jobs if need.seed is None or job.seed == need.seed)

    of = renamed_attribute("of", "jobs_of")
    kind = renamed_attribute("kind", "get_kind")
    made = renamed_attribute("made", "outputs_of")
    needed = renamed_attribute("needed", "files_for")
    trained = renamed_attribute("trained", "training_jobs")
    test_images = renamed_attribute("test_images", "test_split")
    varied_in = renamed_attribute("varied_in", "swept_values_in")


class Summary(NamedTuple):
    """One tidy table over all runs: its kind of table, and the rule and output role of its input files.

    `module` is the module of the kind's package whose function `summarise` makes the rows; without it, the rows of the
    input files are concatenated.
    """

    table: str
    rule: str
    role: str
    module: str = ""


OLD_NAMES = {
    "about": "description",
    "after": "plan_summaries",
    "before": "plan_dependencies",
    "checked": "sanity_inputs",
    "jobs": "plan_jobs",
    "needed": "jobs_for",
}
"""The former names of the methods and variables that a kind of a plug-in defines."""


class Kind(Generic[D]):
    """Base of all kinds. A kind with a `definition` adds a key to the study: a map from names to such definitions."""

    definition: ClassVar[Any] = None
    description: ClassVar[str] = ""
    """Description of the key."""
    order: ClassVar[int] = 80
    """Position of the key in a study, and of its definitions in planning."""
    tasks: ClassVar[tuple[type[Task], ...]] = ()
    figures: ClassVar[tuple[type[FigureSpec], ...]] = ()
    summaries: ClassVar[Mapping[str, Summary]] = {}
    """Its tables in results/tables/, by name."""
    contributes: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """Rule and role of its files that a summary of another kind reads, by the name of the summary."""
    attackable: ClassVar[bool] = False
    """Whether its models are classifiers that experiments can attack."""
    sanity_inputs: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Rules and roles of its files that the sanity checks read."""

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """Its tables by name, from tables.yaml in its folder."""
        path = Path(inspect.getfile(type(self))).with_name("tables.yaml")
        return read_tables(path) if path.exists() else {}

    defined = renamed_attribute("defined", "get_definition")
    all = renamed_attribute("all", "definitions")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        accept_old_names(cls, OLD_NAMES)

    @property
    def package(self) -> str:
        """The package of the kind."""
        return type(self).__module__.rpartition(".")[0]

    @property
    def name(self) -> str:
        """The name of its folder, and of its key in a study."""
        return self.package.rpartition(".")[2]

    def get_definition(self, study: Study, name: str) -> D:
        """Return one of its definitions."""
        definition: D = getattr(study, self.name)[name]
        return definition

    def definitions(self, study: Study) -> Iterator[tuple[str, D]]:
        """Yield the name and the definition of each of its definitions."""
        yield from getattr(study, self.name).items()

    def plan_jobs(self, planner: Planner, name: str) -> list[PlannedJob]:
        """Plan the jobs of one definition and return its main jobs, one per seed."""
        return []

    def jobs_for(self, planner: Planner, need: Need) -> list[PlannedJob]:
        """Return the jobs with the needed output role: the main jobs, or those of another rule with equal wildcards."""
        jobs = planner.jobs_of(self.name, *need.names)
        if need.role in jobs[0].outputs:
            return jobs
        [rule] = [task.rule for task in self.tasks if need.role in task.outputs]
        return [planner.jobs[key_of(rule, job.wildcards)] for job in jobs]

    def plan_dependencies(self, planner: Planner) -> None:
        """Plan jobs of other kinds that it needs, after all definitions are planned."""

    def plan_summaries(self, planner: Planner) -> None:
        """Plan jobs that read outputs of all planned jobs."""

    def check(self, study: Study) -> Iterator[Mistake]:
        """Yield mistakes in its definitions that the types of their fields cannot express."""
        return iter(())


class Experiment(Kind[D]):
    """An experiment on subjects: one job of one task for each subject of a definition and each of its seeds."""

    subjects_key: ClassVar[str]
    """Key of a definition that lists its subjects."""
    subject_field: ClassVar[str]
    """Field of the task with the name of the subject."""
    wildcard: ClassVar[str]
    """Wildcard of the subject in the task's output paths."""

    def subjects(self, planner: Planner, name: str) -> Iterator[tuple[int, dict[str, Files]]]:
        """Yield the seeds of a subject, with the input files of the job for each."""
        raise NotImplementedError

    def task_fields(self, study: Study, definition: D, subject: str) -> dict[str, Any]:
        """Return the fields of the task that follow from the definition: those of the same name."""
        return {name: getattr(definition, name) for name in self.tasks[0].model_fields if hasattr(definition, name)}

    def extra_inputs(self, planner: Planner, definition: D, subject: str, seed: int) -> dict[str, Files]:
        """Return further input files of a job."""
        return {}

    def plan_jobs(self, planner: Planner, name: str) -> list[PlannedJob]:
        definition, [task] = self.get_definition(planner.study, name), self.tasks
        wildcards = {one for path in task.outputs.values() for one in wildcards_of(path)}
        [name_wildcard] = wildcards - {self.wildcard, "seed"}
        jobs = []
        for subject in getattr(definition, self.subjects_key):
            fields = {"name": name, self.subject_field: subject, "choice": planner.study.evaluation.seed}
            fields |= self.task_fields(planner.study, definition, subject)
            for seed, inputs in self.subjects(planner, subject):
                fields["seed"] = seed
                spec = task(**{key: value for key, value in fields.items() if key in task.model_fields})
                inputs = inputs | self.extra_inputs(planner, definition, subject, seed)
                jobs.append(planner.add(spec, {name_wildcard: name, self.wildcard: subject, "seed": str(seed)}, inputs))
        return jobs

    def jobs_for(self, planner: Planner, need: Need) -> list[PlannedJob]:
        """Return the jobs of a definition, or of one of its subjects if the need names one."""
        name, *subjects = need.names
        jobs = super().jobs_for(planner, need._replace(names=(name,)))
        return [job for job in jobs if not subjects or job.wildcards[self.wildcard] in subjects]

    def check(self, study: Study) -> Iterator[Mistake]:
        """Yield a mistake if a definition uses more test images than there are."""
        for name, definition in self.definitions(study):
            images = getattr(definition, "images", 0)
            for subject in getattr(definition, self.subjects_key):
                available = study.facts(study.tested_on(subject)).test
                if images > available:
                    yield (self.name, name, "images"), f" = {images}: there are only {available} test images"


class SourcesDefinition(Spec):
    """Fields of experiments on classifiers."""

    sources: tuple[ClassifierName, ...] = Field(min_length=1, description="classifiers that are examined or attacked")
    images: Count = Field(100, description="number of test images per classifier")


class OnClassifiers(Experiment[D]):
    """An experiment on the classifiers that a definition lists under `sources`, with a `ClassifierTask`."""

    subjects_key = "sources"
    subject_field = wildcard = "source"

    def subjects(self, planner: Planner, name: str) -> Iterator[tuple[int, dict[str, Files]]]:
        data = planner.test_split(planner.study.tested_on(name))
        for trained in planner.training_jobs(name):
            yield trained.seed, {"model": trained.outputs["model"], "data": data}


class OnGenerators(Experiment[D]):
    """An experiment on the generators that a definition lists under `generators`, with a `GeneratorTask`."""

    subjects_key = "generators"
    subject_field = "generator_name"
    wildcard = "generator"

    def subjects(self, planner: Planner, name: str) -> Iterator[tuple[int, dict[str, Files]]]:
        dataset = planner.study.dataset_of(name)
        data = planner.test_split(dataset)
        [judge] = planner.jobs_of("judges", dataset)
        for path, seed in planner.get_kind("generators").files(planner, name):
            yield seed, {"generator": path, "judge": judge.outputs["model"], "data": data}
