"""Stamps in artefacts of all formats."""

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
"""Formats in which the stamp is a text token."""
_TOKEN = re.compile(rb"advgen:[A-Za-z0-9_-]+=*")


def check_content(path: Path) -> None:
    """Raise ValueError if any byte of an artefact differs from what was written."""
    if path.suffix == ".parquet":
        from advgen.io import tables

        tables.check_table(path)
    elif path.suffix == ".safetensors":
        from advgen.io import checkpoints

        checkpoints.check_weights(path)
    else:
        _check_seal(path)


def seal(path: Path) -> None:
    """Add the seal to a figure, page or CV; tables and models get it when they are written."""
    if path.suffix not in TOKENS:
        return
    content = path.read_bytes()
    if (token := _token(path, content)) is not None:
        sealed = _stamp(path, token).with_seal(hashlib.sha256(content).hexdigest())
        write_bytes(path, _replace_token(path, content, token, sealed.token().encode()))


def _check_seal(path: Path) -> None:
    content = path.read_bytes() if path.suffix in TOKENS else b""
    token = _token(path, content)
    if token is None:
        return
    stamp = _stamp(path, token)
    unsealed = stamp.with_seal(UNSEALED).token().encode()
    before = _replace_token(path, content, token, unsealed)
    intact = token == stamp.token().encode() and content == _replace_token(path, before, unsealed, token)
    if not intact or hashlib.sha256(before).hexdigest() != stamp.seal:
        raise ValueError(f"{path}: it has been changed; delete it and run again")


def _stamp(path: Path, token: bytes) -> Stamp:
    try:
        return Stamp.from_token(token.decode())
    except ValueError:
        raise ValueError(f"{path}: its stamp cannot be read; delete it and run again") from None


def _token(path: Path, content: bytes) -> bytes | None:
    """Return the longest token in a file, which is its stamp."""
    if path.suffix == ".png":
        content = _png_text(content)
    elif path.suffix == ".docx":
        content = _parts(path, content).get(DOCX_STAMP, b"")
    tokens = _TOKEN.findall(content)
    return max(tokens, key=len) if tokens else None


def _replace_token(path: Path, content: bytes, old: bytes, new: bytes) -> bytes:
    """Return a file's bytes with another token of the same length."""
    if len(old) != len(new):
        raise ValueError(f"{path}: its stamp has been changed; delete it and run again")
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
    """Return the digest of a file's content: without the stamp for tables, models and cv.json, of all bytes otherwise.

    Files with equal content have equal digests, whatever code or inputs made them.
    """
    if path.suffix == ".parquet":
        from advgen.io import tables

        return tables.stored_digest(path) or sha256_file(path)
    if path.suffix == ".safetensors":
        return sha256_text(canonical_json(read_header(path).get("model")))
    if path.suffix == ".json":
        with suppress(ValueError):
            data = from_json(path.read_bytes())
            if isinstance(data, dict) and data.pop("provenance", None):
                return sha256_text(json.dumps(data))
    return sha256_file(path)


def relabel(path: Path, to: Path, stamp: Stamp, labels: Mapping[str, tuple[Any, Any]]) -> None:
    """Copy a table or model with another stamp, and with new values in columns that are labels.

    Raises:
        ValueError: a column of `labels` has values other than the old one.
    """
    if path.suffix == ".parquet":
        from advgen.io import tables

        tables.relabel_table(path, to, stamp, labels)
    elif path.suffix == ".safetensors":
        restamp(path, to, stamp)
    else:
        raise ValueError(f"{path}: its format does not support another stamp")


def read_stamp(path: Path) -> Stamp | None:
    """Return the stamp of a Parquet file, checkpoint, figure, page or CV; None for other files.

    Raises:
        ValueError: the file is damaged.
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
    """Return the text chunk with the stamp, without the checksum after it, which may look like part of the token."""
    start = content.find(_CHUNK)
    length = int.from_bytes(content[max(start - 4, 0) : max(start, 0)], "big")
    return content[start + 4 : start + 4 + length] if start >= 0 else b""
