"""Paragraphs about experiments, with live values, and figures of the study."""

from advgen.cv.fields import Text
from advgen.cv.sections.base import Body, EntryTexts, Section, SectionType


def build(section: Section) -> Body:
    """Return the paragraphs, and the figures that the key `figures` of the profile lists."""
    context = section.context
    figures = []
    for index, figure in enumerate(context.profile.figures):
        if context.filter.includes(figure):
            caption = EntryTexts(context, figure, ("figures", index)).text("caption")
            figures.append({"name": figure.name, "caption": caption})
    paragraphs = [section.text(text, index) for index, text in enumerate(section.content)]
    return {"kind": "prose", "paragraphs": paragraphs, "figures": figures}


EXPERIMENTS = SectionType("experiments", Text, build=build, nouns=("paragraph", "paragraphs"))
