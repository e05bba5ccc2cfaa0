"""Job: the CV as one JSON file."""

import json
from pathlib import Path

from advgen.cv.build import build
from advgen.cv.cells import read_cell
from advgen.cv.sections.base import Filter
from advgen.cv.sources import digest_source
from advgen.files.provenance import write_bytes
from advgen.jobs.job import Job
from advgen.outcomes.cv.outcome import CvData


def run(job: Job[CvData]) -> None:
    """Build cv.json; live values come from the tables of the study."""
    tables = {path.stem: path for path in job.inputs["tables"]}
    spec = job.spec
    for path, planned in spec.sources.items():
        if digest_source(Path(path)) != planned:
            raise ValueError(f"{path}: was edited after this job was planned; run again")
    cv = build(
        job.input("profile"),
        next(iter(job.inputs["bibliography"]), None),
        next(iter(job.inputs["metrics"]), None),
        lambda value: read_cell(value, tables[value.table]),
        overlay=next(iter(job.inputs["overlay"]), None),
        chosen=Filter(spec.selected, spec.tags, spec.sections),
    )
    text = json.dumps({"provenance": job.stamp.token(), **cv}, ensure_ascii=False, indent=1)
    write_bytes(job.output(), f"{text}\n".encode())
