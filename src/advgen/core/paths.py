"""Where artefacts lie. Names and seeds are identities, never parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

RESULTS = "results"


def check_file(path: Path) -> None:
    """ValueError if a path leads to anything but a file: to read a pipe or a device may take for ever."""
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "a pipe or a device"
        raise ValueError(f"{path}: is {what}; name a file")


def raw_file(dataset: str, file: str) -> str:
    """A verified download."""
    return f"results/datasets/{dataset}/raw/{file}"


def wildcards_of(pattern: str) -> list[str]:
    """The wildcards of a path in order."""
    return re.findall(r"{(\w+)}", pattern)


def job_path(outputs: Mapping[str, str]) -> str:
    """What tells a rule's jobs apart, as a path for logs: the wildcards of its first output, or its name."""
    first = next(iter(outputs.values()))
    folders, name = first.split("/")[2:-1], first.split("/")[-1]
    stem, dot, ending = name.rpartition(".")
    last = stem if dot and "{" not in ending else name
    return "/".join([*folders, last] if "{" in last or not folders else folders)


def log_file(rule: str, outputs: Mapping[str, str]) -> str:
    """What a job said; may be deleted at any time."""
    return f"results/logs/{rule}/{job_path(outputs)}.log"


def benchmark_file(rule: str, outputs: Mapping[str, str]) -> str:
    """A job's time and memory; may be deleted at any time."""
    return f"results/benchmarks/{rule}/{job_path(outputs)}.tsv"
