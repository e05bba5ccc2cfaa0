"""The CV as Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from advgen.cv import inline
from advgen.cv.target import environment, figure, keyword

# The CV lies in results/cv, its figures in results/figures.
FIGURES = "../figures"


def render(
    cv: dict[str, Any], templates: list[Path], figures: dict[str, Path], stamp: str, folder: str = FIGURES
) -> str:
    """cv.md, with the stamp in a comment on the last line; it shows the figures in ``folder``."""
    jinja = environment(templates, inline.MARKDOWN)

    def source(name: str) -> Markup:
        return Markup(f"<{folder}/{figure(name, figures, ('.png', '.svg', '.jpg')).name}>")

    def number(n: int) -> Markup:
        # Markdown counts a list upwards, whatever stands before its items
        return Markup(f"- **{n}.**" if cv["numbering"] == "down" else f"{n}.")

    return jinja.get_template("cv.md.j2").render(cv=cv, source=source, number=number, stamp=keyword(stamp))
