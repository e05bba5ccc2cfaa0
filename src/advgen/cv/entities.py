"""HTML entities such as `&eacute;` and `&#233;` in texts that other programs export."""

import html
import re
from html.entities import html5

ENTITY = r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]*);"

# BibTeX exporters escape & and # of an entity; addresses stay as they are
_IN_TEX = re.compile(r"https?://[^\s{}]+|(?:\{\\&\}|\\?&)\\?(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]*);")
TEX_SIGNS = {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}"}
TEX_SIGNS |= {sign: f"\\{sign}" for sign in "{}$&#%_"}
"""TeX that prints each sign which TeX would read as a command."""


def decode_entity(entity: str) -> str:
    """Return the character of an entity, or an unknown entity as it is."""
    found = html.unescape(entity) if entity[1] == "#" else html5.get(entity[1:], "")
    return found if found not in ("", "\ufffd") else entity


def decode_entities(text: str) -> str:
    """Return a text without markup, with its entities decoded except in addresses."""
    return re.sub(rf"https?://\S+|{ENTITY}", lambda m: decode_entity(m[0]) if m[0][0] == "&" else m[0], text)


def entities_to_tex(text: str) -> str:
    """Return TeX with each entity replaced by its character, escaped where necessary."""

    def replace(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        entity = f"&{match[1]};"
        found = decode_entity(entity)
        return match[0] if found == entity else "".join(TEX_SIGNS.get(sign, sign) for sign in found)

    # twice, for exporters that write &amp;eacute;
    return _IN_TEX.sub(replace, _IN_TEX.sub(replace, text))
