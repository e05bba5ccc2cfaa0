"""Honors, professional service and teaching: a title, dates if there are any, and a detail."""

from typing import Any

from advgen.cv.fields import DatedEntry, Text, Url
from advgen.cv.sections.base import EntryTexts, Row, SectionType


class Achievement(DatedEntry):
    """An honor, a service or a course; dates are optional."""

    needs_date = False
    title: Text
    url: Url | None = None


def write_row(achievement: Achievement, texts: EntryTexts) -> Row:
    """Return the linked title, with the detail below."""
    lines = [texts.text("detail")] if achievement.detail else []
    return Row(texts.linked("title", achievement.url), lines)


def _to_award(item: dict[str, Any], dates: dict[str, Any]) -> dict[str, Any]:
    end = dates["endDate"] if dates["endDate"] != dates["startDate"] else None
    named = {"title": item["title"], "summary": item.get("detail"), "url": item.get("url")}
    return {**named, "date": dates["startDate"], "endDate": end, "dates": dates["dates"]}


def _to_volunteer(item: dict[str, Any], dates: dict[str, Any]) -> dict[str, Any]:
    return {"position": item["title"], "summary": item.get("detail"), "url": item.get("url"), **dates}


def _to_project(item: dict[str, Any], dates: dict[str, Any]) -> dict[str, Any]:
    named = {"name": item["title"], "description": item.get("detail"), "url": item.get("url")}
    return {**named, **dates, "type": "teaching"}


HONORS = SectionType("honors", Achievement, write_row, nouns=("honor", "honors"), resume=("awards", _to_award))
SERVICE = SectionType(
    "service", Achievement, write_row, nouns=("service", "services"), resume=("volunteer", _to_volunteer)
)
TEACHING = SectionType(
    "teaching", Achievement, write_row, nouns=("course", "courses"), resume=("projects", _to_project)
)
