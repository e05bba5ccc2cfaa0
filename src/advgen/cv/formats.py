"""All formats of the CV, by the ending of the file."""

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jinja2 import TemplateNotFound, TemplateSyntaxError

from advgen.cv import docx, html, latex, markdown, resume, themes, typst
from advgen.specs.cv import CvFormat

FORMATS: dict[CvFormat, Callable[..., str | bytes]] = {
    "pdf": typst.render,
    "html": html.render,
    "md": markdown.render,
    "tex": latex.render,
    "docx": docx.render,
    "resume.json": resume.render,
    "latex.pdf": latex.typeset,
}


def render(
    format_: CvFormat,
    cv: dict[str, Any],
    figures: dict[str, Path],
    stamp: str,
    custom: Sequence[Path] = (),
    **options: Any,
) -> bytes:
    """Return the bytes of one file.

    `stamp` is a token of advgen.files.provenance. `custom` are folders with themes or templates of the user. Raises
    ValueError, with the line, for a mistake in one of them.
    """
    folders = themes.search_path(cv["theme"], custom)
    try:
        content = FORMATS[format_](cv, folders, figures, stamp.removeprefix("advgen:"), **options)
    except Exception as error:
        where = "" if isinstance(error, ValueError) else _locate(error, custom)
        if not where:
            raise
        # without the folders that were searched
        message = str(error).split(": ")[0] if isinstance(error, TemplateNotFound) else str(error)
        raise ValueError(f"{where}: {' '.join(message.split()).rstrip('.')}; correct this template") from error
    return content.encode() if isinstance(content, str) else content


def _locate(error: Exception, custom: Sequence[Path]) -> str:
    """Return file and line of the custom template that caused an error, or an empty string."""
    if isinstance(error, TemplateSyntaxError):
        return f"{error.filename}:{error.lineno}" if Path(error.filename or "").parent in custom else ""
    frames = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    return next((f"{path}:{line}" for path, line in reversed(frames) if path.parent in custom), "")
