"""Groups of skills."""

from advgen.cv.fields import Entry, Text
from advgen.cv.sections.base import Body, Section, SectionType


class Skill(Entry):
    """A group of skills."""

    name: Text
    items: Text


def build(section: Section) -> Body:
    """Return pairs of a name and its skills."""
    pairs = [{"name": texts.text("name"), "items": texts.text("items")} for texts in section.entries()]
    return {"kind": "pairs", "pairs": pairs}


SKILLS = SectionType("skills", Skill, build=build, nouns=("group of skills", "groups of skills"))
