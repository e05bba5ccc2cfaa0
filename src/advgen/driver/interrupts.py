"""Ctrl-C while modules and studies are read. Imports nothing of advgen: the Snakefile loads it first."""

import sys
from types import TracebackType


def install_excepthook() -> None:
    """Print "interrupted" instead of a traceback when Ctrl-C ends this process."""
    sys.excepthook = _print_exception


def _print_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if kind is KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
