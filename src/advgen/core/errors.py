"""Mistakes in a study."""

from __future__ import annotations

from typing import Any


class ConfigError(ValueError):
    """A mistake in a study, told in one or two lines. `path` is that of its key, where the message does not have it."""

    def __init__(self, message: str, path: tuple[Any, ...] = ()):
        super().__init__(message)
        self.path = path
