"""Students and interns."""

from typing import Any

from advgen.cv.fields import DatedEntry, Text, Url
from advgen.cv.sections.base import EntryTexts, Row, SectionType


class Student(DatedEntry):
    """A student or intern; `detail` says from where."""

    name: Text
    url: Url | None = None


def write_row(student: Student, texts: EntryTexts) -> Row:
    """Return "Name (detail)"."""
    return Row([*texts.linked("name", student.url), *texts.bracketed("detail")])


def _to_resume(item: dict[str, Any], dates: dict[str, Any]) -> dict[str, Any]:
    named = {"name": item["name"], "description": item.get("detail"), "url": item.get("url"), "roles": ["Advisor"]}
    return {**named, **dates, "type": "mentoring"}


STUDENTS = SectionType("students", Student, write_row, nouns=("student", "students"), resume=("projects", _to_resume))
