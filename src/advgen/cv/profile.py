"""profile.yaml and metrics.yaml: their keys, and the checks that need more than one key."""

import logging
import traceback
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union

from pydantic import BeforeValidator, Field, create_model

from advgen.cv import foreign, themes
from advgen.cv.fields import Count, Day, Email, Entry, Figure, FilePath, Link, Model, Plain, Text, Url, Year, one_of
from advgen.cv.labels import DEFAULT, LANGUAGES, Labels, load_labels
from advgen.cv.names import person_key
from advgen.cv.scan import list_figures, list_section_files
from advgen.cv.sections import BUILT_IN, CUSTOM
from advgen.cv.sections.base import SectionType, describe_exception
from advgen.cv.sections.loading import load_section_type
from advgen.cv.sections.publications import Bibliography
from advgen.cv.text_files import suggest
from advgen.cv.validation import validate
from advgen.cv.yaml_files import Document, merge, read
from advgen.specs.cv import SectionName

log = logging.getLogger(__name__)


class Style(Model):
    """How publications are printed: `citation` full adds volume, number, pages, publisher, DOI and arXiv number."""

    given: Literal["full", "initials"] = "full"
    order: Literal["given-first", "family-first"] = "given-first"
    citation: Literal["short", "full"] = "short"


class OrderedSection(Model):
    """A section of the CV, optionally with a heading, a note below it, and the groups of its publications."""

    section: Plain
    title: Plain | None = None
    note: Text | None = None
    group: Literal["year", "type", "tag", "venue", "none"] | None = None


class Person(Entry):
    """A co-author whose name is linked in the publication list."""

    name: Plain
    url: Url
    aliases: list[Plain] = []


class BaseProfile(Model):
    """Keys of profile.yaml other than those of the built-in sections."""

    name: Plain
    aliases: list[Plain] = []
    headline: Text | None = None
    email: Email | None = None
    site: Url | None = None
    links: list[Link] = []
    updated: Day | None = None
    paper: Literal["a4", "us-letter"] = "a4"
    theme: FilePath = themes.DEFAULT
    fonts: list[Plain] = []
    templates: FilePath | None = None
    language: Annotated[str, one_of(LANGUAGES)] = DEFAULT
    labels: dict[str, Plain] = {}
    style: Style = Style()
    earlier: Year | None = None
    numbering: Literal["up", "down", "none"] = "up"
    max_authors: Annotated[int, Field(strict=True, ge=1)] | None = None
    order: list[Annotated[OrderedSection, BeforeValidator(lambda v: {"section": v} if isinstance(v, str) else v)]]
    people: list[Person] = []
    figures: list[Figure] = []
    sections: dict[SectionName, Any] = {}

    @property
    def all_labels(self) -> Labels:
        """The labels of the language, replaced by those of the profile."""
        return {**load_labels(self.language), **self.labels}

    @property
    def owners(self) -> list[str]:
        """Every spelling of the owner's name."""
        return [self.name, *self.aliases]

    def content(self, section: str) -> Any:
        """Return the entries of a built-in section or the model of a custom one; None for the bibliography."""
        return self.sections.get(section) or getattr(self, section, None)


class Metrics(Model):
    """metrics.yaml: numbers that change without the owner, with the day they were read.

    Counts are numbers or, where only the short form is known, texts such as "14.9k" or "7.3k+".
    """

    as_of: Day
    source: Plain = "Google Scholar"
    url: Url | None = None
    citations: Count | None = None
    h_index: Annotated[int, Field(strict=True, ge=0, lt=10_000)] | None = None
    repositories: dict[str, Count] = {}


