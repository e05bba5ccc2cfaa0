"""`advgen docs`: deprecated, `python -m tools.docs` in a clone of the repository does the same."""

import argparse
import importlib
import warnings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `advgen docs`."""
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is out of date")


def run(arguments: argparse.Namespace) -> None:
    """Call `tools.docs`, which is in the repository and not in the package."""
    warnings.warn("`advgen docs` is now `python -m tools.docs`", DeprecationWarning, stacklevel=2)
    try:
        docs = importlib.import_module("tools.docs")
    except ModuleNotFoundError:
        raise ValueError("the documentation is generated in a clone of the repository: python -m tools.docs") from None
    docs.main(["--check"] if arguments.check else [])
