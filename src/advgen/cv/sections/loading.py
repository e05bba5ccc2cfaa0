"""Section types in Python files of the user."""

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import replace
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

from advgen.cv.sections.base import SectionType, describe_exception


class _SourceLoader(SourceFileLoader):
    """Ignores byte code, which would hide an edit of the same length within the same second."""

    def path_stats(self, path: Any) -> Mapping[str, Any]:
        raise OSError(f"{path}: byte code is not used")


def load_section_type(path: Path) -> SectionType:
    """Return the `SECTION` that a Python file defines, under the name of the file.

    Raises ValueError, with the line, if the file cannot be imported or defines none.
    """
    name = f"advgen_cv_sections.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path, loader=_SourceLoader(name, str(path.resolve())))
    if not path.is_file() or spec is None or spec.loader is None:
        raise ValueError(f"{path}: no such Python file; check the path, which is relative to the profile")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic looks annotations up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ValueError(describe_exception(path, error)) from error
    section_type = getattr(module, "SECTION", None)
    if not isinstance(section_type, SectionType):
        raise ValueError(f"{path}:1: defines no SECTION; end the file with SECTION = SectionType(…)")
    return replace(section_type, name=path.name, file=path)
