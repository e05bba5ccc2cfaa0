"""The stamp inside any artefact, whatever its format."""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from advgen.files.provenance import UNSEALED, Stamp, sha256_file, sha256_text, write_bytes
from advgen.io.archives import DOCX_STAMP, pack, unpack
from advgen.io.headers import read_header, restamp
from advgen.specs.base import canonical_json

_CHUNK = b"tEXtadvgen\0"
TOKENS = (".pdf", ".png", ".html", ".md", ".tex", ".json", ".docx")
"""Files that carry their stamp as a token of text."""
_TOKEN = re.compile(rb"advgen:[A-Za-z0-9_-]+=*")


def check_content(path: Path) -> None:
    """Read an artefact whole and compare it with its seal; ValueError if a byte is not as it was written."""
    if path.suffix == ".parquet":
        from advgen.io import tables

        tables.check_table(path)
    elif path.suffix == ".safetensors":
        from advgen.io import checkpoints

        checkpoints.check_weights(path)
    else:
        _check_seal(path)


def seal(path: Path) -> None:
    """Close the seal of a figure, page or CV; tables and models are sealed when they are written."""
    if path.suffix not in TOKENS:
        return
    content = path.read_bytes()
    if (token := _token(path, content)) is not None:
        closed = _stamp(path, token).with_seal(hashlib.sha256(content).hexdigest())
        write_bytes(path, _replaced(path, content, token, closed.token().encode()))


def _check_seal(path: Path) -> None:
    content = path.read_bytes() if path.suffix in TOKENS else b""
    token = _token(path, content)
    if token is None:
        return
    stamp = _stamp(path, token)
    opened = stamp.with_seal(UNSEALED).token().encode()
    before = _replaced(path, content, token, opened)
    whole = token == stamp.token().encode() and content == _replaced(path, before, opened, token)
    if not whole or hashlib.sha256(before).hexdigest() != stamp.seal:
        raise ValueError(f"{path}: it is not what was written; delete it and run again")


def _stamp(path: Path, token: bytes) -> Stamp:
    try:
        return Stamp.from_token(token.decode())
    except ValueError:
        raise ValueError(f"{path}: its stamp cannot be read; delete it and run again") from None


def _token(path: Path, content: bytes) -> bytes | None:
    """The token of a file's own stamp: pages that show other artefacts carry only their own; the longest is whole."""
    if path.suffix == ".png":
        content = _png_text(content)
    elif path.suffix == ".docx":
        content = _parts(path, content).get(DOCX_STAMP, b"")
    tokens = _TOKEN.findall(content)
    return max(tokens, key=len) if tokens else None


def _replaced(path: Path, content: bytes, old: bytes, new: bytes) -> bytes:
    """A file's bytes with another token of the same length."""
    if len(old) != len(new):
        raise ValueError(f"{path}: its stamp is not what was written; delete it and run again")
    if path.suffix == ".docx":
        return pack({name: part.replace(old, new) for name, part in _parts(path, content).items()})
    if path.suffix != ".png":
        return content.replace(old, new)
    start = content.find(_CHUNK)  # the chunk's type and text, then its checksum
    end = start + 4 + int.from_bytes(content[start - 4 : start], "big")
    chunk = content[start:end].replace(old, new)
    return content[:start] + chunk + zlib.crc32(chunk).to_bytes(4, "big") + content[end + 4 :]


def _parts(path: Path, content: bytes) -> dict[str, bytes]:
    try:
        return unpack(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; delete it and run again") from None


def content_digest(path: Path) -> str:
    """Digest of what a file holds: of a table, a model or cv.json without its stamp, of anything else byte by byte.

    So files that come out equal are equal, whatever code or inputs they were made with.
    """
    if path.suffix == ".parquet":
        from advgen.io import tables

        return tables.stored_digest(path) or sha256_file(path)
    if path.suffix == ".safetensors":
        return sha256_text(canonical_json(read_header(path).get("model")))
    if path.suffix == ".json":
        with suppress(ValueError):
            told = from_json(path.read_bytes())
            if isinstance(told, dict) and told.pop("provenance", None):
                return sha256_text(json.dumps(told))
    return sha256_file(path)


def relabel(path: Path, to: Path, stamp: Stamp, labels: Mapping[str, tuple[Any, Any]]) -> None:
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
        try:
            return Stamp.from_json(json.dumps(read_header(path)["stamp"]))
        except (KeyError, ValueError):
            raise ValueError(f"{path}: its stamp cannot be read; delete it and run again") from None
    token = _token(path, path.read_bytes()) if path.suffix in TOKENS else None
    return None if token is None else _stamp(path, token)


def _png_text(content: bytes) -> bytes:
    """The stamp's text chunk, to its end: the checksum behind it may look like more of the token."""
    start = content.find(_CHUNK)
    length = int.from_bytes(content[max(start - 4, 0) : max(start, 0)], "big")
    return content[start + 4 : start + 4 + length] if start >= 0 else b""
