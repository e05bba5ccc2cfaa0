"""`advgen trace`: print where a file comes from."""

import argparse
from pathlib import Path

from advgen.io.stamps import content_digest, read_stamp


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `advgen trace`."""
    parser.add_argument("file", type=Path, help="any file below results/")


def run(arguments: argparse.Namespace) -> None:
    """Print the chain from a file back to the raw data, depth first; the inputs of each file once."""
    if not arguments.file.is_file():
        raise ValueError(f"{arguments.file}: no such file; build it first")
    todo: list[tuple[Path, str | None, int]] = [(arguments.file, None, 0)]
    seen = set[Path]()
    while todo:
        path, recorded, depth = todo.pop()
        inputs = _print_file(path, recorded, "  " * depth, seen)
        seen.add(path)
        todo += [(Path(name), digest, depth + 2) for name, digest in reversed(inputs.items())]


def _print_file(path: Path, recorded: str | None, indent: str, seen: set[Path]) -> dict[str, str]:
    """Print a file's digest and the command that made it; return the digests of its inputs unless printed before."""
    if not path.is_file():
        print(f"{indent}{path}  MISSING (was {recorded})")
        return {}
    digest = content_digest(path)
    changed = "" if recorded in (None, digest) or recorded == _source_digest(path) else "  CHANGED since"
    stamp = read_stamp(path)
    repeated = "  (above)" if path in seen and stamp and stamp.inputs else ""
    print(f"{indent}{path}  content {digest[:12]}{changed}{repeated}")
    if stamp is None or repeated:
        return {}
    seed = "" if stamp.seed is None else f", seed {stamp.seed}"
    versions = " ".join(f"{name} {number}" for name, number in sorted(stamp.versions.items()))
    print(f"{indent}  = {stamp.command.split(' --')[0]} (code {stamp.code}{seed}; {versions}; {stamp.device})")
    return dict(stamp.inputs)


def _source_digest(path: Path) -> str | None:
    """Return the digest that `advgen cv` records of its source files, or None for other files."""
    if path.suffix not in (".yaml", ".yml", ".bib"):
        return None
    from advgen.cv.sources import digest_source  # needs the packages of the extra `cv`

    return digest_source(path)
