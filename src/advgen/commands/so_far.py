"""`advgen so-far`: write the report of an unfinished run."""

import argparse
import os
from functools import cached_property
from pathlib import Path

from advgen.driver.plan import build
from advgen.io.stamps import content_digest
from advgen.jobs.job import Job
from advgen.outcomes.report.outcome import Report
from advgen.outcomes.report.run import FILES
from advgen.outcomes.report.run import run as write_report
from advgen.study.load import load_file
from advgen.study.yaml import DEFAULT_STUDY

PAGE = Path("results/report/so-far.html")


class PartialReport(Job[Report]):
    """A report job of which some inputs do not exist."""

    @cached_property
    def digests(self) -> dict[str, str]:
        """Digests of the inputs that exist."""
        paths = (path for files in self.inputs.values() for path in files if path.is_file())
        return {os.path.relpath(path): content_digest(path) for path in paths}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `advgen so-far`."""
    parser.description = (
        f"Write {PAGE}: the report of a study with the figures and tables that exist; it names those that failed or "
        "have not run."
    )
    parser.add_argument("study", nargs="?", type=Path, default=Path(DEFAULT_STUDY), help=f"default: {DEFAULT_STUDY}")


def run(arguments: argparse.Namespace) -> None:
    """Write the page, and print which figures are missing."""
    pages = build(load_file(arguments.study)).jobs_of("report_page")
    if not pages:
        raise ValueError(f"{arguments.study}: plans no figure, so it has no report; add figures under figures:")
    [page] = pages
    inputs = {
        flag: [Path(path) for path in ([paths] if isinstance(paths, str) else paths)]
        for flag, paths in page.inputs.items()
    }
    assert isinstance(page.task, Report)
    write_report(PartialReport("report", page.task, page.code, inputs, {"out": [PAGE]}))
    figures = zip(page.task.figures, *(inputs[flag] for flag in FILES), strict=True)
    missing = [figure.name for figure, *paths in figures if not all(path.is_file() for path in paths)]
    print(f"{PAGE}: {len(page.task.figures) - len(missing)} of {len(page.task.figures)} figures")
    if missing:
        print(f"  missing: {', '.join(missing)}")
