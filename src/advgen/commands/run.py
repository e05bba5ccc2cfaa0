"""`advgen run`: run Snakemake on a study with all cores and GPUs of this machine."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from advgen.core.catalog import RULES
from advgen.core.options import refuse_unknown_option
from advgen.core.paths import RESULTS, check_file
from advgen.driver.snakemake_adapter import YAML_OPTIONS, get_argument_parser
from advgen.io.devices import slots
from advgen.study.errors import suggest_nearest
from advgen.study.yaml import DEFAULT_STUDY
from advgen.workflow import SNAKEFILE

YAML = (".yaml", ".yml")
TARGETS = ("all", "figures", "cv", *RULES)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `advgen run`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "All other arguments are passed to Snakemake; they may come before or after the study:\n\n"
        f"  advgen run                        everything in {DEFAULT_STUDY}\n"
        "  advgen run my.yaml -n             list the jobs that would run\n"
        "  advgen run my.yaml figures        only the figures\n"
        "  advgen run my.yaml --profile profiles/slurm\n\n"
        "Results are written to results/ in the working folder. To continue after an interruption, run it again."
    )
    parser.add_argument("study", nargs="?", default=DEFAULT_STUDY, metavar="STUDY", help=f"default: {DEFAULT_STUDY}")


def run(arguments: argparse.Namespace) -> None:
    """Replace this process by Snakemake; ValueError if the study does not exist."""
    if find_spec("snakemake") is None:
        raise ModuleNotFoundError(name="snakemake")
    study, words = split_words(arguments.passed)
    check_file(Path(study))
    if not Path(study).is_file():
        names = [str(path) for ending in YAML for path in Path(study).parent.glob(f"*{ending}")]
        advice = "; name one, or make a folder with one: advgen init my-study"
        raise ValueError(f"{study}: no such study{suggest_nearest(study, [*names, *TARGETS]) or advice}")
    _check_options(words)
    snakefile = [] if Path("Snakefile").is_file() else ["--snakefile", SNAKEFILE]
    gpus = len(slots())
    resources = ["--resources", f"gpu={gpus}"] if gpus else []
    command = [sys.executable, "-m", "snakemake", *snakefile, *resources, *words]
    os.execv(sys.executable, [*command, "--config", f"study={study}"])


def split_words(words: Sequence[str]) -> tuple[str, list[str]]:
    """Split a command line into the study and the other words, for Snakemake.

    The study is the only YAML file that is not the value of an option, or else the first word if it is not a target.
    """
    places = [place for place in range(len(words)) if _is_study(words, place)]
    if not places:
        return DEFAULT_STUDY, list(words)
    place, *others = places
    if others:
        raise ValueError(f"{words[place]} and {words[others[0]]}: a run is of one study; run one after the other")
    before, after = list(words[:place]), list(words[place + 1 :])
    # in `--until draw my.yaml figures`, --until would take the target figures as another value if it followed
    reordered = after + before if before and before[0].startswith("-") else before + after
    return words[place], reordered


def _is_study(words: Sequence[str], place: int) -> bool:
    word, before = words[place], words[:place]
    if word.startswith("-") or word in TARGETS or word.startswith(f"{RESULTS}/"):
        return False
    option = before[-1] if before else ""
    is_value = len(option) > 3 and any(name.startswith(option) for name in YAML_OPTIONS)
    return (word.endswith(YAML) and not is_value) or not before


def _check_options(words: Sequence[str]) -> None:
    """Exit with status 2 at an unknown option; ValueError at `--config`, which only sets the study."""
    for word in words:
        if word in ("-C", "--config") or word.startswith("--config="):
            remedy = "edit the study, or name another: advgen run STUDY"
            raise ValueError(f"{word}: only the study can be configured; {remedy}")
    if any(word.startswith("--") for word in words):
        refuse_unknown_option(get_argument_parser(), words, "advgen run", "snakemake")
