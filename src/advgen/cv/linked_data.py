"""The CV as linked data (schema.org) for search engines: a person and their publications."""

import json
import re
from typing import Any

from markupsafe import Markup

from advgen.cv.inline import plain_text
from advgen.cv.templating import drop_empty

_TYPES = {
    "book": "Book", "chapter": "Chapter", "dataset": "Dataset", "software": "SoftwareSourceCode", "phdthesis": "Thesis",
    "patent": "CreativeWork", "misc": "CreativeWork",
}  # fmt: skip


def format_linked_data(cv: dict[str, Any]) -> Markup:
    """Return JSON-LD for a script element; nothing in it can end the element."""
    sections = {section["id"]: section for section in cv["sections"]}
    jobs = [row["item"] for row in sections.get("position", {}).get("rows", ())]
    person = {
        "@type": "Person",
        "@id": "#person",
        "name": cv["name"],
        "description": plain_text(cv["headline"]),
        "email": cv["email"] and f"mailto:{cv['email']}",
        "url": cv["site"],
        "jobTitle": [job["title"] for job in jobs],
        "affiliation": [{"@type": "Organization", "name": job["organization"]} for job in jobs],
        "sameAs": [link["url"] for link in cv["links"]],
    }
    groups = [group for section in cv["sections"] for group in section.get("groups", ())]
    # a section of selected publications repeats them
    entries = {entry["key"]: entry for group in groups for entry in group["entries"]}
    graph = [drop_empty(item) for item in (person, *map(_work, entries.values()))]
    text = json.dumps({"@context": "https://schema.org", "@graph": graph}, ensure_ascii=False)
    return Markup(re.sub(r"[<>&\u2028\u2029]", lambda match: f"\\u{ord(match[0]):04x}", text))


def _work(entry: dict[str, Any]) -> dict[str, Any]:
    facts = entry["facts"]
    return {
        "@type": _TYPES.get(entry["kind"], "ScholarlyArticle"),
        "name": entry["title"],
        "author": [_person(author) for author in entry["authors"]],
        "datePublished": str(entry["year"]) if isinstance(entry["year"], int) else None,
        "isPartOf": entry["venue"] and {"@type": "CreativeWork", "name": entry["venue"]},
        "url": entry["url"],
        "pagination": facts.get("pages"),
        "identifier": facts.get("doi") and {"@type": "PropertyValue", "propertyID": "doi", "value": facts["doi"]},
        "award": entry["note"],
        "keywords": entry["tags"],
    }


def _person(author: dict[str, Any]) -> dict[str, Any]:
    is_organization = not author["parts"]["given"] and " " in author["name"]
    named = {"@type": "Organization" if is_organization else "Person", "name": author["name"], "url": author["url"]}
    return {"@id": "#person"} if author["owner"] else drop_empty(named)
