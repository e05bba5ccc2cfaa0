"""The printed line of authors."""

from collections.abc import Mapping
from typing import Any

from advgen.cv.inline import Node, merge_strings
from advgen.cv.labels import Labels, fill, load_labels
from advgen.cv.names import Name, abbreviate

# longer names may break across lines, so that they do not run into the margin
_MAX_UNBROKEN = 32


def format_byline(
    authors: list[dict[str, Any]],
    limit: int | None = None,
    labels: Labels | None = None,
    style: Mapping[str, str] | None = None,
    has_others: bool = False,
    are_editors: bool = False,
) -> list[Node]:
    """Return "A", "A and B" or "A, B, and C", with the owner of the CV in bold and the others linked if possible.

    Of more than `limit` authors the first are named, the owner always, and the rest counted. `has_others` adds
    "others" for a list that ends in "and others".
    """
    labels = labels or load_labels()
    names: list[list[Node]] = [_format_author(author, style or {}) for author in authors]
    if limit is not None and len(authors) > limit:
        owner = next((index for index, author in enumerate(authors) if author["owner"]), 0)
        named = names[:limit] if owner < limit else [*names[: limit - 1], ["…"], names[owner]]
        hidden = len(authors) - limit
        names = [*named, [fill(labels, "others" if hidden > 1 else "other", count=hidden)]]
    elif has_others:
        names.append([fill(labels, "others", count="").strip()])
    nodes: list[Node] = []
    for index, name in enumerate(names):
        if index:
            is_last = index == len(names) - 1
            nodes.append((labels["two"] if len(names) == 2 else labels["last"]) if is_last else ", ")
        nodes += name
    if are_editors and authors:
        nodes.append(f" {labels['editors' if len(authors) > 1 else 'editor']}")
    return merge_strings(nodes)


def _format_author(author: dict[str, Any], style: Mapping[str, str]) -> list[Node]:
    name, mark = format_name(author, style), author["mark"]
    nodes: list[Node] = [name + mark]
    if author["owner"]:
        nodes = [{"strong": [name + mark]}]
    elif author["url"]:
        nodes = merge_strings([{"link": [name], "url": author["url"]}, mark])
    return [{"keep": nodes}] if " " in name and len(name) <= _MAX_UNBROKEN else nodes


def format_name(author: dict[str, Any], style: Mapping[str, str]) -> str:
    """Return an author's name in the form that the style requires."""
    if not style or "parts" not in author:
        return str(author["name"])
    name = Name(**author["parts"])
    if name.is_east_asian:
        return str(name)
    given = abbreviate(name.given) if style.get("given") == "initials" else name.given
    if style.get("order") == "family-first" and given:
        return ", ".join(part for part in (name.family, name.suffix, given) if part)
    return str(Name(given, name.family, name.suffix))
