"""The CV as plain data, the content of cv.json: everything that a format needs."""

import datetime
import logging
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel

from advgen.cv import bibliography, foreign
from advgen.cv.labels import fill
from advgen.cv.live_values import LiveValue
from advgen.cv.profile import BaseProfile, OrderedSection, load_metrics, load_profile
from advgen.cv.sections import BUILT_IN
from advgen.cv.sections.base import Context, Filter, Section, SectionType
from advgen.cv.sections.publications import Bibliography, distribute
from advgen.cv.yaml_files import Location, read

log = logging.getLogger(__name__)

STALE_DAYS = 180
"""Metrics that are older than the CV by more days get a warning."""
_DATE = r"(?<!\d)((?:19|20)\d\d)(?!\d)(?:-(0[1-9]|1[0-2])(?:-(0[1-9]|[12]\d|3[01]))?(?!\d))?"
_HOSTS = {
    "github.com": "GitHub", "gitlab.com": "GitLab", "linkedin.com": "LinkedIn", "twitter.com": "Twitter", "x.com": "X",
    "orcid.org": "ORCID", "scholar.google.com": "Google Scholar", "dblp.org": "DBLP", "openreview.net": "OpenReview",
    "researchgate.net": "ResearchGate", "mastodon.social": "Mastodon", "bsky.app": "Bluesky",
    "huggingface.co": "Hugging Face", "youtube.com": "YouTube",
}  # fmt: skip


def build(
    profile_path: Path,
    bibliography_path: Path | None,
    metrics_path: Path | None,
    look_up: Callable[[LiveValue], object],
    *,
    overlay: Path | None = None,
    chosen: Filter | None = None,
) -> dict[str, Any]:
    """Return the CV as JSON data.

    `overlay` is a YAML file that is merged over the profile by item id. `look_up` returns the value of a live value,
    and raises ValueError if there is not exactly one.

    Raises ValueError with one line `file:line: what; remedy` per error, of all files at once. Warnings of the same form
    go to the log.
    """
    errors: list[str] = []
    profile, metrics = None, None
    try:
        profile, document, types = load_profile(profile_path, overlay, bibliography_path)
    except ValueError as error:
        errors.append(str(error))

    def load_entries(path: Path) -> list[dict[str, Any]]:
        # a wrong profile must not hide the errors of the bibliography
        people = {name: one.url for one in profile.people for name in (one.name, *one.aliases)} if profile else {}
        printed = {"labels": profile.all_labels, "style": profile.style.model_dump()} if profile else {}
        try:
            return bibliography.load(
                path,
                profile.owners if profile else (),
                people,
                profile.max_authors if profile else None,
                repair=_is_foreign(profile_path),
                **printed,
            )
        except ValueError as error:
            errors.append(str(error))
            return []

    publications = {"publications": load_entries(bibliography_path) if bibliography_path else []}
    for name, custom in profile.sections.items() if profile else ():
        if isinstance(custom, Bibliography) and custom.file:
            publications[name] = load_entries(profile_path.parent / custom.file)
    try:
        metrics = load_metrics(metrics_path) if metrics_path else None
    except ValueError as error:
        errors.append(str(error))
    if errors or profile is None:
        raise ValueError("\n".join(dict.fromkeys(line for error in errors for line in error.split("\n"))))
    paths = (bibliography_path, metrics_path)
    chosen = chosen or Filter()
    context = Context(profile, document, profile.all_labels, metrics, *paths, look_up, chosen, publications)
    return _Builder(context, types).build()


def _is_foreign(profile: Path) -> bool:
    with suppress(ValueError):
        return foreign.is_bamos_cv(read(profile).data)
    return False


