"""The command line: one subcommand per task, and a few that read finished results."""

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
    "init": "Make a folder with a study of your own, or with a CV: advgen init my-study.",
    "run": "Run a study: Snakemake with all cores and GPUs; what it makes comes into results/.",
    "audit": "Say how robust a classifier of your own is, and whether the evaluation is sound: a page and its tables.",
    "leaderboard": "Rank the nets of studies and audits on one page: on the same images, within the same eps.",
    "plan": "List the jobs of a study, or check it.",
    "cv": "Build a CV from YAML and BibTeX: PDF, HTML, Markdown, LaTeX, DOCX, JSON. Needs no study, network or torch.",
    "verify": "Compare every artefact with the plan; --fix removes what does not agree.",
    "prune": "List what no study plans any more; --yes removes it.",
    "cv-import": "Turn the files of the CV generator bamos/cv into ours; list what has no place.",
    "cv-refresh": "Ask for new stars, citations and works, and propose them as a diff; never part of a build.",
    "cv-diff": "Say what changed between two cv.json.",
    "diff": "Say which numbers of two runs differ, and which by more than their intervals.",
    "status": "Say where a run stands, or what the next one would do and why; reads files only.",
    "check-plugin": "Check that attacks, masks, networks … of one's own keep the contract of their family.",
    "so-far": "Write the report of what there is, after a failure or in the middle of a run.",
    "trace": "Print where a file comes from, back to the raw data.",
    "docs": "Deprecated: run `python -m tools.docs` in a clone of the repository instead.",
}
"""Commands that are no job of the DAG: `advgen.commands.<name>` with add_arguments(parser) and run(arguments)."""


_CV = {"build": "cv", "import": "cv-import", "diff": "cv-diff", "refresh": "cv-refresh"}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; a mistake of the user's ends in one line on stderr."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["cv"] and (two := _CV.get(given[1] if len(given) > 1 else "")):
        given[:2] = [two]
    elif given[:1] == ["cv"] and not [*given, "-"][1].startswith("-"):
        refuse("advgen cv", f"unknown {given[1]!r}", given[1], list(_CV), f"write {', '.join(_CV)}, or --profile …")
    elif given and not given[0].startswith(("-", "@")) and given[0] not in (*TOOLS, *TASKS):
        unknown = f"unknown command {given[0]!r}"
        refuse("advgen", unknown, given[0], [*TOOLS, *TASKS], "advgen --help lists all commands")
    try:
        _command(given)
    except ImportError as error:
        if "--traceback" not in given and any(words in str(error) for words in NO_MEMORY):
            sys.exit(f"advgen {given[0]}: {_sentence(MemoryError())}")
        if not isinstance(error, ModuleNotFoundError):
            raise
        package = (error.name or "").partition(".")[0]
        if package in ("", "advgen") or "--traceback" in given:
            raise
        extra = "colour" if package.startswith("resvg") else "cv" if given[0].startswith("cv") else "lab"
        sys.exit(f"advgen {given[0]}: needs {package}; pip install 'advgen[{extra}]'")


def _command(given: list[str]) -> None:
    passed: list[str] = []
    if given[:1] == ["run"] and given[1:2] not in (["-h"], ["--help"]):
        given, passed = given[:1], given[1:]
    parsed = parser_of(given[0] if given else None).parse_args(given)
    parsed.passed = passed
    try:
        with record_benchmark(parsed.benchmark):
            _tool(parsed.command).run(parsed) if parsed.command in TOOLS else run_task(parsed)
    except ValidationError as error:
        from advgen.study.errors import explain  # no job that runs needs them
        from advgen.study.yaml import Source

        told = explain(error, Source("--spec", {}), TASKS[parsed.command]).splitlines()[0]
        sys.exit(f"advgen {parsed.command}: {told}")
    except (ValueError, OSError, MemoryError) as error:
        if parsed.traceback:
            raise
        sys.exit(f"advgen {parsed.command}: {_sentence(error)}")
    except RuntimeError as error:
        if parsed.traceback or not ("OutOfMemory" in type(error).__name__ or "allocate memory" in str(error)):
            raise
        sys.exit(f"advgen {parsed.command}: {_sentence(MemoryError())}")
    except KeyboardInterrupt:
        sys.exit(f"advgen {parsed.command}: interrupted")


NO_MEMORY = ("failed to map segment", "annot allocate memory")
"""How the loader of shared libraries says that there is no memory for one."""


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and any(words in str(error) for words in NO_MEMORY):
        error = MemoryError()
    if isinstance(error, OSError) and error.strerror:
        remedy = "; make room and run again" if error.errno in DISK_FULL_ERRORS else ""
        return f"{error.filename}: {error.strerror}{remedy}" if error.filename else f"{error.strerror}{remedy}"
    if isinstance(error, MemoryError):
        return "out of memory; give the job more, or lower its batch or number of images"
    return str(error)


def parser_of(command: str | None) -> argparse.ArgumentParser:
    """The parser of all commands, whole for one of them: the others' modules are not imported."""
    parser = Parser(
        prog="advgen",
        description="Experiments with generative and adversarial vision models. "
        "The Snakefile calls these commands; each can be run by hand as printed there.",
        fromfile_prefix_chars="@",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, help_ in TOOLS.items():
        tool = commands.add_parser(name, help=help_, description=help_)
        _common(tool)
        if name == command:
            _tool(name).add_arguments(tool)
    for name, task in TASKS.items():
        if name in TOOLS:
            continue
        help_ = task.help_text()
        sub = commands.add_parser(name, help=help_, description=help_, fromfile_prefix_chars="@")
        for flag in task.reads:
            sub.add_argument(f"--{flag}", nargs="*", type=Path, default=[], metavar="FILE", help="read")
        for flag in task.output_flags().values():
            sub.add_argument(f"--{flag}", nargs="+", type=Path, required=True, metavar="FILE", help="written")
        sub.add_argument("--spec", required=True, metavar="JSON", help=f"what to do; keys: {', '.join(_keys(task))}")
        sub.add_argument("--plugins", nargs="*", type=Path, default=[], metavar="FILE", help="with kinds of one's own")
        sub.add_argument("--code", metavar="DIGEST", help="refuse to run if this is not the digest of the code")
        _common(sub)
    return parser


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--benchmark", type=Path, metavar="FILE", help="write what it cost: seconds, memory, load")
    parser.add_argument("--traceback", action="store_true", help="show where an error was raised")


def _keys(task: type[Task]) -> list[str]:
    return list(task.model_fields) or ["none: {}"]


def _tool(command: str):  # type: ignore[no-untyped-def]
    return importlib.import_module(f"advgen.commands.{command.replace('-', '_')}")
