"""Job: the CV in one format."""

import json

from advgen.cv import themes
from advgen.cv.formats import render
from advgen.files.provenance import write_bytes
from advgen.jobs.job import Job
from advgen.outcomes.cv.outcome import CvRender


def run(job: Job[CvRender]) -> None:
    """Render cv.json with the files of its theme."""
    cv = json.loads(job.input("cv").read_text(encoding="utf-8"))
    cv.pop("provenance")
    figures = dict(zip(job.spec.figures, job.inputs["figures"], strict=True))
    folders = dict.fromkeys(path.parent for path in job.inputs["templates"])
    custom = [folder for folder in folders if folder.resolve().parent != themes.FOLDER]
    write_bytes(job.output(), render(job.spec.format, cv, figures, job.stamp.token(), custom))
