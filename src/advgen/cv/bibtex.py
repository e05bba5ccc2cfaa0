"""BibTeX files parsed to entries, with an error for whatever cannot be read."""

import logging
import re
from pathlib import Path

from bibtexparser.exceptions import ParserStateException
from bibtexparser.library import Library
from bibtexparser.middlewares.parsestack import default_parse_stack
from bibtexparser.model import DuplicateBlockKeyBlock, DuplicateFieldKeyBlock, Entry, Field, ImplicitComment
from bibtexparser.splitter import Splitter

from advgen.cv.entities import entities_to_tex
from advgen.cv.references import join_strings
from advgen.cv.text_files import find_control_character, load_text

# every problem that bibtexparser logs is raised here, with file and line
logging.getLogger("bibtexparser").setLevel(logging.CRITICAL)

_ENTRY = re.compile(r"^[ \t]*@[ \t]*(\w*)[ \t]*[{(]", re.MULTILINE)
_DOUBLED_AT = re.compile(r"^([ \t]*)@@+(?=[ \t]*\w+[ \t]*[{(])", re.MULTILINE)


def parse_bibtex(text: str, path: Path) -> list[Entry]:
    """Return the entries of a BibTeX text, with its @string names resolved and HTML entities as TeX.

    Raises ValueError, one line `file:line: what; remedy` per error.
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if character := find_control_character(line):
            raise ValueError(f"{path}:{number}: the text has the control character {character}; remove it")
    try:
        library = Splitter(text).split()
        join_strings(library)
        for middleware in default_parse_stack():
            library = middleware.transform(library)
    except ParserStateException as error:
        raise ValueError(f"{path}: not valid BibTeX ({error.message}); check its braces and quotes") from error
    errors = [*_describe_failures(library, path), *_find_stray_text(library, text, path)]
    if errors:
        raise ValueError("\n".join(errors))
    for entry in library.entries:
        for field in entry.fields:
            field.key = field.key.rsplit("\n", 1)[-1].strip()  # after a line of comment
            if field.enclosing != "no-enclosing":
                field.value = entities_to_tex(str(field.value))
    return library.entries


def repair_bibtex(text: str, path: Path) -> tuple[str, list[str]]:
    """Return a BibTeX text without `@@` and without repeated fields of an entry, and one line per repair.

    Of a field with two values the first is kept. Raises ValueError if a repeated field shares its line with another.
    """
    repairs = [
        (text.count("\n", 0, match.start()) + 1, "one @ too many before the entry; removed")
        for match in _DOUBLED_AT.finditer(text)
    ]
    text = _DOUBLED_AT.sub(r"\1@", text)
    lines = text.split("\n")
    for block in Splitter(text).split().failed_blocks:
        if not isinstance(block, DuplicateFieldKeyBlock):
            continue
        entry = block.ignore_error_block
        assert isinstance(entry, Entry)
        starts = sorted(field.start_line or 0 for field in entry.fields)
        first_fields: dict[str, Field] = {}
        for field in entry.fields:
            first = first_fields.setdefault(field.key, field)
            if first is field:
                continue
            start = field.start_line or 0
            # bibtexparser counts the lines of a field from its key
            end = next((line for line in starts if line > start), start + 1 + str(field.value).count("\n"))
            if starts.count(start) > 1:
                raise ValueError(f"{path}:{start + 1}: the field {field.key} appears twice in one entry; remove one")
            what = "the same value; kept once"
            if first.value != field.value:
                dropped = " ".join(str(field.value).strip('{}"').split())
                what = f"another value; the first is kept, {dropped} is not"
            repairs.append((start + 1, f"the field {field.key} appears twice with {what}"))
            lines[start:end] = [""] * (end - start)  # so that later lines keep their numbers
    return "\n".join(lines), [f"{path}:{number}: {what}" for number, what in sorted(repairs)]


def normalize_bibtex(path: Path) -> list[object]:
    """Return what a file says apart from comments, order of fields and white space: type, key and fields per entry.

    The last element is the number of repairs. Raises ValueError for invalid BibTeX.
    """
    text, repairs = repair_bibtex(load_text(path), path)
    entries: list[object] = [
        (
            entry.entry_type.lower(),
            entry.key,
            # an undefined @string name is an error, the same text in braces is not
            sorted((one.key.lower(), str(one.value).split(), one.enclosing == "no-enclosing") for one in entry.fields),
        )
        for entry in parse_bibtex(text, path)
    ]
    return [*entries, len(repairs)]


def _describe_failures(library: Library, path: Path) -> list[str]:
    errors = []
    for block in library.failed_blocks:
        where = f"{path}:{(block.start_line or 0) + 1}"
        if isinstance(block, DuplicateFieldKeyBlock):
            names = ", ".join(sorted(block.duplicate_keys))
            errors.append(f"{where}: the field {names} appears twice in one entry; remove one")
        elif isinstance(block, DuplicateBlockKeyBlock):
            first = (block.previous_block.start_line or 0) + 1
            errors.append(f"{where}: the key {block.key!r} is taken (line {first}); choose another")
        else:
            reason = " ".join(str(getattr(block.error, "abort_reason", block.error)).split()).rstrip(".")
            errors.append(f"{where}: this entry cannot be read ({reason}); check its braces, quotes and commas")
    return errors


def _find_stray_text(library: Library, text: str, path: Path) -> list[str]:
    """Describe text between entries, and entries that the parser missed or found in the middle of a line."""
    errors = []
    for comment in library.comments:
        if isinstance(comment, ImplicitComment):
            for offset, line in enumerate(comment.comment.splitlines()):
                if line.strip() and not line.lstrip().startswith("%"):
                    number = (comment.start_line or 0) + offset + 1
                    errors.append(f"{path}:{number}: text outside an entry: {line.strip()[:40]!r}; begin it with %")
                    break
    failed = {block.start_line for block in library.failed_blocks}
    parsed = [block.start_line or 0 for block in library.entries]
    written = {
        text.count("\n", 0, match.start()): match[1]
        for match in _ENTRY.finditer(text)
        if match[1].lower() not in ("comment", "preamble", "string")
    }
    for start in sorted(set(written) - set(parsed) - failed):
        errors.append(f"{path}:{start + 1}: the entry @{written[start]} was not read; check the braces before it")
    for start in sorted({line for line in parsed if line not in written or parsed.count(line) > 1}):
        errors.append(f"{path}:{start + 1}: an entry begins inside this line; begin it on a new line, or remove its @")
    return errors
