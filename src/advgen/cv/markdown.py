"""The CV as Markdown."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from advgen.cv.renderers import MARKDOWN
from advgen.cv.templating import find_figure, format_stamp, make_environment

# a study writes results/cv and results/figures
FIGURES = "../figures"


def render(
    cv: dict[str, Any], folders: Sequence[Path], figures: dict[str, Path], stamp: str, folder: str = FIGURES
) -> str:
    """Return cv.md, with the stamp in a comment on the last line; `folder` has the figures."""

    def source(name: str) -> Markup:
        return Markup(f"<{folder}/{find_figure(name, figures, ('.png', '.svg', '.jpg')).name}>")

    def number(n: int) -> Markup:
        # Markdown numbers lists upwards, whatever their items say
        return Markup(f"- **{n}.**" if cv["numbering"] == "down" else f"{n}.")

    template = make_environment(tuple(folders), MARKDOWN).get_template("cv.md.j2")
    return template.render(cv=cv, source=source, number=number, stamp=format_stamp(stamp))
