"""Headers of checkpoints, read and written without torch."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from advgen.files.provenance import UNSEALED, Stamp, sha256_text
from advgen.specs.base import canonical_json

HEADER = "advgen"
"""The single key in the metadata of a safetensors file; several keys would have a random order."""


def read_header(path: Path) -> dict[str, Any]:
    """Return the JSON in a checkpoint's metadata; ValueError if the file is damaged or not a checkpoint."""
    try:
        header = from_json(_parts(path)[0]["__metadata__"][HEADER])
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise ValueError(f"{path}: not a checkpoint of advgen ({error}); delete it and run again") from None
    if not isinstance(header, dict):
        raise ValueError(f"{path}: not a checkpoint of advgen; delete it and run again")
    return header


def _parts(path: Path, weights: bool = False) -> tuple[dict[str, Any], bytes]:
    """Return the header of a safetensors file, and optionally the bytes after it."""
    with path.open("rb") as file:
        [size] = struct.unpack("<Q", file.read(8))
        if size > path.stat().st_size:
            raise ValueError("its header is longer than the file")
        header = from_json(file.read(size))
        return header, file.read() if weights else b""


def restamp(path: Path, to: Path, stamp: Stamp) -> None:
    """Copy a checkpoint with another stamp, in the same bytes as saving it would write."""
    header, weights = _parts(path, weights=True)
    header["__metadata__"][HEADER] = sealed_header(json.loads(header["__metadata__"][HEADER])["model"], stamp)
    to.write_bytes(_join(header) + weights)


def _join(header: dict[str, Any]) -> bytes:
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def sealed_header(model: Mapping[str, Any], stamp: Stamp) -> str:
    """Return the metadata of a checkpoint: the description of the model, and the stamp with a seal over both."""
    digest = sha256_text(canonical_json({"model": model, "stamp": json.loads(stamp.with_seal(UNSEALED).to_json())}))
    return canonical_json({"model": model, "stamp": json.loads(stamp.with_seal(digest).to_json())})


def check_header(path: Path) -> None:
    """Raise ValueError if a checkpoint's header differs from its seal."""
    content, (header, _) = read_header(path), _parts(path)
    try:
        intact = header["__metadata__"][HEADER] == sealed_header(content["model"], Stamp(**content["stamp"]))
    except (KeyError, TypeError):
        intact = False
    if not intact or not path.read_bytes().startswith(_join(header)):
        raise ValueError(f"{path}: its header has been changed; delete it and run again")
