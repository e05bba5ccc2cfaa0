"""Deprecated names of Python interfaces: each still works for one release and warns.

`advgen.study.renamed` does the same for keys of a study.
"""

import warnings
from collections.abc import Mapping
from typing import Any


def warn_renamed(old: str, new: str, stacklevel: int = 3) -> None:
    """Emit a DeprecationWarning for the caller's caller, which uses `old` instead of `new`."""
    message = f"{old} is deprecated and will be removed in the next release; use {new}"
    warnings.warn(message, DeprecationWarning, stacklevel=stacklevel)


def renamed_attribute(old: str, new: str) -> Any:
    """Return a read-only property that returns the attribute or method `new`; assign it to `old` in a class body."""

    def read(self: Any) -> Any:
        warn_renamed(f"{type(self).__name__}.{old}", new)
        return getattr(self, new)

    return property(read, doc=f"Deprecated name of `{new}`.")


def accept_old_names(cls: type[Any], names: Mapping[str, str]) -> None:
    """Rename what a subclass defines under an old name; `names` maps old to new names. For `__init_subclass__`."""
    for old in names.keys() & vars(cls).keys():
        warn_renamed(f"{cls.__name__}.{old}", names[old], 4)
        setattr(cls, names[old], vars(cls)[old])
