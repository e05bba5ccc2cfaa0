"""The CV and its variants, with the tables and figures of the study that its profile names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from advgen.core.code import package_file
from advgen.core.definitions import CvDefinition, CvVariant
from advgen.core.errors import ConfigError
from advgen.core.kinds import Files, Kind, Planner
from advgen.core.tasks import Task
from advgen.cv import live_values
from advgen.specs.base import Spec
from advgen.specs.cv import CvFormat, SectionName

TEMPLATES: dict[CvFormat, tuple[str, ...]] = {
    "pdf": ("cv.typ",),
    "html": ("cv.html.j2", "cv.css"),
    "md": ("cv.md.j2",),
    "tex": ("cv.tex.j2",),
    "docx": (),
    "resume.json": (),
    "latex.pdf": ("cv.tex.j2",),
}


def cv_formats() -> tuple[CvFormat, ...]:
    """The formats of a CV where none are named: all that this machine can write."""
    latex: tuple[CvFormat, ...] = ("latex.pdf",) if shutil.which("latexmk") else ()
    return ("pdf", "html", "md", "tex", "docx", "resume.json", *latex)


class CvData(Task):
    """Read profile, publications and metrics, and look up live values."""

    command = "cv-data"
    run = "data"
    reads = ("profile", "overlay", "bibliography", "bibliographies", "metrics", "tables")
    outputs = {"cv": "results/cv/{variant}.json"}
    local = True
    private = True
    selected: bool = False
    tags: tuple[str, ...] = ()
    sections: tuple[SectionName, ...] = ()
    sources: dict[str, str] = {}

    def input_digests(self) -> Mapping[str, str]:
        """Of YAML and BibTeX, so that comments and white space cost nothing."""
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
        """The transfers and figures that the profile names."""
        cv = planner.study.cv
        if cv is None:
            return
        cells, figures, _ = named(cv)
        for figure in figures:
            if figure not in planner.study.figures:
                known = ", ".join(planner.study.figures) or "none"
                raise ConfigError(f"{cv.profile}: figure {figure!r} is none of the study's figures ({known})")
            planner.jobs_of("figures", figure)
        for cell in cells:
            if cell.table in planner.study.transfers:
                planner.jobs_of("transfers", cell.table)

    def plan_summaries(self, planner: Planner) -> None:
        cv = planner.study.cv
        if cv is None:
            return
        # a parser of BibTeX, which no other job needs
        from advgen.cv.sources import digest_source

        cells, figures, bibliographies = named(cv)
        tables = {job.outputs["table"]: None for job in planner.jobs.values() if "table" in job.outputs}
        used = []
        for cell in cells:
            path = f"results/tables/{cell.table}.parquet"
            if path not in tables:
                known = ", ".join(sorted(Path(table).stem for table in tables)) or "none"
                message = f"result('{cell.table}', …): no such table (tables of the study: {known})"
                raise ConfigError(f"{cell.file}:{cell.line}: {message}")
            used.append(path)
        drawn = tuple(planner.jobs_of("figures", figure)[0].outputs["png"] for figure in figures)
        for name, variant in {"cv": CvVariant(), **cv.variants}.items():
            overlay = variant.overlay or cv.overlay
            inputs: dict[str, Files] = {
                "profile": cv.profile,
                "overlay": (overlay,) if overlay else (),
                "bibliography": (cv.bibliography,) if cv.bibliography else (),
                "bibliographies": bibliographies,
                "metrics": (cv.metrics,) if cv.metrics else (),
                "tables": tuple(dict.fromkeys(used)),
            }
            read = [cv.profile, overlay, cv.bibliography, *bibliographies, cv.metrics]
            chosen = CvData(
                selected=variant.selected,
                tags=variant.tags,
                sections=variant.sections,
                sources={os.path.relpath(path): digest_source(Path(path)) for path in read if path},
            )
            data = planner.add(chosen, {"variant": name}, inputs)
            for format_ in variant.formats or cv.formats or cv_formats():
                rendered: dict[str, Files] = {
                    "cv": data.outputs["cv"],
                    "figures": drawn,
                    "templates": tuple(
                        _template(cv, variant.overlay or cv.overlay, file) for file in TEMPLATES[format_]
                    ),
                }
                task = CvRender(format=format_, figures=figures)
                planner.add(task, {"variant": name, "format": format_}, rendered)


def _template(cv: CvDefinition, overlay: str | None, file: str) -> str:
    """A template of the user's, or else ours."""
    folder = live_values.scan_profile(Path(cv.profile), Path(overlay) if overlay else None).templates
    own = Path(cv.profile).parent / folder / file
    return str(own) if folder and own.is_file() else package_file(f"cv/templates/{file}")


def named(cv: CvDefinition) -> tuple[tuple[live_values.LiveValue, ...], tuple[str, ...], tuple[str, ...]]:
    """The table cells, figures and further bibliographies that the profile and its overlays name.

    ConfigError if a file is missing or wrong, or a variant names a section that the profile does not order.
    """
    files: dict[tuple[str, ...], str | None] = {
        ("cv", key): getattr(cv, key) for key in ("profile", "bibliography", "metrics", "overlay")
    }
    files |= {("cv", "variants", name, "overlay"): variant.overlay for name, variant in cv.variants.items()}
    for key, path in files.items():
        if path is not None and not Path(path).is_file():
            place = (
                f"paths are relative to the working folder, {Path.cwd()}: with --directory, copy the CV's files there"
            )
            raise ConfigError(f" = {path!r}: no such file; name one, or set cv: null for no CV; {place}", key)
    cells, figures, more = dict[live_values.LiveValue, None](), dict[str, None](), dict[str, None]()
    for overlay in dict.fromkeys([cv.overlay, *(variant.overlay for variant in cv.variants.values())]):
        try:
            content = live_values.scan_profile(Path(cv.profile), Path(overlay) if overlay else None)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        cells |= dict.fromkeys(content.live_values)
        figures |= dict.fromkeys(content.figures)
        more |= dict.fromkeys(str(Path(cv.profile).parent / file) for file in content.bibliographies)
        for name, variant in cv.variants.items():
            for section in variant.sections:
                if (variant.overlay or cv.overlay) == overlay and section not in (content.sections or [section]):
                    known = ", ".join(content.sections)
                    key = ("cv", "variants", name, "sections")
                    raise ConfigError(f": {section!r} is none of the profile's ({known})", key)
    for file in more:
        if not Path(file).is_file():
            raise ConfigError(f"{cv.profile}: the bibliography {file} is missing; write it, or take its section out")
    return tuple(cells), tuple(figures), tuple(more)


KIND = Cv()
