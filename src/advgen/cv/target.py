"""What the text targets have in common: a template environment that escapes every value by itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from advgen.cv.inline import Renderer, plain, safe_url

_STAMP = re.compile(r"[A-Za-z0-9_=-]+")


class Unprintable(ValueError):
    """Characters that cannot be printed, by the entries that hold them."""

    def __init__(self, cv: dict[str, Any], texts: list[str], why: str) -> None:
        characters = list(dict.fromkeys(character for text in texts for character in text))
        held = {name: [character for character in characters if character in text] for name, text in _entries(cv)}
        found = {character for some in held.values() for character in some}
        held["the CV"] = [character for character in characters if character not in found]
        self.held = {name: some for name, some in held.items() if some}
        """Each entry by name, with its characters in the order of the messages."""
        super().__init__("\n".join(f"{name}: {_missing(some)}, {why}" for name, some in self.held.items()))


def _missing(characters: list[str]) -> str:
    first, *others = characters
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    nor = f" (nor {', '.join(map(repr, others[:3]))}{more})" if others else ""
    return f"{first!r} (U+{ord(first):04X}) cannot be printed{nor}"


def _entries(cv: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every entry by what a person calls it, with all its text."""
    yield "the header", f"{cv['name']} {cv['email']} {cv['links']} {plain(cv['headline'])}"
    for section in cv["sections"]:
        for group in section.get("groups", ()):
            for entry in group["entries"]:
                yield entry["key"], f"{entry['title']} {plain(entry['byline'])} {entry['venue']} {entry['note']}"
            yield f"a heading of {section['id']}", group["title"]
        for row in section.get("rows", ()):
            text = plain(row["text"])
            yield f"{section['id']}: {text[:40]}", text + " ".join(plain(line) for line in row["lines"]) + row["dates"]
        parts = () if {"rows", "groups"} & section.keys() else (json.dumps(section, ensure_ascii=False),)
        yield section["id"], " ".join([section["title"], plain(section["note"]), *parts])


def template(templates: list[Path], name: str) -> Path:
    """The file of a template: the user's own, or else ours."""
    return next(folder / name for folder in templates if (folder / name).is_file())


def environment(templates: list[Path], renderer: Renderer, **syntax: Any) -> Environment:
    """A Jinja environment with the filters ``inline`` (nodes) and ``link`` (text, address).

    Values that no filter has marked as escaped go through ``renderer.text``, so a template cannot forget it.
    """
    return _environment(tuple(templates), renderer, tuple(syntax.items()))


@cache
def _environment(templates: tuple[Path, ...], renderer: Renderer, syntax: tuple[tuple[str, Any], ...]) -> Environment:
    """Kept for as long as the process, with the templates that it has compiled, which is what takes the time."""

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
        **dict(syntax),
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
