"""What a study must know of a profile before anything is built: tables, figures and files that it names."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advgen.cv.live_values import LiveValue
from advgen.cv.yaml_files import Document, merge, read

_FIGURE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


@dataclass(frozen=True)
class Content:
    """What a profile needs besides itself, and the sections that it orders. Paths are relative to the profile."""

    live_values: list[LiveValue]
    figures: list[str]
    bibliographies: list[str]
    section_files: list[str]
    sections: list[str]
    language: str
    theme: str
    templates: str


def scan_profile(path: Path, overlay: Path | None = None) -> Content:
    """Read what a profile needs, in file order, without checking its sections. Raises ValueError for wrong YAML."""
    document = merge(read(path), overlay)
    data = document.data if isinstance(document.data, dict) else {}
    order = data.get("order")
    ordered = order if isinstance(order, list) else []
    sections = [item.get("section") if isinstance(item, dict) else item for item in ordered]
    return Content(
        live_values=[value for found in document.live_values.values() for value in found],
        figures=list_figures(document),
        bibliographies=_list_strings(data, "file"),
        section_files=list_section_files(data),
        sections=[name for name in sections if isinstance(name, str)],
        language=str(data.get("language") or ""),
        theme=str(data.get("theme") or ""),
        templates=str(data.get("templates") or ""),
    )


def list_section_files(data: Any) -> list[str]:
    """Return the Python files that custom sections name as their type, each once."""
    return list(dict.fromkeys(name for name in _list_strings(data, "type") if name.endswith(".py")))


def _list_strings(data: Any, key: str) -> list[str]:
    sections = data.get("sections") if isinstance(data, dict) else None
    values = (
        [part.get(key) for part in sections.values() if isinstance(part, dict)] if isinstance(sections, dict) else ()
    )
    return [value for value in values if isinstance(value, str)]


def list_figures(document: Document) -> list[str]:
    """Return the names of a profile's figures. Raises ValueError for anything but plain, different names."""
    listed = document.data.get("figures") if isinstance(document.data, dict) else None
    if listed is None:
        return []
    if not isinstance(listed, list):
        where = document.where(("figures",))
        raise ValueError(f"{where}: figures is not a list; write - {{name: transfer, caption: …}} below it")
    names: list[str] = []
    for index, figure in enumerate(listed):
        name = figure.get("name") if isinstance(figure, dict) else None
        where = document.where(("figures", index, "name"))
        if not isinstance(name, str) or not _FIGURE.fullmatch(name):
            raise ValueError(f"{where}: a figure needs a name; write it with a–z, 0–9 and hyphens, such as 'transfer'")
        if name in names:
            raise ValueError(f"{where}: the figure {name!r} is listed twice; remove one")
        names.append(name)
    return names
