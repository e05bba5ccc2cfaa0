"""Section types: one file per type, and the list of all types."""

from advgen.cv.sections.achievements import HONORS, SERVICE, TEACHING
from advgen.cv.sections.base import SectionType
from advgen.cv.sections.education import EDUCATION
from advgen.cv.sections.entries import ENTRIES
from advgen.cv.sections.experiments import EXPERIMENTS
from advgen.cv.sections.lists import LIST, REVIEWING
from advgen.cv.sections.paragraphs import TEXT
from advgen.cv.sections.positions import CURRENT, PREVIOUS
from advgen.cv.sections.publications import BIBLIOGRAPHY, PUBLICATIONS
from advgen.cv.sections.repositories import REPOSITORIES
from advgen.cv.sections.skills import SKILLS
from advgen.cv.sections.students import STUDENTS
from advgen.cv.sections.tables import TABLE
from advgen.cv.sections.talks import TALKS

_ORDERED = (
    CURRENT, EDUCATION, PREVIOUS, HONORS, PUBLICATIONS, REPOSITORIES, TALKS, STUDENTS, SERVICE, REVIEWING, TEACHING,
    SKILLS, EXPERIMENTS,
)  # fmt: skip
BUILT_IN: dict[str, SectionType] = {section_type.name: section_type for section_type in _ORDERED}
"""Sections that a profile has a key for, in the order that error messages list them."""

_TYPED = (ENTRIES, LIST, TABLE, TEXT, BIBLIOGRAPHY)
CUSTOM: dict[str, SectionType] = {section_type.name: section_type for section_type in _TYPED}
"""Types of the sections that a profile names itself."""
