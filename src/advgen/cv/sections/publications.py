"""The publication list, and custom sections that list a part of the bibliography or a bibliography of their own."""

from typing import Any, Self

from pydantic import model_validator

from advgen.cv.fields import FilePath, Plain
from advgen.cv.grouping import group_entries
from advgen.cv.inline import Node, merge_strings
from advgen.cv.labels import fill
from advgen.cv.sections.base import Body, Context, CustomSection, Filter, Section, SectionType
from advgen.cv.sections.repositories import add_counts

Publication = dict[str, Any]


class Bibliography(CustomSection):
    """Publications of another file, or some of the main one: of some types, with some tags, or the selected ones.

    The section "publications" no longer lists what such a section takes from the main bibliography.
    """

    file: FilePath | None = None
    types: list[Plain] = []
    tags: list[Plain] = []
    selected: bool = False

    @model_validator(mode="after")
    def _check_criteria(self) -> Self:
        if not (self.file or self.types or self.tags or self.selected):
            raise ValueError("needs file, types, tags or selected; without one it lists every publication")
        return self


def distribute(context: Context) -> None:
    """Apply the filter, and move entries of the main bibliography to the custom sections that list them."""
    ordered = {item.section for item in context.profile.order}
    publications = {name: filter_entries(entries, context.filter) for name, entries in context.publications.items()}
    main = publications["publications"]
    taken: set[str] = set()
    for name, custom in context.profile.sections.items():
        if not isinstance(custom, Bibliography):
            continue
        types = {kind.lower() for kind in custom.types}
        entries = [
            entry
            for entry in publications.get(name, main)
            if (not types or {entry["type"], entry["kind"]} & types)
            and (not custom.tags or set(entry["tags"]) & set(custom.tags))
            and (not custom.selected or entry["selected"] or context.filter.selected)
        ]
        if custom.file is None and not custom.selected and name in ordered:
            taken |= {entry["key"] for entry in entries}
        publications[name] = _without_marks(entries) if custom.selected else entries
    publications["publications"] = [entry for entry in main if entry["key"] not in taken]
    context.publications = publications


def filter_entries(entries: list[Publication], chosen: Filter) -> list[Publication]:
    """Return the publications that a filter includes."""
    if chosen.selected:
        entries = _without_marks([entry for entry in entries if entry["selected"]])
    if chosen.tags:
        entries = [entry for entry in entries if set(entry["tags"]) & set(chosen.tags)]
    return entries


def _without_marks(entries: list[Publication]) -> list[Publication]:
    """A list of selected publications alone highlights none of them."""
    return [{**entry, "selected": False} for entry in entries]


def _build(section: Section) -> Body:
    context, entries = section.context, section.context.publications[section.name]
    if not entries:
        path = getattr(section.content, "file", None) or context.bibliography_path
        remedy = f"{path} has no entry" if context.bibliography_path else "name a bibliography"
        context.fail(("order", section.order_index), f"the section {section.name!r} has no data; {remedy}")
    profile = context.profile
    by = section.group_by or "year"
    return {
        "kind": "publications",
        "highlighted": any(entry["selected"] for entry in entries),
        "groups": group_entries(entries, profile.earlier, profile.numbering, by, context.labels),
    }


def _build_main(section: Section) -> Body:
    return {**_build(section), "summary": _summarize_citations(section.context)}


def _summarize_citations(context: Context) -> list[Node]:
    """Return "[Source: 7.3k+ citations and an h-index of 34]", or nothing without metrics."""
    metrics = context.metrics
    parts = []
    if metrics and metrics.citations is not None:
        cited = metrics.citations
        parts.append(
            fill(context.labels, "citations", count=cited if isinstance(cited, str) else add_counts([str(cited)]))
        )
    if metrics and metrics.h_index is not None:
        parts.append(fill(context.labels, "h_index", count=metrics.h_index))
    if not parts:
        return []
    source: Node = {"link": [metrics.source], "url": metrics.url} if metrics.url else metrics.source
    return merge_strings(["[", source, ": " + context.labels["and"].join(parts) + "]"])


PUBLICATIONS = SectionType("publications", build=_build_main, nouns=("paper", "papers"))
BIBLIOGRAPHY = SectionType("bibliography", build=_build, model=Bibliography)
