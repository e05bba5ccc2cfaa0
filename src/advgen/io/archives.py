"""Zip files whose bytes follow from what they hold: no times, no compression that a version of zlib decides."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping

DOCX_STAMP = "customXml/item1.xml"
"""The part of a .docx that holds its stamp; a property of the document could not be so long."""


def pack(parts: Mapping[str, bytes]) -> bytes:
    """The parts, by their names inside, as a zip file."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name, data in parts.items():
            entry = zipfile.ZipInfo(name)
            entry.create_system = 0  # else it tells the machine's
            archive.writestr(entry, data)
    return content.getvalue()


def unpack(content: bytes) -> dict[str, bytes]:
    """The parts of a zip file. Raises ValueError if it is none, or damaged."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {entry.filename: archive.read(entry) for entry in archive.infolist()}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, struct.error) as error:
        raise ValueError(f"is no whole zip file ({error})") from None
