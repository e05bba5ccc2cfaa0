"""The CV as JSON Resume (jsonresume.org, schema 1.0.0), which allows no other sections than its own."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from advgen.cv.inline import plain_text
from advgen.cv.sections import BUILT_IN
from advgen.cv.templating import drop_empty, format_stamp

Item = dict[str, Any]


def render(cv: dict[str, Any], folders: Sequence[Path], figures: dict[str, Path], stamp: str, **_: Any) -> str:
    """Return cv.resume.json, with the stamp under `meta`."""
    sections = {section["id"]: section for section in cv["sections"]}
    basics = {
        "name": cv["name"],
        "label": plain_text(cv["headline"]),
        "email": cv["email"],
        "url": cv["site"],
        "profiles": [{"network": link["label"], "url": link["url"]} for link in cv["links"]],
    }
    resume: dict[str, Any] = {
        "$schema": "https://raw.githubusercontent.com/jsonresume/resume-schema/v1.0.0/schema.json",
        "basics": drop_empty(basics),
    }
    summary = []
    for name, section in sections.items():
        if section["kind"] == "prose" and name != "experiments":
            summary += [plain_text(paragraph) for paragraph in section["paragraphs"]]
            continue
        key, values = _convert_section(name, section)
        resume[key] = [*resume.get(key, []), *values]
    resume["basics"] |= drop_empty({"summary": " ".join(summary)})
    meta = {"canonical": cv["site"], "lastModified": f"{cv['updated']}T00:00:00", "advgen": format_stamp(stamp)}
    resume["meta"] = drop_empty(meta)
    return json.dumps(resume, ensure_ascii=False, indent=1) + "\n"


def _convert_section(name: str, section: dict[str, Any]) -> tuple[str, list[Item]]:
    """Return the key of JSON Resume for a section, and the items to add to it."""
    title = section["title"]
    match section["kind"]:
        case "publications":
            entries = [entry for group in section["groups"] for entry in group["entries"]]
            return "publications", [_convert_publication(entry) for entry in entries]
        case "pairs":
            pairs = [(plain_text(pair["name"]), plain_text(pair["items"])) for pair in section["pairs"]]
            return "skills", [{"name": name, "keywords": re.split(r",\s*", items)} for name, items in pairs]
        case "prose":
            texts = [plain_text(paragraph) for paragraph in section["paragraphs"]]
            return "projects", [{"name": title, "description": text, "type": "experiment"} for text in texts]
        case "list" if name == "reviewing":
            items = [plain_text(item) for item in section["items"]]
            return "volunteer", [{"organization": item, "position": "Reviewer"} for item in items]
        case "list":
            return "interests", [{"name": title, "keywords": [plain_text(item) for item in section["items"]]}]
        case "table":
            rows = [" – ".join(map(plain_text, cells)) for cells in section["cells"]]
            return "interests", [{"name": title, "keywords": rows}]
    section_type = BUILT_IN.get(name)
    if section_type and section_type.resume:
        key, convert = section_type.resume
        return key, [drop_empty(convert(row["item"], _find_dates(row))) for row in section["rows"]]
    return "projects", [drop_empty(_convert_custom_row(row, title)) for row in section["rows"]]


def _convert_custom_row(row: Item, section_title: str) -> Item:
    item = row["item"]
    named = {"name": item.get("title") or plain_text(row["text"]), "description": item.get("detail")}
    lines = {"highlights": item.get("details"), "entity": item.get("organization"), "url": item.get("url")}
    return {**named, **lines, **_find_dates(row), "type": section_title}


def _convert_publication(entry: dict[str, Any]) -> Item:
    authors = ", ".join(author["name"] + author["mark"] for author in entry["authors"])
    has_year = isinstance(entry["year"], int)
    return drop_empty(
        {
            "name": entry["title"],
            "publisher": entry["venue"],
            "releaseDate": str(entry["year"]) if has_year else None,
            "dates": None if has_year else entry["year"],
            "url": entry["url"],
            "summary": f"{authors} ({entry['note']})" if entry["note"] else authors,
        }
    )


def _find_dates(row: Item) -> Item:
    """Return ISO dates; of a text such as "Spring 2017", the years and the text."""
    item = row["item"]
    if item.get("start") or item.get("end"):
        end = item.get("end", "Present")
        return {"startDate": item.get("start"), "endDate": None if end.lower() == "present" else end, "dates": None}
    text = row["dates"]
    years = re.findall(r"(?:19|20)\d\d", text)
    return {
        "startDate": years[0] if years else None,
        "endDate": years[-1] if years and not text.lower().endswith("present") else None,
        "dates": None if re.fullmatch(r"\d{4}( – (\d{4}|[Pp]resent))?", text) else text,
    }