class _Builder:
    """Builds the sections in order, with the errors of all of them."""

    def __init__(self, context: Context, types: dict[str, SectionType]) -> None:
        self.context = context
        self.types = types
        self.profile: BaseProfile = context.profile
        self.labels = context.labels

    def build(self) -> dict[str, Any]:
        profile, context = self.profile, self.context
        updated = self.find_date()
        self.check_filter()
        distribute(context)
        sections: list[dict[str, Any]] = []
        for index, ordered in enumerate(profile.order):
            if self.is_shown(ordered.section):
                previous = sections[-1]["id"] if sections else ""
                try:
                    sections.append(self.build_section(ordered, index, previous))
                except ValueError as error:
                    context.errors.append(str(error))
        headline = context.text(profile.headline, "headline")
        self.warn_of_unordered()
        if context.errors:
            raise ValueError("\n".join(context.errors))
        assert updated is not None
        month = self.labels["months"].split()[updated.month - 1]
        return {
            "name": profile.name,
            "headline": headline,
            "email": profile.email,
            "site": profile.site,
            "links": [{**link.model_dump(), "label": _label_host(link.label, link.url)} for link in profile.links],
            "updated": updated.isoformat(),
            "updated_text": fill(self.labels, "day", month=month, day=updated.day, year=updated.year),
            "language": profile.language,
            "words": dict(self.labels),
            "paper": profile.paper,
            "theme": Path(profile.theme).name,
            "fonts": profile.fonts,
            "numbering": profile.numbering,
            "sections": sections,
        }

    def build_section(self, ordered: OrderedSection, index: int, previous: str) -> dict[str, Any]:
        name = ordered.section
        custom = self.profile.sections.get(name)
        content, location, numbered = self.profile.content(name), (name,), None
        if custom is None:
            section_type, title = BUILT_IN[name], self.labels[name]
        else:
            section_type, title, location = self.types[custom.type], custom.title, ("sections", name)  # type: ignore[assignment]
            if section_type.model is None:
                content, location = custom.items, (*location, "items")  # type: ignore[assignment]
                numbered = getattr(custom, "numbered", None)
        section = Section(self.context, name, content, location, index, ordered.group, numbered)
        return {
            "id": name,
            "title": ordered.title or title or name.replace("_", " ").replace("-", " ").capitalize(),
            "level": 3 if name == "reviewing" and previous == "service" else 2,
            "note": self.context.text(ordered.note, "order", index, "note"),
            "summary": [],
            **section_type.build_body(section),
        }

    def all_entries(self) -> list[Any]:
        """Return the entries of all sections but the publications."""
        sections = [*(getattr(self.profile, name, ()) for name in BUILT_IN)]
        sections += [getattr(custom, "items", ()) for custom in self.profile.sections.values()]
        return [entry for entries in sections for entry in entries]

    def check_filter(self) -> None:
        """Record an error for each section or tag that the filter names and nothing has."""
        context = self.context
        ordered = [item.section for item in self.profile.order]
        for name in context.filter.sections:
            if name not in ordered:
                what = f"the section {name!r} is chosen but not in order; add it there, or choose another"
                context.fail(("order",), what)
        known = {tag for entry in self.all_entries() for tag in getattr(entry, "tags", ())}
        known |= {tag for publication in context.publications["publications"] for tag in publication["tags"]}
        for tag in context.filter.tags:
            if tag not in known:
                names = ", ".join(sorted(known)) or "none"
                context.fail((), f"the tag {tag!r} is chosen but nothing has it; known tags: {names}")

    def is_shown(self, name: str) -> bool:
        """Whether the filter includes a section, and any of its entries."""
        chosen = self.context.filter
        if chosen.sections and name not in chosen.sections:
            return False
        if name in self.context.publications:
            return bool(self.context.publications[name]) or chosen == Filter()
        content = self.profile.content(name)
        if isinstance(content, BaseModel):
            content = content.items if self.types[content.type].write_row else [content]  # type: ignore[attr-defined]
        return any(chosen.includes(entry) for entry in content)

    def find_date(self) -> datetime.date | None:
        """Return the date of the CV: the later of `updated` and that of the metrics, or of the newest entry."""
        context, metrics = self.context, self.context.metrics
        as_of = metrics.as_of if metrics else None
        days = [day for day in (self.profile.updated, as_of) if day]
        remedy = "add updated: or a metrics file with as_of"
        if not days:
            newest = self.find_newest()
            if newest is None:
                context.errors.append(f"{context.document.path}:1: the CV has no date; {remedy}")
                return None
            what = "the CV has no date, so it gets the date of its newest entry"
            log.warning("%s:1: %s, %s; %s", context.document.path, what, newest, remedy)
            return newest
        if as_of and (age := (max(days) - as_of).days) > STALE_DAYS:
            log.warning("%s:1: the metrics are %d days older than the CV; update them", context.metrics_path, age)
        return max(days)

    def find_newest(self) -> datetime.date | None:
        """Return the first day of the latest year, month or day of an entry or publication."""
        texts = [str(getattr(e, key, "")) for e in self.all_entries() for key in ("date", "start", "end", "year")]
        publications = [entry for entries in self.context.publications.values() for entry in entries]
        texts += [str(entry["year"]) for entry in publications if isinstance(entry["year"], int)]
        days = []
        for year, month, day in (match for text in texts for match in re.findall(_DATE, text)):
            first = datetime.date(int(year), int(month or 1), 1)
            with suppress(ValueError):  # February 31 counts as February
                first = first.replace(day=int(day or 1))
            days.append(first)
        return max(days, default=None)

    def warn_of_unordered(self) -> None:
        """Warn of data in sections that `order` does not list."""
        context, ordered = self.context, {item.section for item in self.profile.order}
        unordered: list[tuple[str, Location]] = [
            (name, (name,)) for name in BUILT_IN if name not in ordered and getattr(self.profile, name, None)
        ]
        unordered += [(name, ("sections", name)) for name in self.profile.sections if name not in ordered]
        places = {name: context.document.where(location) for name, location in unordered}
        if context.publications["publications"] and "publications" not in ordered:
            places["publications"] = f"{context.bibliography_path}:1"
        for name, where in places.items():
            log.warning("%s: order does not list %r, so its data are not shown; add it to order", where, name)
        if self.profile.figures and "experiments" not in ordered:
            where = context.document.where(("figures",))
            log.warning("%s: figures are shown in the section 'experiments' only; add it to order", where)


def _label_host(label: str, url: str) -> str:
    """Return a label that says where a link leads: "GitHub: name"."""
    host = _HOSTS.get((urlsplit(url).hostname or "").removeprefix("www."), "")
    host_words, label_words = set(host.lower().split()), set(label.lower().replace(":", " ").split())
    return label if host_words <= label_words or label_words <= host_words else f"{host}: {label}"
