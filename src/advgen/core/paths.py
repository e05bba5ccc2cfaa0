"""Paths of artefacts. They contain names and seeds, never parameters."""

import re
from collections.abc import Mapping
from pathlib import Path

RESULTS = "results"


def check_file(path: Path) -> None:
    """Raise ValueError if a path exists and is no file; reading a pipe or device may never end."""
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "a pipe or device"
        raise ValueError(f"{path}: is {kind}; name a file")


def raw_file(dataset: str, file: str) -> str:
    """Return the path of a verified download."""
    return f"results/datasets/{dataset}/raw/{file}"


def wildcards_of(pattern: str) -> list[str]:
    """Return the wildcards of a path in order."""
    return re.findall(r"{(\w+)}", pattern)


def job_path(outputs: Mapping[str, str]) -> str:
    """Return a pattern that identifies a job of its rule in paths of logs: the wildcards of its first output."""
    first = next(iter(outputs.values()))
    folders, name = first.split("/")[2:-1], first.split("/")[-1]
    stem, dot, ending = name.rpartition(".")
    last = stem if dot and "{" not in ending else name
    return "/".join([*folders, last] if "{" in last or not folders else folders)


def log_file(rule: str, outputs: Mapping[str, str]) -> str:
    """Return the path of a job's log, which may be deleted at any time."""
    return f"results/logs/{rule}/{job_path(outputs)}.log"


def benchmark_file(rule: str, outputs: Mapping[str, str]) -> str:
    """Return the path of a job's time and memory, which may be deleted at any time."""
    return f"results/benchmarks/{rule}/{job_path(outputs)}.tsv"
