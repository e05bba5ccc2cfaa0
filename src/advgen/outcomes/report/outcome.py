"""Plan the report, the page with all figures, tables and checks."""

from typing import Any

from advgen.core.code import package_file
from advgen.core.kinds import Files, Kind, Planner
from advgen.core.schema import TABLES
from advgen.core.tasks import Task
from advgen.outcomes.figures.outcome import Draw, caption_file
from advgen.registry import kind_of
from advgen.specs.base import Spec, canonical_json
from advgen.study.export import Definitions, collect_with_dependencies, export_value


class ReportFigure(Spec):
    """One figure of the report, and the definitions of the study that it depends on, by family and name."""

    name: str
    kind: str
    group: str
    made_of: tuple[tuple[str, str], ...] = ()


class ReportTable(Spec):
    """How the report shows the tables of one kind."""

    title: str
    group: str
    hidden: tuple[str, ...]
    measured: tuple[str, ...]


class Report(Task):
    """Write the report with all figures, tables and checks."""

    command = "report"
    rule = "report_page"
    reads = ("figures", "dark", "finding", "tables", "captions", "templates")
    outputs = {"page": "results/report/index.html"}
    local = True
    title: str
    study: str
    figures: tuple[ReportFigure, ...]
    definitions: dict[str, dict[str, Any]]
    report_tables: dict[str, ReportTable]
    credits: tuple[str, ...] = ()


TABLE_ROLES = {
    "summarise": "table",
    "evaluate_classifiers": "table",
    "agree": "table",
    "count_parameters": "table",
    "calibrate_judge": "calibration",
    "sanity_checks": "checks",
}
"""Rules whose tables are in the report, and the role of the table."""


MAX_DEFINITIONS = 60_000
"""Largest length of all definitions, half of what a command line can hold. Beyond it, only figures are included."""


class ReportPage(Kind[Spec]):
    """The report."""

    order = 95
    tasks = (Report,)

    def plan_summaries(self, planner: Planner) -> None:
        figures = [(job, job.task.figure) for job in planner.jobs.values() if isinstance(job.task, Draw)]
        if not figures:
            return
        made_of, definitions = collect_definitions(planner, [job.wildcards["figure"] for job, _ in figures])
        report_figures = tuple(
            ReportFigure(name=name, kind=kind_of(type(spec)), group=spec.group, made_of=made_of[name])
            for name, spec in ((job.wildcards["figure"], spec) for job, spec in figures)
        )
        captions = {kind_of(type(spec)): caption_file(spec) for _, spec in figures}
        tables = tuple(path for rule, role in TABLE_ROLES.items() for path in planner.outputs_of(rule, role))
        kinds = {kind for job in planner.jobs.values() if job.rule in TABLE_ROLES for kind in job.task.written_tables()}
        report_tables = {
            kind: ReportTable(title=one.title, group=one.group, hidden=one.hidden, measured=one.measured)
            for kind, one in TABLES.items()
            if kind in kinds and one.title
        }
        raw = [job.task.dataset for job in planner.jobs.values() if job.rule == "make_dataset"]  # type: ignore[attr-defined]
        credits = tuple(sorted({credit for dataset in raw if (credit := dataset.credit())}))
        inputs: dict[str, Files] = {
            "figures": tuple(job.outputs["png"] for job, _ in figures),
            "dark": tuple(job.outputs["dark"] for job, _ in figures),
            "finding": tuple(job.outputs["finding"] for job, _ in figures),
            "tables": tables,
            "captions": tuple(captions[kind] for kind in sorted(captions)),
            "templates": tuple(package_file(f"report/report.{suffix}") for suffix in ("html.j2", "css", "js")),
        }
        task = Report(
            title=planner.study.title,
            study=planner.file,
            figures=report_figures,
            definitions=definitions,
            report_tables=report_tables,
            credits=credits,
        )
        planner.add(task, {}, inputs)


def collect_definitions(
    planner: Planner, figures: list[str]
) -> tuple[dict[str, tuple[tuple[str, str], ...]], Definitions]:
    """Return the definitions that each figure depends on, and all of them as written in the study."""
    found = {name: collect_with_dependencies(planner.study, "figures", name) for name in figures}
    definitions: Definitions = {}
    for (family, name), spec in {key: spec for one in found.values() for key, spec in one.items()}.items():
        definitions.setdefault(family, {})[name] = export_value(spec)
    if len(canonical_json(definitions)) > MAX_DEFINITIONS:
        definitions = {"figures": definitions["figures"]}
    return {name: tuple(key for key in one if key[0] in definitions) for name, one in found.items()}, definitions


KIND = ReportPage()
