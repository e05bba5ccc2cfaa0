"""Text files that people write, and suggestions for what they misspell."""

import difflib
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from advgen.core.paths import check_file

_LINE_BREAKS = "\n\t\r\x85\u2028\u2029"
# far larger than any CV; checking a generated file of this size would take minutes
_MAX_BYTES = 4_000_000


def load_text(path: Path) -> str:
    """Return the text of a UTF-8 file, with "\\n" as line break.

    Raises ValueError if the file cannot be read, is too large or has another encoding.
    """
    try:
        check_file(path)
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if len(content) > _MAX_BYTES:
        what = f"{len(content) / 1e6:.0f} MB are too much for a CV"
        raise ValueError(f"{path}: {what}; remove what does not belong there (at most {_MAX_BYTES // 1_000_000} MB)")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}:{line}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def find_control_character(text: str) -> str:
    """Return the first control character or lone surrogate of a text as U+XXXX, or an empty string."""
    for character in text:
        if character not in _LINE_BREAKS and unicodedata.category(character) in ("Cc", "Cs"):
            return f"U+{ord(character):04X}"
    return ""


def suggest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return "did you mean 'x'? " for the most similar known word, or an empty string."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f"did you mean {near[0]!r}? " if near else ""
