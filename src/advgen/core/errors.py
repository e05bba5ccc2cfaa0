"""Mistakes in a study."""

from typing import Any


class ConfigError(ValueError):
    """A mistake in a study, in one or two lines. `path` is the path of its key if the message does not contain it."""

    def __init__(self, message: str, path: tuple[Any, ...] = ()):
        super().__init__(message)
        self.path = path
