"""Custom sections of type `entries`: grants, patents, exhibitions."""

from advgen.cv.fields import Link, Text
from advgen.cv.sections.achievements import Achievement
from advgen.cv.sections.base import EntryTexts, Row, SectionType


class CustomEntry(Achievement):
    """A title with an organization, a place, links and several lines of details."""

    organization: Text | None = None
    location: Text | None = None
    details: list[Text] = []
    links: list[Link] = []


def write_row(entry: CustomEntry, texts: EntryTexts) -> Row:
    """Return "**Title**, *Organization*, Location [link]", with the details below."""
    text = [{"strong": texts.linked("title", entry.url)}, *texts.joined("organization", em=True)]
    text += texts.joined("location")
    for link in entry.links:
        text += [" [", {"link": [link.label], "url": link.url}, "]"]
    lines = [texts.text("detail")] if entry.detail else []
    return Row(text, lines + [texts.text("details", index) for index in range(len(entry.details))])


ENTRIES = SectionType("entries", CustomEntry, write_row)
