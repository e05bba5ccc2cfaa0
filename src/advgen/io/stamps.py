"""The stamp inside any artefact, whatever its format."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from advgen.core.provenance import Stamp, sha256_file, sha256_text
from advgen.io.headers import read_header, restamp
from advgen.specs.base import canonical_json

_CHUNK = b"tEXtadvgen\0"
_TOKEN = re.compile(rb"advgen:[A-Za-z0-9_-]+=*")


def check_content(path: Path) -> None:
    """Read a table or a checkpoint whole and compare it with the digest inside it; ValueError if they differ."""
    if path.suffix == ".parquet":
        from advgen.io import tables

        tables.check_table(path)
    elif path.suffix == ".safetensors":
        from advgen.io import checkpoints

        checkpoints.check_weights(path)


def content(path: Path) -> str:
    """Digest of what a file holds: of a table or a model without its stamp, of anything else byte by byte.

    So files that come out equal are equal, whatever code or inputs they were made with.
    """
    if path.suffix == ".parquet":
        from advgen.io import tables

        return tables.kept_digest(path) or sha256_file(path)
    if path.suffix == ".safetensors":
        return sha256_text(canonical_json(read_header(path).get("model")))
    return sha256_file(path)


def relabelled(path: Path, to: Path, stamp: Stamp, labels: Mapping[str, tuple[Any, Any]]) -> None:
    """Write a table or model again with another stamp, and with other values in columns that are labels.

    Raises ValueError if a column of `labels` holds anything else than the old value.
    """
    if path.suffix == ".parquet":
        from advgen.io import tables

        tables.relabel_table(path, to, stamp, labels)
    elif path.suffix == ".safetensors":
        restamp(path, to, stamp)
    else:
        raise ValueError(f"{path}: carries its stamp in a way that cannot be changed")


def read_stamp(path: Path) -> Stamp | None:
    """The stamp of a Parquet file, checkpoint, figure, page or CV; None for raw files and inputs written by hand.

    Raises ValueError for a damaged file.
    """
    if path.suffix == ".parquet":
        from advgen.io import tables

        return tables.read_stamp(path)
    if path.suffix == ".safetensors":
        return Stamp.from_json(json.dumps(read_header(path)["stamp"]))
    if path.suffix in (".pdf", ".png", ".html", ".md", ".tex", ".json"):
        content = path.read_bytes()
        tokens = _TOKEN.findall(_png_text(content) if path.suffix == ".png" else content)
        # pages that show other artefacts carry only their own token; the longest is the whole one
        return Stamp.from_token(max(tokens, key=len).decode()) if tokens else None
    return None


def _png_text(content: bytes) -> bytes:
    """The stamp's text chunk, to its end: the checksum behind it may look like more of the token."""
    start = content.find(_CHUNK)
    length = int.from_bytes(content[max(start - 4, 0) : max(start, 0)], "big")
    return content[start + 4 : start + 4 + length] if start >= 0 else b""
