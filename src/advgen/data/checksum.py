"""Checksums of raw files, as published with them."""

import base64
import hashlib
from pathlib import Path

from advgen.specs.datasets import RawDataset

SHA512_PREFIX = "sha512-"


def checksum(content: bytes, published: str) -> str:
    """The checksum of a content in the format of the published one: npm's sha512 integrity, or md5 in hex."""
    if published.startswith(SHA512_PREFIX):  # of code that is run, for which md5 is too weak
        return SHA512_PREFIX + base64.b64encode(hashlib.sha512(content).digest()).decode()
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def intact(path: Path, spec: RawDataset | type[RawDataset]) -> bool:
    """Whether a raw file has its published checksum."""
    published = spec.raw[path.name]
    return checksum(path.read_bytes(), published) == published
