"""Invited talks."""

from typing import Any

from advgen.cv.fields import DatedEntry, Text, Url
from advgen.cv.inline import plain_text
from advgen.cv.sections.base import EntryTexts, Row, SectionType


class Talk(DatedEntry):
    """A talk and the event where it was given."""

    title: Text
    event: Text | None = None
    url: Url | None = None
    slides: Url | None = None


def write_row(talk: Talk, texts: EntryTexts) -> Row:
    """Return "Title, *Event* (detail) [slides]"."""
    text = texts.linked("title", talk.url)
    if talk.event:
        ends_sentence = plain_text(text)[-1:] in ("?", "!")
        text = [*text, " " if ends_sentence else ", ", {"em": texts.text("event")}]
    text = [*text, *texts.bracketed("detail")]
    return Row([*text, " [", {"link": ["slides"], "url": talk.slides}, "]"] if talk.slides else text)


def _to_resume(item: dict[str, Any], dates: dict[str, Any]) -> dict[str, Any]:
    named = {"name": item["title"], "description": item.get("detail"), "entity": item.get("event")}
    links = {"url": item.get("url"), "slides": item.get("slides")}
    return {**named, **links, "roles": ["Speaker"], **dates, "type": "talk"}


TALKS = SectionType("talks", Talk, write_row, numbered=True, nouns=("talk", "talks"), resume=("projects", _to_resume))
