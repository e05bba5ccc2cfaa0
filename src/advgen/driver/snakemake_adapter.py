"""The only module that relies on Snakemake's internals.

Snakemake's Python interface is not stable: the functions here read attributes, files and log records that another
version may change. `tests/unit/driver/test_snakemake_adapter.py` tests each assumption with the oldest and the newest
supported version. Snakemake is imported inside functions, because `advgen status` and jobs must start fast.
"""

import ast
import json
import logging
import os
import re
import threading
from argparse import ArgumentParser
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any

METADATA = Path(".snakemake/metadata")
"""Snakemake's folder with one record per output file."""
INCOMPLETE = Path(".snakemake/incomplete")
"""Snakemake's folder with one marker per output file whose job did not finish."""

CAUSES = {
    "Forced execution": "forced",
    "Missing output files": "missing",
    "Incomplete output files": "interrupted",
    "Params have changed": "settings or code changed",
    "Set of input files has changed": "other inputs",
    "Updated input files": "inputs changed",
    "Input files updated by another job": "inputs updated by another job",
}
"""Snakemake's reasons to run a job, the strongest first, and the words that advgen prints for them."""

YAML_OPTIONS = ("--configfile", "--configfiles", "--report-metadata", "--slurm-partition-config")
"""Command-line options whose values may be YAML files."""


# --- rules -----------------------------------------------------------------------------------------------------------


def set_docstring(rules: Any, name: str, text: str) -> None:
    """Set the docstring of a rule made in a loop, for which the Snakefile syntax has no keyword."""
    getattr(rules, name).rule.docstring = text


def ignore_modification_time(path: str) -> Any:
    """Mark an input file so that Snakemake does not compare its modification time."""
    from snakemake.io import ancient  # type: ignore[import-untyped]

    return ancient(path)


# --- the workflow ----------------------------------------------------------------------------------------------------


def is_driver(workflow: Any) -> bool:
    """Whether this process schedules the run; False in the Snakemake process of a cluster job."""
    return bool(workflow.is_main_process)


def runs_locally(workflow: Any) -> bool:
    """Whether jobs run on this machine, not on a cluster."""
    return bool(workflow.local_exec)


def gpu_limit(workflow: Any) -> int | None:
    """Return N of `--resources gpu=N`, or None without it."""
    resource = workflow.global_resources.get("gpu")
    return None if resource is None or resource.value is None else int(resource.value)


def storage_provider(workflow: Any) -> str | None:
    """Return the value of `--default-storage-provider`, or None."""
    provider = workflow.storage_settings.default_storage_provider
    return str(provider) if provider else None


def modifies_path(workflow: Any, path: str) -> bool:
    """Whether `prefix` or `replace_prefix` of a `module` statement would change an output path."""
    return bool(workflow.modifier.path_modifier.replace_prefix(path, "output") != path)


def describe_run(workflow: Any, study: str) -> dict[str, Any]:
    """Return what the console and the run record need: study, cores, GPUs, and the jobs to run.

    A job is a dictionary of its log, the GPUs it uses, the logs of the jobs that it depends on, and why it runs.
    """
    dag = workflow.dag
    needed = [job for job in dag.needrun_jobs() if job.log]
    logs = {job: str(next(iter(job.log))) for job in needed}
    jobs = [
        {
            "log": logs[job],
            "gpu": int(job.resources.get("gpu") or 0),
            "after": sorted(logs[other] for other in dag.dependencies[job] if other in logs),
            "cause": find_cause(str(dag.reason(job))),
        }
        for job in needed
    ]
    cores = workflow.cores if workflow.local_exec else workflow.nodes
    return {"study": study, "cores": cores, "gpus": gpu_limit(workflow), "jobs": jobs}


def find_cause(reason: str) -> str:
    """Return in a few words why Snakemake runs a job."""
    return next((cause for text, cause in CAUSES.items() if text in reason), "other reasons")


