"""`advgen trace`: where a file comes from."""

import argparse
from pathlib import Path

from advgen.io.stamps import content_digest, read_stamp


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `advgen trace`."""
    parser.add_argument("file", type=Path, help="any file below results/")


def run(arguments: argparse.Namespace) -> None:
    """Print the chain from a file back to the raw data, depth first, each file once."""
    if not arguments.file.is_file():
        raise ValueError(f"{arguments.file}: no such file; build it first")
    todo: list[tuple[Path, str | None, int]] = [(arguments.file, None, 0)]
    seen = set[Path]()
    while todo:
        path, recorded, depth = todo.pop()
        inputs = _show(path, recorded, "  " * depth, seen)
        seen.add(path)
        todo += [(Path(name), given, depth + 2) for name, given in reversed(inputs.items())]


def _show(path: Path, recorded: str | None, indent: str, seen: set[Path]) -> dict[str, str]:
    """Print what a file holds and what made it; the digests of its inputs, if they were not shown before."""
    if not path.is_file():
        print(f"{indent}{path}  MISSING (was {recorded})")
        return {}
    digest = content_digest(path)
    changed = "" if recorded in (None, digest) or recorded == _said(path) else "  CHANGED since"
    stamp = read_stamp(path)
    again = "  (above)" if path in seen and stamp and stamp.inputs else ""
    print(f"{indent}{path}  holds {digest[:12]}{changed}{again}")
    if stamp is None or again:
        return {}
    seed = "" if stamp.seed is None else f", seed {stamp.seed}"
    versions = " ".join(f"{name} {number}" for name, number in sorted(stamp.versions.items()))
    print(f"{indent}  = {stamp.command.split(' --')[0]} (code {stamp.code}{seed}; {versions}; {stamp.device})")
    return dict(stamp.inputs)


def _said(path: Path) -> str | None:
    """What `advgen cv` records of a file of the CV."""
    if path.suffix not in (".yaml", ".yml", ".bib"):
        return None
    # needs a package of the CV
    from advgen.cv.sources import digest_source

    return digest_source(path)
