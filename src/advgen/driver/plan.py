"""The plan of a study: every job with its inputs, outputs, spec and code digest. Imports no torch.

The Snakefile, `advgen verify`, `advgen status` and the generated pages all read the same plan. Only jobs that the
study's definitions need are planned.
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

MAX_LINE = 60_000
"""Longer lists of files are written into a file: the shell line of a job must stay below 128 KB."""
MAX_SPEC = 120_000
"""Linux allows 128 KB per argument, and `sh -c` gets a job's whole command line as one argument."""


class Plan:
    """All jobs of a study, by rule and wildcards."""

    def __init__(self, jobs: Iterable[PlannedJob], study: str = ""):
        self.jobs, self.study = list(jobs), study
        self._by_key = {key_of(job.rule, job.wildcards): job for job in self.jobs}
        assert len(self._by_key) == len(self.jobs)
        self._makers = {path: job for job in self.jobs for path in job.outputs.values()}

    def job(self, rule: str, wildcards: Any) -> PlannedJob:
        """Return the job of a rule for Snakemake's wildcards or a mapping; ValueError if there is none."""
        try:
            return self._by_key[key_of(rule, dict(wildcards.items()))]
        except KeyError:
            raise ValueError(f"rule {rule}: this study plans no such job") from None

    def jobs_of(self, rule: str) -> list[PlannedJob]:
        """Return all jobs of a rule."""
        return [job for job in self.jobs if job.rule == rule]

    def bind(self, method: str, rule: str) -> Callable[..., Any]:
        """Return one of the methods below with its argument `rule` bound, as an input or params function."""
        function = partial(getattr(self, method), rule)
        # Snakemake inspects the signature some twenty times per job; this saves deriving it each time
        function.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
        return function

    def inputs(self, rule: str, wildcards: Any) -> dict[str, Files]:
        """Return the input files of a job by flag, for `unpack`."""
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
        """Return the canonical JSON spec of a job."""
        return self.job(rule, wildcards).spec

    def code(self, rule: str, wildcards: Any) -> str:
        """Return the code digest of a job."""
        return self.job(rule, wildcards).code

    def gpus(self, rule: str) -> int | Callable[[Any], int]:
        """Return the GPUs per job of a rule: a number, or a function of the wildcards if jobs differ."""
        counts = {int(job.task.uses_gpu()) for job in self.jobs_of(rule)}
        return counts.pop() if len(counts) == 1 else lambda wildcards: int(self.job(rule, wildcards).task.uses_gpu())

    def files(self, rule: str, wildcards: Any, input: Any, output: Any) -> str:
        """Return the flags of a job's command with the input and output files, quoted for a shell."""
        job = self.job(rule, wildcards)
        task = job.task
        inputs = {flag: input.get(flag, ()) for flag in task.reads}
        lists = {flag: [files] if isinstance(files, str) else list(files) for flag, files in inputs.items()}
        reads = [f"--{flag} {quote_files(files)}".rstrip() for flag, files in lists.items()]
        writes = [f"--{flag} {shlex.quote(str(output.get(role)))}" for role, flag in task.output_flags().items()]
        return " ".join([*reads, *writes, *self.plugins(job)])

    def plugins(self, job: PlannedJob) -> list[str]:
        """Return the flag with the plug-in files that a job needs, also to load the models that it reads."""
        if not PLUGIN_FILES:
            return []
        inputs = {path for files in job.inputs.values() for path in ((files,) if isinstance(files, str) else files)}
        models = [path for path in inputs & self._makers.keys() if path.endswith(".safetensors")]
        targets = job.task.code_targets().union(*(self._makers[path].task.code_targets() for path in models))
        files = plugins.plugin_files(targets)
        return [f"--plugins {quote_files(files)}"] if files else []

    def outputs(self, *rules: str) -> list[str]:
        """Return every output file of the plan, or of some rules."""
        return [path for job in self.jobs if not rules or job.rule in rules for path in job.outputs.values()]

    def has(self, rule: str) -> bool:
        """Whether the plan has any job of a rule."""
        return bool(self.jobs_of(rule))

    def describe_results(self, logs: Iterable[str] = ()) -> str:
        """Return the lines that a successful run ends with; `logs` are Snakemake's log files."""
        descriptions = {
            "report_page": "report with all figures, tables and checks",
            "cv_render": "CV",
            "summarise": "tables (Parquet)",
        }
        lines = []
        for rule, description in descriptions.items():
            if files := self.outputs(rule):
                lines.append((files[0] if len(files) == 1 else f"{Path(files[0]).parent}/", description))
        lines.append(("python -m advgen trace FILE", "prints where a file comes from"))
        lines += [(os.path.relpath(log), "full log with all commands") for log in logs]
        width = max(len(place) for place, _ in lines) + 2
        return "\n".join(["Results:", *(f"  {place:<{width}}{description}" for place, description in lines)])

    def constraint(self, wildcard: str) -> str:
        """Return a regular expression that matches exactly the planned values of a wildcard."""
        values = sorted({job.wildcards[wildcard] for job in self.jobs if wildcard in job.wildcards})
        return "|".join(map(re.escape, values)) or r"(?!)"

    def wildcards(self) -> list[str]:
        """Return the names of all wildcards."""
        return sorted(
            {name for task in catalog.RULES.values() for path in task.outputs.values() for name in wildcards_of(path)}
        )


def build(loaded: LoadedStudy) -> Plan:
    """Plan a checked study; ConfigError if it names a missing file or its CV refers to results that are not planned."""
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
        if len(job.spec) > MAX_SPEC:
            size = f"a spec of {len(job.spec):,} characters, more than the {MAX_SPEC:,} that a command line can hold"
            raise ConfigError(f"{study}: {' '.join(job.outputs.values())} needs {size}; sweep or select less")
    return Plan(planner.jobs.values(), study)


def quote_files(files: Iterable[str]) -> str:
    """Quote files for a shell line; if there are too many, write them into a file and return `@` and its path.

    argparse reads `@file` as one argument per line.
    """
    words = shlex.join(files)
    if len(words) < MAX_LINE:
        return words
    text = "\n".join(files) + "\n"
    path = Path(RESULTS) / "state" / "lists" / sha256_text(text)[:16]
    if not path.exists():
        write_bytes(path, text.encode())
    return f"@{path}"
