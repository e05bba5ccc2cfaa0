"""The CV as one HTML file that needs no other: style and figures are inside."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from advgen.cv import inline
from advgen.cv.linked import linked_data
from advgen.cv.target import environment, figure, keyword, template

_TYPES = {".png": "image/png", ".svg": "image/svg+xml", ".jpg": "image/jpeg"}


def render(cv: dict[str, Any], templates: list[Path], figures: dict[str, Path], stamp: str, **_: Any) -> str:
    """cv.html, with the stamp in ``<meta name="advgen">``."""
    jinja = environment(templates, inline.HTML)

    def source(name: str) -> Markup:
        path = figure(name, figures, tuple(_TYPES))
        return Markup(f"data:{_TYPES[path.suffix.lower()]};base64,{base64.b64encode(path.read_bytes()).decode()}")

    def bibtex(text: str) -> Markup:
        return Markup(f"data:application/x-bibtex;charset=utf-8,{quote(text)}")

    css = Markup(template(templates, "cv.css").read_text(encoding="utf-8"))
    page = jinja.get_template("cv.html.j2")
    given = {"css": css, "plain": inline.plain, "source": source, "bibtex": bibtex, "linked_data": linked_data(cv)}
    return page.render(cv=cv, stamp=keyword(stamp), **given)
