"""The CV and its variants, with the tables and figures of the study that its profile names."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from advgen.core.code import package_file
from advgen.core.definitions import CvDefinition, CvVariant
from advgen.core.errors import ConfigError
from advgen.core.kinds import Files, Kind, Planner
from advgen.core.tasks import Task
from advgen.cv import themes
from advgen.cv.live_values import LiveValue
from advgen.cv.scan import Content, scan_profile
from advgen.specs.base import Spec
from advgen.specs.cv import CvFormat, SectionName


def cv_formats() -> tuple[CvFormat, ...]:
    """Return the default formats of a CV: all that this machine can write."""
    latex: tuple[CvFormat, ...] = ("latex.pdf",) if shutil.which("latexmk") else ()
    return ("pdf", "html", "md", "tex", "docx", "resume.json", *latex)


class CvData(Task):
    """Read profile, publications and metrics, and look up live values."""

    command = "cv-data"
    run = "data"
    reads = ("profile", "overlay", "bibliography", "bibliographies", "section_files", "metrics", "labels", "tables")
    outputs = {"cv": "results/cv/{variant}.json"}
    local = True
    private = True
    selected: bool = False
    tags: tuple[str, ...] = ()
    sections: tuple[SectionName, ...] = ()
    sources: dict[str, str] = {}

    def input_digests(self) -> Mapping[str, str]:
        """Digests of YAML and BibTeX that ignore comments and white space."""
        return self.sources


class CvRender(Task):
    """Write the CV in one format."""

    command = "cv-render"
    run = "render"
    reads = ("cv", "figures", "templates")
    outputs = {"file": "results/cv/{variant}.{format}"}
    local = True
    private = True
    format: CvFormat
    figures: tuple[str, ...]


class Cv(Kind[Spec]):
    """The researcher's CV."""

    order = 94
    tasks = (CvData, CvRender)

    def plan_dependencies(self, planner: Planner) -> None:
        """Plan the transfers and figures that the profile names."""
        cv = planner.study.cv
        if cv is None:
            return
        needs = find_needs(cv)
        for figure in needs.figures:
            if figure not in planner.study.figures:
                known = ", ".join(planner.study.figures) or "none"
                raise ConfigError(f"{cv.profile}: figure {figure!r} is none of the study's figures ({known})")
            planner.jobs_of("figures", figure)
        for value in needs.live_values:
            if value.table in planner.study.transfers:
                planner.jobs_of("transfers", value.table)

    def plan_summaries(self, planner: Planner) -> None:
        cv = planner.study.cv
        if cv is None:
            return
        # imports a BibTeX parser, which no other job needs
        from advgen.cv.sources import digest_source

        needs = find_needs(cv)
        planned = {job.outputs["table"]: None for job in planner.jobs.values() if "table" in job.outputs}
        tables = dict.fromkeys(_find_table(value, planned) for value in needs.live_values)
        figures = tuple(planner.jobs_of("figures", figure)[0].outputs["png"] for figure in needs.figures)
        for name, variant in {"cv": CvVariant(), **cv.variants}.items():
            overlay = variant.overlay or cv.overlay
            content = scan_profile(Path(cv.profile), Path(overlay) if overlay else None)
            inputs: dict[str, Files] = {
                "profile": cv.profile,
                "overlay": (overlay,) if overlay else (),
                "bibliography": (cv.bibliography,) if cv.bibliography else (),
                "bibliographies": needs.bibliographies,
                "section_files": needs.section_files,
                "metrics": (cv.metrics,) if cv.metrics else (),
                "labels": _find_labels(content.language),
                "tables": tuple(tables),
            }
            sources = [cv.profile, overlay, cv.bibliography, *needs.bibliographies, *needs.section_files, cv.metrics]
            task = CvData(
                selected=variant.selected,
                tags=variant.tags,
                sections=variant.sections,
                sources={os.path.relpath(path): digest_source(Path(path)) for path in sources if path},
            )
            data = planner.add(task, {"variant": name}, inputs)
            for format_ in variant.formats or cv.formats or cv_formats():
                rendered: dict[str, Files] = {
                    "cv": data.outputs["cv"],
                    "figures": figures,
                    "templates": _find_templates(cv, content, format_),
                }
                render = CvRender(format=format_, figures=needs.figures)
                planner.add(render, {"variant": name, "format": format_}, rendered)