def load_profile(
    path: Path, overlay: Path | None = None, bibliography: Path | None = None
) -> tuple[BaseProfile, Document, dict[str, SectionType]]:
    """Return the checked profile, the document with its lines, and the types of its custom sections.

    Files of another CV generator are converted; that needs their bibliography for parts of authors' names. Raises
    ValueError, one line per error.
    """
    document = read(path)
    if reader := foreign.find_reader(document):
        document, notes = reader.convert(document, bibliography)
        for line in notes:
            log.warning("%s", line)
    document = merge(document, overlay)
    files = {name: load_section_type(path.parent / name) for name in list_section_files(document.data)}
    types = {**CUSTOM, **files}
    try:
        profile = validate(profile_model(tuple(types.values())), document, list(types))
    except Exception as error:
        paths = {str(one.file.resolve()): one.file for one in files.values() if one.file}
        frames = traceback.extract_tb(error.__traceback__)
        file = next((paths[frame.filename] for frame in frames if frame.filename in paths), None)
        if file is None:
            raise
        raise ValueError(describe_exception(file, error)) from error
    list_figures(document)
    errors = [*_check_people(profile, document), *_check_order(profile, document), *_check_ids(profile, document)]
    errors += [*_check_labels(profile, document), *_check_theme(profile, document)]
    if errors:
        raise ValueError("\n".join(errors))
    return profile, document, types


def load_metrics(path: Path) -> Metrics:
    """Return the checked metrics. Raises ValueError, one line per error."""
    return validate(Metrics, read(path))


@cache
def profile_model(custom_types: tuple[SectionType, ...] = tuple(CUSTOM.values())) -> type[BaseProfile]:
    """Return the model of profile.yaml: the base keys, a key per built-in section, and custom sections by `type`."""
    keys: dict[str, Any] = {name: (list[one.entry], []) for name, one in BUILT_IN.items() if one.entry}  # type: ignore[name-defined]
    custom: Any = Union[tuple(one.custom_model() for one in custom_types)]  # noqa: UP007  built at run time
    keys["sections"] = (dict[SectionName, Annotated[custom, Field(discriminator="type")]], {})
    return create_model("Profile", __base__=BaseProfile, **keys)


def _check_people(profile: BaseProfile, document: Document) -> Iterator[str]:
    seen = {person_key(name): profile.name for name in profile.owners}
    for index, person in enumerate(profile.people):
        for name in {person_key(name) for name in (person.name, *person.aliases)}:
            if name in seen:
                where = document.where(("people", index))
                yield f"{where}: the name {name!r} is also {seen[name]}'s; use a longer spelling"
            seen[name] = person.name


def _check_order(profile: BaseProfile, document: Document) -> Iterator[str]:
    known = [*BUILT_IN, *profile.sections]
    for name in [name for name in profile.sections if name in BUILT_IN]:
        where = document.where(("sections", name))
        yield f"{where}: {name!r} is a built-in section; choose another name"
    seen: set[str] = set()
    for index, ordered in enumerate(profile.order):
        where, name = document.where(("order", index)), ordered.section
        is_publication_list = name == "publications" or isinstance(profile.sections.get(name), Bibliography)
        if name not in known:
            hint = suggest(name, known, cutoff=0.5)
            yield f"{where}: order has no section {name!r}; {hint}allowed: {', '.join(known)}"
        elif ordered.group and not is_publication_list:
            yield f"{where}: group is for publications; remove it from the section {name!r}"
        elif name in seen:
            yield f"{where}: the section {name!r} is ordered twice; remove one"
        elif not is_publication_list and not profile.content(name):
            yield f"{where}: the section {name!r} has no data; add it or remove it from order"
        seen.add(name)


def _check_labels(profile: BaseProfile, document: Document) -> Iterator[str]:
    known = load_labels(profile.language)
    for name, text in profile.labels.items():
        where = document.where(("labels", name))
        if name not in known:
            yield f"{where}: unknown label {name!r}; {suggest(name, known).rstrip() or 'remove it'}"
        elif name.startswith("months") and len(text.split()) != 12:
            yield f"{where}: {name} has {len(text.split())} words; write the twelve months with spaces between"


def _check_theme(profile: BaseProfile, document: Document) -> Iterator[str]:
    for key in ("theme", "templates"):
        try:
            yield from themes.check(document.path.parent, **{key: getattr(profile, key)})
        except ValueError as error:
            yield f"{document.where((key,))}: {error}"


def _check_ids(profile: BaseProfile, document: Document) -> Iterator[str]:
    for name, entries in profile:
        seen: dict[str, int] = {}
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            known = getattr(entry, "id", None)
            if known is not None and seen.setdefault(known, index) != index:
                yield f"{document.where((name, index))}: the id {known!r} appears twice in {name}; change one"
