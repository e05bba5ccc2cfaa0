"""The page that shows everything."""

from collections.abc import Sequence

import pyarrow as pa

from advgen.core.provenance import write_bytes
from advgen.io.jobs import Job
from advgen.io.stamps import read_stamp
from advgen.io.tables import read_table, table_kind
from advgen.outcomes.report.outcome import Report
from advgen.report.page import Figure, Section, Table, render

ELSEWHERE = "another kind of machine trains other models, as another seed does (docs/machines.md)"
GROUPS = ("Comparisons", "Data and judge", "Generative lab", "Adversarial lab")


def run(job: Job[Report]) -> None:
    """Figures with captions and tables by part, then the checks."""
    spec = job.spec
    captions = {path.stem: path.read_text(encoding="utf-8") for path in job.inputs["captions"]}
    tables = {path: read_table(path) for path in job.inputs["tables"]}
    sections = []
    for group in GROUPS:
        figures = [
            Figure(figure.name, captions[figure.kind], path.read_bytes())
            for figure, path in zip(spec.figures, job.inputs["figures"], strict=True)
            if figure.group == group
        ]
        if figures:
            sections.append(Section(group, "Figures", figures=figures))
        shown = [
            Table(kind.title, light(table, kind.hidden), str(path), kind.measured)
            for path, table in tables.items()
            if (kind := spec.shown.get(table_kind(table))) and kind.group == group
        ]
        if shown:
            sections.append(Section(group, "Tables", tables=shown))
    checks = next((table for table in tables.values() if table_kind(table) == "sanity_checks"), None)
    facts = {"code": job.code, "study": spec.title}
    made_on = {stamp.device for path in tables if (stamp := read_stamp(path))} - {"cpu"}  # which a summary says
    if made_on:
        facts["computed on"] = f"{', '.join(sorted(made_on))}; {ELSEWHERE}"
    if spec.credits:  # their licences ask for it wherever the images are shown
        facts["images"] = "; ".join(spec.credits)
    page = render(spec.title, sections, job.stamp.token(), checks=checks, provenance=facts)
    write_bytes(job.output(), page.encode())


def light(table: pa.Table, hidden: Sequence[str]) -> pa.Table:
    """A table without the columns that say too much for a page."""
    return table.drop_columns([name for name in hidden if name in table.column_names])
