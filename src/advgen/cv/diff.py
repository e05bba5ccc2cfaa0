"""What changed between two snapshots of a CV: a headline, and one line per change."""

from collections import Counter
from difflib import SequenceMatcher
from typing import Any

from advgen.cv.inline import plain_text
from advgen.cv.sections import BUILT_IN
from advgen.cv.sections.repositories import format_count

Cv = dict[str, Any]
Entry = dict[str, Any]
Nouns = tuple[str, str]
"""Singular and plural."""

_PAPER = ("paper", "papers")
_PAPER_KEYS = ("key", "title", "url", "links", "authors", "venue", "details", "year", "note", "selected")
_HEADER_KEYS = ("name", "headline", "email", "site", "links")


class Report:
    """Counts for the headline and lines for the details, in the order of the CV."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, Nouns]] = Counter()
        self.lines: list[str] = []

    def add(self, change: str, nouns: Nouns, line: str) -> None:
        """Add a change: "+", "-", or a text with {} for the number and the noun."""
        self.counts[change, nouns] += 1
        self.lines.append(line)

    def headline(self) -> str:
        """Return for example "+2 talks, 1 paper moved from 2022 to 2023, 27 star counts"."""
        parts = []
        for (change, nouns), count in sorted(self.counts.items(), key=lambda item: "+-".find(item[0][0]) % 3):
            noun = nouns[count > 1]
            parts.append(f"{change}{count} {noun}" if change in "+-" else change.format(f"{count} {noun}"))
        return ", ".join(parts) or "no change"


def compare(old: Cv, new: Cv) -> Report:
    """Return every change from one cv.json to another."""
    report = Report()
    before = {section["id"]: section for section in old["sections"]}
    after = {section["id"]: section for section in new["sections"]}
    for name in [*after, *(name for name in before if name not in after)]:
        nouns = _find_nouns(name, (after.get(name) or before[name])["kind"])
        b = _list_entries(after.get(name))
        a = _match_renamed_papers(_list_entries(before.get(name)), b)
        for key in [key for key in b if key not in a]:
            report.add("+", nouns, f"+ {nouns[0]}: {b[key]['text']}")
        for key in [key for key in a if key not in b]:
            report.add("-", nouns, f"- {nouns[0]}: {a[key]['text']}")
        for key in [key for key in b if key in a and a[key] != b[key]]:
            _compare_entries(report, nouns, a[key], b[key])
        # a paper that moved to another year has another place, too
        common = [key for key in b if key in a and a[key].get("year") == b[key].get("year")]
        if common != [key for key in a if key in common]:
            report.add("{} reordered", ("section", "sections"), f"~ order of the entries in {name}")
        _compare_sections(report, name, before.get(name), after.get(name))
    _compare_headers(report, old, new)
    return report


def _find_nouns(name: str, kind: str) -> Nouns:
    if kind == "publications":
        return _PAPER
    section_type = BUILT_IN.get(name)
    return (section_type and section_type.nouns) or (f"entry of {name}", f"entries of {name}")


def _match_renamed_papers(old: dict[str, Entry], new: dict[str, Entry]) -> dict[str, Entry]:
    """Return the old entries, with papers that changed their key under the new key."""
    lost = {key: entry for key, entry in old.items() if key not in new and "authors" in entry}
    names = {}
    for key, entry in new.items():
        if key in old or "authors" not in entry:
            continue
        same = [other for other in lost if other not in names and _is_same_paper(lost[other], entry)]
        if same:
            names[same[0]] = key
    return {names.get(key, key): entry for key, entry in old.items()}


def _is_same_paper(old: Entry, new: Entry) -> bool:
    """Whether two papers have the same title and an author in common, or similar titles and the same authors."""
    a, b = ("".join(filter(str.isalnum, item["title"].casefold())) for item in (old, new))
    authors = [[author["name"].split()[-1].casefold() for author in item["authors"]] for item in (old, new)]
    if a == b and set(authors[0]) & set(authors[1]):
        return True
    return authors[0] == authors[1] and SequenceMatcher(None, a, b).ratio() > 0.8


def _list_entries(section: Entry | None) -> dict[str, Entry]:
    """Return the entries of a section by key, name, id, or else their text."""
    if section is None:
        return {}
    found: list[tuple[str, Entry]] = []
    match section["kind"]:
        case "publications":
            entries = [entry for group in section["groups"] for entry in group["entries"]]
            found = [(entry["key"], _summarize_paper(entry)) for entry in entries]
        case "rows":
            found = [(_identify(row), _summarize_row(row)) for row in section["rows"]]
        case "list":
            texts = [(plain_text(item), item) for item in section["items"]]
            found = [(text, {"text": text, "nodes": nodes}) for text, nodes in texts]
        case "pairs":
            found = [(plain_text(pair["name"]), _summarize_pair(pair)) for pair in section["pairs"]]
        case "table":
            rows = [[plain_text(cell) for cell in cells] for cells in section["cells"]]
            found = [(row[0], {"text": " | ".join(row), "nodes": row}) for row in rows]
        case _:
            paragraphs = [{"text": plain_text(nodes), "nodes": nodes} for nodes in section["paragraphs"]]
            found = [(str(number), paragraph) for number, paragraph in enumerate(paragraphs)]
            figures = [(f"figure {item['name']}", item) for item in section["figures"]]
            found += [(name, {"text": name, **item}) for name, item in figures]
    # equal entries, such as a talk given twice, are distinguished by their order
    seen: Counter[str] = Counter()
    entries_by_key = {}
    for key, entry in found:
        seen[key] += 1
        entries_by_key[f"{key} #{seen[key]}"] = entry
    return entries_by_key


def _identify(row: Entry) -> str:
    item = row["item"]
    if "stars" in item or "description" in item:
        return str(item["name"])
    text = plain_text(row["text"])
    return str(item.get("id") or f"{text} {row['dates'] if 'event' in item else ''}")


def _summarize_paper(entry: Entry) -> Entry:
    values = {name: entry[name] for name in _PAPER_KEYS if name in entry}
    return {"text": f"{entry['title']} ({entry['key']})", **values}


def _summarize_row(row: Entry) -> Entry:
    item = row["item"]
    if "description" in item:
        nodes = [item[key] for key in ("name", "description", "url")]
        return {"text": item["name"], "nodes": nodes, "year": row["dates"], "stars": item.get("stars")}
    text = ", ".join(part for part in (plain_text(row["text"]), row["dates"]) if part)
    return {"text": text, "nodes": row["text"], "lines": row["lines"]}


def _summarize_pair(pair: Entry) -> Entry:
    text = f"{plain_text(pair['name'])}: {plain_text(pair['items'])}"
    return {"text": text, "nodes": [pair["name"], pair["items"]]}


def _compare_entries(report: Report, nouns: Nouns, old: Entry, new: Entry) -> None:
    differing = [name for name in new if old.get(name) != new[name] and name != "text"]
    if "stars" in differing:
        counts = ["none" if item["stars"] is None else format_count(item["stars"]) for item in (old, new)]
        report.add("{}", ("star count", "star counts"), f"★ {new['text']} {' → '.join(counts)}")
        differing.remove("stars")
    if nouns == _PAPER and "year" in differing:
        move = f"from {old['year']} to {new['year']}"
        report.add(f"{{}} moved {move}", nouns, f"~ paper: {new['text']}: moved {move}")
        differing.remove("year")
    if nouns == _PAPER and differing:
        details = "; ".join(f"{name} {_describe(old[name])} → {_describe(new[name])}" for name in differing)
        report.add("{} changed", nouns, f"~ paper: {new['text']}: {details}")
    elif differing or old["text"] != new["text"]:
        was = f" (was: {old['text']})" if old["text"] != new["text"] else f" ({', '.join(differing)})"
        report.add("{} changed", nouns, f"~ {nouns[0]}: {new['text']}{was}")


def _describe(value: Any) -> str:
    if isinstance(value, list):
        names = [str(item.get("name") or f"[{item.get('label')}]") + item.get("mark", "") for item in value]
        return ", ".join(names) or "none"
    return repr(value)


def _compare_sections(report: Report, name: str, old: Entry | None, new: Entry | None) -> None:
    if old is None or new is None:
        sign = "+" if old is None else "-"
        report.add(sign, ("section", "sections"), f"{sign} section {name}")
        return
    for key in ("title", "note", "summary"):
        if old[key] != new[key]:
            was, now = (value if isinstance(value, str) else plain_text(value) for value in (old[key], new[key]))
            if key == "summary":
                report.add("{}", ("total", "totals"), f"~ {name}: {was or 'nothing'} → {now or 'nothing'}")
            else:
                report.add("{} changed", (f"section {key}", f"section {key}s"), f"~ {key} of {name}: {was} → {now}")


def _compare_headers(report: Report, old: Cv, new: Cv) -> None:
    for key in _HEADER_KEYS:
        if old[key] != new[key]:
            report.add("{} changed", ("line of the header", "lines of the header"), f"~ {key}: {old[key]} → {new[key]}")
    if old["updated"] != new["updated"]:
        report.lines.append(f"~ last updated {old['updated']} → {new['updated']}")
