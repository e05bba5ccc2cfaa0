"""What the formats have in common: template environments that escape every value, stamps, figures."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from advgen.cv.inline import plain_text, safe_url
from advgen.cv.renderers import Renderer

_STAMP = re.compile(r"[A-Za-z0-9_=-]+")


class UnprintableError(ValueError):
    """Characters that a format cannot print, by the entries that contain them."""

    def __init__(self, cv: dict[str, Any], texts: list[str], why: str) -> None:
        characters = list(dict.fromkeys(character for text in texts for character in text))
        by_entry = {name: [one for one in characters if one in text] for name, text in _list_texts(cv)}
        located = {one for found in by_entry.values() for one in found}
        by_entry["the CV"] = [one for one in characters if one not in located]
        self.by_entry = {name: found for name, found in by_entry.items() if found}
        """Characters by the name of the entry, in the order of the messages."""
        super().__init__("\n".join(f"{name}: {_describe(found)}, {why}" for name, found in self.by_entry.items()))


def _describe(characters: list[str]) -> str:
    first, *others = characters
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    nor = f" (nor {', '.join(map(repr, others[:3]))}{more})" if others else ""
    return f"{first!r} (U+{ord(first):04X}) cannot be printed{nor}"


def _list_texts(cv: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield every entry by a name that its author recognizes, with all its text."""
    yield "the header", f"{cv['name']} {cv['email']} {cv['links']} {plain_text(cv['headline'])}"
    for section in cv["sections"]:
        for group in section.get("groups", ()):
            for entry in group["entries"]:
                yield entry["key"], f"{entry['title']} {plain_text(entry['byline'])} {entry['venue']} {entry['note']}"
            yield f"a heading of {section['id']}", group["title"]
        for row in section.get("rows", ()):
            text = plain_text(row["text"])
            lines = " ".join(plain_text(line) for line in row["lines"])
            yield f"{section['id']}: {text[:40]}", text + lines + row["dates"]
        others = () if {"rows", "groups"} & section.keys() else (json.dumps(section, ensure_ascii=False),)
        yield section["id"], " ".join([section["title"], plain_text(section["note"]), *others])


@cache  # with its compiled templates, which take most of the time
def make_environment(folders: tuple[Path, ...], renderer: Renderer, **syntax: Any) -> Environment:
    """Return a Jinja environment with the filters `inline` (nodes) and `link` (text, address).

    Values that no filter has escaped go through `renderer.text`, so that templates cannot forget it.
    """

    def finalize(value: Any) -> Any:
        return value if isinstance(value, Markup) else renderer.text("" if value is None else str(value))

    def link(text: str, url: str | None) -> Markup:
        return Markup(renderer.link(renderer.text(text), safe_url(url)) if url else renderer.text(text))

    environment = Environment(
        loader=FileSystemLoader(folders),
        undefined=StrictUndefined,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **syntax,
    )
    environment.filters |= {"inline": renderer, "link": link}
    return environment


def format_stamp(stamp: str) -> Markup:
    """Return a stamp as it is stored in files of every format."""
    if not _STAMP.fullmatch(stamp):
        raise ValueError(f"the stamp {stamp[:20]!r} is not base64url")
    return Markup(f"advgen:{stamp}")


def list_figures(cv: dict[str, Any]) -> list[str]:
    """Return the names of the figures that a CV shows."""
    return [figure["name"] for section in cv["sections"] for figure in section.get("figures", ())]


def find_figure(name: str, figures: dict[str, Path], suffixes: tuple[str, ...]) -> Path:
    """Return the file of a figure. Raises ValueError if there is none in a format that can be shown."""
    path = figures.get(name)
    if path is None:
        raise ValueError(f"the figure {name!r} has no file; give one of {', '.join(suffixes)}")
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"{path}: the figure {name!r} must be one of {', '.join(suffixes)} here")
    return path


def split_legend(legend: str) -> tuple[str, str, str]:
    """Split "Selected publications are [highlighted]." into the text before, inside and after the brackets."""
    before, marked, after = (legend.replace("]", "[") + "[[").split("[")[:3]
    return before, marked, after


def drop_empty(item: dict[str, Any]) -> dict[str, Any]:
    """Return a JSON object without None, empty texts and empty lists."""
    return {key: value for key, value in item.items() if value not in (None, "", [])}
