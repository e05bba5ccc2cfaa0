"""Inline markup of CV texts: `*italic*`, `**bold**` and `[text](address)`, parsed to nodes.

A node is a string, `{"em": nodes}`, `{"strong": nodes}`, `{"keep": nodes}` (not broken across lines) or
`{"link": nodes, "url": address}`, so a list of nodes is JSON. Each format prints nodes with its own escaping.

HTML entities (`&eacute;`) are read as their characters. A backslash before `*`, `[`, `]`, an entity or a backslash
prints it as it is.
"""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from advgen.cv.entities import ENTITY, decode_entity

Node = str | dict[str, Any]
_KINDS = ("em", "strong", "keep", "link")

_BODY = r"(?:\\.|[^\\])"
_TOKEN = re.compile(
    rf"\\(?P<escaped>[\\*\[\]]|{ENTITY})"
    rf"|(?P<entity>{ENTITY})"
    rf"|(?<![\w*])\*\*(?=[^\s*])(?P<strong>{_BODY}+?)(?<!\s)\*\*(?![\w*])"
    rf"|(?<![\w*])\*(?=[^\s*])(?P<em>{_BODY}+?)(?<![\s*])\*(?![\w*])"
    rf"|\[(?P<text>(?:\\.|[^\\\[\]])+)\]\((?P<url>(?:[^()\s]|\([^()\s]*\))*)\)"
)
_ADDRESS = re.compile(r"(?:https?://[^\s/]|mailto:[^\s@]+@)[^\s\"<>\\^`{|}]*", re.IGNORECASE)


def safe_url(url: str) -> str:
    """Return the address itself if it is a web or mail address. Raises ValueError otherwise."""
    if not _ADDRESS.fullmatch(url) or not _is_splittable(url):
        raise ValueError(f"{url!r} is not a web address; begin with https://, http:// or mailto:, without spaces")
    return url


def _is_splittable(url: str) -> bool:
    try:
        return bool(urlsplit(url))
    except ValueError:  # brackets outside an IPv6 host
        return False


def parse(text: str) -> list[Node]:
    """Return the nodes of a text. Raises ValueError for a link that is not a web or mail address."""
    return _parse(" ".join(text.split()))


def _parse(text: str) -> list[Node]:
    nodes: list[Node] = []
    end = 0
    for match in _TOKEN.finditer(text):
        nodes.append(text[end : match.start()])
        end = match.end()
        if match["escaped"]:
            nodes.append(match["escaped"])
        elif match["entity"]:
            is_in_address = re.search(r"://\S*$", text[: match.start()])
            nodes.append(match[0] if is_in_address else decode_entity(match[0]))
        elif match["strong"]:
            nodes.append({"strong": _parse(match["strong"])})
        elif match["em"]:
            nodes.append({"em": _parse(match["em"])})
        else:
            nodes.append({"link": _parse(match["text"]), "url": safe_url(match["url"])})
    nodes.append(text[end:])
    return merge_strings(nodes)


def merge_strings(nodes: Iterable[Node]) -> list[Node]:
    """Merge neighboring strings and drop empty ones."""
    merged: list[Node] = []
    for node in nodes:
        if isinstance(node, str) and merged and isinstance(merged[-1], str):
            merged[-1] += node
        elif node:
            merged.append(node)
    return merged


class NodeError(ValueError):
    """A list of nodes of a user's section type is wrong."""


def check_nodes(nodes: object, name: str) -> None:
    """Check a list of nodes. Raises NodeError."""
    if not isinstance(nodes, list | tuple):
        kind = "a string" if isinstance(nodes, str) else type(nodes).__name__
        raise NodeError(f"{name} needs a list of nodes, not {kind}; use texts.text(…)")
    for node in nodes:
        kind = next((kind for kind in _KINDS if kind in node), "") if isinstance(node, dict) else ""
        if kind:
            check_nodes(node[kind], repr(kind))
        elif not isinstance(node, str):
            raise NodeError(f"{name} has a {type(node).__name__} as a node; write a string, or a map with em or strong")


def escape(text: str) -> str:
    """Return markup that `parse` reads as exactly this text."""
    return re.sub(rf"([\\*\[\]]|{ENTITY})", r"\\\1", text)


def plain_text(nodes: Iterable[Node]) -> str:
    """Return the text of the nodes without markup."""
    return "".join(node if isinstance(node, str) else plain_text(next(iter(node.values()))) for node in nodes)
