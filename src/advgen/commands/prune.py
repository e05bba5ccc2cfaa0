"""`advgen prune`: what no study plans any more."""

import argparse
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from advgen.core import catalog
from advgen.core.kinds import PlannedJob
from advgen.core.paths import RESULTS, benchmark_file, log_file
from advgen.driver.locking import lock_results
from advgen.driver.plan import build
from advgen.files.provenance import sha256_text
from advgen.io.stamps import read_stamp
from advgen.study.load import load_file

STATES = "results/state/{state}.safetensors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `advgen prune`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "List the files below results/ that none of the studies plans any more: what a renamed or deleted definition\n"
        "left. Name every study whose results you want to keep; --yes removes the rest."
    )
    parser.epilog = (
        "Only what advgen made goes: artefacts that carry its stamp, logs, benchmarks, and states of trainings.\n"
        "Downloads, results/cache (so that what is planned again later need not be computed again), links, and files\n"
        "that advgen does not know stay.\n\n"
        "  python -m advgen prune config/config.yaml my.yaml          what would go, with sizes\n"
        "  python -m advgen prune config/config.yaml my.yaml --yes    remove it"
    )
    parser.add_argument("studies", nargs="+", type=Path, metavar="STUDY", help="keep what it plans")
    parser.add_argument("--yes", action="store_true", help="remove what is listed")


def run(arguments: argparse.Namespace) -> None:
    """List what is left over, and remove it if told so; exits in one line while a driver runs."""
    kept = {path for study in arguments.studies for job in build(load_file(study)).jobs for path in traces(job)}
    if Path(RESULTS).is_dir():
        lock_results()
    sizes = {path: os.path.getsize(path) for path in left(kept)}
    studies = " or ".join(map(str, arguments.studies))
    if not sizes:
        print(f"nothing to prune: all that advgen made below {RESULTS}/ is planned by {studies}")
        return
    for path, size in sizes.items():
        print(f"{_megabytes(size)}  {path}")
        if arguments.yes:
            remove(Path(path))
    total = f"{_megabytes(sum(sizes.values()))}  in {len(sizes)} files that are not planned by {studies}"
    print(f"{total}: removed" if arguments.yes else f"{total}; --yes removes them")


def traces(job: PlannedJob) -> Iterator[str]:
    """All that a job leaves behind."""
    yield from job.outputs.values()
    yield STATES.format(state=sha256_text(next(iter(job.outputs.values())))[:16])
    if job.task.outputs:
        yield log_file(job.rule, job.task.outputs).format(**job.wildcards)
        yield benchmark_file(job.rule, job.task.outputs).format(**job.wildcards)


def left(kept: set[str]) -> Iterator[str]:
    """Files below results/ that a job of some study would leave behind, but for those that are kept; by name."""
    rules = {rule: task.outputs for rule, task in catalog.RULES.items() if task.outputs}
    made = _any([path for outputs in rules.values() for path in outputs.values()])
    told = _any([place(rule, outputs) for rule, outputs in rules.items() for place in (log_file, benchmark_file)])
    state = re.compile(STATES.format(state="[0-9a-f]{16}"))
    for folder, folders, files in os.walk(RESULTS):
        folders.sort()
        for path in sorted(os.path.join(folder, file) for file in files if not file.startswith(".")):
            if path in kept or os.path.islink(path):
                continue
            if told.fullmatch(path) or state.fullmatch(path) or (made.fullmatch(path) and _stamped(Path(path))):
                yield path


def _any(patterns: Sequence[str]) -> re.Pattern[str]:
    """Matches what any of some paths with wildcards may stand for."""
    return re.compile("|".join(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(pattern)) for pattern in patterns))


def _stamped(path: Path) -> bool:
    try:
        return read_stamp(path) is not None
    except ValueError:
        return False


def remove(path: Path) -> None:
    """Delete a file, and the folders below results/ that are empty then."""
    path.unlink()
    for folder in path.parents:
        if folder == Path(RESULTS) or any(folder.iterdir()):
            break
        folder.rmdir()


def _megabytes(size: int) -> str:
    return f"{size / 1e6:10.2f} MB"
