"""Mistakes in a study."""

from __future__ import annotations


class ConfigError(ValueError):
    """A mistake in a study, told in one or two lines."""
