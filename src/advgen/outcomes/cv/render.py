"""The CV in one format."""

import json

from advgen.cv.formats import TEMPLATES, render
from advgen.files.provenance import write_bytes
from advgen.jobs.job import Job
from advgen.outcomes.cv.outcome import CvRender


def run(job: Job[CvRender]) -> None:
    """Render cv.json with the templates."""
    cv = json.loads(job.input("cv").read_text(encoding="utf-8"))
    cv.pop("provenance")
    figures = dict(zip(job.spec.figures, job.inputs["figures"], strict=True))
    own = next((path.parent for path in job.inputs["templates"] if path.parent.resolve() != TEMPLATES), None)
    write_bytes(job.output(), render(job.spec.format, cv, figures, job.stamp.token(), own))
