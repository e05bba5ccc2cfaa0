"""What a kind of thing in a study tells of itself, and how its jobs are planned: on demand, each once. Torch-free.

A kind is one folder below `experiments/` (or `outcomes/`): what it is asked and makes stands in its `experiment.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from pydantic import Field

from advgen.core.definitions import Mistake, Study
from advgen.core.errors import ConfigError
from advgen.core.paths import wildcards_of
from advgen.core.schema import Table
from advgen.core.tasks import DeviceTask, SweptValues, Task
from advgen.specs.base import ClassifierName, Count, Need, Spec
from advgen.specs.figures import FigureSpec

Files = str | tuple[str, ...]
MOST_JOBS = 100_000
"""Of one study: Snakemake needs minutes and gigabytes for more."""
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
        """The canonical JSON given to the command."""
        return self.task.canonical()

    @cached_property
    def code(self) -> str:
        """Digest of the code that its result depends on."""
        return self.task.code()


Key = tuple[str, frozenset[tuple[str, str]]]


def key_of(rule: str, wildcards: Mapping[str, str]) -> Key:
    """What names a job among all jobs."""
    return rule, frozenset(wildcards.items())


class Planner:
    """The jobs planned so far, and how kinds ask each other for more."""

    def __init__(self, study: Study, kinds: tuple[Kind[Any], ...], file: str = "", varied: SweptValues | None = None):
        self.study, self.kinds, self.file, self.varied = study, kinds, file, varied or {}
        self.jobs: dict[Key, PlannedJob] = {}
        self.planned: dict[tuple[str, ...], list[PlannedJob]] = {}
        self.kinds_by_name = {kind.name: kind for kind in kinds}
        self.rules = {task.rule: task.outputs for kind in kinds for task in kind.tasks}

    def add(self, task: Task, wildcards: Mapping[str, str], inputs: Mapping[str, Files]) -> PlannedJob:
        """Plan a job, unless it is planned already."""
        key = key_of(task.rule, wildcards)
        if isinstance(task, DeviceTask):
            task = task.model_copy(update={"tf32": self.study.tf32})
        if key not in self.jobs:
            if len(self.jobs) == MOST_JOBS:
                raise ConfigError(f"{self.file}: plans more than {MOST_JOBS:,} jobs; sweep or select less")
            outputs = {role: pattern.format(**wildcards) for role, pattern in task.outputs.items()}
            self.jobs[key] = PlannedJob(task.rule, dict(wildcards), task, inputs, outputs)
        return self.jobs[key]

    def get_kind(self, name: str) -> Any:
        """A kind by its name, for what it offers to others."""
        return self.kinds_by_name[name]

    def jobs_of(self, kind: str, *names: str) -> list[PlannedJob]:
        """The jobs of one definition, one per seed, planned now if they are not yet."""
        if (kind, *names) not in self.planned:
            self.planned[kind, *names] = self.kinds_by_name[kind].plan_jobs(self, *names)
        return self.planned[kind, *names]

    def training_jobs(self, name: str) -> list[PlannedJob]:
        """The trainings of whatever model has this name."""
        return self.jobs_of(self.study.family_of(name), name)

    def test_split(self, dataset: str) -> str:
        """The test split of a data set."""
        return self.jobs_of("datasets", dataset)[0].outputs["test"]

    def outputs_of(self, rule: str, role: str) -> tuple[str, ...]:
        """The outputs of all planned jobs of a rule; TypeError if no kind has such a rule and role."""
        if role not in self.rules.get(rule, {}):
            raise TypeError(f"no kind has a rule {rule!r} with an output {role!r}")
        return tuple(job.outputs[role] for job in self.jobs.values() if job.rule == rule)

    def swept_values_in(self, *rules: str) -> SweptValues:
        """What is swept among the definitions whose names the jobs of some rules bear."""
        names = {name for job in self.jobs.values() if job.rule in rules for name in job.wildcards.values()}
        return {name: keys for name, keys in self.varied.items() if name in names}

    def files_for(self, need: Need) -> tuple[str, ...]:
        """The files behind one need of a figure or data set, over all seeds or of one."""
        family = need.family or self.study.family_of(need.names[0])
        jobs = self.kinds_by_name[family].jobs_for(self, need)
        return tuple(job.outputs[need.role] for job in jobs if need.seed is None or job.seed == need.seed)


class Summary(NamedTuple):
    """One tidy table over all runs: the kind of its rows, and the rule and role of what they are gathered from.

    `module` is the one of the room whose function `summarise` makes the rows; without it they are gathered as they are.
    """

    table: str
    rule: str
    role: str
    module: str = ""


class Kind(Generic[D]):
    """Base of all kinds. A kind with a `definition` has a key of its name in the study: a map of such definitions."""

    definition: ClassVar[Any] = None
    description: ClassVar[str] = ""
    order: ClassVar[int] = 80
    """Where its key stands in a study, and when its definitions are planned."""
    tasks: ClassVar[tuple[type[Task], ...]] = ()
    tables: ClassVar[Mapping[str, Table]] = {}
    figures: ClassVar[tuple[type[FigureSpec], ...]] = ()
    summaries: ClassVar[Mapping[str, Summary]] = {}
    """The names of its tables in results/tables/."""
    contributes: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """Rules and roles of its files that summaries of other kinds read, too, by the summary's name."""
    attackable: ClassVar[bool] = False
    """Whether its models are classifiers, so that experiments on classifiers take them."""
    sanity_inputs: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Rules and roles of its files that the sanity checks are about."""

    @property
    def package(self) -> str:
        """The room it stands in."""
        return type(self).__module__.rpartition(".")[0]

    @property
    def name(self) -> str:
        """The name of its folder, and of its key in a study."""
        return self.package.rpartition(".")[2]

    def get_definition(self, study: Study, name: str) -> D:
        """One of its definitions."""
        definition: D = getattr(study, self.name)[name]
        return definition

    def definitions(self, study: Study) -> Iterator[tuple[str, D]]:
        """All its definitions in a study, by name."""
        yield from getattr(study, self.name).items()

    def plan_jobs(self, planner: Planner, name: str) -> list[PlannedJob]:
        """Plan one definition: the jobs that make what it is named after, one per seed."""
        return []

    def jobs_for(self, planner: Planner, need: Need) -> list[PlannedJob]:
        """The jobs that make what is needed of one definition: its own, or those of its other rules beside them."""
        jobs = planner.jobs_of(self.name, *need.names)
        if need.role in jobs[0].outputs:
            return jobs
        [rule] = [task.rule for task in self.tasks if need.role in task.outputs]
        return [planner.jobs[key_of(rule, job.wildcards)] for job in jobs]

    def plan_dependencies(self, planner: Planner) -> None:
        """Plan what it needs of other kinds, when all definitions are planned."""

    def plan_summaries(self, planner: Planner) -> None:
        """Plan what is made of everything planned."""

    def check(self, study: Study) -> Iterator[Mistake]:
        """What is wrong with its definitions, beside what their fields say."""
        return iter(())


class Experiment(Kind[D]):
    """For each subject that a definition names under its `subjects_key`, and each of its seeds, one job of one task."""

    subjects_key: ClassVar[str]
    subject_field: ClassVar[str]
    """The task's field for the subject."""
    wildcard: ClassVar[str]
    """The wildcard for the subject in the paths of the task."""

    def subjects(self, planner: Planner, name: str) -> Iterator[tuple[int, dict[str, Files]]]:
        """The seeds of a subject, with the files that a job reads of each."""
        raise NotImplementedError

    def task_fields(self, study: Study, definition: D, subject: str) -> dict[str, Any]:
        """The task's fields that the definition settles: those of the same name."""
        return {name: getattr(definition, name) for name in self.tasks[0].model_fields if hasattr(definition, name)}

    def extra_inputs(self, planner: Planner, definition: D, subject: str, seed: int) -> dict[str, Files]:
        """Files that a job reads beside its subject's."""
        return {}

    def plan_jobs(self, planner: Planner, name: str) -> list[PlannedJob]:
        definition, [task] = self.get_definition(planner.study, name), self.tasks
        [own_wildcard] = {one for path in task.outputs.values() for one in wildcards_of(path)} - {self.wildcard, "seed"}
        jobs = []
        for subject in getattr(definition, self.subjects_key):
            own = {"name": name, self.subject_field: subject, "choice": planner.study.evaluation.seed}
            own |= self.task_fields(planner.study, definition, subject)
            for seed, inputs in self.subjects(planner, subject):
                given = {**own, "seed": seed}
                spec = task(**{key: value for key, value in given.items() if key in task.model_fields})
                wildcards = {own_wildcard: name, self.wildcard: subject, "seed": str(seed)}
                inputs = inputs | self.extra_inputs(planner, definition, subject, seed)
                jobs.append(planner.add(spec, wildcards, inputs))
        return jobs

    def jobs_for(self, planner: Planner, need: Need) -> list[PlannedJob]:
        """A need names a definition, and may name one of its subjects."""
        name, *subjects = need.names
        jobs = super().jobs_for(planner, need._replace(names=(name,)))
        return [job for job in jobs if not subjects or job.wildcards[self.wildcard] in subjects]

    def check(self, study: Study) -> Iterator[Mistake]:
        """Refuse to take more test images than there are."""
        for name, definition in self.definitions(study):
            images = getattr(definition, "images", 0)
            for subject in getattr(definition, self.subjects_key):
                test = study.facts(study.tested_on(subject)).test
                if images > test:
                    yield (self.name, name, "images"), f" = {images}: there are only {test} test images"


