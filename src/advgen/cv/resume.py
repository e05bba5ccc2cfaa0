"""The CV as JSON Resume (jsonresume.org, schema 1.0.0), which allows no sections but its own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from advgen.cv import inline
from advgen.cv.target import keyword

Item = dict[str, Any]


def render(cv: dict[str, Any], templates: list[Path], figures: dict[str, Path], stamp: str, **_: Any) -> str:
    """cv.resume.json, with the stamp under ``meta``."""
    sections = {section["id"]: section for section in cv["sections"]}
    resume: dict[str, Any] = {
        "$schema": "https://raw.githubusercontent.com/jsonresume/resume-schema/v1.0.0/schema.json",
        "basics": _without_empty(
            {
                "name": cv["name"],
                "label": inline.plain(cv["headline"]),
                "email": cv["email"],
                "url": cv["site"],
                "profiles": [{"network": link["label"], "url": link["url"]} for link in cv["links"]],
            }
        ),
    }
    texts = []
    for name, section in sections.items():
        if section["kind"] == "prose" and name != "experiments":
            texts += [inline.plain(paragraph) for paragraph in section["paragraphs"]]
            continue
        key, values = _section(name, section)
        resume[key] = [*resume.get(key, []), *values]
    resume["basics"] |= _without_empty({"summary": " ".join(texts)})
    resume["meta"] = {"canonical": cv["site"], "lastModified": f"{cv['updated']}T00:00:00", "advgen": keyword(stamp)}
    resume["meta"] = _without_empty(resume["meta"])
    return json.dumps(resume, ensure_ascii=False, indent=1) + "\n"


def _section(name: str, section: dict[str, Any]) -> tuple[str, list[Item]]:
    if section["kind"] == "publications":
        return "publications", [_publication(entry) for group in section["groups"] for entry in group["entries"]]
    if name == "skills":
        pairs = [(inline.plain(pair["name"]), inline.plain(pair["items"])) for pair in section["pairs"]]
        return name, [{"name": title, "keywords": re.split(r",\s*", items)} for title, items in pairs]
    if name == "reviewing":
        return "volunteer", [{"organization": inline.plain(item), "position": "Reviewer"} for item in section["items"]]
    if name == "experiments":
        texts = [inline.plain(paragraph) for paragraph in section["paragraphs"]]
        return "projects", [{"name": section["title"], "description": text, "type": "experiment"} for text in texts]
    if section["kind"] in ("list", "table"):
        texts = [" – ".join(map(inline.plain, cells)) for cells in section.get("cells", ())]
        texts += [inline.plain(item) for item in section.get("items", ())]
        return "interests", [{"name": section["title"], "keywords": texts}]
    key, convert = _ROWS.get(name, ("projects", _entry(section["title"])))
    return key, [_without_empty(convert(row["item"], _dates(row))) for row in section["rows"]]


def _work(item: Item, dates: Item) -> Item:
    return {
        "name": item["organization"],
        "position": item["title"],
        "location": item.get("location"),
        "summary": item.get("detail"),
        **dates,
    }


def _degree(item: Item, dates: Item) -> Item:
    kind, _, area = item["title"].partition(" in ")
    notes = [f"{key.capitalize()}: {item[key]}" for key in ("thesis", "advisor") if item.get(key)]
    return {
        "institution": item["organization"],
        "studyType": kind,
        "area": area,
        "score": item.get("grade"),
        "courses": [*notes, *([item["detail"]] if item.get("detail") else [])],
        **dates,
    }


def _award(item: Item, dates: Item) -> Item:
    end = dates["endDate"] if dates["endDate"] != dates["startDate"] else None
    named = {"title": item["title"], "summary": item.get("detail"), "url": item.get("url")}
    return {**named, "date": dates["startDate"], "endDate": end, "dates": dates["dates"]}


def _service(item: Item, dates: Item) -> Item:
    return {"position": item["title"], "summary": item.get("detail"), "url": item.get("url"), **dates}


def _repository(item: Item, dates: Item) -> Item:
    return {
        "name": item["name"],
        "description": item["description"],
        "url": item["url"],
        "keywords": [f"★{item['stars']}"] if "stars" in item else [],
        "startDate": dates["startDate"],
        "type": "application",
    }


def _project(kind: str, role: str) -> Callable[[Item, Item], Item]:
    """What JSON Resume counts as a project of a kind: "talk" is one of its own examples."""

    def convert(item: Item, dates: Item) -> Item:
        return {
            "name": item.get("title") or item["name"],
            "description": item.get("detail"),
            "entity": item.get("event"),
            "url": item.get("url"),
            "slides": item.get("slides"),
            "roles": [role] if role else [],
            **dates,
            "type": kind,
        }

    return convert


def _entry(title: str) -> Callable[[Item, Item], Item]:
    """What an item of a section of the profile's own becomes: a project of the kind that its section is called."""

    def convert(item: Item, dates: Item) -> Item:
        return {
            "name": item["title"],
            "description": item.get("detail"),
            "highlights": item.get("details"),
            "entity": item.get("organization"),
            "url": item.get("url"),
            **dates,
            "type": title,
        }

    return convert


_ROWS: dict[str, tuple[str, Callable[[Item, Item], Item]]] = {
    "position": ("work", _work),
    "positions": ("work", _work),
    "education": ("education", _degree),
    "honors": ("awards", _award),
    "repositories": ("projects", _repository),
    "talks": ("projects", _project("talk", "Speaker")),
    "students": ("projects", _project("mentoring", "Advisor")),
    "service": ("volunteer", _service),
    "teaching": ("projects", _project("teaching", "")),
}


def _publication(entry: dict[str, Any]) -> Item:
    authors = ", ".join(author["name"] + author["mark"] for author in entry["authors"])
    return _without_empty(
        {
            "name": entry["title"],
            "publisher": entry["venue"],
            "releaseDate": str(entry["year"]) if isinstance(entry["year"], int) else None,
            "dates": None if isinstance(entry["year"], int) else entry["year"],
            "url": entry["url"],
            "summary": f"{authors} ({entry['note']})" if entry["note"] else authors,
        }
    )


def _dates(row: Item) -> Item:
    """ISO dates; of a text that says more, such as "Spring 2017", the years, and the text beside them."""
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


def _without_empty(item: Item) -> Item:
    return {key: value for key, value in item.items() if value not in (None, "", [])}
