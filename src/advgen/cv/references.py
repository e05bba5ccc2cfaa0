"""Values and fields that a BibTeX entry takes from elsewhere: @string names, `crossref` and `xdata`."""

from collections.abc import Callable, Mapping

from bibtexparser.library import Library
from bibtexparser.model import Entry, Field

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_VOLUMES = ("proceedings", "mvproceedings", "collection", "mvcollection", "book", "mvbook", "reference", "periodical")
_NOT_INHERITED = {"title", "subtitle", "shorttitle", "crossref", "xdata", "ids", "url", "doi", "selected", "keywords"}


def join_strings(library: Library) -> None:
    """Join the parts of values such as `nips # { 12}` or `jun # "--" # jul`, as BibTeX does.

    Each name refers to the last @string before it. A value with an unknown name stays as it is.
    """
    strings = {month: month for month in MONTHS}
    for string in library.strings:
        string.value = _join(str(string.value), strings)
        strings[string.key.lower()] = str(string.value).strip()[1:-1]
    for entry in library.entries:
        for field in entry.fields:
            field.value = _join(str(field.value), strings)


def _join(value: str, strings: Mapping[str, str]) -> str:
    parts, depth, is_quoted, start = [], 0, False, 0
    for index, character in enumerate(value):
        depth += (character == "{") - (character == "}")
        is_quoted ^= character == '"' and depth == 0
        if character == "#" and depth == 0 and not is_quoted:
            parts.append(value[start:index].strip())
            start = index + 1
    parts.append(value[start:].strip())
    texts = [
        part[1:-1] if part[:1] in ('"', "{") else part if part.isdigit() else strings.get(part.lower())
        for part in parts
    ]
    known = [text for text in texts if text is not None]
    return f"{{{''.join(known)}}}" if len(parts) > 1 and len(known) == len(parts) else value


def resolve_references(
    entries: list[Entry], is_by_owner: Callable[[Entry], bool] = lambda _: False
) -> tuple[list[Entry], list[tuple[Entry, str]]]:
    """Add to each entry the fields that it inherits by `crossref` and `xdata`.

    Whole volumes that other entries refer to are left out, except those by the owner of the CV. Returns the entries
    and, for each reference to a missing entry, the entry and the key that it names.
    """
    by_key = {entry.key.lower(): entry for entry in entries}
    missing, referenced = [], set()
    for entry in entries:
        for name in ("xdata", "crossref"):
            for key in _split_keys(entry, name):
                source = by_key.get(key.lower())
                if source is None or source is entry:
                    missing.append((entry, key))
                else:
                    referenced.add(source.key)
                    _inherit(entry, source, name)

    def is_publication(entry: Entry) -> bool:
        kind = entry.entry_type.lower()
        is_mere_volume = kind in _VOLUMES and entry.key in referenced and not is_by_owner(entry)
        return not is_mere_volume and kind not in ("xdata", "set")

    return [entry for entry in entries if is_publication(entry)], missing


def _split_keys(entry: Entry, name: str) -> list[str]:
    found = next((str(field.value) for field in entry.fields if field.key.lower() == name), "")
    return [key.strip() for key in found.split(",") if key.strip()]


def _inherit(entry: Entry, source: Entry, how: str) -> None:
    present = {field.key.lower() for field in entry.fields}
    inherited = {field.key.lower(): field for field in source.fields}
    if how == "crossref":
        if "booktitle" not in inherited and "title" in inherited:
            title = inherited["title"]
            inherited["booktitle"] = Field("booktitle", title.value, title.start_line)
        inherited = {name: field for name, field in inherited.items() if name not in _NOT_INHERITED}
        if entry.entry_type.lower() in ("inproceedings", "conference", "incollection"):
            inherited.pop("author", None)
    entry.fields = [*entry.fields, *(field for name, field in inherited.items() if name not in present)]
