"""`advgen plan`: list the jobs of a study."""

import argparse
from collections import Counter
from pathlib import Path

from advgen.driver.plan import build
from advgen.study.load import load_file
from advgen.study.yaml import DEFAULT_STUDY


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `advgen plan`."""
    parser.add_argument("study", nargs="?", type=Path, default=Path(DEFAULT_STUDY), help="default: %(default)s")
    parser.add_argument("--files", action="store_true", help="list every file that the study makes")


def run(arguments: argparse.Namespace) -> None:
    """Print the number of jobs per rule, or with `--files` the files."""
    plan = build(load_file(arguments.study))
    if arguments.files:
        print("\n".join(plan.outputs()))
        return
    for rule, count in Counter(job.rule for job in plan.jobs).items():
        print(f"{count:5} {rule}")
    print(f"{len(plan.jobs):5} jobs")
