"""What a command is told and what it reads and writes: one spec class per rule. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

from advgen.core.code import code_digest
from advgen.core.schema import TABLES
from advgen.files.provenance import sha256_text
from advgen.registry import entries, targets
from advgen.specs.base import Seed, Spec

TORCH = ("numpy", "pyarrow", "scipy", "torch")
"""Packages whose versions stand in the stamp of what a torch task makes."""


SweptValues = dict[str, dict[str, int | float | str]]
"""The swept keys of definitions with their values, by the definitions' names: columns of tidy tables."""


class Task(Spec):
    """Base of all tasks: one command, and in the workflow one rule. Its docstring is the help of both.

    `reads` are the flags of its inputs, `outputs` its files' patterns by role. The module `run` of the room that the
    class stands in has the function `run(job)`. `torch` tasks compute with torch, on a GPU if they are neither `on_cpu`
    nor `local`, which take seconds and stay beside the driver on a cluster; `private` ones keep their spec out of
    stamps, `has_custom_rule` ones have a rule written by hand. `tables` are the kinds of tables that it writes; the
    catalog fills in those of its kind. `labels` are the keys of its spec that only fill a column of its tables, with
    that column; given, nothing else of what it makes depends on how definitions and files are named.
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
        """The module that does it: of its room, unless `run` has dots."""
        return cls.run if "." in cls.run else f"{cls.__module__.rpartition('.')[0]}.{cls.run}"

    @classmethod
    def can_use_gpu(cls) -> bool:
        """Whether its jobs compute on a GPU where there is one."""
        return cls.torch and not (cls.local or cls.on_cpu)

    def uses_gpu(self) -> bool:
        """Whether this job does."""
        return self.can_use_gpu()

    @classmethod
    def help_text(cls) -> str:
        """What it does, in one sentence."""
        return (cls.__doc__ or "").splitlines()[0]

    @classmethod
    def output_flags(cls) -> dict[str, str]:
        """The flag of each output, by its role: `out`, or `out-role` where there are several."""
        return {role: "out" if len(cls.outputs) == 1 else f"out-{role}" for role in cls.outputs} or {"": "out"}

    def code_targets(self) -> set[str]:
        """The code that its result depends on, as "module:name": the command's and all that its spec names."""
        [told, *_] = [one for one in type(self).__mro__ if "command" in one.__dict__]  # the rule may be another
        own = {f"{self.run_module()}:run", f"{told.__module__}:{told.__name__}", "advgen.core.catalog:TASKS"}
        own |= {f"advgen.jobs.{name}" for name in ("job:Job", "run:compute", *(["run:prepare"] if self.torch else []))}
        return own | set(targets(self._fields()))

    def input_digests(self) -> Mapping[str, str]:
        """Digests in the spec, by path, of inputs that count by what they say: a job does not rerun for their bytes."""
        return {}

    def stamped_packages(self) -> tuple[str, ...]:
        """The packages whose versions stand in the stamp."""
        return self.packages

    def written_tables(self) -> tuple[str, ...]:
        """The kinds of tables that it writes."""
        return self.tables

    def code(self) -> str:
        """Digest of all that its result depends on beside its spec and inputs: code, and the columns of its tables.

        Two swapped entries of the registry lead to the same code, so the digest says which spec leads to which code.
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
    """Base of tasks that compute on a GPU where there is one. Planning gives them the study's `tf32`."""

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
