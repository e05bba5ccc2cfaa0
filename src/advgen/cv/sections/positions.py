"""Current and previous positions."""

from typing import Any

from advgen.cv.fields import DatedEntry, Text
from advgen.cv.sections.base import EntryTexts, Row, SectionType


class Position(DatedEntry):
    """A job: title, organization and, if known, the place."""

    title: Text
    organization: Text
    location: Text | None = None


def write_row(position: Position, texts: EntryTexts) -> Row:
    """Return "**Title**, *Organization*, Location (detail)"."""
    title = [{"strong": texts.text("title")}, *texts.joined("organization", em=True)]
    return Row([*title, *texts.joined("location"), *texts.bracketed("detail")])


def _to_resume(item: dict[str, Any], dates: dict[str, Any]) -> dict[str, Any]:
    named = {"name": item["organization"], "position": item["title"]}
    return {**named, "location": item.get("location"), "summary": item.get("detail"), **dates}


CURRENT = SectionType("position", Position, write_row, nouns=("position", "positions"), resume=("work", _to_resume))
PREVIOUS = SectionType("positions", Position, write_row, nouns=("position", "positions"), resume=("work", _to_resume))
