"""The command line: one subcommand per task, and tools that read studies or finished results."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from advgen import __version__
from advgen.core.catalog import TASKS
from advgen.core.options import Parser, refuse
from advgen.core.tasks import Task
from advgen.files.provenance import DISK_FULL_ERRORS
from advgen.io.benchmarks import record_benchmark
from advgen.jobs.run import run_task

TOOLS = {
    "init": "Make a folder with a study or a CV of your own: advgen init my-study.",
    "run": "Run a study: Snakemake with all cores and GPUs; results are written to results/.",
    "audit": "Evaluate the robustness of your classifier, and whether the evaluation is sound; writes a page.",
    "leaderboard": "Rank the models of studies and audits on one page, on the same images and within the same eps.",
    "plan": "List the jobs of a study, or check it.",
    "cv": "Build a CV from YAML and BibTeX: PDF, HTML, Markdown, LaTeX, DOCX, JSON. Needs no study, network or torch.",
    "verify": "Compare every artefact with the plan; --fix deletes those that do not agree.",
    "prune": "List files that no study plans any more; --yes deletes them.",
    "cv-import": "Convert the files of the CV generator bamos/cv; list what cannot be converted.",
    "cv-refresh": "Download new stars, citations and works, and propose them as a diff; never part of a build.",
    "cv-diff": "Print what changed between two cv.json.",
    "diff": "List the numbers that differ between two runs, and those that differ by more than their intervals.",
    "status": "Print the state of the current run, or what the next one would do and why; reads files only.",
    "check-plugin": "Check that your own attacks, masks, models … keep the contract of their family.",
    "so-far": "Write the report of an unfinished or failed run.",
    "trace": "Print where a file comes from, back to the raw data.",
    "docs": "Deprecated: run `python -m tools.docs` in a clone of the repository instead.",
}
"""Commands that are not jobs: each is `advgen.commands.<name>` with add_arguments(parser) and run(arguments)."""

_CV = {"build": "cv", "import": "cv-import", "diff": "cv-diff", "refresh": "cv-refresh"}

NO_MEMORY = ("failed to map segment", "annot allocate memory")
"""How the loader of shared libraries reports that memory is exhausted."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; a user's mistake ends in one line on stderr."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = words[0] if words else ""
    if command == "cv" and (cv_command := _CV.get(words[1] if len(words) > 1 else "")):
        words[:2] = [cv_command]
    elif command == "cv" and not [*words, "-"][1].startswith("-"):
        refuse("advgen cv", f"unknown {words[1]!r}", words[1], list(_CV), f"write {', '.join(_CV)}, or --profile …")
    elif command and not command.startswith(("-", "@")) and command not in (*TOOLS, *TASKS):
        unknown = f"unknown command {command!r}"
        refuse("advgen", unknown, command, [*TOOLS, *TASKS], "advgen --help lists all commands")
    try:
        _run(words)
    except ImportError as error:
        if "--traceback" not in words and any(text in str(error) for text in NO_MEMORY):
            sys.exit(f"advgen {words[0]}: {_message(MemoryError())}")
        if not isinstance(error, ModuleNotFoundError):
            raise
        package = (error.name or "").partition(".")[0]
        if package in ("", "advgen") or "--traceback" in words:
            raise
        extra = "colour" if package.startswith("resvg") else "cv" if words[0].startswith("cv") else "lab"
        sys.exit(f"advgen {words[0]}: needs {package}; pip install 'advgen[{extra}]'")


def _run(words: list[str]) -> None:
    passed: list[str] = []
    if words[:1] == ["run"] and words[1:2] not in (["-h"], ["--help"]):
        words, passed = words[:1], words[1:]  # the rest is for Snakemake
    parsed = build_parser(words[0] if words else None).parse_args(words)
    parsed.passed = passed
    try:
        with record_benchmark(parsed.benchmark):
            _import_tool(parsed.command).run(parsed) if parsed.command in TOOLS else run_task(parsed)
    except ValidationError as error:
        from advgen.study.errors import explain  # jobs without errors do not need them
        from advgen.study.yaml import Source

        message = explain(error, Source("--spec", {}), TASKS[parsed.command]).splitlines()[0]
        sys.exit(f"advgen {parsed.command}: {message}")
    except (ValueError, OSError, MemoryError) as error:
        if parsed.traceback:
            raise
        sys.exit(f"advgen {parsed.command}: {_message(error)}")
    except RuntimeError as error:
        if parsed.traceback or not ("OutOfMemory" in type(error).__name__ or "allocate memory" in str(error)):
            raise
        sys.exit(f"advgen {parsed.command}: {_message(MemoryError())}")
    except KeyboardInterrupt:
        sys.exit(f"advgen {parsed.command}: interrupted")


def _message(error: BaseException) -> str:
    if isinstance(error, OSError) and any(text in str(error) for text in NO_MEMORY):
        error = MemoryError()
    if isinstance(error, OSError) and error.strerror:
        remedy = "; free disk space and run again" if error.errno in DISK_FULL_ERRORS else ""
        return f"{error.filename}: {error.strerror}{remedy}" if error.filename else f"{error.strerror}{remedy}"
    if isinstance(error, MemoryError):
        return "out of memory; give the job more memory, or lower its batch size or number of images"
    return str(error)


def build_parser(command: str | None) -> argparse.ArgumentParser:
    """Return the parser of all commands, complete only for one: the modules of the others are not imported."""
    parser = Parser(
        prog="advgen",
        description="Experiments with generative and adversarial vision models. "
        "The Snakefile calls these commands; you can also run each in a shell.",
        fromfile_prefix_chars="@",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, help_ in TOOLS.items():
        tool = commands.add_parser(name, help=help_, description=help_)
        _add_common_arguments(tool)
        if name == command:
            _import_tool(name).add_arguments(tool)
    for name, task in TASKS.items():
        if name in TOOLS:
            continue
        help_ = task.help_text()
        sub = commands.add_parser(name, help=help_, description=help_, fromfile_prefix_chars="@")
        for flag in task.reads:
            sub.add_argument(f"--{flag}", nargs="*", type=Path, default=[], metavar="FILE", help="input")
        for flag in task.output_flags().values():
            sub.add_argument(f"--{flag}", nargs="+", type=Path, required=True, metavar="FILE", help="output")
        sub.add_argument("--spec", required=True, metavar="JSON", help=f"parameters; keys: {', '.join(_keys(task))}")
        sub.add_argument("--plugins", nargs="*", type=Path, default=[], metavar="FILE", help="your plug-in files")
        sub.add_argument("--code", metavar="DIGEST", help="fail if the code has another digest")
        _add_common_arguments(sub)
    return parser


def _add_common_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--benchmark", type=Path, metavar="FILE", help="write seconds, memory and load to FILE")
    parser.add_argument("--traceback", action="store_true", help="show the traceback of an error")


def _keys(task: type[Task]) -> list[str]:
    return list(task.model_fields) or ["none: {}"]


def _import_tool(command: str):  # type: ignore[no-untyped-def]
    return importlib.import_module(f"advgen.commands.{command.replace('-', '_')}")
