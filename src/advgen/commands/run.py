"""`advgen run`: Snakemake on a study, with all cores and GPUs of this machine."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from advgen.core.catalog import RULES
from advgen.core.options import refuse_unknown_option
from advgen.core.paths import RESULTS, check_file
from advgen.io.devices import slots
from advgen.study.errors import suggest_nearest
from advgen.study.yaml import DEFAULT_STUDY
from advgen.workflow import SNAKEFILE

YAML = (".yaml", ".yml")
TAKES_YAML = ("--configfile", "--configfiles", "--report-metadata", "--slurm-partition-config")
"""Options of Snakemake whose values may be YAML files, which are not the study."""
TARGETS = ("all", "figures", "cv", *RULES)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `advgen run`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = (
        "All other words are Snakemake's, before the study or behind it:\n\n"
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
    study, words = split_words(arguments.passed)
    check_file(Path(study))
    if not Path(study).is_file():
        names = [str(path) for ending in YAML for path in Path(study).parent.glob(f"*{ending}")]
        near = suggest_nearest(study, [*names, *TARGETS])
        advice = near or "; name one, or make a folder with one: advgen init my-study"
        raise ValueError(f"{study}: no such study{advice}")
    _check_options(words)
    own = [] if Path("Snakefile").is_file() else ["--snakefile", SNAKEFILE]
    gpus = len(slots())
    resources = ["--resources", f"gpu={gpus}"] if gpus else []
    command = [sys.executable, "-m", "snakemake", *own, *resources, *words]
    os.execv(sys.executable, [*command, "--config", f"study={study}"])


def split_words(words: Sequence[str]) -> tuple[str, list[str]]:
    """The study among the words of a command line, wherever it stands, and all other words for Snakemake.

    The study is the first YAML file that is no value of an option, or else the first word if that is no target.
    """
    places = [place for place in range(len(words)) if _is_study(words, place)]
    if not places:
        return DEFAULT_STUDY, list(words)
    place, *others = places
    if others:
        raise ValueError(f"{words[place]} and {words[others[0]]}: a run is of one study; run one after the other")
    before, after = list(words[:place]), list(words[place + 1 :])
    # `--until draw my.yaml figures`: figures is a target, which --until would take if it followed
    first = after + before if before and before[0].startswith("-") else before + after
    return words[place], first


def _is_study(words: Sequence[str], place: int) -> bool:
    word, before = words[place], words[:place]
    if word.startswith("-") or word in TARGETS or word.startswith(f"{RESULTS}/"):
        return False
    option = before[-1] if before else ""
    takes_yaml = len(option) > 3 and any(name.startswith(option) for name in TAKES_YAML)
    return (word.endswith(YAML) and not takes_yaml) or not before


def _check_options(words: Sequence[str]) -> None:
    """Exit with status 2 at an option that Snakemake does not have, or that the study's place leaves no room for."""
    for word in words:
        if word in ("-C", "--config") or word.startswith("--config="):
            raise ValueError(
                f"{word}: the study alone is configured; edit the study, or name another: advgen run STUDY"
            )
    if any(word.startswith("--") for word in words):
        from snakemake.cli import get_argument_parser  # type: ignore[import-untyped]  # takes half a second

        refuse_unknown_option(get_argument_parser(), words, "advgen run", "snakemake")
