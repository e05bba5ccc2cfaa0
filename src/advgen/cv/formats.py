"""Every format of the CV by the ending of its file, with the templates it is made from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from advgen.cv import docx, html, latex, markdown, resume, typst

FORMATS: dict[str, Callable[..., str | bytes]] = {
    "pdf": typst.render,
    "html": html.render,
    "md": markdown.render,
    "tex": latex.render,
    "docx": docx.render,
    "resume.json": resume.render,
    "latex.pdf": latex.typeset,
}
TEMPLATES = Path(__file__).resolve().parent / "templates"


def render(
    format_: str,
    cv: dict[str, Any],
    figures: dict[str, Path],
    stamp: str,
    own: Path | None = None,
    **options: Any,
) -> bytes:
    """The bytes of one file; ``stamp`` is a token of advgen.core.provenance, ``own`` the user's folder of templates."""
    content = FORMATS[format_](
        cv, [*([own] if own else []), TEMPLATES], figures, stamp.removeprefix("advgen:"), **options
    )
    return content.encode() if isinstance(content, str) else content
