"""Names of the sections and formats of a CV."""

from typing import Annotated, Literal

from pydantic import Field

SectionName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
"""A built-in or custom section."""

CvFormat = Literal["pdf", "html", "md", "tex", "docx", "resume.json", "latex.pdf"]
"""The ending of a CV's file."""
