"""Degrees."""

from typing import Any

from advgen.cv.fields import DatedEntry, Text
from advgen.cv.sections.base import EntryTexts, Row, SectionType


class Degree(DatedEntry):
    """A degree; `grade` is printed in brackets."""

    title: Text
    organization: Text
    grade: Text | None = None
    thesis: Text | None = None
    advisor: Text | None = None


def write_row(degree: Degree, texts: EntryTexts) -> Row:
    """Return "**Title**, *Organization* (grade)", with thesis, advisor and detail below."""
    title = [{"strong": texts.text("title")}, *texts.joined("organization", em=True), *texts.bracketed("grade")]
    captions = {"thesis": f"{texts.labels['thesis']}: ", "advisor": f"{texts.labels['advisor']}: ", "detail": ""}
    return Row(title, [[caption, *texts.text(key)] for key, caption in captions.items() if getattr(degree, key)])


def _to_resume(item: dict[str, Any], dates: dict[str, Any]) -> dict[str, Any]:
    kind, _, area = item["title"].partition(" in ")
    courses = [f"{key.capitalize()}: {item[key]}" for key in ("thesis", "advisor") if item.get(key)]
    courses += [item["detail"]] if item.get("detail") else []
    named = {"institution": item["organization"], "studyType": kind, "area": area, "score": item.get("grade")}
    return {**named, "courses": courses, **dates}


EDUCATION = SectionType("education", Degree, write_row, nouns=("degree", "degrees"), resume=("education", _to_resume))
