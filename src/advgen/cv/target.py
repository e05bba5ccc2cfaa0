"""What the text targets have in common: a template environment that escapes every value by itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from advgen.cv.inline import Renderer, safe_url

_STAMP = re.compile(r"[A-Za-z0-9_=-]+")


def environment(templates: Path, renderer: Renderer, **syntax: Any) -> Environment:
    """A Jinja environment with the filters ``inline`` (nodes) and ``link`` (text, address).

    Values that no filter has marked as escaped go through ``renderer.text``, so a template cannot forget it.
    """

    def finalize(value: Any) -> Any:
        return value if isinstance(value, Markup) else renderer.text("" if value is None else str(value))

    def link(text: str, url: str | None) -> Markup:
        return Markup(renderer.link(renderer.text(text), safe_url(url)) if url else renderer.text(text))

    jinja = Environment(
        loader=FileSystemLoader(templates),
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **syntax,
    )
    jinja.filters |= {"inline": renderer, "link": link}
    return jinja


def keyword(stamp: str) -> Markup:
    """The form in which a stamp stands in a file, the same in every format."""
    if not _STAMP.fullmatch(stamp):
        raise ValueError(f"the stamp {stamp[:20]!r} is not base64url")
    return Markup(f"advgen:{stamp}")


def figure(name: str, figures: dict[str, Path], suffixes: tuple[str, ...]) -> Path:
    """The file of a figure. Raises ValueError if there is none of a kind that the target can show."""
    path = figures.get(name)
    if path is None:
        raise ValueError(f"the figure {name!r} has no file; give one of {', '.join(suffixes)}")
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"{path}: the figure {name!r} must be one of {', '.join(suffixes)} here")
    return path
