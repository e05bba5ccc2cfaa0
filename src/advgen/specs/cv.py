"""What a CV can be made of, and written as."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

Section = Literal[
    "position", "education", "positions", "honors", "publications", "repositories", "talks", "students", "service",
    "reviewing", "teaching", "skills", "experiments",
]  # fmt: skip
"""A part of a CV that its profile knows by name."""

SectionName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
"""One of these, or a section of the profile's own."""

CvFormat = Literal["pdf", "html", "md", "tex", "docx", "resume.json", "latex.pdf"]
"""The ending of a CV's file."""
