"""The parts of a printed citation, and the BibTeX that readers download."""

import re
from collections.abc import Mapping

from advgen.cv.dialects import CITED_FIELDS, REQUIRED_VENUES
from advgen.cv.labels import Labels, fill, format_date
from advgen.cv.tex import encode, has_balanced_braces


def format_details(facts: Mapping[str, str], venue_field: str, month: str, labels: Labels) -> str:
    """Return " 12(3), 45–67, Springer," as it is printed between the venue and the year."""
    volume, number, series = (facts.get(name, "") for name in ("volume", "number", "series"))
    issue = volume
    if number:
        issue = f"{volume}({number})" if volume else fill(labels, "number", number=number)
    if series:
        issue = f"{series} {issue}".strip()
    elif volume and venue_field == "publisher":
        issue = fill(labels, "volume", volume=issue)  # a bare number would look like one of the publisher's
    parts = [issue, facts.get("pages", ""), facts.get("publisher", "") if venue_field != "publisher" else ""]
    if month:
        parts.append(format_date(f"0000-{int(month):02d}", labels).split()[0])
    details = ", ".join(part for part in parts if part)
    if not details:
        return ""
    # a comma separates all but the number of a journal from the venue
    is_separate = venue_field in ("booktitle", "publisher") and any(parts[:2]) and not issue[:1].isdigit()
    return f"{', ' if is_separate else ' '}{details}{'' if month else ','}"


def without_year(venue: str, year: int | str) -> tuple[str, str]:
    """Return a venue without the year at its end, which is printed behind it, and the comma between the two."""
    found = re.search(rf"(?<=\w)(?:(,?)\s+{year}|\s*\({year}\))$", venue)
    return (venue[: found.start()], found[1] or "") if found else (venue, "")


def to_bibtex(entry_type: str, key: str, texts: Mapping[str, str], venue: str, year: int | str) -> str:
    """Return an entry for others to cite: standard fields only, in a fixed order.

    Adds the venue and year that the type requires if the entry has them elsewhere, such as in `_venue`.
    """
    fields = {name: text for name, text in texts.items() if name in CITED_FIELDS and text}
    fields = {name: text for name, text in fields.items() if has_balanced_braces(re.sub(r"\\.", "", text))}
    venue_fields = REQUIRED_VENUES.get(entry_type, ("howpublished",))
    is_required = entry_type in REQUIRED_VENUES or "_venue" in texts
    if is_required and venue and not fields.keys() & {*venue_fields}:
        fields[venue_fields[0]] = encode(venue)
    if isinstance(year, int) and year and not fields.keys() & {"year", "date"}:
        fields["year"] = str(year)
    first = [name for name in ("title", "author") if name in fields]
    ordered = [*first, *sorted(name for name in fields if name not in first)]
    lines = [f"  {name} = {{{fields[name]}}},\n" for name in ordered]
    return f"@{entry_type}{{{key},\n{''.join(lines)}}}\n"
