"""The plan: every job of a study with its inputs, outputs, spec and code digest. The single source for rules, tables
and figures. Torch-free.

Jobs are planned on demand: what a study's own definitions need is planned, nothing else.
"""

import inspect
import os
import re
import shlex
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from advgen.core import catalog, plugins
from advgen.core.code import PLUGIN_FILES
from advgen.core.errors import ConfigError
from advgen.core.kinds import Files, PlannedJob, Planner, key_of
from advgen.core.paths import RESULTS, wildcards_of
from advgen.driver.snakemake_adapter import ignore_modification_time
from advgen.files.provenance import sha256_text, write_bytes
from advgen.study.errors import config_error
from advgen.study.load import LoadedStudy

LONGEST_LINE = 60_000
LONGEST_SPEC = 120_000
"""A job of a longer spec cannot start: Linux takes 128 KB in one argument, and `sh -c` takes the whole line as one."""


class Plan:
    """All jobs of a study, by rule and wildcards."""

    def __init__(self, jobs: Iterable[PlannedJob], study: str = ""):
        self.jobs, self.study = list(jobs), study
        self._by_key = {key_of(job.rule, job.wildcards): job for job in self.jobs}
        assert len(self._by_key) == len(self.jobs)
        self._makers = {path: job for job in self.jobs for path in job.outputs.values()}

    def job(self, rule: str, wildcards: Any) -> PlannedJob:
        """The job of a rule for Snakemake's wildcards (or a mapping)."""
        try:
            return self._by_key[key_of(rule, dict(wildcards.items()))]
        except KeyError:
            raise ValueError(f"rule {rule}: this study plans no such job") from None

    def of(self, rule: str) -> list[PlannedJob]:
        """All jobs of a rule."""
        return [job for job in self.jobs if job.rule == rule]

    def asked(self, question: str, rule: str) -> Callable[..., Any]:
        """The function that tells Snakemake one thing of a rule's jobs, by the name of a method below."""
        answer = partial(getattr(self, question), rule)
        # it looks up the signature at each call, some twenty times a job; this one need not be derived again
        answer.__signature__ = inspect.signature(answer)  # type: ignore[attr-defined]
        return answer

    def inputs(self, rule: str, wildcards: Any) -> dict[str, Files]:
        """Named input files, for `unpack`."""
        job = self.job(rule, wildcards)
        known = job.task.input_digests()
        if not known:
            return dict(job.inputs)
        # the spec contains their digests, so modification times do not matter
        files = {flag: [one] if isinstance(one, str) else list(one) for flag, one in job.inputs.items()}
        return {
            flag: tuple(ignore_modification_time(path) if os.path.relpath(path) in known else path for path in paths)
            for flag, paths in files.items()
        }

    def spec(self, rule: str, wildcards: Any) -> str:
        """Canonical JSON spec."""
        return self.job(rule, wildcards).spec

    def code(self, rule: str, wildcards: Any) -> str:
        """Code digest."""
        return self.job(rule, wildcards).code

    def gpus(self, rule: str) -> int | Callable[[Any], int]:
        """How many GPUs a rule's jobs take where there are some: the same for all, or by their wildcards."""
        counts = {int(job.task.uses_gpu()) for job in self.of(rule)}
        return counts.pop() if len(counts) == 1 else lambda wildcards: int(self.job(rule, wildcards).task.uses_gpu())

    def files(self, rule: str, wildcards: Any, input: Any, output: Any) -> str:
        """The command's flags with their files as Snakemake has them, those read first, as words of a shell line."""
        job = self.job(rule, wildcards)
        task = job.task
        given = {flag: input.get(flag, ()) for flag in task.reads}
        lists = {flag: [files] if isinstance(files, str) else list(files) for flag, files in given.items()}
        read = [f"--{flag} {listed(files)}".rstrip() for flag, files in lists.items()]
        made = [f"--{flag} {shlex.quote(str(output.get(role)))}" for role, flag in task.output_flags().items()]
        return " ".join([*read, *made, *self.plugins(job)])

    def plugins(self, job: PlannedJob) -> list[str]:
        """The flag that has a job load the plug-in files that it needs, or that the models that it reads need."""
        if not PLUGIN_FILES:
            return []
        read = {path for files in job.inputs.values() for path in ((files,) if isinstance(files, str) else files)}
        made = [
            self._makers[path].task.code_targets()
            for path in read & self._makers.keys()
            if path.endswith(".safetensors")
        ]
        files = plugins.plugin_files(job.task.code_targets().union(*made))
        return [f"--plugins {listed(files)}"] if files else []

    def outputs(self, *rules: str) -> list[str]:
        """Every file that the plan makes, or that some rules make."""
        return [path for job in self.jobs if not rules or job.rule in rules for path in job.outputs.values()]

    def has(self, rule: str) -> bool:
        """Whether any job of a rule is planned."""
        return bool(self.of(rule))

    def farewell(self, logs: Iterable[str] = ()) -> str:
        """Where to look when everything is made; `logs` are Snakemake's of this run."""
        shown = {
            "report_page": "the page with all figures, tables and checks",
            "cv_render": "the CV",
            "summarise": "tables (Parquet)",
        }
        places = []
        for rule, what in shown.items():
            made = self.outputs(rule)
            if made:
                places.append((made[0] if len(made) == 1 else f"{Path(made[0]).parent}/", what))
        places.append(("python -m advgen trace FILE", "where a file comes from"))
        places += [(os.path.relpath(log), "the full log, with every command") for log in logs]
        width = max(len(where) for where, _ in places) + 2
        lines = [f"  {where:<{width}}{what}" for where, what in places]
        return "\n".join(["Done. Look at", *lines])

    def constraint(self, wildcard: str) -> str:
        """A regular expression that matches exactly the planned values of a wildcard."""
        values = sorted({job.wildcards[wildcard] for job in self.jobs if wildcard in job.wildcards})
        return "|".join(map(re.escape, values)) or r"(?!)"

    def wildcards(self) -> list[str]:
        """The names of all wildcards."""
        return sorted(
            {name for task in catalog.RULES.values() for path in task.outputs.values() for name in wildcards_of(path)}
        )


