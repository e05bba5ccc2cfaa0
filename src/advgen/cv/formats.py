"""Every format of the CV by the ending of its file, with the templates it is made from."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import TemplateNotFound, TemplateSyntaxError

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
    """The bytes of one file; ``stamp`` is a token of advgen.files.provenance, ``own`` the user's folder of templates.

    Raises ValueError, with the line, for a mistake in one of the user's templates.
    """
    folders = [*([own] if own else []), TEMPLATES]
    try:
        content = FORMATS[format_](cv, folders, figures, stamp.removeprefix("advgen:"), **options)
    except Exception as error:
        place = _place(error, own) if own and not isinstance(error, ValueError) else ""
        if not place:
            raise
        # without the folders that were searched
        said = str(error).split(": ")[0] if isinstance(error, TemplateNotFound) else str(error)
        raise ValueError(f"{place}: {' '.join(said.split()).rstrip('.')}; mend this template") from error
    return content.encode() if isinstance(content, str) else content


def _place(error: Exception, own: Path) -> str:
    """File and line of the user's template where an error comes from, or nothing."""
    if isinstance(error, TemplateSyntaxError):
        return f"{error.filename}:{error.lineno}" if Path(error.filename or "").parent == own else ""
    frames = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    return next((f"{path}:{line}" for path, line in reversed(frames) if path.parent == own), "")
