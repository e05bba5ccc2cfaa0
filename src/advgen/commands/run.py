"""`advgen run`: Snakemake on a study, with all cores and GPUs of this machine."""

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from advgen.io.devices import slots
from advgen.study.yaml import DEFAULT_STUDY
from advgen.workflow import SNAKEFILE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `advgen run`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "Whatever is written behind the study is Snakemake's:\n\n"
        f"  advgen run                        everything that {DEFAULT_STUDY} asks for\n"
        "  advgen run my.yaml -n             what would be made\n"
        "  advgen run my.yaml figures        only the figures\n"
        "  advgen run my.yaml --profile profiles/slurm\n\n"
        "Results come into results/ of this folder. Interrupt it when you like, and run it again."
    )
    parser.add_argument("study", nargs="?", default=DEFAULT_STUDY, metavar="STUDY", help=f"default: {DEFAULT_STUDY}")


def run(arguments: argparse.Namespace) -> None:
    """Become Snakemake; exits in one line if there is no such study."""
    if find_spec("snakemake") is None:
        raise ModuleNotFoundError(name="snakemake")
    if not Path(arguments.study).is_file():
        raise ValueError(f"{arguments.study}: no such study; name one, or make a folder with one: advgen init my-study")
    own = [] if Path("Snakefile").is_file() else ["--snakefile", SNAKEFILE]
    gpus = len(slots())
    resources = ["--resources", f"gpu={gpus}"] if gpus else []
    command = [sys.executable, "-m", "snakemake", *own, *resources, *arguments.passed]
    os.execv(sys.executable, [*command, "--config", f"study={arguments.study}"])
