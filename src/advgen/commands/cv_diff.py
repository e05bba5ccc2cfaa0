"""`advgen cv diff`: what changed between two snapshots of a CV."""

import argparse
import json
from pathlib import Path
from typing import Any

from advgen.cv.diff import compare


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `advgen cv diff`."""
    parser.add_argument("old", type=Path, metavar="OLD.json", help="the cv.json of an earlier build")
    parser.add_argument("new", type=Path, metavar="NEW.json", help="the cv.json of a later build")


def run(arguments: argparse.Namespace) -> None:
    """Print a headline, and one line per change."""
    report = compare(_read(arguments.old), _read(arguments.new))
    print("\n".join([report.headline(), *report.lines]))


def _read(path: Path) -> dict[str, Any]:
    remedy = "give a cv.json that advgen cv wrote"
    try:
        cv = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: is not JSON ({error}); {remedy}") from None
    if not isinstance(cv, dict) or not {"name", "sections", "updated"} <= cv.keys():
        raise ValueError(f"{path}: is not a cv.json; {remedy}")
    return cv
