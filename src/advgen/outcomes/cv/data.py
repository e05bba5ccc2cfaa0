"""The CV as one JSON file."""

import json

from advgen.core.provenance import write_bytes
from advgen.cv.build import Choice, build
from advgen.cv.cells import cell
from advgen.io.jobs import Job
from advgen.outcomes.cv.outcome import CvData


def run(job: Job[CvData]) -> None:
    """Build the normalised CV; live values come from the tables."""
    tables = {path.stem: path for path in job.inputs["tables"]}
    spec = job.spec
    cv = build(
        job.input("profile"),
        next(iter(job.inputs["bibliography"]), None),
        next(iter(job.inputs["metrics"]), None),
        lambda reference: cell(reference, tables[reference.table]),
        overlay=next(iter(job.inputs["overlay"]), None),
        choice=Choice(spec.selected, spec.tags, spec.sections),
    )
    text = json.dumps({"provenance": job.stamp.token(), **cv}, ensure_ascii=False, indent=1)
    write_bytes(job.output(), f"{text}\n".encode())
