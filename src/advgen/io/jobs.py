"""Deprecated: use `advgen.jobs`. Plug-ins can import `Job`, `Progress` and others from here for one release."""

import importlib
from typing import Any

from advgen.core.deprecated import warn_renamed

_MODULES = {"Job": "job", "Progress": "progress", "SavedState": "saved_state", "sole_writer": "run"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = f"advgen.jobs.{_MODULES[name]}"
    warn_renamed(f"{__name__}.{name}", f"{module}.{name}")
    return getattr(importlib.import_module(module), name)
