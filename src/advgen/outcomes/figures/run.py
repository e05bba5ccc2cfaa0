"""Draw one figure as PDF and PNG, and write its finding as JSON."""

import importlib
import json
from typing import Any

from advgen import registry
from advgen.figures.findings import Explorer, Finding, names_in, to_json_rows
from advgen.figures.style import darken, save_figure
from advgen.files.provenance import atomic_write, write_bytes
from advgen.io.tables import read_tables
from advgen.jobs.job import Job
from advgen.outcomes.figures.outcome import Draw


def run(job: Job[Draw]) -> None:
    """Draw the figure for a white and for a dark page, and write its finding, rows and images to browse."""
    spec, tables = job.spec.figure, read_tables(job.inputs["tables"])
    figure = registry.resolve(spec)(tables, spec)
    token = job.stamp.token()
    with atomic_write(job.output("out-pdf")) as pdf, atomic_write(job.output("out-png")) as png:
        save_figure(figure, pdf, png, token)
    with atomic_write(job.output("out-dark")) as dark:
        save_figure(darken(figure), None, dark, token)
    module = importlib.import_module(registry.target(spec).split(":")[0])
    content: dict[str, Any] = {"names": names_in(tables)}
    if hasattr(module, "finding"):
        finding: Finding = module.finding(tables, spec)
        content |= {"title": finding.title, "sentence": finding.sentence, "rows": to_json_rows(finding.rows)}
    if hasattr(module, "explorer"):
        explorer: Explorer | None = module.explorer(tables, spec)
        content["explorer"] = explorer.to_json() if explorer is not None else None
    text = json.dumps({"provenance": token, **content}, ensure_ascii=False, indent=1)
    write_bytes(job.output("out-finding"), f"{text}\n".encode())
