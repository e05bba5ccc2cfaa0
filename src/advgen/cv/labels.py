"""Headings, words and dates of a CV in each language: `label_files/<language>.yaml`."""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml

Labels = Mapping[str, str]

FOLDER = Path(__file__).parent / "label_files"
LANGUAGES = tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))
DEFAULT = "en"

_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")


@cache
def load_labels(language: str = DEFAULT) -> Labels:
    """Return the labels of a language by name, in the order of its file."""
    labels: Labels = yaml.safe_load((FOLDER / f"{language}.yaml").read_text(encoding="utf-8"))
    return labels


def fill(labels: Labels, name: str, **values: object) -> str:
    """Return a label with its blanks filled in; unknown blanks stay as they are."""
    text = labels[name]
    for blank, value in values.items():
        text = text.replace(f"{{{blank}}}", str(value))
    return text


def format_date(date: str, labels: Labels) -> str:
    """Return an ISO month or day in words; a year or any other text stays as it is."""
    found = _DATE.fullmatch(date)
    if not found or found[2] is None:
        return date
    month = labels["months_short"].split()[int(found[2]) - 1]
    if found[3] is None:
        return f"{month} {found[1]}"
    return fill(labels, "day", day=int(found[3]), month=month, year=found[1])


def format_period(date: str | None, start: str | None, end: str | None, labels: Labels) -> str:
    """Return the dates of an entry, with an en dash; a start without an end continues to the present."""
    if start is None:
        return fill(labels, "until", end=format_date(end, labels)) if end else format_date(date or "", labels)
    if end is None or end.lower() == "present" != labels["present"].lower():
        end = labels["present"]
    first, last = format_date(start, labels), format_date(end, labels)
    return first if end == start else f"{first} – {last}"
