"""`advgen so-far`: the report of what there is."""

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


class Unfinished(Job[Report]):
    """A report some of whose inputs are not there."""

    @cached_property
    def digests(self) -> dict[str, str]:
        """Of the inputs that there are."""
        return {
            os.path.relpath(path): content_digest(path)
            for paths in self.inputs.values()
            for path in paths
            if path.is_file()
        }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `advgen so-far`."""
    parser.description = (
        f"Write {PAGE}: the report of a study with the figures and tables that there are, as they are; what failed or "
        "has not run is named."
    )
    parser.add_argument("study", nargs="?", type=Path, default=Path(DEFAULT_STUDY), help=f"default: {DEFAULT_STUDY}")


def run(arguments: argparse.Namespace) -> None:
    """Write the page, and say what is missing."""
    pages = build(load_file(arguments.study)).of("report_page")
    if not pages:
        raise ValueError(f"{arguments.study}: asks for no figure, so that it has no report; name some under figures:")
    [page] = pages
    inputs = {
        flag: [Path(path) for path in ([paths] if isinstance(paths, str) else paths)]
        for flag, paths in page.inputs.items()
    }
    assert isinstance(page.task, Report)
    write_report(Unfinished("report", page.task, page.code, inputs, {"out": [PAGE]}))
    files = zip(page.task.figures, *(inputs[flag] for flag in FILES), strict=True)
    missing = [figure.name for figure, *its in files if not all(path.is_file() for path in its)]
    print(f"{PAGE}: {len(page.task.figures) - len(missing)} of {len(page.task.figures)} figures")
    if missing:
        print(f"  not made: {', '.join(missing)}")
