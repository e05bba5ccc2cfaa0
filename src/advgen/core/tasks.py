"""Tasks: the parameters, inputs and outputs of each command, one spec class per rule. Torch-free."""

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

from advgen.core.code import code_digest
from advgen.core.schema import TABLES
from advgen.files.provenance import sha256_text
from advgen.registry import entries, targets
from advgen.specs.base import Seed, Spec

TORCH = ("numpy", "pyarrow", "scipy", "torch")
"""Packages whose versions are recorded in the stamps of torch tasks."""


SweptValues = dict[str, dict[str, int | float | str]]
"""The swept keys of definitions with their values, by name of the definition: columns of tidy tables."""


class Task(Spec):
    """Base of all tasks: one command, and one rule of the workflow. Its docstring is the help of both.

    Class variables:

    - command, rule: names; the rule is named after the command.
    - run: module with the function `run(job)`, in the package of the class unless it has dots.
    - reads: flags of its inputs.
    - outputs: patterns of its files, by role.
    - torch: whether it computes with torch: on a GPU, unless `on_cpu` or `local` is set.
    - local: whether it takes seconds and runs on the driver's machine on a cluster.
    - tables: kinds of tables that it writes; the catalog adds those of its kind.
    - labels: keys of its spec that only fill a column, with that column. If set, no other output depends on the names
      of definitions and files, so that cached results can be relabelled.
    - private: whether its spec is omitted from stamps.
    - has_custom_rule: whether its rule is written by hand.
    - packages: packages whose versions are recorded in its stamps.
    """

    command: ClassVar[str]
    rule: ClassVar[str]
    run: ClassVar[str] = "run"
    reads: ClassVar[tuple[str, ...]] = ()
    outputs: ClassVar[Mapping[str, str]] = {}
    torch: ClassVar[bool] = False
    local: ClassVar[bool] = False
    on_cpu: ClassVar[bool] = False
    tables: ClassVar[tuple[str, ...]] = ()
    labels: ClassVar[Mapping[str, str] | None] = None
    private: ClassVar[bool] = False
    has_custom_rule: ClassVar[bool] = False
    priority: ClassVar[int] = 0
    packages: ClassVar[tuple[str, ...]] = ("numpy", "pyarrow")

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "command" in cls.__dict__ and "rule" not in cls.__dict__:
            cls.rule = cls.command.replace("-", "_")

    @classmethod
    def run_module(cls) -> str:
        """Return the name of the module with its `run` function."""
        return cls.run if "." in cls.run else f"{cls.__module__.rpartition('.')[0]}.{cls.run}"

    @classmethod
    def can_use_gpu(cls) -> bool:
        """Return whether its jobs compute on a GPU if there is one."""
        return cls.torch and not (cls.local or cls.on_cpu)

    def uses_gpu(self) -> bool:
        """Return whether this job computes on a GPU if there is one."""
        return self.can_use_gpu()

    @classmethod
    def help_text(cls) -> str:
        """Return the first line of its docstring."""
        return (cls.__doc__ or "").splitlines()[0]

    @classmethod
    def output_flags(cls) -> dict[str, str]:
        """Return the flag of each output by role: `out`, or `out-role` if there are several."""
        return {role: "out" if len(cls.outputs) == 1 else f"out-{role}" for role in cls.outputs} or {"": "out"}

    def code_targets(self) -> set[str]:
        """Return the code that its result depends on, as "module:name": of the command and of its spec."""
        [command, *_] = [
            one for one in type(self).__mro__ if "command" in one.__dict__
        ]  # the class may be a second rule
        own = {f"{self.run_module()}:run", f"{command.__module__}:{command.__name__}", "advgen.core.catalog:TASKS"}
        own |= {f"advgen.jobs.{name}" for name in ("job:Job", "run:compute", *(["run:prepare"] if self.torch else []))}
        return own | set(targets(self._fields()))

    def input_digests(self) -> Mapping[str, str]:
        """Return digests by path for inputs whose content is in the spec, so that changed bytes cause no rerun."""
        return {}

    def stamped_packages(self) -> tuple[str, ...]:
        """Return the packages whose versions are recorded in the stamp."""
        return self.packages

    def written_tables(self) -> tuple[str, ...]:
        """Return the kinds of tables that it writes."""
        return self.tables

    def code(self) -> str:
        """Return the digest of all that its result depends on besides spec and inputs: code, and columns of its tables.

        It includes the used entries of the registry, because swapping two entries leaves the code itself unchanged.
        """
        uses = self.code_targets()
        used_entries = sorted({" ".join(entry) for entry in entries(self._fields()) if entry[1] in uses})
        return _code(tuple(sorted(uses)), self.written_tables(), tuple(used_entries))

    def _fields(self) -> list[Any]:
        return [getattr(self, name) for name in type(self).model_fields]


@cache
def _code(targets: tuple[str, ...], tables: tuple[str, ...], entries: tuple[str, ...]) -> str:
    columns = [repr((name, TABLES[name].key, list(TABLES[name].columns.items()))) for name in tables]
    return sha256_text("\n".join([code_digest(*targets), *columns, *entries]))[:16]


class DeviceTask(Task):
    """Base of tasks that compute on a GPU if there is one. The planner sets `tf32` from the study."""

    torch = True
    packages = TORCH
    tf32: bool = False


class ClassifierTask(DeviceTask):
    """Base of tasks on one attacked classifier."""

    reads: ClassVar[tuple[str, ...]] = ("model", "data")
    name: str
    source: str
    seed: Seed
    images: int
    choice: Seed


class GeneratorTask(DeviceTask):
    """Base of tasks on one generator."""

    reads: ClassVar[tuple[str, ...]] = ("generator", "judge", "data")
    name: str
    generator_name: str
    seed: Seed
