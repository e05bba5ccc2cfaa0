"""Where a file comes from: content hashes, the stamp inside every artefact, whole-file writes."""

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
"""How a file system says that there is no more room."""
DISK_FULL_ADVICE = (
    "make room and run again: finished files stay, and `advgen prune STUDY` lists files that are not needed"
)
"""What to do then."""
UNSEALED = 64 * "0"
"""A seal that is not closed yet; of the length of one that is."""


@dataclass(frozen=True)
class Stamp:
    """What made an artefact: enough to trace it and to make it again. No times, hosts or absolute paths."""

    __pydantic_config__ = ConfigDict(extra="forbid")
    command: str
    spec: Any
    code: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    device: str = "cpu"
    seal: str = field(default=UNSEALED, compare=False)
    """Digest of the artefact with its seal open: a changed byte breaks it."""

    def to_json(self) -> str:
        """Canonical JSON: equal stamps are equal strings."""
        return canonical_json(self.__dict__)

    @staticmethod
    def from_json(text: str) -> Stamp:
        """Read `to_json`'s text; ValueError if it is none."""
        try:
            return _reader().validate_python(pydantic_core.from_json(text))  # json.loads has no bound but the stack's
        except ValueError as error:
            raise ValueError(f"stamp cannot be read: {error}") from None

    def with_seal(self, digest: str) -> Stamp:
        """The same with a closed seal, or with OPEN."""
        return replace(self, seal=digest)

    def token(self) -> str:
        """The stamp as ASCII for the metadata of PDF, PNG and text files."""
        return "advgen:" + base64.urlsafe_b64encode(self.to_json().encode()).decode()

    @staticmethod
    def from_token(text: str) -> Stamp:
        """Read `token`'s text."""
        return Stamp.from_json(base64.urlsafe_b64decode(text.removeprefix("advgen:")).decode())


@cache
def _reader() -> TypeAdapter[Stamp]:
    return TypeAdapter(Stamp)


def sha256_text(text: str) -> str:
    """Hex digest of a string."""
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary sibling to write to; it takes the place of `path` when the block ends well, else it is removed.

    Raises OSError of `path` itself if it cannot be written.
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
        # who writes names the temporary file, none, or what it copies
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
    """What `atomic` left beside a path when its process was killed."""
    return path.parent.glob(f"{glob.escape(_prefix(path))}*{path.suffix}")


@cache
def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)