def patch_scheduler(workflow: Any) -> None:
    """Work around three faults of Snakemake's scheduler."""
    scheduler = workflow.scheduler
    # each finished job adds another chain of looks for ready jobs, one a second; with hundreds of jobs it does little
    # else. Without the limiter of jobs per second there are no such chains.
    scheduler.job_rate_limiter = None
    # the SIGTERM handler acquires a lock that the thread which it interrupts may hold
    scheduler._lock = threading.RLock()
    # with --quiet it would not report which jobs have finished, which the run record needs
    scheduler.print_progress = True


def get_argument_parser() -> ArgumentParser:
    """Return the parser of Snakemake's command line; importing it takes half a second."""
    from snakemake.cli import get_argument_parser as build_parser  # type: ignore[import-untyped]

    parser: ArgumentParser = build_parser()
    return parser


# --- files below .snakemake ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OutputRecord:
    """What Snakemake recorded when a job wrote an output file; None where the record has no such entry."""

    incomplete: bool = False
    params: tuple[str, ...] | None = None
    """The rule's params, as their `repr`."""
    inputs: frozenset[str] | None = None
    checksums: Mapping[str, str] = field(default_factory=dict)
    """Of small input files: "sha256:" and the digest, by path."""

    def differs_in(self, param: str) -> bool:
        """Whether the file was written with another value of a param."""
        return self.params is not None and repr(param) not in self.params

    def spec(self) -> str:
        """Return the JSON spec among the params, or an empty string."""
        found = (ast.literal_eval(text) for text in self.params or () if text.startswith(("'{", '"{')))
        return next(found, "")


def read_output_record(path: str) -> OutputRecord:
    """Read the record of an output file; an empty one if there is none or it is damaged."""
    with suppress(OSError, ValueError, AttributeError):
        entries = json.loads(_path_below(METADATA, path).read_bytes())
        params, inputs = entries.get("params"), entries.get("input")
        return OutputRecord(
            incomplete=bool(entries.get("incomplete")),
            params=None if params is None else tuple(params),
            inputs=None if inputs is None else frozenset(inputs),
            checksums=entries.get("input_checksums") or {},
        )
    return OutputRecord()


def has_output_record(path: str) -> bool:
    """Whether Snakemake finished writing a record of an output file."""
    with suppress(OSError):
        return _path_below(METADATA, path).stat().st_size > 0
    return False


def mark_incomplete(path: str) -> None:
    """Mark an output file as incomplete, so that Snakemake runs its job again and says why."""
    marker = _path_below(INCOMPLETE, path)
    marker.parent.mkdir(parents=True, exist_ok=True)
    if not marker.exists():
        marker.write_text('{"external_jobid": null}')


def _path_below(folder: Path, path: str) -> Path:
    """Return where Snakemake stores something about a file: names are base64, in parts of 254 characters."""
    name = urlsafe_b64encode(path.encode()).decode()
    parts = [name[start : start + 254] for start in range(0, len(name), 254)]
    return folder.joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1])


# --- log records -----------------------------------------------------------------------------------------------------

_SHOWN_WHILE_RUNNING = ("Nothing to be done", "Terminating processes", "Will exit after", "Trying to restart")
_HIDDEN_BEFORE_RUNNING = ("Building DAG", "Assuming unrestricted shared", "Config file ", "Using shell", "host: ")
_INTERRUPTED = ("Terminating processes", "Will exit after")
_LOG_FILE = "Complete log(s): "
_SUMMARISED = ("At least one job did not complete", "Exiting because a job execution failed")
"""Errors at the end of a run that advgen's own summary replaces."""


class Kind(Enum):
    """What a log record reports."""

    RUN_PLANNED = auto()
    FAREWELL = auto()
    JOB_COUNTS = auto()
    JOB_STARTED = auto()
    JOB_FINISHED = auto()
    JOB_FAILED = auto()
    PROBLEM = auto()
    INTERRUPTED = auto()
    LOG_FILE = auto()
    REMARK = auto()


