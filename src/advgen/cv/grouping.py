"""Groups and numbers of a publication list."""

import re
from typing import Any

from advgen.cv.labels import Labels, fill, load_labels

# "in press" and other entries without a year come first
_FORTHCOMING = 9999


def group_entries(
    entries: list[dict[str, Any]],
    earlier: int | None,
    numbering: str = "up",
    by: str = "year",
    labels: Labels | None = None,
) -> list[dict[str, Any]]:
    """Return entries in numbered groups by year, type, tag or venue ("none": one group), newest first.

    Entries of one year keep the order of the file. Years up to `earlier` are one group. `numbering` "up" gives the
    first entry the number 1, "down" the last.
    """
    labels = labels or load_labels()
    ordered = sorted(entries, key=lambda entry: -_year(entry))
    titles = {id(entry): _group_title(entry, by, earlier, labels) for entry in ordered}
    if by != "year":
        order = list(dict.fromkeys(titles.values()))
        if by == "type":
            known = [labels[name] for name in load_labels() if labels.get(name) in order]
            order = sorted(order, key=lambda title: known.index(title) if title in known else len(known))
        ordered.sort(key=lambda entry: order.index(titles[id(entry)]))
    groups: list[dict[str, Any]] = []
    for number, entry in zip(count_entries(len(ordered), numbering), ordered, strict=True):
        title = titles[id(entry)]
        if not groups or groups[-1]["title"] != title:
            groups.append({"title": title, "entries": []})
        groups[-1]["entries"].append({"number": number, **entry})
    return groups


def count_entries(count: int, numbering: str) -> range:
    """Return the numbers of a list: "up" from 1, or "down" to 1."""
    return range(1, count + 1) if numbering == "up" else range(count, 0, -1)


def _year(entry: dict[str, Any]) -> int:
    return entry["year"] if isinstance(entry["year"], int) else _FORTHCOMING


def _group_title(entry: dict[str, Any], by: str, earlier: int | None, labels: Labels) -> str:
    match by:
        case "year" if earlier is not None and _year(entry) <= earlier:
            return fill(labels, "earlier", year=earlier)
        case "year":
            year = str(entry["year"])
            return year[:1].upper() + year[1:]
        case "type":
            return labels[entry["kind"]]
        case "tag":
            return entry["tags"][0] if entry["tags"] else labels["misc"]
        case "venue":  # all preprints are one group
            return re.sub(r"^arXiv\b.*", "arXiv", str(entry["venue"]), flags=re.IGNORECASE) or labels["misc"]
    return ""
