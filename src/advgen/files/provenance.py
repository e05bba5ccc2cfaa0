"""Provenance of files: content digests, the stamp in every artefact, and atomic writes."""

from __future__ import annotations

import base64
import errno
import glob
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import pydantic_core
from pydantic import ConfigDict, TypeAdapter

from advgen.specs.base import canonical_json

DISK_FULL_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers for a full disk, an exceeded quota, or a file that is too large."""
DISK_FULL_ADVICE = (
    "free disk space and run again: finished files are kept, and `advgen prune STUDY` lists files to delete"
)
UNSEALED = 64 * "0"
"""The placeholder for a seal, of the same length."""


@dataclass(frozen=True)
class Stamp:
    """The origin of an artefact, enough to reproduce it. It has no times, hosts or absolute paths."""

    __pydantic_config__ = ConfigDict(extra="forbid")
    command: str
    spec: Any
    code: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    device: str = "cpu"
    seal: str = field(default=UNSEALED, compare=False)
    """Digest of the artefact without the seal, which detects changed bytes."""

    def to_json(self) -> str:
        """Return canonical JSON: equal stamps give equal strings."""
        return canonical_json(self.__dict__)

    @staticmethod
    def from_json(text: str) -> Stamp:
        """Parse the output of `to_json`; ValueError if it is malformed."""
        try:
            return _reader().validate_python(pydantic_core.from_json(text))  # json.loads has no limit on nesting
        except ValueError as error:
            raise ValueError(f"stamp cannot be read: {error}") from None

    def with_seal(self, digest: str) -> Stamp:
        """Return the stamp with this seal."""
        return replace(self, seal=digest)

    def token(self) -> str:
        """Return the stamp as ASCII, for the metadata of PDF, PNG and text files."""
        return "advgen:" + base64.urlsafe_b64encode(self.to_json().encode()).decode()

    @staticmethod
    def from_token(text: str) -> Stamp:
        """Parse the output of `token`."""
        return Stamp.from_json(base64.urlsafe_b64decode(text.removeprefix("advgen:")).decode())


@cache
def _reader() -> TypeAdapter[Stamp]:
    return TypeAdapter(Stamp)


def sha256_text(text: str) -> str:
    """Return the hex digest of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Provide a temporary file to write to, which replaces `path` if the block succeeds and is removed otherwise.

    Raises:
        OSError: `path` cannot be written; the error names `path`, not the temporary file.
    """
    name = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=_prefix(path), suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        # the error names the temporary file, no file, or another file that was read
        if error.errno not in DISK_FULL_ERRORS and not os.path.basename(error.filename or "").startswith(_prefix(path)):
            raise
        reason = os.strerror(error.errno) if error.errno in DISK_FULL_ERRORS else error.strerror
        raise OSError(error.errno, reason, str(path)) from None
    finally:
        if name:
            Path(name).unlink(missing_ok=True)


def _prefix(path: Path) -> str:
    return f".{path.stem[:40]}.partial."


def leftover_temporaries(path: Path) -> Iterator[Path]:
    """Yield the temporary files of `path` that killed processes left behind."""
    return path.parent.glob(f"{glob.escape(_prefix(path))}*{path.suffix}")


@cache
def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)