@dataclass(frozen=True)
class Event:
    """One log record that the console uses; which fields are set depends on the kind."""

    kind: Kind
    text: str = ""
    is_error: bool = False
    job: int = -1
    """Snakemake's number of the job."""
    logs: tuple[str, ...] = ()
    cause: str = ""
    command: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """RUN_PLANNED: see `describe_run`. JOB_COUNTS: jobs by rule. JOB_FAILED: such as the id of the cluster's job."""


class EventReader:
    """Turns the records of Snakemake's logger into events."""

    def __init__(self) -> None:
        self.is_running = False
        self.has_plan = False

    def read(self, record: Any) -> Event | None:
        """Return the event of a record, or None if there is nothing to show."""
        event, text = str(getattr(record, "event", None) or ""), record.getMessage()
        if hasattr(record, "run_planned"):
            self.has_plan = True
            return Event(Kind.RUN_PLANNED, facts=record.run_planned)
        if hasattr(record, "farewell"):
            return Event(Kind.FAREWELL, text)
        if event == "workflow_started":
            self.is_running = True
        elif event == "run_info":
            return Event(Kind.JOB_COUNTS, facts=record.stats)
        elif event == "job_info":
            return Event(Kind.JOB_STARTED, job=record.jobid, logs=tuple(record.log), cause=find_cause(record.reason))
        elif event == "job_finished":
            return Event(Kind.JOB_FINISHED, job=record.job_id)
        elif event == "job_error":
            command = re.sub(r" > [^>]+ 2>&1$", "", (record.shellcmd or "").strip())
            return Event(Kind.JOB_FAILED, logs=tuple(record.log), command=command, facts=record.aux)
        elif getattr(record, "exception", None) == "RuleException" and "CalledProcessError" in text:
            pass  # the log of the failed job has its error
        elif event == "group_error" or record.levelno >= logging.WARNING:
            return self._problem(text.strip(), record.levelno >= logging.ERROR)
        elif not event:
            return self._remark(text)
        return None

    def _problem(self, text: str, is_error: bool) -> Event | None:
        is_summarised = self.has_plan and any(start in text for start in _SUMMARISED)
        return None if text in ("", "None") or is_summarised else Event(Kind.PROBLEM, text, is_error)

    def _remark(self, text: str) -> Event | None:
        if text.startswith(_LOG_FILE):
            return Event(Kind.LOG_FILE, os.path.relpath(text.removeprefix(_LOG_FILE)))
        if text.startswith(_INTERRUPTED):
            return Event(Kind.INTERRUPTED, text)
        if self.is_running:
            return Event(Kind.REMARK, text) if text.startswith(_SHOWN_WHILE_RUNNING) else None
        return None if text.startswith(_HIDDEN_BEFORE_RUNNING) else Event(Kind.REMARK, text)


def log_plan(facts: Mapping[str, Any]) -> None:
    """Send the facts of `describe_run` through Snakemake's logger, so that they arrive in order with its records."""
    _logger().info(f"{len(facts['jobs'])} jobs to run.", extra={"run_planned": facts})


def log_farewell(text: str) -> None:
    """Send the last lines of a successful run through Snakemake's logger."""
    _logger().info(text, extra={"farewell": True})


def _logger() -> logging.Logger:
    return logging.getLogger("snakemake.logging")


def prints_itself(settings: Any) -> bool:
    """Whether the user asked for Snakemake's own output, for debugging."""
    return bool(settings.verbose or settings.debug_dag)


def console_options(settings: Any) -> dict[str, Any]:
    """Return the options of `Console` from the output settings that Snakemake passes to a logger plug-in."""
    return {
        "quiet": [choice.name.lower() for choice in settings.quiet or ()],
        "dryrun": settings.dryrun,
        "colour": not settings.nocolor,
    }
