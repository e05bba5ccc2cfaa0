"""What changed between two snapshots of a CV: a headline and one line per change."""

from __future__ import annotations

from collections import Counter
from difflib import SequenceMatcher
from typing import Any

from advgen.cv import inline
from advgen.cv.build import shown

Cv = dict[str, Any]
Item = dict[str, Any]

_NOUNS = {
    "position": ("position", "positions"),
    "education": ("degree", "degrees"),
    "positions": ("position", "positions"),
    "honors": ("honor", "honors"),
    "repositories": ("repository", "repositories"),
    "talks": ("talk", "talks"),
    "students": ("student", "students"),
    "service": ("service", "services"),
    "reviewing": ("venue reviewed for", "venues reviewed for"),
    "teaching": ("course", "courses"),
    "skills": ("group of skills", "groups of skills"),
    "experiments": ("paragraph", "paragraphs"),
}
_PAPER = ("paper", "papers")


class Report:
    """Counts for the headline and lines for the details, in the order of the CV."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, tuple[str, str]]] = Counter()
        self.lines: list[str] = []

    def add(self, sign: str, noun: tuple[str, str], line: str) -> None:
        """One change; ``sign`` is + or -, or what happened, with {} for the number and the noun."""
        self.counts[sign, noun] += 1
        self.lines.append(line)

    def headline(self) -> str:
        """ "+2 talks, 1 paper moved from 2022 to 2023, 27 star counts" """
        parts = []
        for (sign, noun), count in sorted(self.counts.items(), key=lambda item: "+-".find(item[0][0]) % 3):
            name = noun[count > 1]
            parts.append(f"{sign}{count} {name}" if sign in "+-" else sign.format(f"{count} {name}"))
        return ", ".join(parts) or "no change"


def compare(old: Cv, new: Cv) -> Report:
    """Every change between two cv.json, new against old."""
    report = Report()
    before = {section["id"]: section for section in old["sections"]}
    after = {section["id"]: section for section in new["sections"]}
    for name in [*after, *(name for name in before if name not in after)]:
        kind = (after.get(name) or before[name])["kind"]
        noun = _PAPER if kind == "publications" else _NOUNS.get(name, (f"entry of {name}", f"entries of {name}"))
        a, b = _entries(before.get(name)), _entries(after.get(name))
        a = _rekeyed(a, b)
        for key in [key for key in b if key not in a]:
            report.add("+", noun, f"+ {noun[0]}: {b[key]['text']}")
        for key in [key for key in a if key not in b]:
            report.add("-", noun, f"- {noun[0]}: {a[key]['text']}")
        for key in [key for key in b if key in a and a[key] != b[key]]:
            _changed(report, noun, a[key], b[key])
        # a paper that moved to another year has another place too
        kept = [key for key in b if key in a and a[key].get("year") == b[key].get("year")]
        if kept != [key for key in a if key in kept]:
            report.add("{} reordered", ("section", "sections"), f"~ order of the entries in {name}")
        _section(report, name, before.get(name), after.get(name))
    _header(report, old, new)
    return report


def _rekeyed(old: dict[str, Item], new: dict[str, Item]) -> dict[str, Item]:
    """The old entries, a paper that changed its key under the new one: it has the same title, or the same authors and
    a title that is nearly the same.
    """
    lost = {key: entry for key, entry in old.items() if key not in new and "authors" in entry}
    names = {}
    for key, entry in new.items():
        if key in old or "authors" not in entry:
            continue
        alike = [other for other in lost if other not in names and _same_paper(lost[other], entry)]
        if alike:
            names[alike[0]] = key
    return {names.get(key, key): entry for key, entry in old.items()}


def _same_paper(old: Item, new: Item) -> bool:
    a, b = ("".join(filter(str.isalnum, item["title"].casefold())) for item in (old, new))
    authors = [[author["name"].split()[-1].casefold() for author in item["authors"]] for item in (old, new)]
    same = authors[0] == authors[1]
    return (a == b and bool(set(authors[0]) & set(authors[1]))) or (same and SequenceMatcher(None, a, b).ratio() > 0.8)


def _entries(section: Item | None) -> dict[str, Item]:
    """The entries of a section by what identifies them: key, name, id, or else the text itself."""
    if section is None:
        return {}
    found: list[tuple[str, Item]] = []
    match section["kind"]:
        case "publications":
            entries = [entry for group in section["groups"] for entry in group["entries"]]
            found = [(entry["key"], _paper(entry)) for entry in entries]
        case "rows":
            found = [(_identity(row), _row(row)) for row in section["rows"]]
        case "list":
            found = [(inline.plain(item), {"text": inline.plain(item), "nodes": item}) for item in section["items"]]
        case "pairs":
            found = [(inline.plain(pair["name"]), _pair(pair)) for pair in section["pairs"]]
        case "table":
            rows = [[inline.plain(cell) for cell in cells] for cells in section["cells"]]
            found = [(row[0], {"text": " | ".join(row), "nodes": row}) for row in rows]
        case _:
            paragraphs = [{"text": inline.plain(nodes), "nodes": nodes} for nodes in section["paragraphs"]]
            found = [(str(number), paragraph) for number, paragraph in enumerate(paragraphs)]
            found += [
                (f"figure {item['name']}", {"text": f"figure {item['name']}", **item}) for item in section["figures"]
            ]
    # equal entries, such as a talk given twice, are told apart by their order
    seen: Counter[str] = Counter()
    entries_by_key = {}
    for key, entry in found:
        seen[key] += 1
        entries_by_key[f"{key} #{seen[key]}"] = entry
    return entries_by_key


def _identity(row: Item) -> str:
    item = row["item"]
    if "stars" in item or "description" in item:
        return str(item["name"])
    text = inline.plain(row["text"])
    return str(item.get("id") or f"{text} {row['dates'] if 'event' in item else ''}")


def _paper(entry: Item) -> Item:
    names = ("key", "title", "url", "links", "authors", "venue", "details", "year", "note", "selected")
    return {"text": f"{entry['title']} ({entry['key']})", **{name: entry[name] for name in names if name in entry}}


def _row(row: Item) -> Item:
    stars = row["item"].get("stars")
    text = ", ".join(part for part in (inline.plain(row["text"]), row["dates"]) if part)
    if "description" in row["item"]:
        nodes = [row["item"][key] for key in ("name", "description", "url")]
        return {"text": row["item"]["name"], "nodes": nodes, "year": row["dates"], "stars": stars}
    return {"text": text, "nodes": row["text"], "lines": row["lines"]}


def _pair(pair: Item) -> Item:
    return {
        "text": f"{inline.plain(pair['name'])}: {inline.plain(pair['items'])}",
        "nodes": [pair["name"], pair["items"]],
    }


def _changed(report: Report, noun: tuple[str, str], old: Item, new: Item) -> None:
    differ = [name for name in new if old.get(name) != new[name] and name != "text"]
    if "stars" in differ:
        said = " → ".join("none" if item["stars"] is None else shown(item["stars"]) for item in (old, new))
        report.add("{}", ("star count", "star counts"), f"★ {new['text']} {said}")
        differ.remove("stars")
    if noun == _PAPER and "year" in differ:
        move = f"from {old['year']} to {new['year']}"
        report.add(f"{{}} moved {move}", noun, f"~ paper: {new['text']}: moved {move}")
        differ.remove("year")
    if noun == _PAPER and differ:
        details = "; ".join(f"{name} {_told(old[name])} → {_told(new[name])}" for name in differ)
        report.add("{} changed", noun, f"~ paper: {new['text']}: {details}")
    elif differ or old["text"] != new["text"]:
        was = f" (was: {old['text']})" if old["text"] != new["text"] else f" ({', '.join(differ)})"
        report.add("{} changed", noun, f"~ {noun[0]}: {new['text']}{was}")


def _told(value: Any) -> str:
    if isinstance(value, list):
        return (
            ", ".join(str(item.get("name") or f"[{item.get('label')}]") + item.get("mark", "") for item in value)
            or "none"
        )
    return repr(value)


def _section(report: Report, name: str, old: Item | None, new: Item | None) -> None:
    if old is None or new is None:
        what = "+ section" if old is None else "- section"
        report.add(what[0], ("section", "sections"), f"{what} {name}")
        return
    for key in ("title", "note", "summary"):
        if old[key] != new[key]:
            was, now = (value if isinstance(value, str) else inline.plain(value) for value in (old[key], new[key]))
            if key == "summary":
                report.add("{}", ("total", "totals"), f"~ {name}: {was or 'nothing'} → {now or 'nothing'}")
            else:
                report.add("{} changed", (f"section {key}", f"section {key}s"), f"~ {key} of {name}: {was} → {now}")


def _header(report: Report, old: Cv, new: Cv) -> None:
    for key in ("name", "headline", "email", "site", "links"):
        if old[key] != new[key]:
            report.add("{} changed", ("line of the header", "lines of the header"), f"~ {key}: {old[key]} → {new[key]}")
    if old["updated"] != new["updated"]:
        report.lines.append(f"~ last updated {old['updated']} → {new['updated']}")
