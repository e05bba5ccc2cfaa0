"""Short texts, one per line: reviewing, and custom sections of type `list`."""

from advgen.cv.fields import Text
from advgen.cv.sections.base import Body, Section, SectionType


def build(section: Section) -> Body:
    """Return one item per text."""
    return {"kind": "list", "items": [section.text(text, index) for index, text in enumerate(section.content)]}


REVIEWING = SectionType("reviewing", Text, build=build, nouns=("venue reviewed for", "venues reviewed for"))
LIST = SectionType("list", Text, build=build)