def build(loaded: LoadedStudy) -> Plan:
    """Plan a checked study; ConfigError if it names a missing file, or if its CV refers to what it does not make."""
    study = loaded.files[0] if loaded.files else ""
    planner = Planner(loaded.study, catalog.KINDS, study, loaded.varied)
    try:
        for family, names in loaded.roots.items():
            for name in names if family in planner.kinds_by_name else ():
                planner.jobs_of(family, name)
        for kind in catalog.KINDS:
            kind.plan_dependencies(planner)
        for kind in catalog.KINDS:
            kind.plan_summaries(planner)
    except ConfigError as error:
        raise config_error(loaded.source, error.path, str(error)) if error.path else error from None
    for job in planner.jobs.values():
        if len(job.spec) > LONGEST_SPEC:
            room = f"{len(job.spec):,} letters of spec, and a command line holds {LONGEST_SPEC:,}"
            raise ConfigError(f"{study}: {' '.join(job.outputs.values())} would take {room}; sweep or select less")
    return Plan(planner.jobs.values(), study)


def listed(files: Iterable[str]) -> str:
    """Files as the words of a shell line; if they are too many for one, the name of a file that lists them.

    A line of the shell holds 128 KB, and argparse reads `@file` as one argument per line.
    """
    words = shlex.join(files)
    if len(words) < LONGEST_LINE:
        return words
    text = "\n".join(files) + "\n"
    path = Path(RESULTS) / "state" / "lists" / sha256_text(text)[:16]
    if not path.exists():
        write_bytes(path, text.encode())
    return f"@{path}"
