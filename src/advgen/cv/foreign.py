"""Files of other CV generators. Plug-ins read them: today cv.yaml of bamos/cv, by plugins/bamos_cv."""

import importlib.util
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

from advgen.cv.yaml_files import Document

GROUP = "advgen.cv_readers"
"""Group of entry points by which an installed plug-in is found."""
IN_CLONE = Path(__file__).parents[3] / "plugins/bamos_cv/advgen_bamos_cv.py"
"""The plug-in in a clone of this project, where it need not be installed."""


class Reader(Protocol):
    """What a plug-in module defines."""

    def convert(self, document: Document, bibliography: Path | None) -> tuple[Document, list[str]]:
        """Return the profile, with the lines of the original file, and a line per value without a place in it."""


def is_bamos_cv(data: Any) -> bool:
    """Whether YAML data are a cv.yaml of bamos/cv: a name in parts, or an order of pairs."""
    if not isinstance(data, dict):
        return False
    order = next((data[key] for key in ("order", "order_latex", "order_md") if key in data), None)
    return isinstance(data.get("name"), dict) or (
        isinstance(order, list) and bool(order) and all(isinstance(item, list) for item in order)
    )


def find_reader(document: Document) -> Reader | None:
    """Return the plug-in that reads a document, or None for a profile. Raises ValueError if it is not installed."""
    return load_reader(document.path) if is_bamos_cv(document.data) else None


def load_reader(path: Path) -> Any:
    """Load the plug-in for a file. Raises ValueError if it is not installed."""
    for entry in entry_points(group=GROUP):
        return entry.load()
    spec = importlib.util.spec_from_file_location(IN_CLONE.stem, IN_CLONE)
    if not IN_CLONE.is_file() or spec is None or spec.loader is None:
        install = "pip install ./plugins/bamos_cv in a clone of advgen"
        raise ValueError(f"{path}:1: a plug-in reads the cv.yaml of bamos/cv, and it is not installed; {install}")
    if IN_CLONE.stem not in sys.modules:
        module = sys.modules[IN_CLONE.stem] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[IN_CLONE.stem]
