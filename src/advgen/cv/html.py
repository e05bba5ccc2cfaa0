"""The CV as one HTML file that needs no other: stylesheet and figures are inside."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from advgen.cv import themes
from advgen.cv.inline import plain_text
from advgen.cv.linked_data import format_linked_data
from advgen.cv.renderers import HTML
from advgen.cv.templating import find_figure, format_stamp, make_environment

_MEDIA_TYPES = {".png": "image/png", ".svg": "image/svg+xml", ".jpg": "image/jpeg"}


def render(cv: dict[str, Any], folders: Sequence[Path], figures: dict[str, Path], stamp: str, **_: Any) -> str:
    """Return cv.html, with the stamp in `<meta name="advgen">`."""

    def source(name: str) -> Markup:
        path = find_figure(name, figures, tuple(_MEDIA_TYPES))
        media_type = _MEDIA_TYPES[path.suffix.lower()]
        return Markup(f"data:{media_type};base64,{base64.b64encode(path.read_bytes()).decode()}")

    def bibtex(text: str) -> Markup:
        return Markup(f"data:application/x-bibtex;charset=utf-8,{quote(text)}")

    return (
        make_environment(tuple(folders), HTML)
        .get_template("cv.html.j2")
        .render(
            cv=cv,
            classes=themes.class_names(cv["theme"], folders),
            css=Markup(themes.compose_css(folders)),
            plain=plain_text,
            source=source,
            bibtex=bibtex,
            linked_data=format_linked_data(cv),
            stamp=format_stamp(stamp),
        )
    )