class SourcesDefinition(Spec):
    """Fields of experiments on attacked classifiers."""

    sources: tuple[ClassifierName, ...] = Field(min_length=1, description="classifiers examined or attacked")
    images: Count = Field(100, description="test images of each")


class OnClassifiers(Experiment[D]):
    """An experiment on classifiers: `sources` of a definition, a `ClassifierTask` for each and each of its seeds."""

    subjects_key = "sources"
    subject_field = wildcard = "source"

    def subjects(self, planner: Planner, name: str) -> Iterator[tuple[int, dict[str, Files]]]:
        data = planner.test_split(planner.study.tested_on(name))
        for trained in planner.training_jobs(name):
            yield trained.seed, {"model": trained.outputs["model"], "data": data}


class OnGenerators(Experiment[D]):
    """An experiment on generators: `generators` of a definition, a `GeneratorTask` for each and each of its seeds."""

    subjects_key = "generators"
    subject_field = "generator_name"
    wildcard = "generator"

    def subjects(self, planner: Planner, name: str) -> Iterator[tuple[int, dict[str, Files]]]:
        dataset = planner.study.dataset_of(name)
        data = planner.test_split(dataset)
        [judge] = planner.jobs_of("judges", dataset)
        for path, seed in planner.get_kind("generators").files(planner, name):
            yield seed, {"generator": path, "judge": judge.outputs["model"], "data": data}
