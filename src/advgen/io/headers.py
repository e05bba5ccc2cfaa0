"""The header of a checkpoint, read and written without torch."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from advgen.core.provenance import Stamp
from advgen.specs.base import canonical_json

HEADER = "advgen"
"""The one key in the metadata of a safetensors file: several would stand there in random order."""


def read_header(path: Path) -> dict[str, Any]:
    """The JSON in a checkpoint's metadata, read without torch; ValueError if the file is damaged or has none."""
    try:
        header = json.loads(_parts(path)[0]["__metadata__"][HEADER])
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise ValueError(f"{path}: not a checkpoint of advgen ({error}); delete it and run again") from None
    if not isinstance(header, dict):
        raise ValueError(f"{path}: not a checkpoint of advgen; delete it and run again")
    return header


def _parts(path: Path, weights: bool = False) -> tuple[dict[str, Any], bytes]:
    """The header of a safetensors file, and if asked the bytes behind it."""
    with path.open("rb") as file:
        [size] = struct.unpack("<Q", file.read(8))
        if size > path.stat().st_size:
            raise ValueError("its header is longer than the file")
        header = json.loads(file.read(size))
        return header, file.read() if weights else b""


def restamp(path: Path, to: Path, stamp: Stamp) -> None:
    """Write a checkpoint again with another stamp, in the bytes that saving it would give."""
    header, weights = _parts(path, weights=True)
    told = {**json.loads(header["__metadata__"][HEADER]), "stamp": json.loads(stamp.to_json())}
    header["__metadata__"][HEADER] = canonical_json(told)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    to.write_bytes(struct.pack("<Q", len(text)) + text + weights)
