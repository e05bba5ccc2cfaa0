"""Ctrl-C while modules and studies are read. Imports nothing: it is loaded first."""

import sys
from types import TracebackType


def print_interruption(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An exception hook that tells an interruption in one line, and everything else as ever."""
    if kind is KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
