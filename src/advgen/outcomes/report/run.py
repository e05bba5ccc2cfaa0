"""Write the report, the page with all figures, tables and checks."""

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
from advgen.report.page import Figure, Section, Table, render, select_checks
from advgen.study.yaml import DEFAULT_STUDY

OTHER_MACHINES = "another kind of machine gives different models, like another seed (docs/machines.md)"
GROUPS = ("Comparisons", "Data and judge", "Generative lab", "Adversarial lab")


def run(job: Job[Report]) -> None:
    """Write figures with captions and tables by group, then the checks; missing figures are listed as missing."""
    spec = job.spec
    captions = {path.stem: path.read_text(encoding="utf-8") for path in job.inputs["captions"]}
    tables = {path: read_table(path) for path in job.inputs["tables"] if path.is_file()}
    checks = next((table for table in tables.values() if table_kind(table) == "sanity_checks"), None)
    checked = checks.to_pylist() if checks is not None else []
    content_by_figure = {
        figure: read_figure(figure, captions[figure.kind], files, checked, spec)
        for figure, *files in zip(spec.figures, *(job.inputs[flag] for flag in FILES), strict=True)
    }
    sections = []
    for group in GROUPS:
        figures = [content for figure, content in content_by_figure.items() if figure.group == group]
        if figures:
            sections.append(Section(group, "Figures", figures=figures))
        group_tables = [
            Table(kind.title, hide_columns(table, kind.hidden), str(path), kind.measured, path.read_bytes())
            for path, table in tables.items()
            if (kind := spec.report_tables.get(table_kind(table))) and kind.group == group
        ]
        if group_tables:
            sections.append(Section(group, "Tables", tables=group_tables))
    facts = {"code": job.code, "study": spec.title}
    stamps = [stamp for path in (*tables, *job.inputs["figures"]) if path.is_file() and (stamp := read_stamp(path))]
    versions = {name: version for stamp in stamps for name, version in stamp.versions.items()}
    facts["versions"] = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    made_on = {stamp.device for stamp in stamps} - {"cpu"}  # the device of summaries says nothing about the results
    if made_on:
        facts["computed on"] = f"{', '.join(sorted(made_on))}; {OTHER_MACHINES}"
    if spec.credits:  # their licences require it wherever the images are shown
        facts["images"] = "; ".join(spec.credits)
    page = render(spec.title, sections, job.stamp.token(), checks=checks, provenance=facts)
    write_bytes(job.output(), page.encode())


FILES = ("figures", "dark", "finding")
"""Inputs with the files of each figure: its PNG, the one for a dark page, and its finding."""


def read_figure(
    figure: ReportFigure, caption: str, files: Sequence[Path], checks: Sequence[Mapping[str, Any]], spec: Report
) -> Figure:
    """Return a figure with its files, finding, definition and checks."""
    (png, dark, finding), name = files, figure.name
    options = "" if spec.study == DEFAULT_STUDY else f" --config study={spec.study}"
    command = f"snakemake --cores 1 {png}{options}"
    if not all(path.is_file() for path in files):
        return Figure(name, caption, None, command=command)
    content, stamp = json.loads(finding.read_text(encoding="utf-8")), read_stamp(png)
    return Figure(
        name,
        caption,
        png.read_bytes(),
        dark=dark.read_bytes(),
        title=content.get("title", ""),
        sentence=content.get("sentence", ""),
        rows=pa.Table.from_pylist(content["rows"]) if content.get("rows") else None,
        definition=format_definitions(figure, spec.definitions),
        command=command,
        inputs=stamp.inputs if stamp is not None else {},
        explorer=content.get("explorer"),
        checks=select_checks(checks, content["names"]),
    )


def format_definitions(figure: ReportFigure, definitions: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the definitions of a figure and of all that it depends on, as YAML of a study."""
    definitions_of_figure: dict[str, dict[str, Any]] = {}
    for family, name in figure.made_of:
        definitions_of_figure.setdefault(family, {})[name] = _sort_keys(definitions[family][name])
    text: str = yaml.safe_dump(
        definitions_of_figure, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None
    )
    return text


def _sort_keys(value: Any) -> Any:
    """Move the keys first that say what a definition is; the JSON of a command has them in alphabetical order."""
    if isinstance(value, list):
        return [_sort_keys(item) for item in value]
    if not isinstance(value, dict):
        return value
    first = ("kind", "preset", "dataset", "base")
    return {key: _sort_keys(value[key]) for key in sorted(value, key=lambda key: key not in first)}


def hide_columns(table: pa.Table, hidden: Sequence[str]) -> pa.Table:
    """Return a table without the hidden columns."""
    return table.drop_columns([name for name in hidden if name in table.column_names])
