"""Where the Snakefile is, with its rules, profiles and the example study: in a clone or in an installed package."""

from pathlib import Path

_INSTALLED = Path(__file__).with_name("project")

PROJECT = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[2]
SNAKEFILE = str(PROJECT / "Snakefile")
"""For `include:` or `module:` in a Snakefile of your own."""
