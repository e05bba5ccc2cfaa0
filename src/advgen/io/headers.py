"""The header of a checkpoint, read and written without torch."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from advgen.files.provenance import UNSEALED, Stamp, sha256_text
from advgen.specs.base import canonical_json

HEADER = "advgen"
"""The one key in the metadata of a safetensors file: several would stand there in random order."""


def read_header(path: Path) -> dict[str, Any]:
    """The JSON in a checkpoint's metadata, read without torch; ValueError if the file is damaged or has none."""
    try:
        header = from_json(_parts(path)[0]["__metadata__"][HEADER])
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
        header = from_json(file.read(size))
        return header, file.read() if weights else b""


def restamp(path: Path, to: Path, stamp: Stamp) -> None:
    """Write a checkpoint again with another stamp, in the bytes that saving it would give."""
    header, weights = _parts(path, weights=True)
    header["__metadata__"][HEADER] = sealed_header(json.loads(header["__metadata__"][HEADER])["model"], stamp)
    to.write_bytes(_joined(header) + weights)


def _joined(header: dict[str, Any]) -> bytes:
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def sealed_header(model: Mapping[str, Any], stamp: Stamp) -> str:
    """What stands in a checkpoint's metadata: what rebuilds the model, and the stamp, sealed with it."""
    digest = sha256_text(canonical_json({"model": model, "stamp": json.loads(stamp.with_seal(UNSEALED).to_json())}))
    return canonical_json({"model": model, "stamp": json.loads(stamp.with_seal(digest).to_json())})


def check_header(path: Path) -> None:
    """Compare a checkpoint's header with its seal; ValueError if they differ."""
    told, (header, _) = read_header(path), _parts(path)
    try:
        whole = header["__metadata__"][HEADER] == sealed_header(told["model"], Stamp(**told["stamp"]))
    except (KeyError, TypeError):
        whole = False
    with path.open("rb") as file:
        if not whole or not file.read().startswith(_joined(header)):
            raise ValueError(f"{path}: its header is not what was written; delete it and run again")
