"""Custom sections of type `text`."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from advgen.cv.fields import Text
from advgen.cv.sections.base import Body, CustomSection, Section, SectionType


class Paragraphs(CustomSection):
    """One or more paragraphs."""

    text: Annotated[list[Text], Field(min_length=1), BeforeValidator(lambda v: [v] if isinstance(v, str) else v)]


def build(section: Section) -> Body:
    """Return the paragraphs."""
    # live values of a single text have the place of the key, those of a list the places of its items
    is_list = (*section.location, "text", 0) in section.context.document.lines
    places = [("text", index) if is_list else ("text",) for index in range(len(section.content.text))]
    texts = [section.text(text, *place) for text, place in zip(section.content.text, places, strict=True)]
    return {"kind": "prose", "paragraphs": texts, "figures": []}


TEXT = SectionType("text", build=build, model=Paragraphs)
