"""What a CV can be made of, and written as."""

from __future__ import annotations

from typing import Literal

Section = Literal[
    "position", "education", "positions", "honors", "publications", "repositories", "talks", "students", "service",
    "reviewing", "teaching", "skills", "experiments",
]  # fmt: skip
"""A part of a CV."""

CvFormat = Literal["pdf", "html", "md", "tex", "resume.json", "latex.pdf"]
"""The ending of a CV's file."""
