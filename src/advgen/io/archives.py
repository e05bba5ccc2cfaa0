"""Reproducible zip files: without times, and without compression, which depends on the version of zlib."""

import io
import struct
import zipfile
from collections.abc import Mapping

DOCX_STAMP = "customXml/item1.xml"
"""The part of a .docx with its stamp, which is too long for a document property."""


def pack(parts: Mapping[str, bytes]) -> bytes:
    """Return a zip file with these parts, by name."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name, data in parts.items():
            entry = zipfile.ZipInfo(name)
            entry.create_system = 0  # instead of the one of this machine
            archive.writestr(entry, data)
    return content.getvalue()


def unpack(content: bytes) -> dict[str, bytes]:
    """Return the parts of a zip file by name; ValueError if it is damaged or no zip file."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {entry.filename: archive.read(entry) for entry in archive.infolist()}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, struct.error) as error:
        raise ValueError(f"is not a complete zip file ({error})") from None