def _find_table(value: LiveValue, planned: Mapping[str, None]) -> str:
    path = f"results/tables/{value.table}.parquet"
    if path not in planned:
        known = ", ".join(sorted(Path(table).stem for table in planned)) or "none"
        message = f"result('{value.table}', …): no such table (tables of the study: {known})"
        raise ConfigError(f"{value.file}:{value.line}: {message}")
    return path


def _find_labels(language: str) -> tuple[str, ...]:
    """Return the files of the labels: English decides the order of some groups."""
    return tuple(package_file(f"cv/label_files/{name}.yaml") for name in dict.fromkeys((language or "en", "en")))


def _find_templates(cv: CvDefinition, content: Content, format_: CvFormat) -> tuple[str, ...]:
    """Return the files of the theme that a format reads, those of the user first."""
    try:
        custom = themes.custom_folders(Path(cv.profile).parent, content.theme, content.templates)
        files = themes.list_files(format_, themes.search_path(content.theme, custom))
    except ValueError as error:
        raise ConfigError(str(error)) from None
    built_in = themes.FOLDER
    return tuple(
        package_file(f"cv/themes/{path.relative_to(built_in)}") if path.is_relative_to(built_in) else str(path)
        for path in files
    )


class Needs(NamedTuple):
    """What the profile and its overlays name."""

    live_values: tuple[LiveValue, ...]
    figures: tuple[str, ...]
    bibliographies: tuple[str, ...]
    section_files: tuple[str, ...]


def find_needs(cv: CvDefinition) -> Needs:
    """Return the live values, figures and further files that the profile and its overlays name.

    Raises ConfigError if a file is missing or wrong, or a variant names a section that the profile does not order.
    """
    files: dict[tuple[str, ...], str | None] = {
        ("cv", key): getattr(cv, key) for key in ("profile", "bibliography", "metrics", "overlay")
    }
    files |= {("cv", "variants", name, "overlay"): variant.overlay for name, variant in cv.variants.items()}
    for key, path in files.items():
        if path is not None and not Path(path).is_file():
            where = (
                f"paths are relative to the working folder, {Path.cwd()}: with --directory, copy the CV's files there"
            )
            raise ConfigError(f" = {path!r}: no such file; name one, or set cv: null for no CV; {where}", key)
    contents = []
    for overlay in dict.fromkeys([cv.overlay, *(variant.overlay for variant in cv.variants.values())]):
        try:
            content = scan_profile(Path(cv.profile), Path(overlay) if overlay else None)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        contents.append(content)
        for name, variant in cv.variants.items():
            for section in variant.sections:
                if (variant.overlay or cv.overlay) == overlay and section not in (content.sections or [section]):
                    known = ", ".join(content.sections)
                    key = ("cv", "variants", name, "sections")
                    raise ConfigError(f": {section!r} is none of the profile's ({known})", key)
    folder = Path(cv.profile).parent
    bibliographies = {str(folder / file): "bibliography" for content in contents for file in content.bibliographies}
    section_files = {str(folder / file): "section file" for content in contents for file in content.section_files}
    for file, what in (bibliographies | section_files).items():
        if not Path(file).is_file():
            raise ConfigError(f"{cv.profile}: the {what} {file} is missing; write it, or remove its section")
    return Needs(
        tuple(dict.fromkeys(value for content in contents for value in content.live_values)),
        tuple(dict.fromkeys(figure for content in contents for figure in content.figures)),
        tuple(bibliographies),
        tuple(section_files),
    )


KIND = Cv()
