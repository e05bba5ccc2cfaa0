"""The checksum that raw files are published with."""

from __future__ import annotations

import hashlib
from pathlib import Path


def md5(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
