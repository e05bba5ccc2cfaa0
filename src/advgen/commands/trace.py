"""`advgen trace`: where a file comes from."""

import argparse
from pathlib import Path

from advgen.io.stamps import content, read_stamp


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `advgen trace`."""
    parser.add_argument("file", type=Path, help="any file below results/")


def run(arguments: argparse.Namespace) -> None:
    """Print the chain from a file back to the raw data, depth first, each file once."""
    if not arguments.file.is_file():
        raise ValueError(f"{arguments.file}: no such file; build it first")
    _show(arguments.file, None, 0, set())


def _show(path: Path, recorded: str | None, depth: int, seen: set[Path]) -> None:
    indent = "  " * depth
    if not path.is_file():
        print(f"{indent}{path}  MISSING (was {recorded})")
        return
    digest = content(path)
    changed = "" if recorded in (None, digest) else "  CHANGED since"
    stamp = read_stamp(path)
    again = "  (above)" if path in seen and stamp and stamp.inputs else ""
    print(f"{indent}{path}  holds {digest[:12]}{changed}{again}")
    if stamp is None or again:
        return
    seen.add(path)
    seed = "" if stamp.seed is None else f", seed {stamp.seed}"
    versions = " ".join(f"{name} {number}" for name, number in sorted(stamp.versions.items()))
    print(f"{indent}  = {stamp.command.split(' --')[0]} (code {stamp.code}{seed}; {versions}; {stamp.device})")
    for name, given in stamp.inputs.items():
        _show(Path(name), given, depth + 2, seen)
