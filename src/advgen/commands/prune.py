"""`advgen prune`: delete files that no study plans any more."""

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
    """Add the arguments of `advgen prune`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.description = (
        "List the files below results/ that none of the given studies plans, such as those of renamed or deleted\n"
        "definitions. Name every study whose results you want to keep; --yes deletes the rest."
    )
    parser.epilog = (
        "Only files that advgen wrote are deleted: artefacts with its stamp, logs, benchmarks, and saved states.\n"
        "Downloads, results/cache (which avoids computing results again), links and unknown files stay.\n\n"
        "  python -m advgen prune config/config.yaml my.yaml          list the files with their sizes\n"
        "  python -m advgen prune config/config.yaml my.yaml --yes    delete them"
    )
    parser.add_argument("studies", nargs="+", type=Path, metavar="STUDY", help="keep the files of this study")
    parser.add_argument("--yes", action="store_true", help="delete the listed files")


def run(arguments: argparse.Namespace) -> None:
    """List the files that no study plans, and delete them with `--yes`; exits with a message while a driver runs."""
    planned = {path for study in arguments.studies for job in build(load_file(study)).jobs for path in list_files(job)}
    if Path(RESULTS).is_dir():
        lock_results()
    sizes = {path: os.path.getsize(path) for path in find_unplanned(planned)}
    studies = " or ".join(map(str, arguments.studies))
    if not sizes:
        print(f"nothing to prune: every file that advgen wrote below {RESULTS}/ is planned by {studies}")
        return
    for path, size in sizes.items():
        print(f"{_format_megabytes(size)}  {path}")
        if arguments.yes:
            delete(Path(path))
    total = f"{_format_megabytes(sum(sizes.values()))}  in {len(sizes)} files that are not planned by {studies}"
    print(f"{total}: deleted" if arguments.yes else f"{total}; --yes deletes them")


def list_files(job: PlannedJob) -> Iterator[str]:
    """Yield all files that a job may write."""
    yield from job.outputs.values()
    yield STATES.format(state=sha256_text(next(iter(job.outputs.values())))[:16])
    if job.task.outputs:
        yield log_file(job.rule, job.task.outputs).format(**job.wildcards)
        yield benchmark_file(job.rule, job.task.outputs).format(**job.wildcards)


def find_unplanned(planned: set[str]) -> Iterator[str]:
    """Yield the files below results/ that some job may have written and that are not planned, sorted by path."""
    rules = {rule: task.outputs for rule, task in catalog.RULES.items() if task.outputs}
    artefacts = _compile([path for outputs in rules.values() for path in outputs.values()])
    logs = _compile([path(rule, outputs) for rule, outputs in rules.items() for path in (log_file, benchmark_file)])
    states = re.compile(STATES.format(state="[0-9a-f]{16}"))
    for folder, folders, files in os.walk(RESULTS):
        folders.sort()
        for path in sorted(os.path.join(folder, file) for file in files if not file.startswith(".")):
            if path in planned or os.path.islink(path):
                continue
            if logs.fullmatch(path) or states.fullmatch(path) or (artefacts.fullmatch(path) and _has_stamp(Path(path))):
                yield path


def _compile(patterns: Sequence[str]) -> re.Pattern[str]:
    """Return an expression that matches any of some paths with wildcards."""
    return re.compile("|".join(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(pattern)) for pattern in patterns))


def _has_stamp(path: Path) -> bool:
    try:
        return read_stamp(path) is not None
    except ValueError:
        return False


def delete(path: Path) -> None:
    """Delete a file, and then the empty folders above it, up to results/."""
    path.unlink()
    for folder in path.parents:
        if folder == Path(RESULTS) or any(folder.iterdir()):
            break
        folder.rmdir()


def _format_megabytes(size: int) -> str:
    return f"{size / 1e6:10.2f} MB"
