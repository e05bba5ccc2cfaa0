"""The page that shows everything."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from advgen.files.provenance import write_bytes
from advgen.io.stamps import read_stamp
from advgen.io.tables import read_table, table_kind
from advgen.jobs.job import Job
from advgen.outcomes.report.outcome import Report, ReportFigure
from advgen.report.page import Figure, Section, Table, concerning, render
from advgen.study.yaml import DEFAULT_STUDY

ELSEWHERE = "another kind of machine trains other models, as another seed does (docs/machines.md)"
GROUPS = ("Comparisons", "Data and judge", "Generative lab", "Adversarial lab")


def run(job: Job[Report]) -> None:
    """Figures with captions and tables by part, then the checks. A figure whose files are not there is told as such."""
    spec = job.spec
    captions = {path.stem: path.read_text(encoding="utf-8") for path in job.inputs["captions"]}
    tables = {path: read_table(path) for path in job.inputs["tables"] if path.is_file()}
    checks = next((table for table in tables.values() if table_kind(table) == "sanity_checks"), None)
    checked = checks.to_pylist() if checks is not None else []
    shown_figures = {
        figure: whole(figure, captions[figure.kind], files, checked, spec)
        for figure, *files in zip(spec.figures, *(job.inputs[flag] for flag in FILES), strict=True)
    }
    sections = []
    for group in GROUPS:
        figures = [shown for figure, shown in shown_figures.items() if figure.group == group]
        if figures:
            sections.append(Section(group, "Figures", figures=figures))
        shown = [
            Table(kind.title, light(table, kind.hidden), str(path), kind.measured, path.read_bytes())
            for path, table in tables.items()
            if (kind := spec.shown.get(table_kind(table))) and kind.group == group
        ]
        if shown:
            sections.append(Section(group, "Tables", tables=shown))
    facts = {"code": job.code, "study": spec.title}
    stamps = [stamp for path in (*tables, *job.inputs["figures"]) if path.is_file() and (stamp := read_stamp(path))]
    versions = {name: version for stamp in stamps for name, version in stamp.versions.items()}
    facts["versions"] = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    made_on = {stamp.device for stamp in stamps} - {"cpu"}  # which a summary says
    if made_on:
        facts["computed on"] = f"{', '.join(sorted(made_on))}; {ELSEWHERE}"
    if spec.credits:  # their licences ask for it wherever the images are shown
        facts["images"] = "; ".join(spec.credits)
    page = render(spec.title, sections, job.stamp.token(), checks=checks, provenance=facts)
    write_bytes(job.output(), page.encode())


FILES = ("figures", "dark", "shown")
"""The flags of a figure's files: its picture, the one for a dark page, and what it shows."""


def whole(
    figure: ReportFigure, caption: str, files: Sequence[Path], checks: Sequence[Mapping[str, Any]], spec: Report
) -> Figure:
    """A figure with all that is told of it."""
    (png, dark, told), name = files, figure.name
    others = "" if spec.study == DEFAULT_STUDY else f" --config study={spec.study}"
    command = f"snakemake --cores 1 {png}{others}"
    if not all(path.is_file() for path in files):
        return Figure(name, caption, None, command=command)
    shown, stamp = json.loads(told.read_text(encoding="utf-8")), read_stamp(png)
    return Figure(
        name,
        caption,
        png.read_bytes(),
        dark=dark.read_bytes(),
        title=shown.get("title", ""),
        sentence=shown.get("sentence", ""),
        rows=pa.Table.from_pylist(shown["rows"]) if shown.get("rows") else None,
        asked=block(figure, spec.definitions),
        command=command,
        inputs=stamp.inputs if stamp is not None else {},
        explorer=shown.get("explorer"),
        checks=concerning(checks, shown["names"]),
    )


def block(figure: ReportFigure, definitions: Mapping[str, Mapping[str, Any]]) -> str:
    """The figure and all that it is made of, as a study asks for them."""
    asked: dict[str, dict[str, Any]] = {}
    for family, name in figure.made_of:
        asked.setdefault(family, {})[name] = _leading(definitions[family][name])
    text: str = yaml.safe_dump(asked, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None)
    return text


def _leading(value: Any) -> Any:
    """The same with the keys first that say what it is; a command's JSON has them in the order of letters."""
    if isinstance(value, list):
        return [_leading(one) for one in value]
    if not isinstance(value, dict):
        return value
    first = ("kind", "preset", "dataset", "base")
    return {key: _leading(value[key]) for key in sorted(value, key=lambda key: key not in first)}


def light(table: pa.Table, hidden: Sequence[str]) -> pa.Table:
    """A table without the columns that say too much for a page."""
    return table.drop_columns([name for name in hidden if name in table.column_names])
